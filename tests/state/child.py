"""A process that checkpoints, appends and claims until it is killed; run by test_local.py.

Says each durable step on standard output. Round n checkpoints every pane with n and claims attempt n.
"""

from __future__ import annotations

import sys
from pathlib import Path

from monitor.clock import SystemClock
from monitor.state.local import LocalLog
from monitor.state.log import Entry
from tests.state.cases import SOURCE, make_key, make_marker, make_sketch

PANES = (0, 1, 2)


def sketches(n):
    return [make_sketch(make_key(pane=pane), seed=n, applied=n) for pane in PANES]


def say(step, n):
    sys.stdout.write(f"{step} {n}\n")
    sys.stdout.flush()


def run(directory, rounds):
    log = LocalLog(directory, clock=SystemClock())
    found = log.recover(SOURCE)
    first = found.marker.applied + 1 if found else 1
    say("open", first)
    for n in range(first, first + rounds):
        log.checkpoint(SOURCE, sketches(n), make_marker(applied=n))
        say("checkpoint", n)
        log.append("fraud", [Entry("cursor", "1h", {"end": n}), Entry("intent", str(n), {"n": n})])
        say("append", n)
        log.claim("fraud", "page", n)
        say("claim", n)
    sys.stdin.read()


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
