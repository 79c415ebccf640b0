"""Blocks of a reference, and the reference without some of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.backtest.blocks import cut, without
from monitor.errors import UsageError
from monitor.judge.prepare import prepare
from monitor.plan import Kind, SegmentPlan, WindowSpec
from tests.backtest.build import make
from tests.judge.build import DAY, HOUR


def test_blocks_are_days_where_there_are_enough():
    """Whole days at the same hour; of short references windows' lengths, or nothing can be drawn."""
    context = make(days=10, n=200)
    blocks = cut(context.reference, context.plan)
    assert (len(blocks), blocks.length, blocks.folds) == (10, DAY, 10)
    short = cut(make(days=2, n=200).reference, context.plan)
    assert (len(short), short.length, short.folds) == (48, HOUR, 20)
    long = replace(context.plan, windows=(WindowSpec("3d", 3 * DAY, DAY),))
    with pytest.raises(UsageError, match="3d"):
        cut(context.reference, long)
    fine = replace(context.plan, windows=(WindowSpec("5m", HOUR // 12, HOUR // 12),))
    with pytest.raises(UsageError, match="5m"):
        cut(context.reference, fine)
    with pytest.raises(UsageError, match="event times"):
        cut(replace(context.reference, timed=False), context.plan)


def test_a_fold_is_left_out_and_the_length_kept():
    """Nothing of a fold's rows is in the reference without it, in the whole or in segments, which still add up."""
    context = make(days=8, n=200, segments=[SegmentPlan("tier", ("tier",), Kind.CATEGORICAL, ("gold",))])
    reference = context.reference
    marked = replace(reference, panes=replace(reference.panes, errors=np.repeat(np.arange(8), 24)))
    blocks = cut(marked, context.plan)
    for fold in range(blocks.folds):
        own = without(marked, blocks, fold)
        assert np.array_equal(own.panes.starts, marked.panes.starts)
        assert fold not in own.panes.errors
        assert sorted(set(own.panes.errors.tolist())) == [day for day in range(8) if day != fold]
        parts = own.segments[0].parts
        assert np.array_equal(sum(part.panes.rows for part in parts), own.panes.rows)
        assert own.counts.sum() == own.rows * len(own.features)
        prepared = prepare(own, context.plan, context.plan.windows[0])
        assert prepared.windows == 8 * 24
        assert prepared.reference == context.prepared["1h"].reference


def test_days_of_the_week_keep_their_place():
    """A model that is read by season of the week has its Mondays on Mondays."""
    context = make(days=14, n=200)
    blocks = cut(context.reference, replace(context.plan, season="day_of_week"))
    begin = blocks.after()
    for at in range(20):
        time = begin + at * DAY
        fitting = blocks.fitting(time)
        assert len(fitting) == 2
        assert all((blocks.start(int(block)) - time) % (7 * DAY) == 0 for block in fitting)
    assert len(cut(context.reference, context.plan).fitting(begin)) == 14
