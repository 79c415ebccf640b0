"""The thread that folds: order, backpressure, barriers, and what becomes of an error."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from monitor.clock import ManualClock
from monitor.columns import Batch, Reject
from monitor.names import Reason, Source
from monitor.pipeline import RECORD, TOGETHER, Folding, Pipeline, Work

ONE, TWO = Source("t", 1), Source("t", 2)
SOON = 10.0


def batch(number: int, source: Source = ONE) -> Batch:
    offsets = np.array([number])
    return Batch(source, [b"v" * 100], [None], [None], offsets, offsets)


class Folds:
    """Notes what it is given; holds still until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.seen: list[tuple[Source, int]] = []
        self.calls = 0
        self.going = threading.Event()
        self.begun = threading.Event()
        if not held:
            self.going.set()

    def __call__(self, batch: Batch) -> Folding:
        self.begun.set()
        assert self.going.wait(SOON)
        assert len(batch) <= TOGETHER
        self.calls += 1
        self.seen += [(batch.source, offset) for offset in batch.offsets.tolist()]
        return Folding(1)


@pytest.fixture
def pipeline():
    made = Pipeline(ManualClock(), bound=3 * (100 + RECORD))
    yield made
    made.close()


def test_batches_are_folded_in_the_order_they_came(pipeline):
    """Whatever the threads do, counts depend on the log alone."""
    folds = Folds()
    for number in range(200):
        pipeline.put(Work(batch(number, ONE if number % 3 else TWO), folds))
    pipeline.drain()
    for source, numbers in ((ONE, [n for n in range(200) if n % 3]), (TWO, list(range(0, 200, 3)))):
        assert [offset for place, offset in folds.seen if place == source] == numbers
    assert pipeline.rows() == {ONE, TWO}
    assert pipeline.rows() == set()


def test_batches_that_wait_are_folded_together(pipeline):
    """Those of one partition and one kind of timestamps; no call is made for each of many small ones."""
    folds, other = Folds(held=True), Folds()
    pipeline.put(Work(batch(0, TWO), folds))
    assert folds.begun.wait(SOON)
    appended = batch(4)
    appended.log_append = True
    pipeline._bound = 1 << 20
    for work in (batch(1), batch(9, TWO), batch(2), batch(3), appended, batch(5)):
        pipeline.put(Work(work, folds))
    pipeline.put(Work(batch(6), other))
    folds.going.set()
    pipeline.drain()
    assert folds.seen == [(TWO, 0), (ONE, 1), (ONE, 2), (ONE, 3), (TWO, 9), (ONE, 4), (ONE, 5)]
    assert (folds.calls, other.seen) == (5, [(ONE, 6)])


def test_no_more_are_folded_together_than_the_limit_of_rejects_can_tell_apart(pipeline):
    """A burst of rejects is judged among as many records as ever."""
    folds = Folds(held=True)
    pipeline._bound = 1 << 30
    for number in range(6):
        offsets = np.arange(2_000) + 2_000 * number
        none = [None] * 2_000
        pipeline.put(Work(Batch(ONE, [b"v"] * 2_000, none, none, offsets, offsets), folds))
    folds.going.set()
    pipeline.drain()
    assert [offset for _, offset in folds.seen] == list(range(12_000))
    assert folds.calls in {3, 4}


def test_a_full_pipeline_makes_the_poller_wait(pipeline):
    """No more than the bound is held, the batch in hand included; then putting goes on."""
    folds = Folds(held=True)
    put = []

    def fill():
        for number in range(10):
            pipeline.put(Work(batch(number), folds))
            put.append(number)

    poller = threading.Thread(target=fill, daemon=True)
    poller.start()
    assert folds.begun.wait(SOON)
    poller.join(0.2)
    assert poller.is_alive()
    assert len(put) == 3
    folds.going.set()
    poller.join(SOON)
    pipeline.drain()
    assert len(folds.seen) == 10


def test_a_batch_larger_than_the_bound_goes_through_alone(pipeline):
    """Records of megabytes must not stop the stream."""
    folds = Folds()
    offsets = np.array([0])
    for _ in range(3):
        pipeline.put(Work(Batch(ONE, [b"v" * 10_000_000], [None], [None], offsets, offsets), folds))
    pipeline.drain()
    assert len(folds.seen) == 3


def test_an_error_stops_everything_and_is_heard_by_whoever_asks(pipeline):
    """Nothing after the broken batch is folded; the error is the one that was raised."""
    folds = Folds(held=True)

    def broken(batch: Batch) -> Folding:
        raise ZeroDivisionError("a defect")

    pipeline.put(Work(batch(0), folds))
    pipeline.put(Work(batch(1), broken))
    pipeline.put(Work(batch(2), folds))
    folds.going.set()
    for ask in (pipeline.drain, pipeline.rows, pipeline.refused, lambda: pipeline.put(Work(batch(3), folds))):
        with pytest.raises(ZeroDivisionError, match="a defect"):
            ask()
    assert folds.seen == [(ONE, 0)]
    pipeline.close()
    pipeline.drain()


def test_a_poller_that_waits_for_room_hears_of_the_error(pipeline):
    """The thread that would make room is gone: waiting on would be for ever."""
    going = threading.Event()

    def broken(batch: Batch) -> Folding:
        assert going.wait(SOON)
        raise ZeroDivisionError("a defect")

    for number in range(3):
        pipeline.put(Work(batch(number), broken))
    threading.Timer(0.1, going.set).start()
    with pytest.raises(ZeroDivisionError):
        pipeline.put(Work(batch(3), broken))


def test_a_discarded_partition_is_not_folded_any_more(pipeline):
    """What waits of it is dropped, what is in hand is waited for, others go on."""
    folds = Folds(held=True)
    pipeline.put(Work(batch(0), folds))
    assert folds.begun.wait(SOON)
    pipeline.put(Work(batch(1), folds))
    pipeline.put(Work(batch(2, TWO), folds))
    threading.Timer(0.1, folds.going.set).start()
    pipeline.discard([ONE])
    assert folds.seen[0] == (ONE, 0)
    assert pipeline.unsettled() <= {TWO}
    pipeline.drain()
    assert folds.seen == [(ONE, 0), (TWO, 2)]
    assert pipeline.rows() == {TWO}


def test_a_refused_batch_stops_its_partition_until_it_is_discarded(pipeline):
    """Batches behind it are dropped, in the pipeline and put later; other partitions go on."""
    folds = Folds()
    reject = Reject(0, Reason.DECODE, "")
    refusing = Folds(held=True)

    def refuse(batch: Batch) -> Folding:
        refusing(batch)
        return Folding(0, (reject,))

    pipeline.put(Work(batch(0), refuse))
    assert refusing.begun.wait(SOON)
    pipeline.put(Work(batch(1), folds))
    refusing.going.set()
    pipeline.drain()
    pipeline.put(Work(batch(2), folds))
    pipeline.put(Work(batch(3, TWO), folds))
    pipeline.drain()
    assert folds.seen == [(TWO, 3)]
    ((source, (refused, rejects)),) = pipeline.refused().items()
    assert (source, refused.offsets.tolist(), rejects) == (ONE, [0], (reject,))
    assert pipeline.unsettled() == {ONE}
    pipeline.discard([ONE])
    pipeline.put(Work(batch(0), folds))
    pipeline.drain()
    assert folds.seen[-1] == (ONE, 0)
    assert pipeline.refused() == {}


def test_closing_ends_the_thread_and_drops_what_waits(pipeline):
    """The batch in hand is finished: its partition's counts are whole."""
    folds = Folds(held=True)
    pipeline.put(Work(batch(0), folds))
    assert folds.begun.wait(SOON)
    pipeline.put(Work(batch(1), folds))
    threading.Timer(0.1, folds.going.set).start()
    pipeline.close()
    assert folds.seen == [(ONE, 0)]
    assert pipeline.began is None
