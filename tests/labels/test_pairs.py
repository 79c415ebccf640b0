"""Pairs one by one: the label that counts for each prediction, as the kernel that adds them up has it."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.joinable import LABELS, dtype_of
from monitor.labels.join import Join
from monitor.plan import JoinPlan

HOUR = 3_600_000


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_those_that_were_added_up(seed):
    """Ids with several labels, some sent too early or too late: by cell, as many of each label as the sums have."""
    rng = np.random.default_rng(seed)
    join = Join(JoinPlan("labels", "score", HOUR, b"8 bytes!"))
    rows = [join.row() for _ in range(4)]
    cells = [
        join.cell(opening=at * HOUR, deadline=(at + 3) * HOUR, rank=at, parts=[row])
        for at, row in enumerate(rows)
    ]
    ids = rng.permutation(np.arange(1, 2_001)).astype(np.uint64)
    join.predict(
        ids, rng.choice(np.array(cells, np.int32), len(ids)), rng.random(len(ids)).astype(np.float32)
    )
    labels = np.zeros(6_000, dtype_of(LABELS, 0))
    labels["id"] = rng.integers(1, 2_501, len(labels))
    labels["value"] = rng.integers(0, 2, len(labels))
    labels["stamp"] = rng.integers(0, 40, len(labels)) * HOUR // 6  # many at the same time
    labels["mark"], labels["offset"] = labels["stamp"], rng.integers(0, 3, len(labels))
    join.label(labels)
    for cell, row in zip(cells, rows, strict=True):
        pairs, sums = join.pairs([cell]), join.sums(row)
        assert len(pairs.value) == sums[-1] > 0
        assert (pairs.cell == cell).all()
        assert pairs.value.sum() == sums[1 : 2 * 256 : 2].sum()
        assert pairs.stamp.min() >= join.opening(np.array([cell]))[0]
        assert pairs.stamp.max() <= (cells.index(cell) + 3) * HOUR
    assert len(join.pairs(cells).cell) == sum(int(join.sums(row)[-1]) for row in rows)
    assert len(join.pairs([]).cell) == 0


def test_the_label_that_counts_is_the_newest():
    """By when it was sent, not by the order in which it was read."""
    join = Join(JoinPlan("labels", "score", HOUR, b"8 bytes!"))
    cell = join.cell(opening=0, deadline=9 * HOUR, rank=0, parts=[join.row()])
    join.predict(np.array([7], np.uint64), np.array([cell], np.int32), np.array([0.9], np.float32))
    labels = np.zeros(3, dtype_of(LABELS, 0))
    labels["id"], labels["value"] = 7, [0, 1, 0]
    labels["stamp"] = labels["mark"] = np.array([1, 3, 2]) * HOUR
    join.label(labels)
    pairs = join.pairs([cell])
    assert (pairs.value.tolist(), pairs.stamp.tolist()) == ([1.0], [3 * HOUR])
