"""What a reference teaches about its own movement, and the scores beside the vote."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.layout import BELOW, FIRST_BIN
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.tolerances import exceeded_by, learn, stretches
from monitor.judge.views import view_of
from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile
from monitor.verdict import State
from tests.judge import pages
from tests.judge.build import draw, numeric_profile, plan, reference, uniform, window

OWN = (numeric_profile("a"),)


def tolerances(panes):
    model = plan(OWN)
    return prepare(reference(OWN, panes), model, model.windows[0]).tolerances


def moving(rng, n, delta, windows=300):
    """Windows that each lie at PSI = delta from the reference's mean, in a direction of their own."""
    p = uniform(OWN[0])
    steps = np.repeat(rng.choice([-1.0, 1.0], (windows, 20)), 256 / 20 + 1, axis=1)[:, :256]
    steps -= steps.mean(axis=1, keepdims=True)
    steps /= np.sqrt((steps**2).mean(axis=1, keepdims=True))
    chances = np.tile(p, (windows, 1))
    chances[:, FIRST_BIN:-1] *= 1 + np.sqrt(delta) * steps
    return rng.multinomial(n, chances / chances.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("n", [300, 3000, 30_000])
def test_without_movement_nothing_is_tolerated(n):
    """Sampling noise is in the threshold already: what is learnt from it is 0, or next to it."""
    panes = draw(np.random.default_rng(n), [uniform(OWN[0])], n, 300)
    assert tolerances(panes).divergence[0] < 0.15 * 20 / n
    assert tolerances(panes).distance[0] < 0.3 / n**0.5


@pytest.mark.parametrize("n", [3000, 30_000])
def test_ordinary_movement_is_learnt_in_psi_units(n):
    """Windows at PSI 0.01 from the mean teach a tolerance of about 0.01."""
    learnt = tolerances(moving(np.random.default_rng(n), n, 0.01))
    assert learnt.learnt
    assert learnt.divergence[0] == pytest.approx(0.01, rel=0.25)


def test_movement_that_was_learnt_is_ok_and_more_is_drift():
    """The reference's own movement pages within the budget only; three times as much is drift."""
    rng = np.random.default_rng(4)
    model = plan(OWN)
    prepared = prepare(reference(OWN, moving(rng, 5000, 0.02, windows=360)), model, model.windows[0])
    same = [
        judge(window(OWN, c), prepared, model, previous=()).state for c in moving(rng, 5000, 0.02, windows=40)
    ]
    more = [
        judge(window(OWN, c), prepared, model, previous=()).state for c in moving(rng, 5000, 0.12, windows=10)
    ]
    assert same.count(State.DRIFT) <= 1
    assert more.count(State.DRIFT) == 10


def test_too_few_windows_teach_nothing():
    """Nine windows have no 0.9-quantile worth the name."""
    panes = draw(np.random.default_rng(0), [uniform(OWN[0])], 500, 9)
    learnt = tolerances(panes)
    assert (learnt.learnt, learnt.divergence[0], learnt.distance[0]) == (False, 0.01, 0.05)


def test_exceeded_by_is_the_smallest_number_with_a_tenth_above():
    """Of 25 windows, two may lie above."""
    needed = np.random.default_rng(0).permutation(np.arange(25.0))[:, None]
    assert exceeded_by(needed).tolist() == [22.0]


def test_a_window_of_the_reference_weighs_no_more_than_a_quarter_of_it():
    """A lucky reference of the window's own size cannot page: evidence is capped at m / 4."""
    rng = np.random.default_rng(1)
    model = plan(OWN)
    prepared = prepare(
        reference(OWN, draw(rng, [uniform(OWN[0])], 4000, 1), timed=False), model, model.windows[0]
    )
    verdict = judge(window(OWN, draw(rng, [uniform(OWN[0])], 1_000_000, 1)[0]), prepared, model, previous=())
    psi = next(t for t in verdict.tests if t.test == "psi")
    assert (psi.n, psi.m) == (pytest.approx(1000.0), pytest.approx(4000.0))


def judged_rows(own, panes, **more):
    """Effective rows (n, m) of every test of the feature `a`."""
    model = plan(own)
    prepared = prepare(reference(own, panes, **more), model, model.windows[0])
    tests = judge(window(own, panes[0]), prepared, model, previous=()).tests
    return {(round(t.n), round(t.m)) for t in tests if t.feature == "a"}


def test_the_design_effect_divides_all_rows():
    """Rows that come in clumps of four count a quarter, with windows or without."""
    own = (numeric_profile("a", design=4.0),)
    panes = 4 * draw(np.random.default_rng(1), [uniform(own[0])], 1000, 60)
    ((n, m),) = judged_rows(own, panes)
    assert 1000 <= n < 1200
    assert n * 60 == pytest.approx(m, rel=0.01)
    assert judged_rows(own, panes, timed=False) == {(1000, 60_000)}


def test_the_course_of_the_day_is_no_dependence():
    """Blocks inside windows differ, but windows do not: their rows are not discounted."""
    own = (numeric_profile("a", design=27.0),)
    panes = draw(np.random.default_rng(1), [uniform(own[0])], 4000, 60)
    ((n, _),) = judged_rows(own, panes)
    assert n > 3500


def test_scores_stand_beside_the_vote():
    """A window shifted by a tenth of the range: quantiles, mean, Wasserstein in IQRs."""
    n = 100_000
    values = np.clip(np.random.default_rng(0).random(n) * 0.9 + 0.1, 0, 0.9999)
    counts = np.concatenate([[0, 0, 0], np.histogram(values, OWN[0].edges)[0], [0]])
    model = plan(OWN)
    panes = draw(np.random.default_rng(1), [uniform(OWN[0])], 10_000, 40)
    verdict = judge(
        window(OWN, counts), prepare(reference(OWN, panes), model, model.windows[0]), model, previous=()
    )
    scores = verdict.scores["a"]
    assert scores["median"] == pytest.approx(np.median(values), abs=0.005)
    assert scores["p99"] == pytest.approx(np.quantile(values, 0.99), abs=0.005)
    assert scores["reference_median"] == pytest.approx(0.5, abs=0.01)
    assert scores["wasserstein"] == pytest.approx(0.05 / 0.5, abs=0.01)
    assert scores["ks"] == pytest.approx(0.1, abs=0.01)
    assert 0 < scores["js"] < 1
    assert 0 < scores["hellinger"] < 1
    assert scores["missing_ratio"] == 0.0


def test_values_at_the_ends_of_the_number_line_blind_nobody():
    """Edges near the largest double overflow; what overflows is left out and the others are judged."""
    huge = 1.7e308
    wild = FeatureProfile(
        name="wild", path=("wild",), kind=Kind.NUMERIC, edges=np.array([-huge, 0.0, huge]),
        coarse=np.array([0, 19], np.int16), categories=(), center=0.0, scale=huge, minimum=-huge, maximum=huge,
        mean=0.0, std=huge, iqr=float("nan"),
    )  # fmt: skip
    own = (OWN[0], wild)
    model = plan(own)
    panes = draw(np.random.default_rng(1), [uniform(p) for p in own], 2000, 360)
    prepared = prepare(reference(own, panes), model, model.windows[0])
    counts = panes[0].copy()
    counts[OWN[0].slots + BELOW] += 1
    quiet = judge(window(own, counts, extremes=[[0, 1], [-1.79e308, huge]]), prepared, model, previous=())
    assert quiet.blind == ()
    assert all(np.isfinite(value) for scores in quiet.scores.values() for value in scores.values())
    counts[FIRST_BIN : FIRST_BIN + 128] = 0
    drift = judge(window(own, counts, extremes=[[0, 1], [-1.79e308, huge]]), prepared, model, previous=())
    assert {t.feature for t in drift.named} == {"a"}


@pytest.mark.parametrize(
    ("windows", "overlap", "beside"), [(15, 0, 1), (360, 0, 18), (360, 23, 64), (30, 23, 16)]
)
def test_what_a_window_is_granted_is_learnt_from_windows_that_share_no_rows_with_it(windows, overlap, beside):
    """Every window is of one stretch, and what is left out of its tolerance is that and what overlaps it: so much
    that half of the windows remain, at most."""
    found = list(stretches(windows, overlap))
    assert sum(size for size, _ in found) == windows
    first = 0
    for size, others in found:
        assert not set(others) & set(range(first, first + size))
        assert len(others) >= windows - beside
        first += size
    assert min(len(others) for _, others in found) == windows - beside


def test_no_window_has_a_part_in_its_own_tolerance():
    """One of 15 may lie above: where two lie far away live windows are granted as much, and each of the two no more
    than the thirteen others need."""
    rng = np.random.default_rng(5)
    panes = moving(rng, 5000, 0.01, windows=15)
    panes[3:5] = moving(rng, 5000, 0.2, windows=2)
    model = plan(OWN)
    view = view_of(reference(OWN, panes), model, model.windows[0])
    live, own = learn(view.windows, view.frame, {}, least=0.005)
    assert live.divergence[0] > 0.1
    assert own.divergence.shape == (15, 1)
    assert (own.divergence[:, 0] < 0.05).tolist() == [at in {3, 4} for at in range(15)]


def test_a_budget_is_kept_by_fifteen_windows_that_move():
    """Sixty features and a reference that is just long enough for two a month: three times as many drifted by
    tolerances that were learnt from the windows that they were held against."""
    setting = pages.Setting("few", n=500, numeric=60, categorical=0, size=24, step=24, psi=0.1)
    found = [pages.simulate(setting, seed).windows for seed in range(16)]
    assert 1.0 < np.mean(found) < 3.0
