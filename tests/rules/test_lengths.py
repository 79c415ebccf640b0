from __future__ import annotations

import ast

from tests.rules.tree import ROOT, functions, kernels_of, report, sources

FILE = 400
FUNCTION = 40
KERNEL = 80


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without the docstring."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_files_are_short() -> None:
    """A file of more than 400 lines holds more than one idea."""
    breaches = []
    for path, _ in sources("monitor", "kernels", "tests", "bench"):
        count = len((ROOT / path).read_text(encoding="utf-8").splitlines())
        if count > FILE:
            breaches.append(f"{path}:{count}: {count} lines - at most {FILE}")
    report(breaches, "files are too long")


def test_functions_are_short() -> None:
    """A function body fits a screen; kernels may take two."""
    breaches = []
    for path, tree in sources("monitor", "kernels"):
        kernels = {id(function) for function, _ in kernels_of(tree)}
        for function in functions(tree):
            limit = KERNEL if id(function) in kernels else FUNCTION
            if lines(function) > limit:
                breaches.append(
                    f"{path}:{function.lineno}: {function.name} has {lines(function)} lines - at most {limit}"
                )
    report(breaches, "functions are too long")
