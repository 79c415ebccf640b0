"""Which partitions are idle: known zero lag for their idle time, never a timer alone."""

from __future__ import annotations

from collections.abc import Callable, Collection

from monitor.clock import Clock
from monitor.names import Source


class Idleness:
    """Belongs to the ingest thread, which tells it at each look how every partition stands."""

    def __init__(self, clock: Clock, *, every: float) -> None:
        """`every`: seconds between two looks while records come; there are 500 polls a second."""
        self.idle: frozenset[Source] = frozenset()
        self._clock = clock
        self._every = every
        self._next = clock.monotonic()
        self._since: dict[Source, float] = {}
        """When each partition was caught up with."""

    def is_due(self, *, is_busy: bool) -> bool:
        now = self._clock.monotonic()
        if is_busy and now < self._next:
            return False
        self._next = now + self._every
        return True

    def is_quiet(self, source: Source, *, caught_up: bool, idle: float, ask: Callable[[], bool]) -> bool:
        """Whether a partition is idle now; `idle` seconds of zero lag make it so.

        `ask`, which asks the broker, has the last word before a partition becomes idle: on a busy machine
        the end offset of the last fetch may be older than the idle time, and the newest records unseen.
        """
        if not caught_up:
            self._since.pop(source, None)
            return False
        # What is still to be folded counts as quiet until it turns out to hold rows: see `stir`.
        now = self._clock.monotonic()
        if now - self._since.setdefault(source, now) < idle:
            return False
        if source in self.idle or ask():
            return True
        self._since[source] = self._clock.monotonic()
        return False

    def settle(self, idle: Collection[Source]) -> bool:
        """Take a whole look; True when a partition became or ceased to be idle."""
        before, self.idle = self.idle, frozenset(idle)
        return self.idle != before

    def stir(self, sources: Collection[Source]) -> bool:
        """Rows came: quiet begins anew. True when one of these partitions was idle.

        Rejects alone do not move the watermark: a producer of nothing else would keep every window
        open for ever.
        """
        self.forget(sources)
        awake = self.idle & frozenset(sources)
        self.idle -= awake
        return bool(awake)

    def forget(self, sources: Collection[Source]) -> None:
        """They were taken away, or are quiet from now on at the earliest."""
        for source in sources:
            self._since.pop(source, None)
