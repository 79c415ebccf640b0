"""Retraining targets: one integration for all presets. What was answered becomes an attempt."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from monitor.clock import Clock
from monitor.deliver.attempt import Attempt, Outcome, refusal, retry_after
from monitor.deliver.backoff import WEBHOOK
from monitor.deliver.event import event_of
from monitor.deliver.plan import AlertsPlan, TargetPlan
from monitor.deliver.presets.preset import Ask, Call, Preset, Run
from monitor.deliver.session import Session, answer_of
from monitor.errors import DeliveryRefused, RequestError, UsageError
from monitor.http import Failure, Response
from monitor.incident.model import Incident

GONE = "gone"
"""State of a run that the target does not know, or does not show to us: nothing waits for it."""

LONGEST = 500
"""Characters kept of what a target says of a run."""


class Target:
    """One retraining target."""

    backoff = WEBHOOK

    def __init__(self, plan: TargetPlan, alerts: AlertsPlan, clock: Clock) -> None:
        self.name = plan.name
        self.address = address_of(plan.url)
        self._session = Session(plan, clock)
        self.preset = self._session.preset
        self.deduplicates = self.preset.deduplicates
        self._alerts = alerts
        self._clock = clock

    def ready_in(self) -> float:
        return 0.0

    def send(self, intent: str, body: Mapping[str, Any]) -> Attempt:
        incident = Incident.from_json(body["incident"])
        return self.ask(event_of(intent, incident, self._alerts, created=int(body["created"])))

    def ask(self, event: Mapping[str, Any]) -> Attempt:
        """Every step of one attempt. What fails before the last one has certainly started nothing."""
        started = False
        try:
            found = self._session.find()
            if found is not None and found.failure is not None:
                return self._judged(found, Ask(str(event["id"]), event), lost=False)
            ask = Ask(str(event["id"]), event, {} if found is None else answer_of(found))
            started = True
            return self._judged(self._session.start(ask), ask, lost=True)
        except RequestError as error:
            lost = started and error.sent
            return Attempt(Outcome.RETRY, Failure(error.reason), str(error), lost=lost)
        except (DeliveryRefused, UsageError, OSError) as error:
            return Attempt(Outcome.RETRY, Failure.OTHER, str(error))
        except LookupError as error:
            return Attempt(
                Outcome.RETRY,
                Failure.OTHER,
                f"the answer lacks {error} - {self.name} - the address of its API",
            )

    def probe(self) -> Attempt:
        """The answer to a request that starts nothing; without one, whether there is any answer at all."""
        call = self.preset.probe
        try:
            if call is None:
                response = self._session.call(Call("HEAD", self._session.plan.url))
                return Attempt(Outcome.SENT, detail=f"reached, answers {response.status} to HEAD")
            response = self._session.call(call(self._session.plan))
        except RequestError as error:
            return Attempt(Outcome.RETRY, Failure(error.reason), str(error))
        except (DeliveryRefused, UsageError, OSError) as error:
            return Attempt(Outcome.RETRY, Failure.OTHER, str(error))
        if response.failure is None:
            return Attempt(Outcome.SENT, detail=f"{self.preset.name}, found and allowed")
        return Attempt(Outcome.RETRY, response.failure, refusal(response))

    def look(self, run: str) -> Run | None:
        """The run as it is now; None when nobody can tell. Must be called only where the preset follows runs."""
        assert self.preset.follow is not None
        assert self.preset.state is not None
        try:
            response = self._session.call(self.preset.follow(quote(run, safe=""), self._session.plan))
        except (RequestError, DeliveryRefused, UsageError, OSError):
            return None
        if response.failure in {Failure.CLIENT_ERROR, Failure.AUTH}:
            return Run(run, state=GONE, over=True)
        if response.failure is not None:
            return None
        state, over = self.preset.state(answer_of(response))
        return Run(run, state=state[:LONGEST], over=over)

    def _judged(self, response: Response, ask: Ask, *, lost: bool) -> Attempt:
        preset, now = self.preset, self._clock.now_ms()
        if response.status in preset.success or response.status in preset.duplicate:
            return Attempt(Outcome.SENT, run=_run(preset, ask, response, self._session.plan))
        if response.status == 410:
            return Attempt(Outcome.DEAD, Failure.CLIENT_ERROR, refusal(response), disable=True)
        unclear = response.status == 408 or (response.status >= 500 and response.status not in preset.refused)
        return Attempt(
            Outcome.RETRY,
            response.failure or Failure.OTHER,
            refusal(response),
            retry_after(response.headers, now),
            lost=lost and (unclear or response.failure is None),
        )


def _run(preset: Preset, ask: Ask, response: Response, plan: TargetPlan) -> Run | None:
    if preset.run is None:
        return None
    answer = answer_of(response) if response.status in preset.success else {}
    run = preset.run(ask, answer, plan)
    page = run.url if run.url.startswith(("https://", "http://")) else ""  # it becomes a link
    return Run(run.id[:LONGEST], page[:LONGEST], run.state[:LONGEST]) if run.id else None


def address_of(url: str) -> str:
    """What tells one URL of a target from the next without showing its tokens."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]
