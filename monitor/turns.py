"""Whose turn it is, where there is not always time for all."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from monitor.clock import Clock
from monitor.names import Source

ROUND = 12.0
"""Seconds after which a round of checkpoints that was refused ends, and polling goes on: each that is not
acknowledged takes ten, and a member that does not poll for minutes is put out. The others come first next time."""


class Turns:
    """Those that waited longest come first. One thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._had: dict[Source, float] = {}
        self._begin = 0.0

    def of(self, sources: Collection[Source]) -> Iterator[Source]:
        """Begin a round; who is late may end it."""
        self._begin = self._clock.monotonic()
        for source in sorted(sources, key=lambda source: self._had.get(source, -1.0)):
            yield source
            self._had[source] = self._clock.monotonic()  # not where the round ended before it

    @property
    def is_late(self) -> bool:
        """Whether the round has taken longer than it should."""
        return self._clock.monotonic() - self._begin > ROUND
