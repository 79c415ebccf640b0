"""What a partition of the ledger says, by the rules alone: the whole history is read each time, and nothing is
ever compacted, tidied or forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from monitor.state.kafka.batch import decode_batch
from monitor.state.kafka.keys import BatchKey, OwnerKey, decode_ledger
from monitor.state.kafka.logs import Record


@dataclass(slots=True)
class Standing:
    """How a partition stands after some of its records."""

    term: int = -1
    live: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    """(model, kind, id) → body."""
    claims: dict[str, set[str]] = field(default_factory=dict)
    """Intent → the attempts that were ever claimed."""
    cursors: dict[str, list[int]] = field(default_factory=dict)
    """Model → the ends that its cursor went through."""
    upto: int = 0
    _last: int = -1

    def entries(self, model: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for (owner, kind, name), body in sorted(self.live.items()):
            if owner == model:
                found.setdefault(kind, {})[name] = body
        return found

    def take(self, record: Record) -> None:
        """The next record; a tombstone says nothing."""
        self.upto = record.offset + 1
        if record.value is None:
            return
        key, items = _decoded(record.key, record.value)
        if isinstance(key, OwnerKey):
            self.term, self._last = record.offset, -1
        elif key.term == self.term and key.seq > self._last:
            self._last = key.seq
            for kind, name, body in items:
                self._put(key.model, kind, name, body)

    def _put(self, model: str, kind: str, name: str, body: Any) -> None:
        if body is None:
            self.live.pop((model, kind, name), None)
            return
        self.live[model, kind, name] = body
        if kind == "claim":
            self.claims.setdefault(body["intent"], set()).add(name)
        if kind == "cursor":
            self.cursors.setdefault(model, []).append(int(body["end"]))


class Fence:
    """One partition, of which `history` has every record that was ever appended.

    `meaning` gives the record that is meant by one of those; protocols with a mistake write others.
    """

    def __init__(
        self, history: Sequence[Record], meaning: Callable[[Record], Record] = lambda record: record
    ) -> None:
        self._history = history
        self._meaning = meaning
        self._now = Standing()

    def now(self) -> Standing:
        for record in self._history[self._now.upto :]:
            self._now.take(self._meaning(record))
        return self._now

    def at(self, upto: int) -> Standing:
        """How it stood before the offset `upto`."""
        found = Standing()
        for record in self._history[:upto]:
            found.take(self._meaning(record))
        return found


@lru_cache(4096)
def _decoded(key: bytes, value: bytes) -> tuple[BatchKey | OwnerKey, list[tuple[str, str, Any]]]:
    name = decode_ledger(key)
    if isinstance(name, OwnerKey):
        return name, []
    items = decode_batch(value)
    return name, [(one.kind, one.id, None if one.text is None else json.loads(one.text)) for one in items]
