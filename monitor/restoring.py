"""A judgement on its way from the ledger: hundreds of verdicts, of which a wide one takes a tenth of a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monitor.context import Context
from monitor.judgement import COUNTED, Judgement
from monitor.reigns import CONTENT
from monitor.state.log import Entry, StateLog
from monitor.window.completeness import Patience


class Restoring:
    """`judgement` may observe sketches from the start; it knows what was judged once `step` says so."""

    def __init__(
        self, state: StateLog, context: Context, *, topic: str, patience: Patience, term: int
    ) -> None:
        """`topic` is what the model is counted from. Raises StateError."""
        self.judgement = Judgement(context, patience=patience)
        self.term = term
        self._state = state
        plan = context.plan
        ledger = state.ledger(plan.name)
        counted = ledger.of("clock").get(COUNTED, {})
        if counted.get("config") != plan.config:
            # Windows that hold rows counted under another configuration, or before the model was there,
            # must not be judged as if these were all.
            since = {"config": plan.config, "since": state.reached(topic)}
            state.append(plan.name, [Entry("clock", COUNTED, since)])
            ledger = state.ledger(plan.name)
        self.judgement.restore(ledger)
        if plan.registered:
            self.judgement.reigns.load(state.ledger(plan.name, kinds=(CONTENT,)).of(CONTENT), plan.name)
        self._verdicts: Iterator[tuple[str, Mapping[str, Any]]] = state.bodies(plan.name, "verdict")

    def step(self) -> bool:
        """Take the next verdict; True when there was none left. Raises StateError."""
        found = next(self._verdicts, None)
        if found is not None:
            self.judgement.recall(*found)
            return False
        # People may have acknowledged an incident meanwhile.
        self.judgement.restore(self._state.ledger(self.judgement.plan.name))
        return True
