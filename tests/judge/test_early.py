"""Evidence of looks at open windows, against naive twins; the date of a change; the share of the budget."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import lgamma, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.judge.early import NEAR, WIDTH, Ball, average, build_slots, log_e, see, uncertainty
from monitor.judge.looking import critical_widening, interval, look, look_ends, starts_of
from monitor.judge.policy import judge
from monitor.judge.prepare import LEAST_EARLY, early_part, prepare, windows_needed
from tests.judge.build import CHANCES, HOUR, OWN, draw, plan, reference, window

PANE = HOUR // 4


def ball(shares, *, radius, size=1e4, design=1.0) -> Ball:
    """One row of as many slots as there are shares."""
    own = np.zeros((1, WIDTH))
    own[0, : len(shares)] = shares
    return Ball(own, own > 0, np.array([design]), np.array([size]), np.array([radius]))


def row(counts) -> np.ndarray:
    out = np.zeros((1, WIDTH), np.int64)
    out[0, : len(counts)] = counts
    return out


def both(counts, shares) -> float:
    """log of the average of two Dirichlet-multinomials, by lgamma: ½ in each slot, and NEAR rows around the shares."""
    found = [
        lgamma(sum(prior)) - lgamma(sum(counts) + sum(prior))
        + sum(lgamma(c + own) - lgamma(own) for c, own in zip(counts, prior, strict=True))
        for prior in ([0.5] * len(counts), [NEAR * share for share in shares])
    ]  # fmt: skip
    return float(np.logaddexp(*found) - log(2))


def naive(counts, shares, epsilon: float, *, steps: int = 400_000) -> float:
    """log DM by lgamma less the likelihood at its largest over a grid of the ball."""
    c, q = [float(count) for count in counts], np.asarray(shares)
    marginal = both(c, shares)
    if len(c) == 2:
        first = np.linspace(0, 1, steps + 1)[1:-1]
        p = np.stack([first, 1 - first])
    else:
        side = np.linspace(0, 1, 1201)[1:-1]
        first, second = (part.ravel() for part in np.meshgrid(side, side))
        p = np.stack([first, second, 1 - first - second])[:, first + second < 1]
    inside = (q[:, None] * np.log(q[:, None] / p)).sum(axis=0) <= epsilon
    return marginal - float((np.array(c)[:, None] * np.log(p[:, inside])).sum(axis=0).max())


def e_of(counts, own: Ball):
    return log_e(see(counts, own), own)


@pytest.mark.parametrize(
    ("counts", "shares", "epsilon"),
    [
        ((90, 10), (0.5, 0.5), 0.01),
        ((20, 180), (0.4, 0.6), 0.05),
        ((500, 500), (0.9, 0.1), 0.2),
        ((60, 0), (0.5, 0.5), 0.02),
        ((80, 15, 5), (0.3, 0.3, 0.4), 0.02),
        ((10, 200, 40), (0.5, 0.2, 0.3), 0.1),
    ],
)
def test_evidence_is_what_the_formula_says(counts, shares, epsilon):
    """Bisection finds the largest likelihood of the ball that a fine grid finds, never less."""
    found = float(e_of(row(counts), ball(shares, radius=epsilon**0.5))[0])
    coarse = 0.002 if len(shares) == 2 else 0.4
    assert found == pytest.approx(naive(counts, shares, epsilon), abs=coarse)
    assert found <= naive(counts, shares, epsilon) + 1e-6


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(0, 500), min_size=4, max_size=4), radius=st.floats(0, 0.5))
def test_no_ball_makes_evidence_of_less(counts, radius):
    """What looks are passed over by is never below the evidence itself."""
    own = ball((0.4, 0.3, 0.2, 0.1), radius=radius)
    assert see(row(counts), own).at_most[0] >= e_of(row(counts), own)[0] - 1e-9


def test_evidence_against_a_point_and_inside_of_the_ball():
    """Without tolerance it is the plain ratio to q; counts that lie in the ball say nothing."""
    counts, shares = (70, 20, 10), (0.3, 0.3, 0.4)
    exact = both(counts, shares) - sum(c * log(q) for c, q in zip(counts, shares, strict=True))
    assert float(e_of(row(counts), ball(shares, radius=0.0))[0]) == pytest.approx(exact, abs=1e-4)
    assert float(e_of(row((30, 30, 40)), ball(shares, radius=0.1))[0]) == -np.inf
    halved = float(e_of(row([2 * c for c in counts]), ball(shares, radius=0.0, design=2.0))[0])
    assert halved == pytest.approx(exact, abs=1e-4)


def test_what_is_remembered_of_a_ball_changes_no_bit():
    """Evidence by what was worked out for other counts, or of a part of what was seen, is that of a new ball alone."""
    rng, shares = np.random.default_rng(5), np.random.default_rng(6).dirichlet(np.ones(6), size=3)
    own = np.zeros((3, WIDTH))
    own[:, :6] = shares

    def new(rows=slice(None)):
        size = np.ones(3)[rows]
        return Ball(own[rows], own[rows] > 0, 1.3 * size, 900 * size, 0.02 * size)

    known, counts = new(), np.zeros((40, 3, WIDTH), np.int64)
    counts[::2, :, :6] = rng.poisson(rng.gamma(2.0, 80.0, (20, 3, 6)))
    counts[1::2, :, :6] = rng.multinomial(900, shares, (20, 3))
    together = log_e(see(counts, known), known, 1.1)
    assert np.isfinite(together).any()
    assert not np.isfinite(together).all()
    for at in range(40):
        np.testing.assert_array_equal(together[at], log_e(see(counts[at], new()), new(), 1.1))
    some = (rng.integers(0, 40, 20), rng.integers(0, 3, 20))
    part = log_e(see(counts, known).take(some), known.take(some[1]), 1.1)
    np.testing.assert_array_equal(part, together[some])
    np.testing.assert_array_equal(part, log_e(see(counts[some], new(some[1])), new(some[1]), 1.1))
    wider = known.wider(np.full(3, 0.01))
    np.testing.assert_array_equal(wider.radius, 0.03 * np.ones(3))


def test_rows_of_no_change_seldom_reach_the_limit_at_any_look():
    """Ville's inequality, at the edge of the ball: of 2,000 runs of 40 looks at most α ever alarm, and the mean
    of E is at most 1 at each look."""
    rng, shares = np.random.default_rng(3), np.full(5, 0.2)
    p = np.array([0.26, 0.2, 0.2, 0.2, 0.14])
    radius = float((shares * np.log(shares / p)).sum()) ** 0.5
    counts = np.zeros((2000, 40, 1, WIDTH), np.int64)
    counts[:, :, 0, :5] = rng.multinomial(25, p, size=(2000, 40)).cumsum(axis=1)
    found = e_of(counts, ball(shares, radius=radius))[..., 0]
    alpha = 0.05
    assert (found.max(axis=1) >= -log(alpha)).mean() <= alpha + 3 * (alpha / 2000) ** 0.5
    e = np.exp(found)
    assert (e.mean(axis=0) <= 1 + 3 * e.std(axis=0) / 2000**0.5).all()


@given(
    logs=st.lists(st.floats(-20, 20) | st.just(-np.inf), min_size=1, max_size=12),
    more=st.integers(0, 5),
)
def test_an_average_is_that_of_the_values_themselves(logs, more):
    """Whatever the order, with what is left out as 0."""
    values = np.array(logs)
    expected = float(np.exp(values).sum() / (len(logs) + more))
    assert np.exp(average(values, len(logs) + more)) == pytest.approx(expected)
    assert average(values[::-1], len(logs) + more) == pytest.approx(average(values, len(logs) + more))


def panes(rng, hours: int, *, rows: int = 100, chances=CHANCES):
    """Counts of quarters of an hour: int64[4 * hours, slots]."""
    return draw(rng, chances, rows, 4 * hours)


@cache
def prepared_at(hours, rows, share, tolerance):
    rng = np.random.default_rng(7)
    model = replace(plan(OWN, early=share, tolerance=dict(tolerance)), pane=PANE)
    ordinary = reference(OWN, panes(rng, hours, rows=rows), pane=PANE)
    return prepare(ordinary, model, model.windows[0])


def prepared_of(hours: int = 400, *, rows: int = 100, share: float = 0.2, tolerance=()):
    return prepared_at(hours, rows, share, tolerance), np.random.default_rng(8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_slots_add_up(seed):
    """Counts of parts in the slots of looks are those of the whole, in any order, and no row is lost."""
    prepared, _ = prepared_of(40)
    rng, slots = np.random.default_rng(seed), prepared.slots
    parts = draw(rng, CHANCES, 50, 6)
    none = np.zeros(1152, np.int64)
    single = [slots.count(one, rows=50, errors=3, latency=none) for one in parts]
    whole = slots.count(parts.sum(axis=0), rows=300, errors=18, latency=none)
    assert (sum(single[i] for i in rng.permutation(6)) == whole).all()
    assert (whole[:-1].sum(axis=1) == 300).all()
    assert (whole[~slots.used] == 0).all()


def test_a_change_alarms_and_ordinary_windows_do_not():
    """A look at an hour in which the last half has moved; none at 200 ordinary ones."""
    prepared, rng = prepared_of()
    early = prepared.early
    assert early is not None
    none = np.zeros(1152, np.int64)

    def seen(counts):
        return np.array(
            [early.slots.count(c, rows=int(c[: OWN[0].slots].sum()), errors=0, latency=none) for c in counts]
        )

    quiet = panes(rng, 200).reshape(200, 4, -1)
    assert not any(look(seen(hour[:3]), 4, early) for hour in quiet)
    moved = [CHANCES[0].copy(), CHANCES[1]]
    moved[0][3:20] *= 4
    moved[0] /= moved[0].sum()
    hour = np.concatenate([panes(rng, 1)[:2], draw(rng, moved, 800, 1)])
    found = look(seen(hour), 4, early)
    assert found is not None
    assert found.log_e >= early.limit
    assert prepared.slots.names[int(found.rows.argmax())] == OWN[0].name
    assert found.since[0] == 2


def test_looks_and_starts_are_those_of_the_last_step():
    """A window is looked at while it is the next to close, never before its first pane and never at its end."""
    assert list(look_ends(4, 4)) == [1, 2, 3]
    assert list(look_ends(24, 4)) == [21, 22, 23]
    assert starts_of(4) == [0, 1, 2, 3]
    assert starts_of(24) == [0, 3, 6, 9, 12, 15, 18, 21]


def test_looks_need_panes_within_a_step():
    """As long as the panes of reference and windows fit into a step more than once, and 12 times at most."""
    model = plan(OWN)
    spec = model.windows[0]
    fine = reference(OWN, panes(np.random.default_rng(0), 12), pane=PANE)
    assert interval(fine, replace(model, pane=PANE), spec) == PANE
    assert interval(fine, model, spec) is None
    minutely = reference(OWN, panes(np.random.default_rng(0), 12), pane=60_000)
    assert interval(minutely, replace(model, pane=60_000), spec) == 5 * 60_000
    untimed = reference(OWN, panes(np.random.default_rng(0), 12), timed=False)
    assert interval(untimed, model, spec) is None


def test_the_budget_is_shared_and_never_more_than_spent():
    """Looks take their share, less where the closing test could then prove nothing, and none where that is too little."""
    alpha = 2 / 720
    model = plan(OWN)
    assert early_part(model, alpha, windows=10_000) == pytest.approx(0.2 * alpha)
    assert early_part(model, alpha, windows=0) == pytest.approx(0.2 * alpha)
    just = windows_needed(alpha)
    assert early_part(model, alpha, windows=just) == 0.0
    between = early_part(model, alpha, windows=400)
    assert LEAST_EARLY * alpha <= between < 0.2 * alpha
    assert windows_needed(alpha - between) <= 400
    assert early_part(plan(OWN, early=0.0), alpha, windows=10_000) == 0.0


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_a_verdict_says_what_both_may_spend(share):
    """α of the closing test and of looks are the budget together, whatever the share."""
    prepared, rng = prepared_of(900, share=share)
    verdict = judge(window(OWN, draw(rng, CHANCES, 400, 1)[0]), prepared, plan(OWN), previous=())
    assert verdict.alpha + verdict.early_alpha == pytest.approx(2 / 720)
    assert verdict.early_alpha == pytest.approx(share * 2 / 720)
    assert (prepared.early is None) == (share == 0.0)


def test_a_given_tolerance_of_a_ratio_holds_for_looks_too():
    """What an operator lets missing values move by is no alarm, however sure it is."""
    limits = [prepared_of(tolerance=(("missing(age)", t),))[0].early.ball.radius[0] for t in (0.005, 0.2)]
    assert limits[1] ** 2 >= -log(1 - 0.2) > limits[0] ** 2


def test_widening_is_ranked_and_extended_beyond_what_the_reference_has():
    """As many windows may alarm as α allows; with fewer than 1/α none, and more than the worst is asked for."""
    needed = np.array([1.0] * 995 + [1.1, 1.2, 1.3, 1.4, 1.5])
    assert critical_widening(needed, 0.002, tests=10) == (1.4, True)
    widened, proven = critical_widening(needed[-50:], 0.002, tests=10)
    assert not proven
    assert 1.5 < widened < 2.5
    assert critical_widening(np.ones(50), 0.002, tests=10) == (1.0, False)


def test_uncertainty_falls_with_the_size_of_the_reference():
    """√ of a chi-square quantile over twice the rows; none where one slot is all there is."""
    small, large = uncertainty(np.array([20, 20]), np.array([1e3, 1e5]))
    assert small == pytest.approx(10 * large)
    assert small == pytest.approx((36.19 / 2e3) ** 0.5, rel=1e-3)
    assert uncertainty(np.array([1]), np.array([10.0]))[0] == 0.0


def test_slots_are_few_and_hold_all_of_the_reference():
    """At most 24 a feature; small categories share one with what was never seen."""
    prepared, _ = prepared_of(40)
    slots = build_slots(prepared.frame)
    assert slots.names == ("age", "city", "error", "latency")
    assert slots.totals.shape == (4, WIDTH)
    assert slots.raw[0].sum() == slots.raw[1].sum() == slots.raw[2].sum() == prepared.frame.rows
