"""Steps 2 to 5 on a thread of their own, so that the next records are polled while these are folded.

The loop that polls puts batches in; one thread takes them out in the same order. What it may hold is
bounded, and a full pipeline makes `put` wait: that is all the backpressure there is. Everything that
looks at or changes a partition's state waits for `drain` first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.clock import Clock
from monitor.columns import Batch, Reject
from monitor.intake.packed import Chained, joined
from monitor.names import Source

BOUND = 16 << 20
"""Bytes that may wait: 15,000 records of 500 bytes, 20 ms of work, more than a poll takes. Twice as much
changed no rate."""
RECORD = 600
"""Bytes that the client library holds for each record besides its value; a packed one takes 90."""
TOGETHER = 5_000
"""Records of one partition that are folded at once when several of its batches wait: a batch costs
some hundred microseconds of its own, whatever it holds. More would dilute a burst of rejects. Packed
values are copied for it, 0.1 us a record, but most polls bring batches of this size: 0.02 us in the end."""


@dataclass(frozen=True, slots=True)
class Work:
    """One batch and what folds it; the same object for all batches of a partition's life."""

    batch: Batch
    fold: Callable[[Batch], Folding]

    @property
    def weight(self) -> int:
        return int(self.batch.sizes.sum()) + RECORD * len(self.batch)


@dataclass(frozen=True, slots=True)
class Folding:
    """What became of a batch: the rows that were counted, or why none of it was."""

    rows: int
    refused: tuple[Reject, ...] = ()
    """Not empty: the batch was not folded, and the partition must stop before it."""


Refused = tuple[Batch, tuple[Reject, ...]]


class Pipeline:
    """A bounded queue and the thread that empties it. One thread calls everything here.

    The batches of one partition are folded in the order they came, several at once when they wait.

    A partition whose batch was refused takes no more until `discard` forgets it. When a fold raises,
    the thread ends, what waits is dropped, and all but `discard` and `close` raise that error.
    """

    def __init__(self, clock: Clock, *, bound: int = BOUND) -> None:
        self.began: float | None = None
        """Since when the batch in hand is worked at; None while there is none."""
        self._clock = clock
        self._bound = bound
        self._changed = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._weight = 0
        self._at: Source | None = None
        self._stopped: dict[Source, Refused] = {}
        self._rows: set[Source] = set()
        self._failure: BaseException | None = None
        self._ends = False
        self._thread: threading.Thread | None = None

    def put(self, work: Work) -> None:
        """Have a batch folded; waits while too much waits already. Raises what a fold raised."""
        weight = work.weight
        with self._changed:
            self._start()
            while self._weight and self._weight + weight > self._bound and self._failure is None:
                self._changed.wait()
            self._raise()
            self._waiting.append(work)
            self._weight += weight
            self._changed.notify_all()

    def drain(self) -> None:
        """Wait until nothing waits and nothing is worked at. Raises what a fold raised."""
        with self._changed:
            while (self._waiting or self._at is not None) and self._failure is None:
                self._changed.wait()
            self._raise()

    def rows(self) -> set[Source]:
        """Partitions of which rows were counted since the last call. Raises what a fold raised."""
        with self._changed:
            self._raise()
            rows, self._rows = self._rows, set()
            return rows

    def refused(self) -> dict[Source, Refused]:
        """Partitions that stopped before a batch, until `discard` forgets them: the batch, and its
        rejects. What came after it was dropped. Raises what a fold raised."""
        with self._changed:
            self._raise()
            return dict(self._stopped)

    def unsettled(self) -> set[Source]:
        """Partitions whose state is not what it will be: with batches inside, or stopped before one."""
        with self._changed:
            found = {work.batch.source for work in self._waiting} | self._stopped.keys()
            return found if self._at is None else found | {self._at}

    def discard(self, sources: Collection[Source]) -> None:
        """Forget all there is of these partitions; waits for a batch of theirs in hand. Never raises."""
        with self._changed:
            for work in [work for work in self._waiting if work.batch.source in sources]:
                self._waiting.remove(work)
                self._weight -= work.weight
            while self._at is not None and self._at in sources:
                self._changed.wait()
            for source in sources:
                self._stopped.pop(source, None)
                self._rows.discard(source)
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread after the batch in hand; what waits is dropped. Never raises."""
        with self._changed:
            self._ends = True
            self._waiting.clear()
            self._weight = 0
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fold", daemon=True)
            self._thread.start()

    def _raise(self) -> None:
        if self._failure is not None and not self._ends:
            raise self._failure

    def _run(self) -> None:
        while (work := self._take()) is not None:
            source = work.batch.source
            try:
                folding = None if source in self._stopped else work.fold(work.batch)
            except BaseException as error:  # noqa: BLE001 boundary: raised where the batch came from
                self._fail(error)
                return
            self._finish(work, folding)

    def _take(self) -> Work | None:
        with self._changed:
            while not self._waiting and not self._ends:
                self._changed.wait()
            if self._ends:
                return None
            works = self._next()
            self._at = works[0].batch.source
            self.began = self._clock.monotonic()
        return works[0] if len(works) == 1 else Work(merged([w.batch for w in works]), works[0].fold)

    def _next(self) -> list[Work]:
        """The work that came first, and what waits behind it for the same partition."""
        first = self._waiting.popleft()
        works, records = [first], len(first.batch)
        for work in list(self._waiting):
            if work.batch.source != first.batch.source:
                continue
            records += len(work.batch)
            alike = work.fold is first.fold and work.batch.log_append == first.batch.log_append
            if not alike or records > TOGETHER:
                break
            works.append(work)
            self._waiting.remove(work)
        return works

    def _finish(self, work: Work, folding: Folding | None) -> None:
        with self._changed:
            source = work.batch.source
            if folding is not None and folding.rows:
                self._rows.add(source)
            if folding is not None and folding.refused:
                self._stopped[source] = (work.batch, folding.refused)
            self._weight = max(self._weight - work.weight, 0)
            self._at = self.began = None
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = error
            self._waiting.clear()
            self._at = self.began = None
            self._changed.notify_all()


def merged(batches: Sequence[Batch]) -> Batch:
    """The records of batches of one partition, which follow each other and have timestamps of one kind."""
    first = batches[0]
    return Batch(
        source=first.source,
        values=joined([batch.values for batch in batches]),
        keys=Chained([batch.keys for batch in batches]),
        headers=Chained([batch.headers for batch in batches]),
        offsets=np.concatenate([batch.offsets for batch in batches]),
        timestamps=np.concatenate([batch.timestamps for batch in batches]),
        log_append=first.log_append,
    )
