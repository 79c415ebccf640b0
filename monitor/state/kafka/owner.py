"""Speaking for the models of one partition of the ledger, until somebody else takes it over."""

from __future__ import annotations

import contextlib
import math
import socket
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence

from monitor.clock import Clock
from monitor.errors import StateDamaged, StateError, StateFenced, StateForeign, StateUnsettled
from monitor.failpoint import fail_point
from monitor.state.kafka import keys
from monitor.state.kafka.batch import LARGEST, Item, Owner, decode_owner, encode_batch, encode_owner, items_of
from monitor.state.kafka.keys import BatchKey, Key, OwnerKey, WriterId
from monitor.state.kafka.ledger import Bodies, LedgerView, unpacked
from monitor.state.kafka.logs import Logs, Place, Record, Write
from monitor.state.log import Entry

REWRITE = 256 << 10
"""Bytes of entries in one batch when they are written anew."""
LARGEST_REWRITTEN = 2 * LARGEST - (64 << 10)
"""What was taken once must not be refused when it is written anew, so the limit is the topic's."""
TIDY_FROM = 32
"""Batches that nobody needs before they are tombstoned."""
SPARSE = 4
"""How much larger than the live entries the log may be before its oldest batches are written anew."""
SLACK = 1 << 20
"""Bytes of the log that are never too many."""
READ_WITHIN = 12 * 3600.0
"""Seconds within which the log must have been read. Tombstones are kept for a day after compaction has met
them: who reads for longer may meet an entry and not that it was removed."""


class LedgerOwner:
    """The ledger of the models of one partition. Thread-safe.

    Every call may raise StateFenced, and then all later ones do; and StateUnsettled, after which the
    same call may be repeated: what was written by then counts once.
    """

    def __init__(self, logs: Logs, place: Place, writer: WriterId, *, clock: Clock, group: str = "") -> None:
        """`take` makes one that may write."""
        self.term = -1
        self._logs = logs
        self._place = place
        self._writer = writer
        self._clock = clock
        self._group = group
        self._foreign = ""
        """The group of the other installation that took the partition, if one did."""
        self._view = LedgerView()
        self._next = 0
        self._seq = 0
        self._is_fenced = False
        self._kept: list[tuple[str, list[Item]]] | None = None
        """What stood in a ledger that is gone, until it is written once more."""
        self._checked = clock.monotonic()
        self._lock = threading.Lock()

    @classmethod
    def take(
        cls,
        logs: Logs,
        place: Place,
        writer: WriterId,
        *,
        clock: Clock,
        accept_loss: bool = False,
        group: str = "",
    ) -> LedgerOwner:
        """Take a partition over: from here on what others write to it does not count.

        `writer` is drawn anew for every call, also after one that failed: were its record written twice,
        compaction would take the older one, and with it the term of what came between. `group` is that of
        the installation.

        Raises StateDamaged where entries are lost, unless `accept_loss`; StateFenced when another process
        takes it meanwhile, StateForeign when it is of another group; StateTooNew and other StateErrors, where
        reading took too long among them. Whatever it raises, the owner before may have been fenced.
        """
        owner = cls(logs, place, writer, clock=clock, group=group)
        with owner._lock:
            owner._take(accept_loss=accept_loss)
        return owner

    @staticmethod
    def look(logs: Logs, place: Place) -> None:
        """Raises StateDamaged where `take` would, StateTooNew, and StateError; nothing is written, nobody fenced."""
        view = LedgerView()
        for record in logs.read(place, 0):
            view.apply(record)
        _refuse_damaged(view, place)

    def entries(self, model: str, kinds: Collection[str] | None) -> Bodies:
        """The live entries of a model, kind → id → body, as of the last look; `kinds` as in `StateLog.ledger`."""
        return unpacked(self.packed(model, kinds))  # who decodes megabytes keeps nobody from a claim

    def packed(self, model: str, kinds: Collection[str] | None) -> dict[str, dict[str, bytes]]:
        """The same, each for `ledger.unpack`: all verdicts of a model are a tenth of their size then."""
        with self._lock:
            self._refuse_fenced()
            return self._view.packed(model, kinds)

    def models(self) -> set[str]:
        """Every model that has entries, as of the last look."""
        with self._lock:
            self._refuse_fenced()
            return set(self._view.models())

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
            if not items:
                return
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

    def begin_anew(self, writer: WriterId) -> None:
        """The ledger was made anew, and is empty: take it over once more, and write all that stood, under a term of the
        new log. `writer` as for `take`. May be repeated where it raised; until it returned nothing else is done."""
        with self._lock:
            if self._kept is None:
                self._refuse_fenced()
                needs = self._view.needs(self._view.former(sys.maxsize).batches)
                self._kept = [
                    (model, portion) for model, items in needs.items() for portion in _portions(items)
                ]
            kept, self._kept = self._kept, None
            self._writer, self._view, self._next = writer, LedgerView(), 0
            try:
                self._take(accept_loss=False)
                self._meet(
                    [self._write(model, portion, largest=LARGEST_REWRITTEN) for model, portion in kept]
                )
            except StateFenced:
                raise
            except BaseException:
                self._kept = kept
                raise

    def _take(self, *, accept_loss: bool) -> None:
        """1. what is written with a lower term from here on does not count
        2. read it all
        3. what former batches are needed for is written anew, and met again in the log
        4. only then may they go: first what never counted, then they, last the owners by which they did"""
        value = encode_owner(Owner(socket.gethostname(), self._clock.now_ms(), self._group))
        record = Write(self._place, keys.encode(OwnerKey(self._writer)), value)
        (self.term,) = self._logs.write([record])  # 1
        self._catch_up(accept_loss=accept_loss)  # 2
        self._rewrite(self._view.former(self.term).batches)  # 3
        for gone in self._view.former(self.term):  # 4
            self._bury(gone)

    def _catch_up(self, *, accept_loss: bool) -> None:
        """Read everything, then what came meanwhile: why compaction took what was missing is told there."""
        while True:
            begin = self._clock.monotonic()
            self._read_on(accept_loss=accept_loss)
            self._read_on(accept_loss=accept_loss)
            self._refuse_late(self._clock.monotonic() - begin)
            if not self._view.misled:
                return
            left_out = self._view.left_out | self._view.misled
            self._view, self._next = LedgerView(left_out), 0

    def _refuse_late(self, seconds: float) -> None:
        if seconds > READ_WITHIN:
            raise StateError(
                f"the ledger was read for {seconds / 3600:.0f} h, and entries that were removed may be believed to "
                f"stand - {self._place} - at most {READ_WITHIN / 3600:.0f} h: see to brokers and network, it is read anew"
            )

    def _rewrite(self, batches: Iterable[BatchKey]) -> None:
        """Write anew what these batches are needed for, in batches of bounded size."""
        written = [
            self._write(model, portion, largest=LARGEST_REWRITTEN)
            for model, items in self._view.needs(batches).items()
            for portion in _portions(items)
        ]
        self._meet(written)

    def _write(self, model: str, items: Iterable[Item], *, largest: int = LARGEST) -> BatchKey:
        """Append one batch; nothing counts before `_meet`."""
        key = BatchKey(model, self.term, self._seq)
        value = encode_batch(items, largest=largest)
        self._seq += 1  # also where the write fails: it may arrive yet, and a key is never used twice
        self._checked = (
            -math.inf
        )  # and then the next look must be one: decide by what is there, not by before
        self._logs.write([Write(self._place, keys.encode(key), value)])
        return key

    def _meet(self, written: Collection[BatchKey]) -> None:
        """Read on to what was written; it counts, or another process has taken over."""
        self._read_on()
        if all(self._view.counts(key) for key in written):
            return
        if self._logs.end(self._place) < self._next:
            raise StateUnsettled(f"the ledger was made anew - {self._place} - it is written once more")
        self._fence()

    def _read_on(self, *, accept_loss: bool = False) -> None:
        self._refuse_fenced()
        for record in self._logs.read(self._place, self._next):
            self._view.apply(record)
            self._next = record.offset + 1
            if self._view.term > self.term:
                self._fence(record)  # at once: what follows is of no concern, be it damaged or too new
        if self._view.term != self.term:
            self._fence()
        if not accept_loss:
            _refuse_damaged(self._view, self._place)
        self._view.damaged.clear()
        self._checked = self._clock.monotonic()

    def _fence(self, by: Record | None = None) -> None:
        self._is_fenced = True
        if by is not None and by.value is not None and self._group:
            with contextlib.suppress(StateError):  # then it fences all the same
                group = decode_owner(by.value).group
                self._foreign = group if group != self._group else ""
        self._refuse_fenced()

    def _refuse_fenced(self) -> None:
        if self._kept is not None:
            raise StateUnsettled(f"the ledger was made anew - {self._place} - it is written once more")
        if self._is_fenced and self._foreign:
            raise StateForeign(
                f"another installation, of kafka.group {self._foreign}, speaks for these models now - "
                f"{self._place} - give one of the two another state.kafka.prefix"
            )
        if self._is_fenced:
            raise StateFenced(f"another process speaks for these models now - {self._place} - ask that one")

    def _tidy(self) -> None:
        """Tombstone what is not needed any more. It can wait: what was appended stands already."""
        view = self._view
        is_sparse = view.size > SPARSE * view.live_size + SLACK
        with contextlib.suppress(StateError):
            if is_sparse:
                self._rewrite(view.oldest(REWRITE))
            void, garbage = view.void(), view.garbage()
            if is_sparse or len(void) + len(garbage) >= TIDY_FROM:
                self._bury(void)
                self._bury(garbage)

    def _bury(self, found: Sequence[Key]) -> None:
        """Write tombstones, all acknowledged on return: of a write that fails any part may be there.

        They are applied at once. Compaction takes tombstones too, before those who sleep have met them.
        """
        if not found:
            return
        encoded = [keys.encode(key) for key in found]
        offsets = self._logs.write([Write(self._place, key, None) for key in encoded])
        for offset, key in zip(offsets, encoded, strict=True):
            self._view.apply(Record(offset, key, None))


def _refuse_damaged(view: LedgerView, place: Place) -> None:
    for key, why in view.damaged.items():
        raise StateDamaged(
            f"ledger entries of {key.model} are lost - {place} - {why}: the models of this partition are judged "
            "by nobody until then"
        )


def _portions(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The same items in lists of bounded size; one that is larger is alone."""
    portion: list[Item] = []
    size = 0
    for item in items:
        more = len(item.kind) + len(item.id) + len(item.text or b"")
        if portion and size + more > REWRITE:
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += more
    if portion:
        yield portion
