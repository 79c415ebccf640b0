"""One thread per integration, one more per Alertmanager member and per target whose runs are followed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Protocol

from monitor.clock import Clock
from monitor.deliver.alertmanager import Member
from monitor.deliver.follow import Follower
from monitor.deliver.loop import Deliverer
from monitor.deliver.pagerduty import PagerDuty
from monitor.deliver.plan import AlertsPlan
from monitor.deliver.stray import Strays
from monitor.deliver.target import Target
from monitor.deliver.watch import Watch
from monitor.state.log import StateLog


class Runner(Protocol):
    """A delivery loop: `run` belongs to one thread."""

    @property
    def name(self) -> str: ...

    def run(self, stop: threading.Event) -> None: ...


def build_integrations(plan: AlertsPlan, watch: Watch, clock: Clock) -> list[Runner]:
    """Every loop that `plan` asks for; nothing runs yet."""
    runners: list[Runner] = []
    if plan.alertmanager:
        runners += [
            Member(url, plan.alertmanager, plan.external_url, watch, clock) for url in plan.alertmanager.urls
        ]
    if plan.pagerduty:
        runners.append(Deliverer(PagerDuty(plan.pagerduty, plan, clock), watch, clock))
    for one in plan.targets.values():
        target = Target(one, plan, clock)
        runners.append(Deliverer(target, watch, clock))
        if target.preset.follow is not None:  # on a thread, and with a session, of its own
            runners.append(Follower(Target(one, plan, clock), watch, clock))
    return [*runners, Strays(plan.targets, watch, clock)]


def run_integrations(
    plan: AlertsPlan,
    log: StateLog,
    clock: Clock,
    models: Callable[[], Collection[str]],
    stop: threading.Event,
) -> list[threading.Thread]:
    """Start the delivery threads; they end soon after `stop` is set, between two requests.

    `models` is asked at each look at the ledgers for the models this process speaks for. On a
    reload of routes: set `stop`, join, start anew with another event; all state is in the log.
    """
    watch = Watch(log, clock, models)
    threads = []
    for number, runner in enumerate(build_integrations(plan, watch, clock)):
        thread = threading.Thread(
            target=runner.run, args=(stop,), name=f"deliver-{runner.name}-{number}", daemon=True
        )
        thread.start()
        threads.append(thread)
    return threads
