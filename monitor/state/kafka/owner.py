"""Speaking for the models of one partition of the ledger, until somebody else takes it over."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import structlog

from monitor.clock import Clock
from monitor.errors import StateDamaged, StateError, StateFenced
from monitor.failpoint import fail_point
from monitor.state.kafka import keys
from monitor.state.kafka.batch import Item, encode_batch, encode_owner, items_of
from monitor.state.kafka.keys import BatchKey, Key, OwnerKey, WriterId
from monitor.state.kafka.ledger import LedgerView
from monitor.state.kafka.logs import Logs, Place, Write
from monitor.state.log import Entry

log = structlog.get_logger(__name__)

REWRITE = 256 << 10
"""Bytes of entries in one batch when the live ones are written anew."""
TIDY_FROM = 32
"""Batches that nobody needs before they are tombstoned."""
SPARSE = 4
"""How much larger than the live entries the log may be before its oldest batches are written anew."""
SLACK = 1 << 20
"""Bytes of the log that are never too many."""


class LedgerOwner:
    """The ledger of the models of one partition. Thread-safe.

    Every call may raise StateFenced, and then all later ones do; and StateUnsettled, after which the
    same call may be repeated: what was written by then counts once.
    """

    def __init__(self, logs: Logs, place: Place, writer: WriterId, *, clock: Clock) -> None:
        """`take` makes one that may write."""
        self.term = -1
        self._logs = logs
        self._place = place
        self._writer = writer
        self._clock = clock
        self._view = LedgerView()
        self._next = 0
        self._seq = 0
        self._is_fenced = False
        self._checked = clock.monotonic()
        self._lock = threading.Lock()

    @classmethod
    def take(
        cls, logs: Logs, place: Place, writer: WriterId, *, clock: Clock, accept_loss: bool = False
    ) -> LedgerOwner:
        """Take a partition over: from here on what others write to it does not count.

        Raises StateDamaged where entries are lost, unless `accept_loss`, and StateError.
        """
        owner = cls(logs, place, writer, clock=clock)
        with owner._lock:
            owner._take(accept_loss=accept_loss)
        return owner

    def entries(self, model: str, kinds: Collection[str] | None) -> dict[str, dict[str, dict[str, Any]]]:
        """The live entries of a model, kind → id → body, as of the last look; `kinds` as in `StateLog.ledger`."""
        with self._lock:
            self._refuse_fenced()
            return self._view.entries(model, kinds)

    def check(self, every: float = 0.0) -> None:
        """Look whether this process speaks for the partition still; not more often than `every` seconds."""
        with self._lock:
            self._refuse_fenced()
            if not every or self._clock.monotonic() - self._checked >= every:
                self._read_on()

    def append(self, model: str, entries: Sequence[Entry]) -> None:
        """As `StateLog.append`."""
        items = items_of(entries)
        with self._lock:
            self._refuse_fenced()
            fail_point("append.before")
            key = self._write(model, items)
            fail_point("append.inside")
            self._meet([key])
            fail_point("append.after")
            self._tidy()

    def claim(self, model: str, intent: str, attempt: int, at: int) -> bool:
        """As `StateLog.claim`; `at` is the wall time, ms."""
        name = f"{intent}/{attempt}"
        items = items_of([Entry("claim", name, {"intent": intent, "attempt": attempt, "at": at})])
        with self._lock:
            self._refuse_fenced()
            fail_point("claim.before")
            self._read_on()
            is_free = not self._view.holds(model, "claim", name)
            key = self._write(model, items) if is_free else None
            fail_point("claim.inside")
            if key is not None:
                self._meet([key])
            fail_point("claim.after")
            return is_free

    def _take(self, *, accept_loss: bool) -> None:
        """1. what is written with a lower term from here on does not count
        2. all entries that stand are written anew, and met again in the log
        3. only then may what was written before go: batches first, owners last"""
        value = encode_owner(socket.gethostname(), self._clock.now_ms())
        record = Write(self._place, keys.encode(OwnerKey(self._writer)), value)
        (self.term,) = self._logs.write([record])  # 1
        self._read_on(accept_loss=accept_loss)
        written = [  # 2
            self._write(model, items)
            for model in list(self._view.models())
            for items in _portions(self._view.live(model))
        ]
        self._meet(written)
        batches, owners = self._view.former(self.term)
        self._bury(batches)  # 3
        self._bury(owners)

    def _write(self, model: str, items: Iterable[Item]) -> BatchKey:
        """Append one batch; nothing counts before `_meet`."""
        key = BatchKey(model, self.term, self._seq)
        self._seq += 1
        self._logs.write([Write(self._place, keys.encode(key), encode_batch(items))])
        return key

    def _meet(self, written: Collection[BatchKey]) -> None:
        """Read on to what was written; it counts, or another process has taken over."""
        self._read_on()
        if not all(self._view.counts(key) for key in written):
            self._fence()

    def _read_on(self, *, accept_loss: bool = False) -> None:
        self._refuse_fenced()
        for record in self._logs.read(self._place, self._next):
            self._view.apply(record)
            self._next = record.offset + 1
        if self._view.damaged and not accept_loss:
            key, why = next(iter(self._view.damaged.items()))
            raise StateDamaged(f"ledger entries of {key.model} are lost - {self._place} - {why}")
        self._view.damaged.clear()
        self._checked = self._clock.monotonic()
        if self._view.term != self.term:
            self._fence()

    def _fence(self) -> None:
        self._is_fenced = True
        self._refuse_fenced()

    def _refuse_fenced(self) -> None:
        if self._is_fenced:
            raise StateFenced(f"another process speaks for these models now - {self._place} - ask that one")

    def _tidy(self) -> None:
        """Tombstone what is not needed any more. It can wait: what was appended stands already."""
        with contextlib.suppress(StateError):
            if self._view.size > SPARSE * self._view.live_size + SLACK:
                portions = self._view.oldest(REWRITE).items()
                self._meet([self._write(model, items) for model, items in portions])
            garbage = self._view.garbage()
            if len(garbage) >= TIDY_FROM:
                self._bury(garbage)
                self._read_on()

    def _bury(self, found: Sequence[Key]) -> None:
        """Tombstones, in this order: what removes an entry must not go before what holds it."""
        if found:
            self._logs.write([Write(self._place, keys.encode(key), None) for key in found])


def _portions(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The same items in lists of bounded size."""
    portion: list[Item] = []
    size = 0
    for item in items:
        portion.append(item)
        size += len(item.text or b"")
        if size >= REWRITE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
