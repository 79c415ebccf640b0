"""Reading the state of a cluster without taking part in it."""

from __future__ import annotations

from collections.abc import Collection

from monitor.state.kafka.keys import partition_of_model
from monitor.state.kafka.ledger import LedgerView
from monitor.state.kafka.log import Topics
from monitor.state.kafka.logs import Logs, Place
from monitor.state.log import Ledger


def read_ledger(logs: Logs, topics: Topics, model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
    """The ledger of a model as it is now; `kinds` as in `StateLog.ledger`. Raises StateError, StateTooNew."""
    place = Place(topics.ledger, partition_of_model(model, logs.partitions(topics.ledger)))
    view = LedgerView()
    for record in logs.read(place, 0):
        view.apply(record)
    return Ledger(model, view.term, view.entries(model, kinds))
