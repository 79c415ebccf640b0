"""Models that the configuration no longer has: what they left is delivered, and their incidents are closed.

A reload tells which models go. Whoever is started with another configuration finds out from the ledger, and may
be the first of several replicas that are replaced one by one.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

import structlog

from monitor.clock import Clock
from monitor.deliver.plan import AlertsPlan
from monitor.errors import StateError
from monitor.incident.intend import dismiss
from monitor.state.log import Progress, StateLog

log = structlog.get_logger(__name__)

LOOK_EVERY = 30.0
"""Seconds between looks at which models the ledger has."""
SETTLED = 300.0
"""Seconds for which no process must have counted a model before it is taken for removed. Longer than the replicas
that still know it may be without a partition while they are replaced one by one: one is recovered in less."""


class Removed:
    """`look` and `end` belong to the evaluate thread."""

    def __init__(self, state: StateLog, clock: Clock, deciding: threading.Lock) -> None:
        self.names: frozenset[str] = frozenset()
        """Models that have something in the ledger, are not configured, and that this process speaks for."""
        self._state = state
        self._clock = clock
        self._deciding = deciding
        self._next = clock.monotonic()
        self._quiet: dict[str, float] = {}
        """Model → since when nobody counts it, by the monotonic clock."""
        self._ended: dict[str, int] = {}
        """Model → the term in which its incidents were closed."""

    def look(
        self, configured: Collection[str], reports: Collection[Progress], *, alerts: AlertsPlan, stall: int
    ) -> None:
        """Close the incidents of models that nobody counts any more. A report older than `stall` ms is of a
        process that is gone."""
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + LOOK_EVERY
        terms = self._state.terms(self._state.models() - set(configured))
        self.names = frozenset(terms)
        counted = self._counted(reports, stall)
        for name in self._quiet.keys() - terms.keys():
            del self._quiet[name]
        for name, term in terms.items():
            if counted is None or name in counted:
                self._quiet.pop(name, None)
                continue
            since = self._quiet.setdefault(name, self._clock.monotonic())
            if self._clock.monotonic() - since >= SETTLED and self._ended.get(name) != term:
                self.end(name, alerts=alerts)

    def end(self, name: str, *, alerts: AlertsPlan) -> None:
        """Close the incidents of a model that is configured no more: nobody else ever would. Where that is
        refused, `look` tries again."""
        self.names |= {name}
        why = "the model was removed from the configuration"
        try:
            with self._deciding:
                ledger = self._state.ledger(name)
                entries = dismiss(ledger, why, alerts=alerts, now=self._clock.now_ms())
                self._state.append(name, entries)
        except StateError as error:
            log.error("ledger_refused", model=name, error=str(error))
            return
        self._ended[name] = ledger.term
        if entries:
            log.info("incidents_of_removed_model_closed", model=name)

    def _counted(self, reports: Collection[Progress], stall: int) -> set[str] | None:
        """Models that some process counts; None where one does not say."""
        found: set[str] = set()
        for report in reports:
            is_refused = bool(report.paused) and report.end < 0  # whoever holds it counts nothing
            if is_refused or self._clock.now_ms() - report.observed > stall:
                continue
            if report.counted is None:
                return None
            found |= report.counted.keys()
        return found
