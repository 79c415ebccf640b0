"""When partitions that are behind will be at the ends of their logs, if things go on as they did."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from monitor.names import Source
from monitor.state.log import Progress

SPAN = 300_000
"""Milliseconds that the rate is taken over: two or three bursts of a batch job, and soon forgotten after one."""
KEPT = 64
"""Reports that are kept of a partition; when there are more every second one goes."""


class _Seen(NamedTuple):
    observed: int
    applied: int
    lag: int


class Arrivals:
    """One thread calls `note`; `seconds` is a snapshot for all.

    Goes by how the lag itself changes, so that what producers add meanwhile is in it.
    """

    def __init__(self) -> None:
        self.seconds: dict[Source, float] = {}
        """Until the lag is nothing, of partitions that are behind and were seen twice; infinite where it does not shrink."""
        self._seen: dict[Source, deque[_Seen]] = {}

    def note(self, reports: Iterable[Progress]) -> None:
        """Take newer reports of some partitions."""
        seconds = dict(self.seconds)
        for report in reports:
            found = self._expect(report)
            if found is None:
                seconds.pop(report.source, None)
            else:
                seconds[report.source] = found
        self.seconds = seconds

    def _expect(self, report: Progress) -> float | None:
        now = _Seen(report.observed, report.applied, report.end - report.applied)
        if report.end < 0 or now.lag <= 0 or report.paused:
            self._seen.pop(report.source, None)  # what comes after it is another story
            return None
        seen = self._seen.setdefault(report.source, deque())
        last = seen[-1] if seen else now
        if seen and (now.observed <= last.observed or now.applied < last.applied):
            seen.clear()  # of another process, with another clock, or from an older checkpoint
        seen.append(now)
        while seen[0].observed < now.observed - SPAN:
            seen.popleft()
        if len(seen) > KEPT:
            self._seen[report.source] = seen = deque(list(seen)[::-2][::-1])
        return _arrival(seen) if len(seen) > 1 else None


def _arrival(seen: Sequence[_Seen]) -> float:
    first, before, now = seen[0], seen[-2], seen[-1]
    read = now.applied - before.applied
    if now.lag <= read:  # no more than what came since the last report: it is on the heels of the producers
        return now.lag * (now.observed - before.observed) / read / 1000
    if now.lag >= first.lag:
        return inf
    return now.lag * (now.observed - first.observed) / (first.lag - now.lag) / 1000
