"""What a partition of the ledger says: which entries stand, and which records are still needed for it.

The order of the log is the fence between those who write: a batch counts only if its term is that of the
newest owner before it, and if it was written after the batches of that term that were met before.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from monitor.errors import StateDamaged
from monitor.state.kafka import keys
from monitor.state.kafka.batch import Item, decode_batch
from monitor.state.kafka.keys import BatchKey, OwnerKey
from monitor.state.kafka.logs import Record
from monitor.state.log import wanted
from monitor.state.text import to_body

Bodies: TypeAlias = dict[str, dict[str, Mapping[str, Any]]]
"""Kind → id → body."""

COMPRESS_FROM = 512
"""Bytes of a body from which on it is held compressed: a verdict on 500 features has two megabytes."""


class _Name(NamedTuple):
    model: str
    kind: str
    id: str


class Former(NamedTuple):
    """What is left of former terms, in the order in which it may go: all of one before any of the next."""

    void: list[BatchKey]
    batches: list[BatchKey]
    owners: list[OwnerKey]


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

    Who reads a log from its start while compaction is at work, or was broken off, may miss what made a
    batch void or replaced it, and still meet the batch. The tombstone is met as well by who reads on to
    the end as it is after that; but what the batch covered is `misled` then, and seen by reading all anew
    with those `left_out`.
    """

    left_out: frozenset[BatchKey] = frozenset()
    """Batches that are known to be tombstoned further on."""
    misled: set[BatchKey] = field(default_factory=set)
    """Tombstoned batches that were believed to be the last word on an entry that an older one mentions."""
    term: int = -1
    """Offset of the newest owner record; -1 before the first."""
    damaged: dict[BatchKey, str] = field(default_factory=dict)
    """Batches that would have counted and do not verify, and why: entries are lost."""
    size: int = 0
    """Bytes of the batches that counted and are not tombstoned."""
    live_size: int = 0
    """Bytes of the entries that stand, as they are held."""
    _newest: BatchKey | None = None
    """The last batch of this term that counted: what has a lower number comes late."""
    _live: dict[_Name, bytes] = field(default_factory=dict)
    _by_model: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    _mentions: dict[_Name, list[BatchKey]] = field(default_factory=dict)
    """The batches that mention an entry, oldest first."""
    _batches: dict[BatchKey, _Batch] = field(default_factory=dict)
    """Oldest first."""
    _garbage: dict[BatchKey, None] = field(default_factory=dict)
    """Batches that are needed for nothing."""
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
        return key not in self.left_out and self._apply_batch(key, record.value)

    def counts(self, key: BatchKey) -> bool:
        """Whether this batch was met, and counted."""
        return key in self._batches

    def entries(self, model: str, kinds: Collection[str] | None) -> Bodies:
        """The live entries of a model, kind → id → body; `kinds` as in `StateLog.ledger`."""
        return unpacked(self.packed(model, kinds))

    def packed(self, model: str, kinds: Collection[str] | None) -> dict[str, dict[str, bytes]]:
        """The same, for `unpacked`."""
        return {
            kind: {name: self._live[_Name(model, kind, name)] for name in sorted(names)}
            for kind, names in sorted(self._by_model.get(model, {}).items())
            if names and wanted(kind, kinds)
        }

    def holds(self, model: str, kind: str, name: str) -> bool:
        return _Name(model, kind, name) in self._live

    def models(self) -> list[str]:
        """Every model that has entries."""
        return sorted(model for model, kinds in self._by_model.items() if any(kinds.values()))

    def void(self) -> list[BatchKey]:
        """Batches that did not count. They go before others: those may be what makes them void."""
        return list(self._void)

    def garbage(self) -> list[BatchKey]:
        """Batches that may be tombstoned in any order, once there are none that are `void`.

        Never the newest of the term: by it is told what comes late.
        """
        return [key for key in self._garbage if key != self._newest]

    def oldest(self, size: int) -> list[BatchKey]:
        """The oldest batches, of about `size` bytes together."""
        found: list[BatchKey] = []
        seen = 0
        for key, batch in self._batches.items():
            if seen >= size:
                break
            seen += batch.size
            found.append(key)
        return found

    def former(self, term: int) -> Former:
        """What is left of the terms before `term`."""
        return Former(
            void=[key for key in self._void if key.term < term],
            batches=[key for key in self._batches if key.term < term],
            owners=[key for key, offset in self._owners.items() if offset < term],
        )

    def needs(self, batches: Iterable[BatchKey]) -> dict[str, Iterator[Item]]:
        """Model → the entries for which these batches are needed: written anew, nobody needs them.

        Removals are among them. The entries are unpacked as they are asked for, before the next `apply`.
        """
        by_model: dict[str, list[BatchKey]] = {}
        for key in batches:
            if self._batches[key].needed:
                by_model.setdefault(key.model, []).append(key)
        return {model: self._needed_for(found) for model, found in by_model.items()}

    def _needed_for(self, batches: Iterable[BatchKey]) -> Iterator[Item]:
        for key in batches:
            for name, removes in self._batches[key].names.items():
                if self._mentions.get(name, [])[-1:] != [key]:
                    continue
                if removes:
                    yield Item(name.kind, name.id, None)
                elif name in self._live:
                    yield Item(name.kind, name.id, _unpack(self._live[name]))

    def _apply_owner(self, key: OwnerKey, record: Record) -> None:
        if record.value is None:
            self._owners.pop(key, None)
            return
        self._owners[key] = record.offset
        if record.offset > self.term:
            self.term, self._newest = record.offset, None

    def _apply_tombstone(self, key: BatchKey) -> None:
        self._void.pop(key, None)
        self._garbage.pop(key, None)
        self.damaged.pop(key, None)
        batch = self._batches.pop(key, None)
        if batch is None:
            return
        self.size -= batch.size
        for name, removes in batch.names.items():
            mentions = self._mentions.get(name, [])
            if key not in mentions:
                continue
            if mentions[-1] == key:
                if not removes:
                    self._forget(name)
                if len(mentions) > 1:
                    self.misled.add(key)
            mentions.remove(key)
            if len(mentions) == 1 and self._batches[mentions[0]].names[name]:
                self._need(mentions.pop(), -1)  # nothing is left that it would have to remove
            if not mentions:
                del self._mentions[name]

    def _apply_batch(self, key: BatchKey, value: bytes) -> bool:
        if key.term != self.term or (self._newest is not None and key.seq <= self._newest.seq):
            self._void[key] = None
            return False
        try:
            items = decode_batch(value)
        except StateDamaged as error:
            self.damaged[key] = str(error)
            items = []
        self._newest = key
        self._batches[key] = _Batch({}, len(value))
        self._garbage[key] = None
        self.size += len(value)
        for item in items:
            self._mention(key, _Name(key.model, item.kind, item.id), item.text)
        return True

    def _mention(self, key: BatchKey, name: _Name, text: bytes | None) -> None:
        mentions = self._mentions.get(name)
        if text is None and not mentions:
            return
        self._batches[key].names[name] = text is None
        self._need(key, 1)
        if mentions:
            self._need(mentions[-1], -1)
            mentions.append(key)
        else:
            self._mentions[name] = [key]
        self._forget(name)
        if text is not None:
            held = self._live[name] = _pack(text)
            self.live_size += _weight(name, held)
            self._by_model.setdefault(name.model, {}).setdefault(name.kind, set()).add(name.id)

    def _need(self, key: BatchKey, change: int) -> None:
        batch = self._batches[key]
        batch.needed += change
        if batch.needed:
            self._garbage.pop(key, None)
        else:
            self._garbage[key] = None

    def _forget(self, name: _Name) -> None:
        held = self._live.pop(name, None)
        if held is not None:
            self.live_size -= _weight(name, held)
            self._by_model[name.model][name.kind].discard(name.id)


def unpacked(held: Mapping[str, Mapping[str, bytes]]) -> Bodies:
    """The bodies of what `LedgerView.packed` returned. Raises StateDamaged."""
    return {kind: {name: unpack(body) for name, body in bodies.items()} for kind, bodies in held.items()}


def unpack(held: bytes) -> Mapping[str, Any]:
    """One body. Raises StateDamaged."""
    return to_body(_unpack(held).decode())


def _unpack(held: bytes) -> bytes:
    return held[1:] if held[:1] == b"\0" else zlib.decompress(held)


def _pack(text: bytes) -> bytes:
    return zlib.compress(text, 1) if len(text) >= COMPRESS_FROM else b"\0" + text


def _weight(name: _Name, held: bytes) -> int:
    """With the names: of small entries they are the larger part, here as in the log."""
    return len(name.kind) + len(name.id) + len(held)
