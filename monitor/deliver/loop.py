"""Delivery of edge-triggered intents: claim, send, record the outcome. Step 12.

A crash between the claim and the outcome repeats the attempt under a new claim with the same id:
delivery is at least once, and receivers deduplicate by the id.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from monitor import metrics
from monitor.clock import Clock
from monitor.deliver.attempt import Attempt, Outcome
from monitor.deliver.backoff import Backoff
from monitor.deliver.guard import Guard
from monitor.deliver.ration import free_at
from monitor.deliver.watch import Watch
from monitor.failpoint import fail_point
from monitor.http import Failure
from monitor.state.log import Entry, Ledger

POLL = 1.0
"""Seconds between looks at the outbox; what a page waits at most before it leaves."""

CLAIMS_TRIED = 3
"""Claims in a row that may be refused before a rest. Each crash leaves at most one claim without an
outcome, so more than a few mean that another process speaks for the model."""

CLAIM_PAUSE = 30.0
"""Seconds before an intent whose claims were all refused is looked at again."""

RATION_PAUSE = 60.0
"""Seconds after which claims are read again while a request waits for the next day."""

log = structlog.get_logger(__name__)


class Integration(Protocol):
    """One receiver of intents. Called by one thread, the one that runs its loop."""

    name: str
    address: str
    """Digest of where it sends to; a target that was disabled is enabled by a new address."""
    backoff: Backoff
    deduplicates: bool
    """Whether one id, sent twice, has one effect; else requests for retraining are rationed."""

    def send(self, intent: str, body: Mapping[str, Any]) -> Attempt:
        """Make one attempt. Never raises for what the receiver or the network does."""
        ...

    def ready_in(self) -> float:
        """Seconds until the integration's own rate limit lets the next attempt through."""
        ...


@dataclass(frozen=True, slots=True)
class _Pending:
    model: str
    id: str
    body: Mapping[str, Any]
    attempt: int
    """Number of the next attempt, the first is 0."""
    due: int
    """Wall time, ms, from which it may be made."""
    refused: tuple[int, ...] = ()
    """Attempts that were certainly not taken."""


@dataclass(slots=True)
class Deliverer:
    """Delivers the intents of one integration, those of one incident strictly in order.

    Order matters: a resolve that overtakes its trigger is dropped by PagerDuty, and the trigger
    then stands for ever.
    """

    integration: Integration
    watch: Watch
    clock: Clock
    draw: random.Random = field(default_factory=random.SystemRandom)
    _claimed: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Intent → next attempt number and how many claims were refused."""
    _paused: dict[str, float] = field(default_factory=dict)
    """Intent → monotonic time before which it is left alone, for the same reason."""
    _rationing: set[str] = field(default_factory=set)
    """Intents that wait for the next day, and of which that was said."""

    @property
    def name(self) -> str:
        return self.integration.name

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set. Returns between attempts; a running attempt is finished."""
        while not self.clock.wait(stop, self._guarded_tick(stop)):
            pass

    def tick(self, stop: threading.Event | None = None) -> float:
        """Make every attempt that is due; returns the seconds until it is worth looking again."""
        waits = [POLL]
        ledgers = self.watch.ledgers()
        disabled = is_disabled(ledgers, self.name, self.integration.address)
        for model, ledger in ledgers.items():
            for pending in heads(model, ledger, self.name):
                if stop is not None and stop.is_set():
                    return 0.0
                waits.append(self._give_up(pending) if disabled else self._advance(pending))
        return max(min(waits), 0.0)

    def _give_up(self, pending: _Pending) -> float:
        """A target that said 410 gets nothing more; its intents end, visibly."""
        gone = Attempt(Outcome.DEAD, Failure.CLIENT_ERROR, "the target is disabled: it answered 410 before")
        self.watch.append(pending.model, self._entries(pending, pending.attempt, gone))
        count(self.name, gone, 0.0)  # each one alerts, though nothing was sent
        return 0.0

    def _guarded_tick(self, stop: threading.Event) -> float:
        with Guard("delivery", self.name):
            return self.tick(stop)
        return POLL * 10

    def _advance(self, pending: _Pending) -> float:
        wait = (pending.due - self.clock.now_ms()) / 1000
        pause = self._paused.get(pending.id, 0.0) - self.clock.monotonic()
        wait = max(wait, pause, self.integration.ready_in())
        if wait > 0 or (wait := self._rationed(pending)) > 0:
            return wait
        attempt = self._claim(pending)
        if attempt is None:
            return 0.0
        fail_point("send.before")
        result = self._timed_send(pending)
        fail_point("send.inside")
        self.watch.append(pending.model, self._entries(pending, attempt, result))
        self._claimed.pop(pending.id, None)
        self._paused.pop(pending.id, None)
        self._rationing.discard(pending.id)
        fail_point("send.after")
        return 0.0

    def _rationed(self, pending: _Pending) -> float:
        """Seconds until the target may be asked, see `monitor.deliver.ration`; 0 for one that deduplicates."""
        if self.integration.deduplicates or pending.body["action"] != "retrain":
            return 0.0
        ledger = self.watch.log.ledger(pending.model, kinds=("claim", "outcome"))
        now, per_day = self.clock.now_ms(), int(pending.body.get("max_per_day", 1))
        wait = (free_at(ledger.of("claim"), ledger.of("outcome"), per_day=per_day, now=now) - now) / 1000
        if wait > 0:
            self._paused[pending.id] = self.clock.monotonic() + min(wait, RATION_PAUSE)
            if pending.id not in self._rationing:
                self._rationing.add(pending.id)
                metrics.RETRAIN_SUPPRESSED_TOTAL.labels(pending.model, "max_per_day").inc()
                log.warning("request_rationed", integration=self.name, model=pending.model, intent=pending.id,
                            seconds=round(wait))  # fmt: skip
        return wait

    def _claim(self, pending: _Pending) -> int | None:
        """The attempt number that is ours to make, or None: it was claimed before.

        Either by a process that died before it could tell the outcome, and the next number is
        ours; or by one that lives, whose outcome the ledger shows when it is read anew. So look
        again before claiming the next number, and rest when that goes on.
        """
        attempt, refused = self._claimed.get(pending.id, (0, 0))
        attempt = max(pending.attempt, attempt)
        if self.watch.log.claim(pending.model, pending.id, attempt):
            return attempt
        self.watch.refresh()
        self._claimed[pending.id] = attempt + 1, refused + 1
        if (refused + 1) % CLAIMS_TRIED == 0:
            self._paused[pending.id] = self.clock.monotonic() + CLAIM_PAUSE
            log.warning("claim_refused", integration=self.name, model=pending.model, intent=pending.id)
        return None

    def _timed_send(self, pending: _Pending) -> Attempt:
        start = self.clock.monotonic()
        try:
            attempt = self.integration.send(pending.id, pending.body)
        except Exception as error:  # boundary: one broken intent must not stop the others
            metrics.INTERNAL_ERRORS_TOTAL.labels("deliver").inc()
            log.exception("delivery_broke", integration=self.name, model=pending.model, intent=pending.id)
            attempt = Attempt(Outcome.RETRY, Failure.OTHER, type(error).__name__)
        seconds = self.clock.monotonic() - start
        count(self.name, attempt, seconds)
        if pending.body["action"] == "retrain":
            metrics.RETRAIN_REQUESTS_TOTAL.labels(pending.model, self.name).inc()
            if attempt.outcome is not Outcome.SENT:
                metrics.RETRAIN_REQUESTS_FAILED_TOTAL.labels(pending.model, self.name).inc()
        return attempt

    def _entries(self, pending: _Pending, attempt: int, result: Attempt) -> list[Entry]:
        """The outcome; a finished intent leaves the outbox in the same append."""
        now = self.clock.now_ms()
        wait, outcome = 0.0, result.outcome
        backoff = self.integration.backoff
        if outcome is Outcome.RETRY:
            wait = max(backoff.wait(attempt + 1, draw=self.draw.random()), result.after or 0.0)
            elapsed = (now - int(pending.body["created"])) / 1000 + wait
            if backoff.is_spent(attempt + 1, elapsed):
                outcome = Outcome.DEAD
        body = outcome_of(
            pending.body, result, outcome, attempt=attempt, at=now,
            due=now + round(wait * 1000) if outcome is Outcome.RETRY else -1,
            refused=[*pending.refused, *([] if result.lost or outcome is Outcome.SENT else [attempt])],
        )  # fmt: skip
        if result.run is not None:
            body["run"] = result.run.to_json()
        entries = [Entry("outcome", pending.id, body)]
        if outcome is not Outcome.RETRY:
            entries.append(Entry("intent", pending.id, None))
        if result.disable:
            gone = {"at": now, "detail": result.detail, "address": self.integration.address}
            entries.append(Entry("clock", disabled_id(self.name), gone))
        tell = log.info if outcome is Outcome.SENT else log.warning
        tell(f"delivery_{outcome}", integration=self.name, model=pending.model, intent=pending.id,
             attempt=attempt, reason=body["reason"], detail=result.detail)  # fmt: skip
        return entries


def outcome_of(
    intent: Mapping[str, Any],
    result: Attempt,
    outcome: Outcome,
    *,
    attempt: int,
    at: int,
    due: int = -1,
    refused: Sequence[int] = (),
) -> dict[str, Any]:
    """What the ledger has of an intent after an attempt. `at`, `due`: wall time in ms, of now and of the next attempt, -1
    where there is none; `refused`: attempts that were certainly not taken."""
    return {
        "state": str(outcome),
        "reason": str(result.reason or ""),
        "detail": result.detail,
        "attempt": attempt,
        "at": at,
        "next": due,
        "integration": intent["integration"],
        "action": intent["action"],
        "incident": intent["incident"]["id"],
        "refused": list(refused),
    }


def heads(model: str, ledger: Ledger, integration: str) -> Iterator[_Pending]:
    """The oldest undelivered intent of each incident, oldest first."""
    outcomes = ledger.of("outcome")
    waiting = sorted(
        (int(body["created"]), int(body["sequence"]), identity, body)
        for identity, body in ledger.of("intent").items()
        if body["integration"] == integration
        and outcomes.get(identity, {}).get("state") not in {Outcome.SENT, Outcome.DEAD}
    )
    seen: set[str] = set()
    for _created, _sequence, identity, body in waiting:
        incident = str(body["incident"]["id"])
        if incident in seen:
            continue
        seen.add(incident)
        last = outcomes.get(identity)
        attempt = int(last["attempt"]) + 1 if last else 0
        refused = tuple(last.get("refused", ())) if last else ()
        yield _Pending(model, identity, body, attempt, int(last["next"]) if last else 0, refused)


def pending_counts(ledgers: Mapping[str, Ledger]) -> dict[str, int]:
    """Integration → intents in the outbox; for the view."""
    counts: dict[str, int] = {}
    for ledger in ledgers.values():
        for body in ledger.of("intent").values():
            counts[str(body["integration"])] = counts.get(str(body["integration"]), 0) + 1
    return counts


def disabled_id(integration: str) -> str:
    """Id of the clock entry that says that a target is gone for good."""
    return f"disabled|{integration}"


def is_disabled(ledgers: Mapping[str, Ledger], integration: str, address: str) -> bool:
    """Whether the target, under its present address, said that it is gone."""
    bodies = (ledger.of("clock").get(disabled_id(integration)) for ledger in ledgers.values())
    return any(body is not None and body["address"] == address for body in bodies)


def count(integration: str, attempt: Attempt, seconds: float) -> None:
    """Add one attempt to the metrics."""
    metrics.NOTIFICATIONS_TOTAL.labels(integration).inc()
    metrics.NOTIFICATION_DURATION_SECONDS.labels(integration).observe(seconds)
    if attempt.outcome is not Outcome.SENT:
        reason = str(attempt.reason or Failure.OTHER)
        metrics.NOTIFICATIONS_FAILED_TOTAL.labels(integration, reason).inc()
