"""What a partition of the ledger says: which entries stand, and which records are still needed for it.

The order of the log is the fence between those who write: a batch counts only if its term is that of the
newest owner before it, and if it was written after the batches of that term that were met before.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor.errors import StateDamaged
from monitor.state.kafka import keys
from monitor.state.kafka.batch import Item, decode_batch
from monitor.state.kafka.keys import BatchKey, OwnerKey
from monitor.state.kafka.logs import Record
from monitor.state.log import wanted
from monitor.state.text import to_body

COMPRESS_FROM = 512
"""Bytes of a body from which on it is held compressed: a verdict on 500 features has two megabytes."""


class _Name(NamedTuple):
    model: str
    kind: str
    id: str


@dataclass(slots=True)
class _Batch:
    """A batch that counted and is not tombstoned."""

    names: dict[_Name, bool]
    """Entry → whether the batch removes it."""
    size: int
    needed: int = 0
    """Entries for which the log could not do without it."""


@dataclass(slots=True)
class LedgerView:
    """Follows one partition, record by record. Not thread-safe.

    A batch is needed for an entry when it is the last to mention it, and either holds it or removes what
    an older batch, which is in the log still, holds.
    """

    term: int = -1
    """Offset of the newest owner record; -1 before the first."""
    damaged: dict[BatchKey, str] = field(default_factory=dict)
    """Batches that would have counted and do not verify, and why: entries are lost."""
    size: int = 0
    """Bytes of the batches that counted and are not tombstoned."""
    live_size: int = 0
    """Bytes of the entries that stand, as they are held."""
    _seq: int = -1
    _live: dict[_Name, bytes] = field(default_factory=dict)
    _by_model: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    _mentions: dict[_Name, list[BatchKey]] = field(default_factory=dict)
    """The batches that mention an entry, oldest first."""
    _batches: dict[BatchKey, _Batch] = field(default_factory=dict)
    """Oldest first."""
    _void: dict[BatchKey, None] = field(default_factory=dict)
    """Batches that did not count."""
    _owners: dict[OwnerKey, int] = field(default_factory=dict)

    def apply(self, record: Record) -> bool:
        """Take the next record; False for a batch that does not count. Raises StateTooNew."""
        try:
            key = keys.decode_ledger(record.key)
        except StateDamaged:
            return False
        if isinstance(key, OwnerKey):
            self._apply_owner(key, record)
            return True
        if record.value is None:
            self._apply_tombstone(key)
            return True
        return self._apply_batch(key, record.value)

    def counts(self, key: BatchKey) -> bool:
        """Whether this batch was met, and counted."""
        return key in self._batches

    def entries(self, model: str, kinds: Collection[str] | None) -> dict[str, dict[str, dict[str, Any]]]:
        """The live entries of a model, kind → id → body; `kinds` as in `StateLog.ledger`."""
        return {
            kind: {name: dict(to_body(self._body(_Name(model, kind, name)))) for name in sorted(names)}
            for kind, names in sorted(self._by_model.get(model, {}).items())
            if names and wanted(kind, kinds)
        }

    def holds(self, model: str, kind: str, name: str) -> bool:
        return _Name(model, kind, name) in self._live

    def models(self) -> Iterator[str]:
        """Every model that has entries."""
        return iter(sorted(model for model, kinds in self._by_model.items() if any(kinds.values())))

    def live(self, model: str) -> Iterator[Item]:
        """All entries of a model as they are stored."""
        for kind, names in sorted(self._by_model.get(model, {}).items()):
            for name in sorted(names):
                yield Item(kind, name, self._body(_Name(model, kind, name)).encode("utf-8", "surrogatepass"))

    def garbage(self) -> list[BatchKey]:
        """Batches that are not needed, in the order in which they may go."""
        return [key for key, batch in self._batches.items() if batch.needed == 0]

    def oldest(self, bytes_: int) -> dict[str, list[Item]]:
        """The entries, by model, for which the oldest batches of `bytes_` together are needed."""
        found: dict[str, list[Item]] = {}
        seen = 0
        for batch in self._batches.values():
            if seen >= bytes_:
                break
            seen += batch.size
            for name, removes in batch.names.items():
                if (
                    not removes
                    and self._mentions[name][-1:]
                    and self._batches[self._mentions[name][-1]] is batch
                ):
                    text = self._body(name).encode("utf-8", "surrogatepass")
                    found.setdefault(name.model, []).append(Item(name.kind, name.id, text))
        return found

    def former(self, term: int) -> tuple[list[BatchKey], list[OwnerKey]]:
        """Batches of terms before `term`, whether they counted or not, and the owners of those terms."""
        batches = [key for key in self._batches if key.term < term]
        void = [key for key in self._void if key.term < term]
        owners = [key for key, offset in self._owners.items() if offset < term]
        return void + batches, owners

    def _apply_owner(self, key: OwnerKey, record: Record) -> None:
        if record.value is None:
            self._owners.pop(key, None)
            return
        self._owners[key] = record.offset
        if record.offset > self.term:
            self.term, self._seq = record.offset, -1

    def _apply_tombstone(self, key: BatchKey) -> None:
        self._void.pop(key, None)
        self.damaged.pop(key, None)
        batch = self._batches.pop(key, None)
        if batch is None:
            return
        self.size -= batch.size
        for name in batch.names:
            mentions = self._mentions.get(name, [])
            if key not in mentions:
                continue
            was_last = mentions[-1] == key
            mentions.remove(key)
            if was_last and not batch.names[name]:
                self._forget(name)
            if len(mentions) == 1 and self._batches[mentions[0]].names[name]:
                self._batches[mentions[0]].needed -= 1  # nothing is left that it would have to remove
                mentions.clear()
            if not mentions:
                self._mentions.pop(name, None)

    def _apply_batch(self, key: BatchKey, value: bytes) -> bool:
        if key.term != self.term or key.seq <= self._seq:
            self._void[key] = None
            return False
        self._seq = key.seq
        try:
            items = decode_batch(value)
        except StateDamaged as error:
            self.damaged[key] = str(error)
            items = []
        batch = self._batches[key] = _Batch({}, len(value))
        self.size += batch.size
        for item in items:
            self._mention(key, batch, _Name(key.model, item.kind, item.id), item.text)
        return True

    def _mention(self, key: BatchKey, batch: _Batch, name: _Name, text: bytes | None) -> None:
        mentions = self._mentions.get(name)
        if text is None and not mentions:
            return
        batch.names[name] = text is None
        batch.needed += 1
        if mentions:
            self._batches[mentions[-1]].needed -= 1
            mentions.append(key)
        else:
            self._mentions[name] = [key]
        self._forget(name)
        if text is not None:
            held = zlib.compress(text, 1) if len(text) >= COMPRESS_FROM else b"\0" + text
            self._live[name] = held
            self.live_size += len(held)
            self._by_model.setdefault(name.model, {}).setdefault(name.kind, set()).add(name.id)

    def _forget(self, name: _Name) -> None:
        held = self._live.pop(name, None)
        if held is not None:
            self.live_size -= len(held)
            self._by_model[name.model][name.kind].discard(name.id)

    def _body(self, name: _Name) -> str:
        held = self._live[name]
        text = held[1:] if held[:1] == b"\0" else zlib.decompress(held)
        return text.decode("utf-8", "surrogatepass")
