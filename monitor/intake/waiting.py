"""What is to be done for partitions as soon as the broker answers."""

from __future__ import annotations

from collections.abc import Callable

from monitor.clock import Clock
from monitor.intake.questions import QUERY_SECONDS
from monitor.names import Source


class Waiting:
    """One thing to do for each partition; the newest, where there were two. Polling thread only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._todo: dict[Source, Callable[[Source], bool]] = {}

    def add(self, source: Source, todo: Callable[[Source], bool]) -> None:
        """`todo` says whether it is done; it is called again until it is."""
        self._todo[source] = todo

    def drop(self, source: Source) -> None:
        """The partition was taken away."""
        self._todo.pop(source, None)

    def ask(self) -> None:
        """Do what waits, for QUERY_SECONDS at most; who got no answer comes last."""
        begin = self._clock.monotonic()
        for source in list(self._todo):
            done = self._todo[source](source)
            todo = self._todo.pop(source)
            if not done:
                self._todo[source] = todo
            if self._clock.monotonic() - begin > QUERY_SECONDS:
                return
