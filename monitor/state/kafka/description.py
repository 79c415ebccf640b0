"""Reading the ledgers of a cluster without taking part in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from monitor.errors import StateDamaged
from monitor.state.kafka.batch import Owner, decode_owner
from monitor.state.kafka.keys import BatchKey, partition_of_model
from monitor.state.kafka.ledger import LedgerView
from monitor.state.kafka.log import Topics
from monitor.state.kafka.logs import Logs, Place
from monitor.state.log import Ledger

PASSES = 20
"""Times a partition is read from its start: each tells of batches that the one before was misled by."""


@dataclass(frozen=True, slots=True)
class Office:
    """A partition of the ledger, and who speaks for its models."""

    view: LedgerView
    owner: Owner | None
    """None before the first, and where its record does not verify."""

    def models(self) -> list[str]:
        """Those that have entries, or have lost some."""
        return sorted({*self.view.models(), *(key.model for key in self.view.damaged)})

    def ledger(self, model: str, kinds: Collection[str] | None) -> Ledger:
        return Ledger(model, self.view.term, self.view.entries(model, kinds))


def read_ledger(logs: Logs, topics: Topics, model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
    """The ledger of a model as it is now; `kinds` as in `StateLog.ledger`. Raises StateError, StateTooNew."""
    place = Place(topics.ledger, partition_of_model(model, logs.partitions(topics.ledger)))
    return read_office(logs, place).ledger(model, kinds)


def read_offices(logs: Logs, topics: Topics) -> Iterator[Office]:
    """All partitions, one after the other. Raises as `read_ledger`."""
    for partition in range(logs.partitions(topics.ledger)):
        yield read_office(logs, Place(topics.ledger, partition))


def read_office(logs: Logs, place: Place) -> Office:
    """One partition. Raises as `read_ledger`."""
    left_out: frozenset[BatchKey] = frozenset()
    for _ in range(PASSES):
        office = _read(logs, place, left_out)
        if not office.view.misled:
            break
        left_out |= office.view.misled
    return office


def _read(logs: Logs, place: Place, left_out: frozenset[BatchKey]) -> Office:
    view, owner, start = LedgerView(left_out), None, 0
    for _ in range(2):  # what compaction took from under us is told by what came meanwhile
        for record in logs.read(place, start):
            start = record.offset + 1
            term = view.term
            view.apply(record)
            if view.term > term and record.value is not None:
                owner = _owner(record.value)
    return Office(view, owner)


def _owner(value: bytes) -> Owner | None:
    try:
        return decode_owner(value)
    except StateDamaged:
        return None
