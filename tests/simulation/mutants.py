"""Protocols with one mistake each, of the kind that looks harmless. The simulation has to find them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from monitor.names import Source
from monitor.sketch import Sketch
from monitor.state.kafka import keys
from monitor.state.kafka.batch import LARGEST, Item, encode_batch, items_of
from monitor.state.kafka.keys import MARKERS, BatchKey, Key, WriterId
from monitor.state.kafka.ledger import LedgerView
from monitor.state.kafka.log import KafkaLog
from monitor.state.kafka.logs import Logs, Record, Write
from monitor.state.kafka.owner import LedgerOwner
from monitor.state.log import Checkpoint, Entry, Progress
from tests.simulation.group import Group
from tests.simulation.ingest import Mistakes
from tests.simulation.inputs import FIRST


class Unacknowledged:
    """`Logs` whose sketches are not waited for: only the marker is."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def write(self, records: Sequence[Write]) -> list[int]:
        if any(write.key.startswith(MARKERS) for write in records):
            return self._logs.write(records)
        self._logs.send(records)
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logs, name)


def _committed(group: Group, source: Source, found: Checkpoint | None) -> int:
    return group.commits.get(source, FIRST)


INGEST: dict[str, Callable[[], Mistakes]] = {
    "the writer is not in the key": lambda: Mistakes(new_id=lambda world: WriterId(7)),
    "the group's commit is trusted": lambda: Mistakes(position=_committed),
    "the marker is written before the sketches are acknowledged": lambda: Mistakes(logs=Unacknowledged),
}


class HastyOwner(LedgerOwner):
    """Lets the sender go before its claim was met in the log."""

    def claim(self, model: str, intent: str, attempt: int, at: int) -> bool:
        name = f"{intent}/{attempt}"
        items = items_of([Entry("claim", name, {"intent": intent, "attempt": attempt, "at": at})])
        with self._lock:
            self._refuse_fenced()
            if self._view.holds(model, "claim", name):
                return False
            self._write(model, items)
            return True


def with_term(record: Record) -> Record:
    """The record that `TermlessOwner` would write if it wrote as it should."""
    key = keys.decode_ledger(record.key)
    if not isinstance(key, BatchKey) or record.value is None:
        return record
    key = key._replace(term=int.from_bytes(record.value[:8], "big"))
    return Record(record.offset, keys.encode(key), record.value[8:])


class TermlessView(LedgerView):
    """Reads what `TermlessOwner` writes: the term stands in the value."""

    def apply(self, record: Record) -> bool:
        key = keys.decode_ledger(record.key)
        if isinstance(key, BatchKey) and record.value is None:
            for known in [known for known in (*self._void, *self._batches) if known[::2] == key[::2]]:
                super().apply(Record(record.offset, keys.encode(known), None))
            return True
        return super().apply(with_term(record))


class TermlessOwner(LedgerOwner):
    """Uses the keys of those before it again: the term is not part of them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._view = TermlessView()

    def _write(self, model: str, items: Iterable[Item], *, largest: int = LARGEST) -> BatchKey:
        key = BatchKey(model, self.term, self._seq)
        self._seq += 1
        value = self.term.to_bytes(8, "big") + encode_batch(items, largest=largest)
        self._logs.write([Write(self._place, keys.encode(key._replace(term=0)), value)])
        return key

    def _bury(self, found: Sequence[Key]) -> None:
        shared = [key._replace(term=0) if isinstance(key, BatchKey) else key for key in found]
        super()._bury([key for key in shared if not self._is_in_use(key)])

    def _is_in_use(self, key: Key) -> bool:
        """Its own batches it spares: it is not that careless."""
        return isinstance(key, BatchKey) and self._view.counts(key._replace(term=self.term))


LEDGER: dict[str, dict[str, Any]] = {
    "the term is not in the key": {"kind": TermlessOwner, "meaning": with_term},
    "it is sent before the claim is read back": {"kind": HastyOwner},
}


def sketches_first(
    self: KafkaLog, models: Collection[str], after: int, anew: Collection[str] = ()
) -> tuple[int, Sequence[Sketch], Sequence[Progress]]:
    """`KafkaLog.changes` whose reports are newer than the sketches that they speak of."""
    if after == 0:
        self._sketches.restart()
    for model in anew:
        self._sketches.renew(self._partition(model), model)
    sketches = self._sketches.read(list(self._offices), models)
    self._position += bool(sketches)
    return self._position, tuple(sketches), self._progress.read()


WHOLE: dict[str, tuple[type, str, Any]] = {
    "progress is read after the sketches": (KafkaLog, "changes", sketches_first),
}
