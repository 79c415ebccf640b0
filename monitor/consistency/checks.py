"""The online stores that a process asks: one thread for each, as long as the configuration has it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import structlog

from monitor import metrics
from monitor.clock import Clock
from monitor.columns import Batch, Columns
from monitor.consistency.check import Check
from monitor.consistency.plan import ServerPlan
from monitor.consistency.tallies import OUTCOMES, Tallies
from monitor.context import Context
from monitor.plan import ModelPlan

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Running:
    check: Check
    made_of: tuple[ModelPlan, ServerPlan]
    stop: threading.Event


class Checks:
    """`renew` and `end` belong to whoever reloads, `offer` to the fold thread."""

    def __init__(self, clock: Clock) -> None:
        self.tallies = Tallies(clock, run=uuid4().hex[:12])
        self.threads: list[threading.Thread] = []
        self._clock = clock
        self._running: dict[str, _Running] = {}

    def renew(self, models: Sequence[ModelPlan], servers: Mapping[str, ServerPlan]) -> None:
        """Ask from now on what these plans say. Records that wait for a question of another plan are dropped."""
        wanted = {plan.name: (plan, servers[plan.name]) for plan in models if plan.name in servers}
        running = {name: one for name, one in self._running.items() if wanted.get(name) == one.made_of}
        for name, one in self._running.items():
            if name not in running:
                one.stop.set()
        for name, (plan, server) in wanted.items():
            if name not in running:
                running[name] = self._start(plan, server)
        self._running = running
        self.threads = [thread for thread in self.threads if thread.is_alive()]

    def offer(self, batch: Batch, columns: Sequence[Columns]) -> None:
        """Show a batch that was counted."""
        running = self._running
        for block in columns:
            one = running.get(block.model)
            if one is None or not len(block):
                continue
            try:
                one.check.offer(batch, block)
            except Exception:
                # boundary: what is counted already must not be counted again for a sample's sake
                metrics.INTERNAL_ERRORS_TOTAL.labels("consistency").inc()
                log.exception("consistency_raised", model=block.model)

    def contexts(self, contexts: Mapping[str, Context]) -> dict[str, Context]:
        """The same, with what is known of the stores."""
        return {name: replace(context, tallies=self.tallies) for name, context in contexts.items()}

    def end(self) -> None:
        """Ask no more. What runs holds nothing that would have to be closed."""
        self.renew((), {})

    def _start(self, plan: ModelPlan, server: ServerPlan) -> _Running:
        one = _Running(Check(plan, server, self.tallies, self._clock), (plan, server), threading.Event())
        for outcome in OUTCOMES:
            metrics.FEATURE_STORE_RECORDS_TOTAL.labels(plan.name, outcome)
        thread = threading.Thread(
            target=one.check.run, args=(one.stop,), name=f"consistency-{plan.name}", daemon=True
        )
        thread.start()
        self.threads.append(thread)
        return one
