"""The ledgers of all models as the delivery threads see them, read at most once a second together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from monitor.clock import Clock
from monitor.errors import StateError
from monitor.incident.intend import changes
from monitor.state.log import Entry, Ledger, StateLog

log = structlog.get_logger(__name__)

FRESH = 1.0
"""Seconds a read serves all threads; four threads that each read for themselves would cost four
times as much."""

KINDS = ("intent", "outcome", "clock")
"""What delivery decides by and is small. Incidents (20 ms per model that has had 200 of them) are
read only when their count of changes has moved; verdicts never."""


class Watch:
    """Shared by the delivery threads. What this process writes through `append` is seen at once."""

    def __init__(self, log: StateLog, clock: Clock, models: Callable[[], Collection[str]]) -> None:
        self.log = log
        self._clock = clock
        self._models = models
        self._lock = threading.Lock()
        self._read: float | None = None
        self._ledgers: Mapping[str, Ledger] = {}
        self._incidents: dict[str, tuple[int, Mapping[str, Mapping[str, Any]]]] = {}
        """Model → count of changes and the incidents at that count."""

    def ledgers(self) -> Mapping[str, Ledger]:
        """Model → ledger, at most FRESH seconds old."""
        with self._lock:
            now = self._clock.monotonic()
            if self._read is None or now - self._read >= FRESH:
                self._ledgers = self._look_at(self._models())
                self._read = now
            return self._ledgers

    def append(self, model: str, entries: Sequence[Entry]) -> None:
        """Durable on return, and seen by the next `ledgers`."""
        self.log.append(model, entries)
        self.refresh()

    def refresh(self) -> None:
        """The next `ledgers` reads anew."""
        with self._lock:
            self._read = None

    def _look_at(self, models: Collection[str]) -> dict[str, Ledger]:
        """Of one model that cannot be read the others do not suffer. Raises StateError when it is all of them."""
        found = {}
        refusal: StateError | None = None
        for model in models:
            try:
                found[model] = self._look(model)
            except StateError as error:
                refusal = error
                log.warning("ledger_refused", model=model, error=str(error))
        if refusal is not None and not found:
            raise refusal
        return found

    def _look(self, model: str) -> Ledger:
        ledger = self.log.ledger(model, kinds=KINDS)
        count = changes(ledger)
        known = self._incidents.get(model)
        if known is None or known[0] != count:
            known = count, self.log.ledger(model, kinds=("incident",)).of("incident")
            self._incidents[model] = known
        return replace(ledger, entries={**ledger.entries, "incident": known[1]})
