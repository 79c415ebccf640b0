"""Partitions of which nothing comes though their log goes on, and those that an open transaction holds back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import structlog

from monitor.clock import Clock
from monitor.errors import IntakeError
from monitor.names import Source

log = structlog.get_logger(__name__)

LOOK_EVERY = 10.0
"""Seconds between looks; each asks the broker about every partition that has not moved since the last."""
LOOK_SECONDS = 1.0
"""How long a look may hold up the polling; those that there was no time for come first in the next."""
ANEW = 3
"""Looks in a row that find a partition silent until it is assigned anew: half a minute. As many again, and the
process ends. A poll that comes late, however late, is one look."""

HELD = "an open transaction holds back what was written since"


class _Silence(NamedTuple):
    """Looks in a row that found nothing handed out where there was something, and the end that was seen."""

    looks: int
    end: int


class Watchdog:
    """Compares what is handed out with what the broker says there is. Belongs to the polling thread."""

    def __init__(self, clock: Clock, end: Callable[[Source], int], high: Callable[[Source], int]) -> None:
        """`end` asks the broker how far we may read; `high` is the end of the log as of the last fetch,
        transactions that are open included. -1: unknown."""
        self.held: frozenset[Source] = frozenset()
        """Partitions with records that an open transaction keeps from us."""
        self._clock = clock
        self._end = end
        self._high = high
        self._next = clock.monotonic() + LOOK_EVERY
        self._drained = False
        self._seen: dict[Source, int] = {}
        self._asked: dict[Source, float] = {}
        self._silent: dict[Source, _Silence] = {}

    def look(
        self, positions: Mapping[Source, int], paused: Collection[Source], *, drained: bool
    ) -> list[Source]:
        """Partitions to be assigned anew. Raises IntakeError for one where that did not help.

        To be called at each poll. `drained`: it left nothing behind that was fetched; where that is so at none
        of them, a partition may be waiting for its turn behind the others, and none is silent.
        """
        now = self._clock.monotonic()
        self._drained |= drained
        if now < self._next:
            return []
        self._next = now + LOOK_EVERY
        was_drained, self._drained = self._drained, False
        if not was_drained:
            self._silent.clear()
            return []
        resting = [s for s, at in positions.items() if s not in paused and self._seen.get(s) == at]
        self._seen = dict(positions)
        self._silent = {source: seen for source, seen in self._silent.items() if source in resting}
        self._asked = {source: at for source, at in self._asked.items() if source in resting}
        held = self.held.intersection(resting)
        for source in sorted(resting, key=lambda source: self._asked.get(source, 0.0)):
            if self._clock.monotonic() - now > LOOK_SECONDS:
                break
            self._asked[source] = now
            held = held | {source} if self._is_held(source, positions[source]) else held - {source}
        self._tell(held - self.held)
        self.held = held
        return [source for source, seen in self._silent.items() if seen.looks == ANEW]

    def end(self, source: Source) -> int:
        """Where a silent partition ends, which no fetch tells; -1 for all others."""
        return self._silent[source].end if source in self._silent else -1

    def _is_held(self, source: Source, position: int) -> bool:
        end = self._end(source)
        if end <= position:
            if end >= 0:
                self._silent.pop(source, None)
            return position < self._high(source) if end >= 0 else source in self.held
        looks = self._silent[source].looks + 1 if source in self._silent else 1
        self._silent[source] = _Silence(looks, end)
        if looks >= 2 * ANEW:
            raise IntakeError(
                f"no record comes of {source} from offset {position}, though it ends at {end} - kafka - "
                "restart driftline, and look after the brokers"
            )
        return False

    def _tell(self, held: Collection[Source]) -> None:
        for source in sorted(held):
            log.warning("partition_held", source=str(source), reason=HELD)
