"""The ledgers of all models as the delivery threads see them, read at most once a second together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence

from monitor.clock import Clock
from monitor.state.log import Entry, Ledger, StateLog

FRESH = 1.0
"""Seconds a read serves all threads. 50 models cost some 50 ms per read of a local log; four
threads that each read for themselves every second would spend a fifth of a core on it."""

KINDS = ("incident", "intent", "outcome", "clock")
"""All that delivery decides by; verdicts are many times as much."""


class Watch:
    """Shared by the delivery threads. What this process writes through `append` is seen at once."""

    def __init__(self, log: StateLog, clock: Clock, models: Callable[[], Collection[str]]) -> None:
        self.log = log
        self._clock = clock
        self._models = models
        self._lock = threading.Lock()
        self._read: float | None = None
        self._ledgers: Mapping[str, Ledger] = {}

    def ledgers(self) -> Mapping[str, Ledger]:
        """Model → ledger, at most FRESH seconds old."""
        with self._lock:
            now = self._clock.monotonic()
            if self._read is None or now - self._read >= FRESH:
                self._ledgers = {model: self.log.ledger(model, kinds=KINDS) for model in self._models()}
                self._read = now
            return self._ledgers

    def append(self, model: str, entries: Sequence[Entry]) -> None:
        """Durable on return; the next `ledgers` reads anew."""
        self.log.append(model, entries)
        with self._lock:
            self._read = None
