"""Requests whose target the configuration has no more: nobody delivers them, and each holds back all that come after it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

import structlog

from monitor.clock import Clock
from monitor.deliver.attempt import Attempt, Outcome
from monitor.deliver.backoff import WEBHOOK
from monitor.deliver.guard import Guard
from monitor.deliver.loop import count, outcome_of
from monitor.deliver.watch import Watch
from monitor.http import Failure
from monitor.retrain.rules import is_request
from monitor.state.log import Entry

EVERY = 60.0
"""Seconds between two looks."""

log = structlog.get_logger(__name__)


class Strays:
    """Says that such requests wait, and gives them up once a target that does not answer would be: they may have been taken
    out by mistake, or be known to the replica that comes next. `run` belongs to one thread."""

    name = "strays"

    def __init__(self, targets: Collection[str], watch: Watch, clock: Clock) -> None:
        self._targets = frozenset(targets)
        self._watch = watch
        self._clock = clock
        self._said: set[str] = set()

    def run(self, stop: threading.Event) -> None:
        while not self._clock.wait(stop, EVERY):
            with Guard("delivery", self.name):
                self.tick()

    def tick(self) -> None:
        """One look at what waits."""
        now = self._clock.now_ms()
        for model, ledger in self._watch.ledgers().items():
            for identity, body in ledger.of("intent").items():
                if not is_request(identity) or body["integration"] in self._targets:
                    continue
                if identity not in self._said:
                    self._said.add(identity)
                    log.warning(
                        "target_unknown", integration=body["integration"], model=model, intent=identity
                    )
                if now - int(body["created"]) >= WEBHOOK.total * 1000:
                    self._give_up(model, identity, body, ledger.of("outcome").get(identity, {}))

    def _give_up(self, model: str, identity: str, body: Mapping[str, Any], last: Mapping[str, Any]) -> None:
        detail = f"no target called {body['integration']} is configured any more"
        gone = Attempt(Outcome.DEAD, Failure.OTHER, detail)
        outcome = {
            **last,
            **outcome_of(
                body, gone, Outcome.DEAD, at=self._clock.now_ms(),
                attempt=int(last.get("attempt", -1)), refused=last.get("refused", ()),
            ),
        }  # fmt: skip
        self._watch.append(model, [Entry("outcome", identity, outcome), Entry("intent", identity, None)])
        count(body["integration"], gone, 0.0)
        log.warning(
            "delivery_dead", integration=body["integration"], model=model, intent=identity, detail=detail
        )
