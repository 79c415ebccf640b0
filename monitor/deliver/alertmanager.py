"""Alertmanager API v2, as Prometheus itself speaks it.

Level-triggered: every member of the cluster is told all standing alerts once per `resend` and at
each change. A member that is away catches up with the next resend, so nothing queues up for it.
"""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import structlog

from monitor.clock import Clock
from monitor.deliver.alerts import Alert, standing_alerts
from monitor.deliver.attempt import SENT, Attempt, Outcome, refusal, retry_after
from monitor.deliver.backoff import Backoff, exponential
from monitor.deliver.guard import Guard
from monitor.deliver.loop import POLL, count
from monitor.deliver.plan import AlertmanagerPlan
from monitor.deliver.watch import Watch
from monitor.errors import DeliveryRefused, RequestError
from monitor.failpoint import fail_point
from monitor.http import Failure, request

NAME = "alertmanager"
BATCH = 256
"""Alerts per request; what Prometheus sends."""
VALIDITY = 4
"""A firing alert outlives this many resends, so that a restart or a lost request ends no alert."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Member:
    """Tells one member of the cluster what stands. Owned by one thread.

    At shutdown nothing is resolved: the next owner goes on inside the validity of the last send.
    """

    url: str
    plan: AlertmanagerPlan
    external_url: str
    watch: Watch
    clock: Clock
    draw: random.Random = field(default_factory=random.SystemRandom)
    _told: tuple[Alert, ...] | None = None
    """What this member last acknowledged; None before the first time and after a failure."""
    _told_at: float = 0.0
    _failures: int = 0
    _not_before: float = 0.0
    _refused: set[Hashable] = field(default_factory=set)
    """Contents answered with 4xx on their own; never sent again as they are."""

    @property
    def name(self) -> str:
        return NAME

    def run(self, stop: threading.Event) -> None:
        """Tell until `stop` is set."""
        while not self.clock.wait(stop, self._guarded_tick()):
            pass

    def tick(self) -> float:
        """Tell what stands if it changed or the resend is due; seconds until the next look."""
        now = self.clock.monotonic()
        if now < self._not_before:
            return min(self._not_before - now, POLL)
        standing = self._standing()
        resend = self.plan.resend / 1000
        if self._told == standing and now - self._told_at < resend:
            return POLL
        if not standing:
            self._told, self._told_at = standing, now
            return POLL
        self._note(self._tell(standing), standing)
        return POLL

    def _guarded_tick(self) -> float:
        with Guard("delivery", NAME):
            return self.tick()
        return POLL * 10

    def _standing(self) -> tuple[Alert, ...]:
        ledgers = self.watch.ledgers().values()
        alerts = standing_alerts(ledgers, self.plan, external_url=self.external_url, now=self.clock.now_ms())
        self._refused &= {alert.content for alert in alerts}
        return self._accepted(alerts)

    def _accepted(self, alerts: Sequence[Alert]) -> tuple[Alert, ...]:
        return tuple(alert for alert in alerts if alert.content not in self._refused)

    def _tell(self, alerts: Sequence[Alert]) -> Attempt:
        worst = SENT
        for start in range(0, len(alerts), BATCH):
            batch = alerts[start : start + BATCH]
            attempt = self._post(batch)
            if attempt.outcome is Outcome.DEAD:
                attempt = self._bisect(batch, attempt)
            if attempt.outcome is Outcome.RETRY:
                worst = attempt
        return worst

    def _bisect(self, batch: Sequence[Alert], refused: Attempt) -> Attempt:
        """Find the alerts that are not accepted; the valid ones of the batch may or may not be stored."""
        if len(batch) == 1:
            self._drop(batch[0], refused)
            return SENT
        for alert in batch:
            attempt = self._post([alert])
            if attempt.outcome is Outcome.DEAD:
                self._drop(alert, attempt)
            elif attempt.outcome is Outcome.RETRY:
                return attempt
        return SENT

    def _drop(self, alert: Alert, attempt: Attempt) -> None:
        self._refused.add(alert.content)
        log.error("alert_refused", integration=NAME, model=alert.labels.get("model"), detail=attempt.detail)

    def _post(self, alerts: Sequence[Alert]) -> Attempt:
        start = self.clock.monotonic()
        fail_point("send.before")
        attempt = post_alerts(self.url, alerts, self.plan, now=self.clock.now_ms())
        fail_point("send.inside")
        count(NAME, attempt, self.clock.monotonic() - start)
        fail_point("send.after")
        return attempt

    def _note(self, attempt: Attempt, standing: tuple[Alert, ...]) -> None:
        now = self.clock.monotonic()
        if attempt.outcome is Outcome.SENT:
            self._told, self._told_at, self._failures = self._accepted(standing), now, 0
            return
        self._told = None
        self._failures += 1
        wait = _backoff(self.plan).wait(self._failures, draw=self.draw.random())
        # A request to slow down is honoured up to the resend: silence longer than that ends alerts.
        self._not_before = now + max(wait, min(attempt.after or 0.0, self.plan.resend / 1000))
        log.warning(
            "delivery_retry", integration=NAME, reason=str(attempt.reason or ""), detail=attempt.detail
        )


def post_alerts(url: str, alerts: Sequence[Alert], plan: AlertmanagerPlan, *, now: int) -> Attempt:
    """One POST. DEAD means that the content was not accepted; everything else is worth another try."""
    valid_for = VALIDITY * plan.resend
    body = json.dumps([alert.to_json(now=now, valid_for=valid_for) for alert in alerts]).encode()
    try:
        headers = {"Content-Type": "application/json", **_credentials(plan)}
        response = request(
            "POST", f"{url.rstrip('/')}/api/v2/alerts", plan=plan.http, headers=headers, body=body
        )
    except RequestError as error:
        return Attempt(Outcome.RETRY, Failure(error.reason), str(error))
    except (DeliveryRefused, OSError) as error:
        return Attempt(Outcome.RETRY, Failure.OTHER, str(error))
    if response.failure is None:
        return SENT
    # 400 and 422 are about the alerts, 413 about their number; other 4xx are about the path or us.
    outcome = Outcome.DEAD if response.status in {400, 413, 422} else Outcome.RETRY
    after = retry_after(response.headers, now)
    return Attempt(outcome, response.failure, refusal(response), after)


def _credentials(plan: AlertmanagerPlan) -> dict[str, str]:
    if plan.bearer:
        return {"Authorization": f"Bearer {plan.bearer.reveal()}"}
    if plan.username:
        pair = f"{plan.username}:{plan.password.reveal()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return {}


def _backoff(plan: AlertmanagerPlan) -> Backoff:
    """Full jitter, from 1 s to the resend; without end, as the alerts stand anyway."""
    waits = exponential(1.0, plan.resend / 1000)
    return Backoff(waits=waits, jitter=1.0, attempts=1 << 31, total=float("inf"))
