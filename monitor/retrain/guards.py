"""Whether a retraining may be requested now. Pure; the clocks are ledger entries."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.incident.model import Incident
from monitor.plan import RetrainPlan
from monitor.state.log import Entry, Ledger

DAY = 86_400_000
FOLLOWED = 7 * DAY
"""Wall time, ms, for which a run that was started is believed to be going on. A target that answers nothing
any more must not hold retraining back for ever."""
CLOCK = "retrain"
"""Id of the clock entry of a model: the times of its requests and the counts of what was held back."""


class Guard(enum.StrEnum):
    """Why a request that was due is held back; a closed set."""

    COOLDOWN = "cooldown"
    MAX_PER_DAY = "max_per_day"
    MIN_RECORDS = "min_records"
    ALREADY_RUNNING = "already_running"
    PAUSED = "paused"
    DRY_RUN = "dry_run"
    HEALTH = "health"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class RetrainClock:
    """When requests of one model were decided, wall ms ascending; those of the last day and the newest."""

    requests: tuple[int, ...] = ()
    suppressed: Mapping[str, int] | None = None

    @classmethod
    def of(cls, ledger: Ledger) -> RetrainClock:
        body = ledger.of("clock").get(CLOCK, {})
        return cls(tuple(body.get("requests", ())), dict(body.get("suppressed", {})))

    def requested(self, now: int) -> RetrainClock:
        recent = tuple(time for time in self.requests if now - time < DAY)
        return RetrainClock((*recent, now), self.suppressed)

    def held_back(self, guard: Guard) -> RetrainClock:
        counts = dict(self.suppressed or {})
        counts[str(guard)] = counts.get(str(guard), 0) + 1
        return RetrainClock(self.requests, counts)

    def entry(self) -> Entry:
        body: dict[str, Any] = {"requests": list(self.requests), "suppressed": dict(self.suppressed or {})}
        return Entry("clock", CLOCK, body)


def check_guards(
    incident: Incident, ledger: Ledger, *, plan: RetrainPlan, now: int, held: Guard | None = None
) -> Guard | None:
    """The first guard that holds a request of `incident` back now; None lets it through.

    Counted are decisions, which are durable before anything is sent: never more requests than
    decisions, crashes and repeated sends included. A request nobody has decided about yet, that
    is not delivered yet, or whose run is not over, is in flight. A wall clock that was set back cannot
    shorten a cool-down. A dry run is the last guard: what it counts would have been asked.
    """
    if plan.paused:
        return Guard.PAUSED
    if held is not None:
        return held
    if int(incident.evidence.get("rows", 0)) < plan.min_records:
        return Guard.MIN_RECORDS
    if in_flight(ledger, now):
        return Guard.ALREADY_RUNNING
    clock = RetrainClock.of(ledger)
    if clock.requests and now - max(clock.requests) < plan.cooldown:
        return Guard.COOLDOWN
    if sum(now - time < DAY for time in clock.requests) >= plan.max_per_day:
        return Guard.MAX_PER_DAY
    return Guard.DRY_RUN if plan.dry_run else None


def in_flight(ledger: Ledger, now: int) -> bool:
    """True while a request of this model waits for a person or for its delivery, or what it started goes on."""
    outcomes = ledger.of("outcome")
    return any(
        body["state"] == "suggested"
        or (body["state"] == "requested" and _is_open(outcomes.get(request, {}), now))
        for request, body in ledger.of("retrain").items()
    )


def _is_open(outcome: Mapping[str, Any], now: int) -> bool:
    return outcome.get("state") not in {"sent", "dead"} or is_running(outcome, now)


def is_running(outcome: Mapping[str, Any], now: int) -> bool:
    """Whether a request that was sent has started a run that is not over, as far as its target has told."""
    run = outcome.get("run")
    return run is not None and not run["over"] and now - int(outcome["at"]) < FOLLOWED
