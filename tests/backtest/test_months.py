"""Drawn windows through the real judge."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.backtest import null
from monitor.backtest.months import draw, pool_of, rows_between, simulate
from monitor.judge.policy import judge
from monitor.plan import FeaturePlan, Kind, Rule, RuleKind, SegmentPlan
from monitor.verdict import State
from tests.backtest.build import CATEGORIES, make, pool
from tests.judge.build import DAY, HOUR, window


def test_a_drawn_window_is_judged_as_if_it_were_live():
    """Counts of a block, and the verdict that the judge gives of them without the block's fold."""
    own = pool()
    begin, block = own.blocks.after(), 3
    judged = next(iter(simulate(own, [block], begin=begin)))
    first = int(own.blocks.first[block])
    panes = own.reference.panes
    counts = np.zeros(len(own.reference.counts), np.int64)
    row = slice(int(panes.indptr[first]), int(panes.indptr[first + 1]))
    counts[panes.slots[row]] = panes.values[row]
    assert np.array_equal(judged.window.counts, counts)
    context = own.contexts[int(own.blocks.fold[block])]
    live = window(own.reference.features, counts, at=begin // HOUR)
    expected = judge(live, context.prepared["1h"], context.plan, previous=())
    assert (judged.verdict.p, judged.verdict.statistic) == (expected.p, expected.statistic)
    assert [test.x for test in judged.verdict.tests] == [test.x for test in expected.tests]


def test_every_window_of_a_month_is_there_once():
    """Windows follow each other without a gap, over blocks of different folds; one seed gives one month."""
    own = pool()
    begin = own.blocks.after()
    chosen = draw(own, np.random.default_rng(5), begin=begin, count=4)
    assert chosen == draw(own, np.random.default_rng(5), begin=begin, count=4)
    ends = [judged.verdict.end for judged in simulate(own, chosen, begin=begin)]
    assert ends == [begin + HOUR * (at + 1) for at in range(4 * 24)]
    assert rows_between(own, chosen, begin=begin, start=begin + HOUR, end=begin + DAY) == 23 * 2_000


def test_segments_are_drawn_with_the_whole():
    """Each segment has a verdict of its own part of the drawn panes."""
    segment = SegmentPlan("tier", ("tier",), Kind.CATEGORICAL, ("gold",))
    own = pool_of(make(days=8, n=1_000, segments=[segment]))
    judged = next(iter(simulate(own, [0], begin=own.blocks.after())))
    parts = {part.segment: part.rows for part in judged.verdict.segments}
    assert set(parts) == {"tier=gold", "tier=other", "tier=missing"}
    assert parts["tier=gold"] + parts["tier=other"] == judged.verdict.rows
    assert parts["tier=gold"] > 0


def test_breaches_of_the_contract_are_those_of_the_reference():
    """What the reference's slots say of forbidden values is no news in a drawn window."""
    features = (
        *tuple(FeaturePlan(name, (name,), Kind.NUMERIC, nullable=name != "n0") for name in ("n0", "n1")),
        FeaturePlan("c", ("c",), Kind.CATEGORICAL, allowed=tuple(CATEGORIES[:6])),
    )
    rules = (Rule("n0", RuleKind.NULL), Rule("c", RuleKind.CATEGORY))
    own = pool_of(make(days=8, n=1_000, features=features, rules=rules))
    judged = next(iter(simulate(own, [0], begin=own.blocks.after())))
    assert (judged.window.violations > 0).all()
    x = [test.x for test in judged.verdict.tests if test.test == "violation"]
    assert x
    assert max(x) < 1.5


@pytest.mark.slow
def test_false_pages_of_a_null_are_near_the_budget():
    """Twelve pages a month are accepted; over months drawn from three references about as many are sent.

    Of 60 references of six features at a budget of 2: 2.30 ± 0.15 drawn, 2.13 ± 0.29 in fresh months; of 40 at a
    budget of 12: 12.20 ± 0.17 and 12.65 ± 0.81.
    """
    found = [null.measure(pool(n=8_000, seed=seed), runs=3, months=1.0, seed=seed) for seed in range(3)]
    mean = np.mean([one.mean for one in found])
    assert 0.6 * 12 < mean < 1.5 * 12
    assert all(one.budget == 12.0 for one in found)
    assert all(sum(one.states.values()) == 3 * 720 for one in found)
    assert all(one.states[State.UNKNOWN] == 0 for one in found)
    low, high = found[0].range
    assert low <= found[0].mean <= high
    assert found[0].error > 0
