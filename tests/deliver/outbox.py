"""A simulated state log with one model, its incidents, and the delivery loops over it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from monitor.clock import ManualClock
from monitor.deliver.alertmanager import Member
from monitor.deliver.loop import Deliverer, Integration
from monitor.deliver.pagerduty import PagerDuty
from monitor.deliver.plan import AlertsPlan
from monitor.deliver.target import Target
from monitor.deliver.watch import Watch
from monitor.incident.intend import intend
from monitor.incident.model import latest_incidents
from monitor.incident.track import track
from monitor.plan import ModelPlan, RetrainPlan
from monitor.state.simulated import SimulatedLog
from monitor.verdict import Verdict
from tests.incident.cases import plan


@dataclass
class Outbox:
    """What the evaluate loop would have left behind, and what delivery does with it."""

    alerts: AlertsPlan
    clock: ManualClock
    model_plan: ModelPlan = field(
        default_factory=lambda: plan(
            retrain=RetrainPlan(mode="auto", target="pipeline", cooldown=0, max_per_day=99)
        )
    )
    seed: int = 0

    def __post_init__(self) -> None:
        self.log = SimulatedLog(self.seed, clock=self.clock)
        self.watch = Watch(self.log, self.clock, lambda: ("flights",))

    def judge(self, *verdicts: Verdict) -> None:
        for one in verdicts:
            ledger = self.log.ledger("flights")
            transitions = track(latest_incidents(ledger.of("incident")), one, self.model_plan)
            intentions = intend(
                transitions, ledger, plan=self.model_plan, alerts=self.alerts, now=self.clock.now_ms()
            )
            self.watch.append("flights", intentions.entries)

    def restart(self) -> None:
        """A new process over the same durable log."""
        self.log.restart()
        self.watch = Watch(self.log, self.clock, lambda: ("flights",))

    def deliverer(self, integration: Integration) -> Deliverer:
        return Deliverer(integration, self.watch, self.clock, draw=random.Random(self.seed))

    def pagerduty(self) -> Deliverer:
        assert self.alerts.pagerduty
        return self.deliverer(PagerDuty(self.alerts.pagerduty, self.alerts, self.clock))

    def webhook(self) -> Deliverer:
        """The delivery to the target, whatever its preset."""
        return self.deliverer(self.target())

    def target(self) -> Target:
        return Target(self.alerts.targets["pipeline"], self.alerts, self.clock)

    def member(self, number: int = 0) -> Member:
        assert self.alerts.alertmanager
        return Member(
            self.alerts.alertmanager.urls[number],
            self.alerts.alertmanager,
            self.alerts.external_url,
            self.watch,
            self.clock,
            draw=random.Random(self.seed),
        )

    def entries(self, kind: str) -> dict:
        return dict(self.log.ledger("flights").of(kind))

    def outcomes(self) -> list[tuple[str, str]]:
        """(action, state) of every intent that was attempted, in order of time."""
        bodies = sorted(self.entries("outcome").values(), key=lambda body: (body["at"], body["action"]))
        return [(body["action"], body["state"]) for body in bodies]

    def pump(self, loop: Deliverer | Member, *, seconds: float, stride: float = 0.001) -> int:
        """Run a loop for some simulated time; how many looks it took. `stride`: seconds between two of them at least, as of a
        loop that is slow."""
        end, looks = self.clock.monotonic() + seconds, 0
        while self.clock.monotonic() <= end:
            self.clock.advance(max(loop.tick(), stride))
            looks += 1
        return looks
