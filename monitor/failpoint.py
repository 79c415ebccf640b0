"""Named places where a test can make the process die, to prove that nothing is lost there.

`DRIFTLINE_FAILPOINT=checkpoint.inside:3` kills the process with SIGKILL, as the kernel would, at
the third pass of that place. Without the variable a pass costs one comparison.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

VARIABLE = "DRIFTLINE_FAILPOINT"

POINTS = (
    "checkpoint.before",
    "checkpoint.inside",
    "checkpoint.after",
    "append.before",
    "append.inside",
    "append.after",
    "claim.before",
    "claim.inside",
    "claim.after",
    "send.before",
    "send.inside",
    "send.after",
    "swap.inside",
)
"""Before, inside (after each write, before the commit) and after each durable step.

`send.*` belong to the delivery threads: before the request, after it and before its outcome is
known to the caller, after the outcome is recorded. `swap.inside`: the reference of a new version is durable, and the
reign that names it is not.
"""


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(slots=True)
class _Armed:
    name: str
    nth: int
    action: Callable[[], None]
    passes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_armed: _Armed | None = None


def arm(name: str, *, nth: int = 1, action: Callable[[], None] = kill) -> None:
    """Run `action` once, at the nth pass of `name` from now. Only one point is armed at a time."""
    global _armed  # noqa: PLW0603 - one process, one point; a test arms it
    if name not in POINTS or nth < 1:
        raise ValueError(f"no such fail-point - {name}:{nth} - one of {', '.join(POINTS)}, counted from 1")
    _armed = _Armed(name, nth, action)


def disarm() -> None:
    global _armed  # noqa: PLW0603 - see arm
    _armed = None


def fail_point(name: str) -> None:
    """Die here if this is the armed pass."""
    if _armed is not None:
        _hit(_armed, name)


def _hit(armed: _Armed, name: str) -> None:
    if armed.name != name:
        return
    with armed.lock:
        armed.passes += 1
        due = armed.passes == armed.nth
    if due:
        armed.action()


def _arm_from(setting: str) -> None:
    name, _, nth = setting.partition(":")
    arm(name, nth=int(nth or 1))


if _setting := os.environ.get(VARIABLE):
    _arm_from(_setting)
