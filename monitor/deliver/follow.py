"""Asks targets for the runs that requests have started, until they are over.

What is learnt is part of the outcome: people see it, and the guard `already_running` waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import structlog

from monitor.clock import Clock
from monitor.deliver.guard import Guard
from monitor.deliver.presets.preset import Run
from monitor.deliver.watch import Watch
from monitor.retrain.guards import is_running
from monitor.state.log import Entry

EVERY = 30.0
"""Seconds between two looks: a training takes minutes to days, and GitHub counts 5000 requests an hour."""

log = structlog.get_logger(__name__)


class Followed(Protocol):
    name: str

    def look(self, run: str) -> Run | None:
        """The run as it is now; None when nobody can tell."""
        ...


class Follower:
    """Follows the runs of one target. `run` belongs to one thread."""

    def __init__(self, target: Followed, watch: Watch, clock: Clock) -> None:
        self.name = target.name
        self._target = target
        self._watch = watch
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        while not self._clock.wait(stop, EVERY):
            with Guard("following", self.name):
                self.tick(stop)

    def tick(self, stop: threading.Event | None = None) -> None:
        """One look at every run that is not over; an outcome is written when something has changed."""
        for model, ledger in self._watch.ledgers().items():
            for identity, outcome in ledger.of("outcome").items():
                if outcome.get("integration") != self.name or not is_running(outcome, self._clock.now_ms()):
                    continue
                if stop is not None and stop.is_set():
                    return
                self._look(model, identity, outcome)

    def _look(self, model: str, identity: str, outcome: Mapping[str, Any]) -> None:
        before = Run(**outcome["run"])
        now = self._target.look(before.id)
        if now is None or (now.state, now.over) == (before.state, before.over):
            return
        after = replace(now, url=before.url)
        self._watch.append(model, [Entry("outcome", identity, {**outcome, "run": after.to_json()})])
        log.info(
            "run_changed",
            integration=self.name,
            model=model,
            request=identity,
            run=after.id,
            state=after.state,
        )
