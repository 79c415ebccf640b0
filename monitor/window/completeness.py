"""When a window may be judged."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.names import Source
from monitor.window.heard import Heard


@dataclass(frozen=True, slots=True)
class Patience:
    """How long partitions are waited for; milliseconds."""

    idle: int = 60_000
    stall: int = 120_000
    max_hold: int = 900_000
    settle: int = 2_000
    """A window that is complete because partitions are idle waits this long for them to wake up, and for a report of each:
    records come to all partitions at once after a silence, and those of one are seen before those of the others.
    0: not at all, where all reports are of one moment."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """`complete`: every expected partition is past the window, or known to be empty behind it.
    Otherwise `waiting_for` is a partition that is alive and behind; where there is none, `missing` are
    those without an owner, paused, or never heard of."""

    complete: bool
    waiting_for: Source | None = None
    missing: tuple[Source, ...] = ()


def assess(due: int, *, heard: Heard, now: int, patience: Patience) -> Completeness:
    """Whether a window whose end plus allowed lateness is `due` can be closed at wall time `now`.

    Pure. An idle partition has known zero lag, so it holds nothing back; when all are idle the
    wall clock decides, since records of the window may still be on their way.
    """
    missing: list[Source] = []
    passed = 0
    for source in heard.expected:
        seen = heard.get(source)
        if seen is not None and seen.watermark >= due:
            passed += 1
        elif seen is None or seen.paused or now - seen.observed > patience.stall:
            missing.append(source)
        elif not seen.idle:
            return Completeness(complete=False, waiting_for=source)
    if missing or not heard.expected:
        return Completeness(complete=False, missing=tuple(sorted(missing)))
    return Completeness(complete=passed > 0 or now >= due + patience.idle)
