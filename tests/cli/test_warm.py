from __future__ import annotations

import subprocess
import sys

import pytest
import structlog
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
    """Some time passes between any two looks."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now


@pytest.fixture
def plain_logs():
    """What other tests made of the logs is undone for one test: lines of a level may be left out, or cached."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("plain_logs")
@pytest.mark.parametrize(("cold", "step"), [(True, 0.5), (True, 1.0), (False, 1.0)])
def test_a_cold_start_says_what_it_compiles(monkeypatch, cold, step):
    """At most once a second the kernel, how many before it, modules and seconds; nothing where all is loaded."""
    names = ("scores.vote", "scores.score", "scores")
    steps = [Step(name, number // 2, 2, number + 1 if cold else 0) for number, name in enumerate(names)]

    def warm(progress):
        for one in steps:
            progress(one)
        return Warmth(2 if cold else 0, 2, "No space left on device - /x - room is right" if cold else "")

    monkeypatch.setattr("kernels.jit.warm", warm)
    monkeypatch.setattr("kernels.jit.is_cold", lambda: cold)
    with capture_logs() as lines:
        assert warm_logged(Clock(step)) == 4 * step
    told = [line["event"] for line in lines]
    if not cold:
        assert told == ["kernels_warm"]
        return
    often = ["kernels_compiling"] * (1 if step < 1 else 3)
    assert told == ["kernels_cold", *often, "kernels_not_stored", "kernels_warm"]
    first = steps[1 if step < 1 else 0]
    assert lines[1] == {
        "event": "kernels_compiling", "log_level": "info", "kernel": first.name, "compiled": first.compiled,
        "modules": "0/2", "seconds": 1.0,
    }  # fmt: skip
    assert lines[-2]["log_level"] == "warning"


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
