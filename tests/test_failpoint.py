from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from monitor import failpoint

SCRIPT = """
import sys
from monitor.failpoint import fail_point
for n in range(1, 5):
    for name in ("append.before", "send.after"):
        sys.stdout.write(f"{name} {n}\\n")
        sys.stdout.flush()
        fail_point(name)
"""


def run(setting):
    environment = {**os.environ, failpoint.VARIABLE: setting}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines()[-1:], done.stderr


def test_process_dies_at_the_named_pass():
    """The process is killed at the nth pass of the point the environment names, not before."""
    assert run("send.after:3")[:2] == (-signal.SIGKILL, ["send.after 3"])
    assert run("append.before")[:2] == (-signal.SIGKILL, ["append.before 1"])


def test_without_a_setting_nothing_happens():
    """An empty variable arms nothing."""
    assert run("")[:2] == (0, ["send.after 4"])


def test_unknown_point_is_refused():
    """A misspelt point fails at once, else a kill test would pass without a kill."""
    code, _, errors = run("chekpoint.inside")
    assert code == 1
    assert "no such fail-point" in errors


def test_armed_action_runs_once():
    """In a process an action can stand in for the kill; it runs at one pass only."""
    seen = []
    failpoint.arm("claim.inside", nth=2, action=lambda: seen.append(1))
    try:
        for _ in range(5):
            failpoint.fail_point("claim.inside")
            failpoint.fail_point("claim.after")
    finally:
        failpoint.disarm()
    assert seen == [1]
    failpoint.fail_point("claim.inside")


@pytest.mark.parametrize("nth", [0, -1])
def test_passes_are_counted_from_one(nth):
    """A pass that never comes is refused."""
    with pytest.raises(ValueError, match="counted from 1"):
        failpoint.arm("claim.inside", nth=nth)
