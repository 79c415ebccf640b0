from __future__ import annotations

import ast

from tests.rules.tree import report, sources

CLOCK = "monitor/clock.py"
TIME = {
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "sleep",
    "localtime",
    "gmtime",
}
DATETIME = {"now", "utcnow", "today"}


def reads_clock(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="time"), attr=name):
            return name in TIME
        case ast.Attribute(value=(ast.Name(id=owner) | ast.Attribute(attr=owner)), attr=name):
            return owner in {"datetime", "date"} and name in DATETIME
    return False


def test_time_enters_through_the_clock() -> None:
    """A test or a replay can move every clock there is, because there is one."""
    breaches = []
    for path, tree in sources("monitor", "kernels"):
        if path == CLOCK:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and reads_clock(node):
                breaches.append(f"{path}:{node.lineno}: {ast.unparse(node)} - take a Clock")
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                breaches.append(f"{path}:{node.lineno}: from time import - take a Clock")
    report(breaches, "the clock is read outside monitor/clock.py")


def test_nothing_prints() -> None:
    """Commands write through click, the daemon logs."""
    breaches = [
        f"{path}:{node.lineno}: {ast.unparse(node)[:60]}"
        for path, tree in sources("monitor", "kernels")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    report(breaches, "print is called")
