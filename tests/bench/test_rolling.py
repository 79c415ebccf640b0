"""What `bench.rolling` takes for the time that a partition stands still."""

from __future__ import annotations

from bench.rolling import gaps
from tests.faults.traced import Counted


def batch(at, partition, first, last, process=1):
    return Counted(at, process, partition, first, last)


def test_a_gap_reaches_from_the_last_batch_before_to_the_first_that_is_new():
    """A batch that is read again brings nothing on, and what stood still before is no matter of this pod."""
    batches = [
        batch(1.0, 0, 0, 9),
        batch(8.0, 0, 10, 19),  # before the signal
        batch(9.5, 0, 20, 29),
        batch(12.0, 0, 20, 29, process=2),
        batch(13.0, 0, 30, 39, process=2),
        batch(13.1, 0, 40, 49, process=2),
        batch(9.0, 1, 0, 9),
        batch(10.5, 1, 10, 19),
        batch(11.0, 1, 20, 29),
    ]
    assert gaps(batches, since=10.0) == {0: 3.5, 1: 1.5}


def test_a_partition_that_nobody_reads_has_no_gap_that_is_over():
    """Whoever measures waits until each is read on."""
    assert gaps([batch(9.0, 0, 0, 9)], since=10.0) == {0: 0.0}
