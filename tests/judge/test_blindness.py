"""What common drift monitors do not see, or see where nothing is (one test per blindness)."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.layout import FIRST_BIN, MISSING, NOVEL
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.plan import Kind
from monitor.verdict import State
from tests.judge.build import (
    categorical_profile,
    draw,
    numeric_profile,
    plan,
    reference,
    uniform,
    window,
    zipf,
)

CATEGORIES = [f"k{i}" for i in range(8)]
OWN = (
    numeric_profile("a"),
    numeric_profile("b"),
    categorical_profile("c", CATEGORIES),
    categorical_profile("flag", ["false", "true"], kind=Kind.BOOLEAN),
)
N = 450


def chances():
    return [uniform(OWN[0]), uniform(OWN[1], missing=0.0), zipf(OWN[2]), zipf(OWN[3])]


@pytest.fixture(scope="module")
def ready():
    """A timed reference of 360 hourly windows, and an untimed one of the same rows."""
    panes = draw(np.random.default_rng(1), chances(), N, 360)
    model = plan(OWN)
    timed = prepare(reference(OWN, panes), model, model.windows[0])
    untimed = prepare(reference(OWN, panes.sum(axis=0)[None, :], timed=False), model, model.windows[0])
    assert timed.proven
    assert not untimed.proven
    return timed, untimed


def slots(feature):
    """The slots of a feature in the counts of all."""
    start = np.cumsum([0, *(p.slots for p in OWN)])
    return slice(int(start[feature]), int(start[feature + 1]))


def quiet(seed=7, n=N):
    return draw(np.random.default_rng(seed), chances(), n, 1)[0]


def shifted(counts, sigma, n, seed=8):
    """Feature a moved by `sigma` of its own standard deviation; no value leaves the edges."""
    rng = np.random.default_rng(seed)
    values = np.clip(rng.random(n) + sigma * 12**-0.5, 0.0, 0.999999)
    counts = counts.copy()
    counts[slots(0)] = 0
    counts[slots(0)][FIRST_BIN:-1] = np.histogram(values, OWN[0].edges)[0]
    return counts


def judged(prepared, counts, **more):
    return judge(window(OWN, counts, **more), prepared, plan(OWN), previous=())


def test_no_change_is_not_drift(ready):
    """The windows the other tests start from are quiet themselves."""
    for prepared in ready:
        assert judged(prepared, quiet()).state is not State.DRIFT


def test_one_outlier_in_1000_rows_does_not_hide_a_shift_of_half_a_sigma(ready):
    """Bins are frozen: a value of 1e9 cannot squeeze everything else into one of them."""
    counts = shifted(quiet(n=1000), 0.5, 999)
    counts[slots(0)][-1] += 1
    for prepared in ready:
        verdict = judged(prepared, counts, extremes=[[0.0, 1e9], [0.0, 1.0]])
        assert verdict.state is State.DRIFT
        assert {t.feature for t in verdict.tests if t.state is State.DRIFT} == {"a"}
        assert {t.test for t in verdict.named} >= {"psi", "ks"}


def test_one_outlier_in_1000_rows_is_not_drift_itself(ready):
    """However far away it lies, it is one row."""
    counts = quiet(n=1000)
    first = int(np.flatnonzero(counts[slots(0)])[0])
    counts[slots(0)][first] -= 1
    counts[slots(0)][-1] += 1
    for prepared in ready:
        assert judged(prepared, counts, extremes=[[0.0, 1e9], [0.0, 1.0]]).state is not State.DRIFT


def test_nulls_from_none_to_60_percent_are_drift(ready):
    """The remaining values are distributed as ever; that they are missing is the change."""
    counts = quiet(n=300)
    rng = np.random.default_rng(3)
    own = counts[slots(1)]
    kept = rng.binomial(own, 0.4)
    own[:] = kept
    own[MISSING] = 300 - kept.sum()
    for prepared in ready:
        verdict = judged(prepared, counts)
        assert verdict.state is State.DRIFT
        assert (verdict.tests[0].feature, verdict.tests[0].test) == ("b", "missing")
        assert verdict.tests[0].p < 1e-50


def test_one_row_of_an_unseen_category_in_450_is_not_drift(ready):
    """A category that a reference never saw has no probability of zero."""
    counts = quiet()
    own = counts[slots(2)]
    own[FIRST_BIN] -= 1
    own[NOVEL] += 1
    for prepared in ready:
        verdict = judged(prepared, counts)
        assert verdict.state is not State.DRIFT
        novel = next(t for t in verdict.tests if (t.feature, t.test) == ("c", "novel"))
        assert novel.x < 1
        assert novel.p > 0.5


def test_one_in_five_rows_of_an_unseen_category_is_drift(ready):
    """Novelty beyond the tolerance is named as what it is."""
    counts = quiet()
    own = counts[slots(2)]
    own[FIRST_BIN] -= 90
    own[NOVEL] += 90
    for prepared in ready:
        verdict = judged(prepared, counts)
        assert verdict.state is State.DRIFT
        assert (verdict.tests[0].feature, verdict.tests[0].test) == ("c", "novel")


@pytest.mark.parametrize("timed", [True, False])
def test_constant_and_empty_columns_poison_nothing(timed):
    """A constant column has p = 1, an empty one is blind, and a real drift beside them is found."""
    own = (*OWN, numeric_profile("constant", 1), numeric_profile("empty"), categorical_profile("void", []))
    empty = np.zeros(own[5].slots)
    empty[MISSING] = 1.0
    void = np.zeros(own[6].slots)
    void[MISSING] = 1.0
    p = [*chances(), uniform(own[4]), empty, void]
    panes = draw(np.random.default_rng(1), p, N, 360)
    if not timed:
        panes = panes.sum(axis=0)[None, :]
    model = plan(own)
    prepared = prepare(reference(own, panes, timed=timed), model, model.windows[0])
    still = draw(np.random.default_rng(9), p, N, 1)[0]
    verdict = judge(window(own, still), prepared, model, previous=())
    assert verdict.state is not State.DRIFT
    assert verdict.blind == ("empty", "void")
    tests = {(t.feature, t.test): t for t in verdict.tests}
    assert tests["constant", "psi"].p == 1.0
    assert all(np.isfinite(t.p) and np.isfinite(t.x) for t in verdict.tests)
    moved = judge(window(own, shifted(still, 1.0, N)), prepared, model, previous=())
    assert moved.state is State.DRIFT
    assert {t.feature for t in moved.named} == {"a"}


def test_a_column_that_becomes_empty_is_drift_and_the_others_are_judged(ready):
    """Nothing left to compare is named by its missing values."""
    counts = shifted(quiet(), 1.0, N)
    counts[slots(1)] = 0
    counts[slots(1)][MISSING] = N
    verdict = judged(ready[0], counts)
    assert verdict.state is State.DRIFT
    assert verdict.blind == ("b",)
    assert {t.feature for t in verdict.named} == {"a", "b"}


def test_a_change_of_unit_is_drift(ready):
    """All values above the reference's maximum leave PSI nothing, but not KS and `above`."""
    counts = quiet()
    counts[slots(0)] = 0
    counts[slots(0)][-1] = N
    verdict = judged(ready[0], counts, extremes=[[5.0, 1000.0], [0.0, 1.0]])
    assert verdict.state is State.DRIFT
    assert {t.test for t in verdict.named} >= {"ks", "above"}
    assert verdict.scores["a"]["psi"] > 1.0
    assert verdict.scores["a"]["wasserstein"] > 100.0
