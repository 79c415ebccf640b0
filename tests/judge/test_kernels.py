"""Scoring kernels against their naive twins and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from kernels import cut, scores, vote
from kernels.layout import CATEGORICAL, NUMERIC
from monitor.judge.frame import build_frame
from tests import naive_scores as naive
from tests.judge.build import categorical_profile, numeric_profile, plan, reference, sparse

masses = st.lists(st.one_of(st.just(0.0), st.floats(0.01, 200.0)), min_size=20, max_size=20)
counts = st.lists(st.integers(0, 500), min_size=2, max_size=30)


def voting(join, expected, wide=20.0):
    """The sets of slots that a join kernel makes."""
    slots = np.full(len(expected) + 2, 99, np.int64)
    count = join(slots, np.array([0.0, *expected, 0.0]), 1, len(expected) + 1, wide)
    assert slots[0] == slots[-1] == 99
    return [frozenset(np.flatnonzero(slots[1:-1] == i).tolist()) for i in range(count)]


def diverge(a, b):
    out = np.zeros(scores.OUTPUTS)
    scores.diverge(out, np.asarray(a, float), np.asarray(b, float), len(a))
    return out


@given(expected=masses)
@settings(max_examples=200, deadline=None)
def test_join_nested_climbs_the_tree_as_its_twin(expected):
    """Thin groups join along 20, 10, 5, 2, 1, and groups without mass make nothing thin."""
    filled = {g for g, mass in enumerate(expected) if mass > 0}
    got = [s & filled for s in voting(vote.join_nested, expected)]
    assert got == [s & filled for s in naive.join_nested(expected)]


@given(expected=masses)
@settings(max_examples=200, deadline=None)
def test_join_pooled_pools_thin_categories_as_its_twin(expected):
    """Wide categories vote alone, thin ones in pools, and none is lost where anything votes."""
    got = voting(vote.join_pooled, expected)
    assert set(got) == set(naive.join_pooled(expected))
    assert not got or frozenset().union(*got) == frozenset(range(20))


@given(expected=masses, kind=st.sampled_from([NUMERIC, CATEGORICAL]))
@settings(max_examples=200, deadline=None)
def test_every_voting_slot_is_wide(expected, kind):
    """No slot with fewer than 20 expected rows votes, of whatever kind."""
    slots = np.zeros(24, np.int64)
    wide = np.array([5.0, 21.0, 3.0, 19.0, *expected])
    count = vote.vote(slots, wide, 0, 24, 4, kind, 20.0)
    assert all(wide[slots == slot].sum() >= 20.0 for slot in range(count))
    assert set(slots[slots >= 0].tolist()) == set(range(count))


def test_novel_and_other_vote_together_as_the_tail():
    """Only their sum is the same before and after the categories were chosen."""
    slots = np.zeros(4, np.int64)
    count = vote.vote(slots, np.array([1.0, 0.0, 30.0, 50.0]), 0, 4, 3, CATEGORICAL, 20.0)
    assert (count, slots.tolist()) == (2, [-1, 1, 1, 0])


@given(a=counts, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_divergences_are_those_of_scipy(a, seed):
    """PSI, JS, Hellinger, total variation, L-infinity, Pearson and G agree with independent code."""
    b = np.random.default_rng(seed).integers(0, 500, len(a))
    if sum(a) == 0 or b.sum() == 0:
        return
    out = diverge(a, b)
    p, q = (np.array(a) + 0.5) / (sum(a) + len(a) / 2), (b + 0.5) / (b.sum() + len(a) / 2)
    assert out[scores.PSI] == pytest.approx(naive.psi(a, b.tolist()), abs=1e-12)
    assert out[scores.PSI] == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-9)
    assert out[scores.JS] == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)
    assert out[scores.HELLINGER] == pytest.approx(math.sqrt(0.5 * ((p**0.5 - q**0.5) ** 2).sum()), abs=1e-9)
    assert out[scores.TOTAL_VARIATION] == pytest.approx(0.5 * np.abs(p - q).sum())
    assert out[scores.LINF] == pytest.approx(np.abs(p - q).max())
    used = np.array([a, b])[:, (np.array(a) + b) > 0]
    if used.shape[1] > 1:
        assert out[scores.PEARSON] == pytest.approx(
            stats.chi2_contingency(used, correction=False)[0], abs=1e-7
        )


def test_g_is_scipys_likelihood_ratio_with_williams_correction():
    """G of scipy, divided by 1 + a little: 1.6 % here."""
    a, b = [20, 30, 50], [60, 50, 90]
    plain = stats.chi2_contingency([a, b], correction=False, lambda_="log-likelihood")[0]
    n, m = sum(a), sum(b)
    total = n + m
    columns = sum(total / (x + y) for x, y in zip(a, b, strict=True)) - 1
    factor = 1 + columns * (total / n + total / m - 1) / (6 * total * 2)
    assert diverge(a, b)[scores.G] == pytest.approx(plain / factor)


def test_equal_shares_give_no_divergence():
    """Nothing is found where there is nothing, and an empty side gives zeros instead of NaN."""
    assert diverge([40, 40], [40, 40])[:3].tolist() == [0.0, 0.0, 0.0]
    assert diverge([0, 0], [40, 40])[:3].tolist() == [0.0, 0.0, 0.0]
    assert diverge([40], [400])[:3].tolist() == [0.0, 0.0, 0.0]


def compared(window, whole, edges, *, ends=(np.inf, -np.inf), left=0):
    """KS, finite rows of both sides and the Wasserstein distance of one feature; below, bins, above."""
    out = np.zeros(scores.OUTPUTS)
    scores.distances(
        out,
        np.asarray(window, np.int64),
        np.asarray(whole, np.int64),
        np.asarray(edges, float),
        np.array(ends, float),
        left,
    )
    return out[[scores.KS, scores.FINITE, scores.FINITE_REFERENCE, scores.WASSERSTEIN]]


@given(a=st.lists(st.integers(0, 60), min_size=6, max_size=6), seed=st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_ks_is_scipys_on_values_at_bins(a, seed):
    """The slots below and above are values like those in bins."""
    b = np.random.default_rng(seed).integers(1, 60, 6).tolist()
    if sum(a) == 0:
        return
    d, n, m, _ = compared(a, b, np.arange(5))
    expand = np.repeat(np.arange(6), a), np.repeat(np.arange(6), b)
    assert (n, m) == (sum(a), sum(b))
    assert d == pytest.approx(stats.ks_2samp(*expand, method="asymp").statistic)
    assert d == pytest.approx(naive.ks(a, b))


def test_a_window_is_left_out_of_its_own_reference():
    """With left = 1 the rest of the reference is what a window is compared with."""
    a, rest = [0, 9, 5, 0, 4, 0], [0, 20, 20, 9, 9, 0]
    whole = [x + y for x, y in zip(a, rest, strict=True)]
    assert compared(a, whole, np.arange(5), left=1).tolist() == compared(a, rest, np.arange(5)).tolist()


@given(a=st.lists(st.integers(0, 30), min_size=6, max_size=6), seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_wasserstein_is_the_area_between_the_distribution_functions(a, seed):
    """Straight lines inside bins; below and above reach to the window's own extremes."""
    b = np.random.default_rng(seed).integers(1, 30, 6)
    b[[0, 5]] = 0
    if sum(a) == 0:
        return
    edges, ends = np.linspace(0.0, 1.0, 5), (-0.5, 3.0)
    area = compared(a, b, edges, ends=ends)[3]
    assert area == pytest.approx(naive.wasserstein(a, b, edges, *ends), abs=1e-6)
    assert area == pytest.approx(naive.area(a, b, edges, *ends), rel=1e-12)


def test_wasserstein_of_fine_bins_is_scipys_of_the_values():
    """Bins cost at most their width."""
    rng = np.random.default_rng(3)
    x, y = rng.beta(2, 3, 4000), rng.beta(2.4, 3, 4000)
    profile = numeric_profile("a")
    here, there = (np.concatenate([[0], np.histogram(v, profile.edges)[0], [0]]) for v in (x, y))
    area = compared(here, there, profile.edges, ends=(x.min(), x.max()))[3]
    assert area == pytest.approx(stats.wasserstein_distance(x, y), abs=1 / 256)


@given(size=st.integers(1, 6), step=st.integers(1, 6), seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_cut_sums_panes_whatever_the_overlap(size, step, seed):
    """Sliding, tumbling and gappy windows are the sums of their panes, also when cut in two calls."""
    panes = np.random.default_rng(seed).integers(0, 3, (20, 7))
    first = np.arange(0, 20 - size + 1, step)
    out = np.zeros((len(first), 7), np.int64)
    total, span = np.zeros(7, np.int64), np.zeros(2, np.int64)
    half = max(len(first) // 2, 1)
    for low, high in ((0, half), (half, len(first))):
        part = np.zeros((high - low, 7), np.int64)
        cut.cut(part, total, span, *sparse(panes), first[low:high], first[low:high] + size)
        out[low:high] = part
        span = np.array([first[high - 1], first[high - 1] + size])
    assert out.tolist() == [panes[f : f + size].sum(axis=0).tolist() for f in first]


def test_coarse_slots_hold_all_rows():
    """Coarsening neither loses nor invents rows."""
    counts = np.random.default_rng(0).integers(0, 9, (3, 12))
    coarse = np.zeros((3, 4), np.int64)
    cut.coarsen(coarse, counts, np.repeat(np.arange(4), 3).astype(np.int32))
    assert coarse.tolist() == counts.reshape(3, 4, 3).sum(axis=2).tolist()
    assert categorical_profile("c", ["a"]).slots == 4


def test_thousands_of_features_have_coarse_slots_of_their_own():
    """2,000 numeric ones have more coarse slots than 16 bits can number."""
    own = [numeric_profile(f"n{i}", 2) for i in range(2_000)]
    counts = np.tile([1, 0, 0, 5, 5, 0], 2_000)
    frame = build_frame(reference(own, counts[None, :], timed=False), plan(own))
    assert frame.group.min() == 0
    assert frame.group.max() > 2**15
    assert np.bincount(frame.group, minlength=frame.start[-1])[frame.start[:-1]].tolist() == [1] * 2_000
    assert frame.coarse[frame.group].tolist() == counts.tolist()
