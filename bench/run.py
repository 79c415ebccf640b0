"""`make bench`: ours and what a user could pick instead, measured side by side in one run.

    python -m bench.run [--only decode,stream] [--smoke] [--list]

Each group of figures is a file with `figures(*, smoke) -> list[dict]` (see bench/figure.py) and runs in a process of
its own. What it measures replaces the group's figures in bench/results.json; bench/README.md is written from all of
them. `--smoke` measures little, writes nothing and exits with 1 when a group breaks; no figure is judged.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench import report
from bench.figure import say
from bench.machine import ROOT, describe, moment

RESULTS = Path(__file__).with_name("results.json")
README = Path(__file__).with_name("README.md")


class Group(NamedTuple):
    """A file of figures. `within` seconds, after which it is ended: many times what a quiet machine needs."""

    module: str
    within: int
    smoke: bool = True
    """Part of `make bench-smoke`: needs no broker, compiles nothing anew, installs nothing that takes minutes."""
    usual: bool = True
    """Part of `make bench`; the others run when they are named, and at night."""

    @property
    def exists(self) -> bool:
        return (ROOT / (self.module.replace(".", "/") + ".py")).is_file()


GROUPS = {
    "decode": Group("bench.decode", 900),
    "binning": Group("bench.binning", 600),
    "counting": Group("bench.counting", 600),
    "stream": Group("bench.stream", 1800, smoke=False),
    "replay": Group("bench.replay", 1800, smoke=False),
    "drift": Group("bench.drift", 1800),
    "memory": Group("bench.memory", 900),
    "scaling": Group("bench.scaling", 1200),
    "vectors": Group("bench.vectors", 600),
    "groups": Group("bench.groups", 3600),
    "judging": Group("bench.judging", 600),
    "seasons": Group("bench.seasons", 1800),
    "errors": Group("bench.error_rate", 900),
    "join": Group("bench.join", 900),
    "estimate": Group("bench.estimate", 900),
    "censored": Group("bench.censored", 600),
    "recovery": Group("bench.recovery", 600),
    "checkpoint": Group("bench.checkpoint", 900, smoke=False),
    "replicas": Group("bench.replicas", 1800, smoke=False),
    "rolling": Group("bench.rolling", 3600, smoke=False),
    "start": Group("bench.start", 900, smoke=False),
    "gpu": Group("bench.gpu", 900),
    "diagnosis": Group("bench.diagnosis", 3600, usual=False),
    "early": Group("bench.early", 3600, usual=False),
    "where": Group("bench.where", 7200, usual=False),
    "detection": Group("bench.detection", 7200, smoke=False, usual=False),
    "soak": Group("bench.soak", 3600, smoke=False, usual=False),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="groups, separated by commas")
    parser.add_argument("--smoke", action="store_true", help="small and quick; nothing is written")
    parser.add_argument("--seed", type=int, help="of everything that is drawn")
    parser.add_argument("--list", action="store_true", help="names of the groups")
    parser.add_argument("--child", nargs=2, metavar=("GROUP", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that peers and brokers end with us
    if options.seed is not None:
        os.environ["DRIFTLINE_BENCH_SEED"] = str(options.seed)
    if options.child:
        return _child(*options.child, smoke=options.smoke)
    chosen = (
        options.only.split(",")
        if options.only
        else [n for n, g in GROUPS.items() if _usual(g, options.smoke)]
    )
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        parser.error(f"no group {', '.join(unknown)} - --only - one of {', '.join(GROUPS)}")
    if options.list:
        print("\n".join(GROUPS))
        return 0
    return measure(chosen, smoke=options.smoke)


def _usual(group: Group, smoke: bool) -> bool:
    return group.exists and (group.smoke if smoke else group.usual)


def measure(chosen: list[str], *, smoke: bool) -> int:
    """Run the groups one after the other; 1 when one of them broke."""
    results = {} if smoke or not RESULTS.is_file() else _known(json.loads(RESULTS.read_text()))
    machine, measured, broken, begin = describe(), {}, [], time.monotonic()
    for name in chosen:
        say(f"{name} … ({time.monotonic() - begin:.0f} s)")
        found = _group(name, smoke=smoke)
        if isinstance(found, str):
            broken.append(f"{name}: {found}")
            say(f"  broken: {found}")
            continue
        measured[name] = {**found, "machine": machine}
        if not smoke:
            results.setdefault("groups", {})[name] = measured[name]
            RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
            README.write_text(report.render(results))
    print(report.render({"groups": measured}, judged=not smoke))
    say(f"{time.monotonic() - begin:.0f} s" + "".join(f"\nbroken: {line}" for line in broken))
    return 1 if broken else 0


def _known(results: dict[str, Any]) -> dict[str, Any]:
    groups = results.get("groups", {})
    return {"groups": {name: group for name, group in groups.items() if name in GROUPS}}


def _group(name: str, *, smoke: bool) -> dict[str, Any] | str:
    """What a group measured, or why it broke. In a process of its own: no group warms or burdens another."""
    begin, when = time.monotonic(), moment()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        command = [
            sys.executable,
            "-m",
            "bench.run",
            "--child",
            name,
            str(out),
            *(["--smoke"] if smoke else []),
        ]
        child = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        try:
            code = child.wait(GROUPS[name].within)
        except subprocess.TimeoutExpired:
            return f"took more than {GROUPS[name].within} s"
        finally:
            _end(child)
        if code:
            return f"exit {code}"
        return {**when, "seconds": round(time.monotonic() - begin, 1), "figures": json.loads(out.read_text())}


def _end(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM, so that it stops what it started; then the whole process group."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _child(name: str, out: str, *, smoke: bool) -> int:
    from kernels.jit import warm

    warm()
    module = importlib.import_module(GROUPS[name].module)
    Path(out).write_text(json.dumps(module.figures(smoke=smoke), default=float))
    return 0


if __name__ == "__main__":
    sys.exit(main())
