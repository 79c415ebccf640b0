"""The ledgers as the delivery threads see them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from monitor.clock import ManualClock
from monitor.deliver.watch import Watch
from monitor.errors import StateError
from monitor.state.log import Entry, Ledger
from monitor.state.simulated import SimulatedLog


def test_of_a_model_that_cannot_be_read_the_others_do_not_suffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their alerts would expire; where none can be read, delivery waits."""
    log: Any = SimulatedLog(0)
    log.append("good", [Entry("intent", "i", {"integration": "x"})])
    whole = log.ledger

    def broken(model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
        if model == "bad":
            raise StateError("no answer - ledger - see that the broker is up")
        return whole(model, kinds=kinds)

    monkeypatch.setattr(log, "ledger", broken)
    seen = Watch(log, ManualClock(), lambda: ("bad", "good")).ledgers()
    assert {model: ledger.of("intent") for model, ledger in seen.items()} == {
        "good": {"i": {"integration": "x"}}
    }
    with pytest.raises(StateError):
        Watch(log, ManualClock(), lambda: ("bad",)).ledgers()
