from __future__ import annotations

import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from kernels.jit import Step, Warmth
from monitor.cli.warm import warm_logged
from tests.rules.tree import ROOT

PROBE = """
import sys
import monitor.cli.warm
from monitor.__main__ import main
def seen(*_):
    sys.stdout.write(f"kernels first: {'monitor.daemon' not in sys.modules and 'kernels.fold' not in sys.modules}")
    raise SystemExit(0)
monitor.cli.warm.warm_logged = monitor.cli.warm.warm_shown = seen
sys.argv = ["driftline", *sys.argv[1:]]
main()
"""


class Clock:
    """A second passes between any two looks."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("cold", [True, False])
def test_a_cold_start_says_what_it_compiles(monkeypatch, cold):
    """Each compiled module is logged with its number and the seconds so far; loaded ones are not."""
    steps = [Step("bins", 1, 2, 2 if cold else 0), Step("place", 2, 2, 0)]

    def warm(progress):
        for step in steps:
            progress(step)
        return Warmth(2 if cold else 0, 2, "No space left on device - /x - room is right" if cold else "")

    monkeypatch.setattr("kernels.jit.warm", warm)
    monkeypatch.setattr("kernels.jit.is_cold", lambda: cold)
    with capture_logs() as lines:
        assert warm_logged(Clock()) == 3.0
    told = [(line["event"], line["log_level"]) for line in lines]
    if not cold:
        assert told == [("kernels_warming", "debug")] * 2 + [("kernels_warm", "info")]
        return
    assert told == [
        ("kernels_cold", "info"),
        ("kernels_warming", "info"),
        ("kernels_warming", "debug"),
        ("kernels_not_stored", "warning"),
        ("kernels_warm", "info"),
    ]
    assert lines[1] | {"event": ""} == {
        "event": "", "log_level": "info", "module": "bins", "done": 1, "of": 2, "seconds": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("command", ["run", "replay", "demo"])
def test_kernels_come_before_what_imports_them(command):
    """Nothing compiles unseen: a command warms the kernels before it imports the daemon."""
    options = [] if command == "demo" else ["-c", "configs/examples/minimal.yaml"]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, command, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "kernels first: True", done.stderr
