"""From a window to its verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import FIRST_BIN, LATENCY_BINS, MISSING
from monitor.judge.extract import Counts, extract
from monitor.judge.policy import judge, judge_without_reference
from monitor.judge.prepare import critical_statistic, prepare, windows_needed
from monitor.judge.weigh import statistics
from monitor.plan import Budget, FeaturePlan, Kind, RawRule, Rule, RuleKind, WindowSpec
from monitor.verdict import State, Unknown
from tests.judge.build import (
    DAY,
    HOUR,
    categorical_profile,
    draw,
    numeric_profile,
    plan,
    reference,
    uniform,
    window,
    zipf,
)

OWN = (numeric_profile("a"), categorical_profile("c", ["x", "y", "z"]))
CHANCES = [uniform(OWN[0], missing=0.02), zipf(OWN[1])]
N = 2000


def slow(n):
    """A latency histogram: 99 % in bin 500, 1 % in bin 700."""
    latency = np.zeros(LATENCY_BINS, np.int64)
    latency[500], latency[700] = n - n // 100, n // 100
    return latency


def windows(seed, size, n=N):
    return draw(np.random.default_rng(seed), CHANCES, n, size)


def timed(size=360, *, n=N, **more):
    latency = np.tile(slow(n), (size, 1))
    return reference(OWN, windows(1, size, n), latency=latency, errors=np.full(size, n // 50), **more)


def untimed(**more):
    return replace(reference(OWN, windows(1, 1, 100 * N), timed=False, **more))


def moved(seed=5, n=N, low=64):
    """A window whose feature a lies above its 25 % quantile."""
    counts = windows(seed, 1, n)[0]
    counts[FIRST_BIN : FIRST_BIN + low] = 0
    return counts


def verdict_of(counts, ref=None, model=None, **more):
    model = model or plan(OWN)
    ref = ref or timed()
    return judge(window(OWN, counts, **more), prepare(ref, model, model.windows[0]), model, previous=())


def test_a_quiet_window_is_ok_and_says_so():
    """ok, with every voting test, largest x first, and none beyond its limit."""
    verdict = verdict_of(windows(2, 1)[0], errors=N // 50, latency=slow(N))
    assert (verdict.state, verdict.reason, verdict.proven) == (State.OK, None, True)
    assert verdict.p > verdict.alpha
    assert [t.x for t in verdict.tests] == sorted((t.x for t in verdict.tests), reverse=True)
    assert verdict.statistic == verdict.tests[0].x < 1
    assert {t.test for t in verdict.tests} == {
        "psi", "ks", "g", "neyman", "missing", "non_finite", "below", "above", "novel", "other", "error", "latency",
    }  # fmt: skip
    assert "nothing beyond the ordinary" in verdict.detail


def test_a_shift_is_drift_and_names_its_feature():
    """p is 1 in (windows + 1), the smallest there is."""
    verdict = verdict_of(moved())
    assert verdict.state is State.DRIFT
    assert verdict.p == 1 / 361
    assert verdict.alpha == pytest.approx(2 / 720)
    assert {t.feature for t in verdict.named} == {"a"}
    assert verdict.tests[0].state is State.DRIFT
    assert "(a) is" in verdict.detail


def test_threshold_is_where_x_is_one():
    """x is the score over its threshold, by the root for those that grow with its square, so one sees how far it is."""
    for test in verdict_of(moved()).tests:
        power = 2 if test.test in {"psi", "g", "neyman"} else 1
        if np.isfinite(test.threshold):
            assert max(test.score / test.threshold, 0.0) == pytest.approx(test.x**power, abs=1e-9)


@pytest.mark.parametrize(
    ("which", "kwargs"), [("error", {"errors": N // 10}), ("latency", {"errors": N // 50})]
)
def test_errors_and_latency_are_judged_like_features(which, kwargs):
    """Five times as many errors, or slow answers, are drift by their own names."""
    latency = slow(N)
    if which == "latency":
        latency[500] -= 200
        latency[700] += 200
    verdict = verdict_of(windows(2, 1)[0], latency=latency, **kwargs)
    assert verdict.state is State.DRIFT
    assert {(t.feature, t.test) for t in verdict.named} == {(which, which)}
    assert verdict.scores["latency"]["p50"] == pytest.approx(verdict.scores["latency"]["reference_p50"])


def test_no_rows_are_no_data():
    """An empty window is unknown, and says nothing of any feature."""
    verdict = verdict_of(np.zeros_like(windows(2, 1)[0]))
    assert (verdict.state, verdict.reason, verdict.tests) == (State.UNKNOWN, Unknown.NO_DATA, ())


def test_too_few_rows_say_how_many_are_missing():
    """Below min_records nothing is computed; below the rows of power, drift still is drift."""
    few = verdict_of(windows(2, 1, 30)[0])
    assert (few.state, few.reason) == (State.UNKNOWN, Unknown.NOT_ENOUGH_DATA)
    assert few.detail == "20 more rows are needed before anything can be said."
    assert few.scores
    weak = verdict_of(windows(2, 1, 120)[0])
    assert (weak.state, weak.reason) == (State.UNKNOWN, Unknown.NOT_ENOUGH_DATA)
    assert "more rows are needed to see a PSI of 0.05" in weak.detail
    assert weak.tests
    assert verdict_of(moved(n=120)).state is State.DRIFT


def test_more_rows_are_really_enough():
    """A window of as many rows as were asked for is ok."""
    model = plan(OWN)
    prepared = prepare(timed(), model, model.windows[0])
    enough = int(np.ceil(prepared.rows.window))
    assert 120 < enough < N
    verdict = judge(window(OWN, windows(2, 1, enough)[0]), prepared, model, previous=())
    assert verdict.state is State.OK


def test_a_reference_that_is_too_small_says_so():
    """When no window could show a change that matters, the reference is what has to grow."""
    model = plan(OWN)
    verdict = verdict_of(windows(2, 1)[0], reference(OWN, windows(1, 1, 400), timed=False), model)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Unknown.REFERENCE_TOO_SMALL)
    assert "reference too small" in verdict.detail
    assert "more rows" in verdict.detail


def test_low_coverage_never_pages():
    """Partitions that are missing may hold what looks like drift."""
    verdict = verdict_of(moved(), coverage=0.5)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Unknown.LOW_COVERAGE)
    assert verdict.named
    assert "50%" in verdict.detail


def test_without_a_reference_nothing_is_known():
    """The state names what is missing, the reference or the rows."""
    model = plan(OWN)
    full, empty = window(OWN, windows(2, 1)[0]), window(OWN, windows(2, 1)[0] * 0)
    verdict = judge_without_reference(full, model, model.windows[0])
    assert (verdict.state, verdict.reason, verdict.blind) == (State.UNKNOWN, Unknown.NO_REFERENCE, ("a", "c"))
    assert judge_without_reference(empty, model, model.windows[0]).reason is Unknown.NO_DATA


def test_an_untimed_reference_proves_no_budget_but_judges():
    """Holm decides alone; verdicts say that the budget is not proven and the tolerance assumed."""
    ok = verdict_of(windows(2, 1)[0], untimed())
    assert (ok.state, ok.proven, ok.reference_windows, ok.windows_needed) == (State.OK, False, 0, 359)
    assert "budget not proven: the reference has 0 windows, 359 are needed" in ok.detail
    assert "tolerance assumed, not measured" in ok.detail
    drift = verdict_of(moved(), untimed())
    assert drift.state is State.DRIFT
    assert drift.p < drift.alpha


def test_too_few_windows_need_holm_and_more_than_every_reference_window():
    """Where the reference's own windows go further, Holm's rejection is no page."""
    panes = windows(1, 40)
    panes[17] = moved(seed=9, low=128)
    model = plan(OWN)
    prepared = prepare(reference(OWN, panes), model, model.windows[0])
    assert (prepared.proven, prepared.windows) == (False, 40)
    assert prepared.critical == prepared.statistics[0] > 1
    mild = judge(window(OWN, moved(low=32)), prepared, model, previous=())
    assert mild.p < mild.alpha
    assert mild.state is not State.DRIFT
    assert judge(window(OWN, moved(low=200)), prepared, model, previous=()).state is State.DRIFT


def test_drift_is_exactly_a_rank_within_alpha():
    """Over many windows, paging by x > 1 is paging by p <= alpha."""
    model = plan(OWN, pages=30.0)
    prepared = prepare(timed(), model, model.windows[0])
    seen = set()
    for low in range(0, 20, 2):
        verdict = judge(window(OWN, moved(seed=low, low=low)), prepared, model, previous=())
        assert (verdict.p <= verdict.alpha) == (verdict.statistic > 1) == (verdict.state is State.DRIFT)
        seen.add(verdict.state)
    assert State.DRIFT in seen
    assert len(seen) > 1


def test_critical_statistic_counts_windows():
    """With 99 windows and alpha 2 %, one reference window may lie above."""
    ranked = np.arange(99.0)[::-1]
    assert critical_statistic(ranked, 0.02) == 97.0
    assert critical_statistic(ranked, 0.01) == 98.0
    assert critical_statistic(ranked, 0.009) is None
    assert [windows_needed(a) for a in (0.01, 2 / 720, 0.5)] == [99, 359, 1]


def test_window_sizes_share_the_budget():
    """Two families of windows spend half of it each, by their steps."""
    specs = (WindowSpec("1h", HOUR, HOUR), WindowSpec("1d", DAY, HOUR))
    model = plan(OWN, windows=specs)
    alphas = [prepare(timed(60), model, spec).alpha for spec in specs]
    assert alphas == [pytest.approx(1 / 720)] * 2


def test_sliding_reference_windows_overlap_as_live_ones_do():
    """24 hours by the hour: every whole window of the reference counts."""
    model = plan(OWN, size=DAY, step=HOUR)
    prepared = prepare(timed(60, start=7 * HOUR), model, model.windows[0])
    assert prepared.windows == 60 - 24 + 1


def test_windows_that_panes_cannot_make_are_none():
    """Hourly panes make no windows of half an hour; the budget is then not proven."""
    model = plan(OWN, size=HOUR // 2)
    assert prepare(timed(60), model, model.windows[0]).windows == 0


def test_live_and_reference_windows_are_measured_alike():
    """M of a fresh window ranks among the reference's uniformly: mean rank near a half."""
    model = plan(OWN)
    prepared = prepare(timed(), model, model.windows[0])
    counts = windows(77, 300)
    zeros = np.zeros(300, np.int64)
    fresh = extract(
        Counts(counts, zeros + N, zeros + N // 50, np.tile(slow(N), (300, 1))), prepared.frame, left_out=False
    )
    m = statistics(fresh, prepared.frame, prepared.tolerances, prepared.level)
    ranks = (prepared.statistics[None, :] >= m[:, None]).mean(axis=1)
    assert 0.44 < ranks.mean() < 0.56
    one = judge(window(OWN, counts[0], errors=N // 50, latency=slow(N)), prepared, model, previous=())
    assert one.statistic * prepared.critical == pytest.approx(m[0], rel=1e-3)


def test_raw_rules_hold_over_consecutive_windows():
    """A limit on a score, outside the budget; a ratio's rule means the ratio itself."""
    rules = (
        RawRule("nulls", "missing", "a", ">", 0.3, 2, "ticket"),
        RawRule("hard", "psi", "a", ">=", 0.1, 1, "page"),
        RawRule("nothing", "psi", "nobody", ">", 0.0, 1, "page"),
    )
    model = plan(OWN, raw_rules=rules)
    prepared = prepare(timed(), model, model.windows[0])
    counts = windows(2, 1)[0]
    counts[MISSING] += counts[FIRST_BIN : FIRST_BIN + 120].sum()
    counts[FIRST_BIN : FIRST_BIN + 120] = 0
    first = judge(window(OWN, counts, at=1000), prepared, model, previous=())
    assert first.rules == ("hard",)
    second = judge(window(OWN, counts, at=1001), prepared, model, previous=(first,))
    assert second.rules == ("nulls", "hard")
    quiet = judge(window(OWN, windows(3, 1)[0], at=1001), prepared, model, previous=(first,))
    assert quiet.rules == ()
    third = judge(window(OWN, counts, at=1002), prepared, model, previous=(first, quiet))
    assert third.rules == ("hard",)
    again = judge(window(OWN, counts, at=1000), prepared, model, previous=(first, quiet, third))
    assert again.rules == ("hard",)


def test_contract_breaches_are_judged_against_the_references_own():
    """A reference that breaches its contract in 2 % of rows does so in windows, too."""
    features = (
        FeaturePlan("a", ("a",), Kind.NUMERIC, nullable=False),
        FeaturePlan("c", ("c",), Kind.CATEGORICAL),
    )
    model = plan(OWN, features=features, rules=(Rule("a", RuleKind.NULL),))
    prepared = prepare(timed(), model, model.windows[0])
    counts = windows(2, 1)[0]
    usual = judge(window(OWN, counts, violations=[int(counts[MISSING])]), prepared, model, previous=())
    assert usual.state is State.OK
    assert abs(usual.scores["a"]["violation"]) < 0.01
    worse = judge(window(OWN, counts, violations=[N // 4]), prepared, model, previous=())
    assert {(t.feature, t.test) for t in worse.named} == {("a", "violation")}


def test_range_breaches_are_read_off_the_bins():
    """Bins beyond or across a limit count; the maximum itself does not breach a limit it equals."""
    features = (
        FeaturePlan("a", ("a",), Kind.NUMERIC, range=(0.0, 0.75)),
        FeaturePlan("c", ("c",), Kind.CATEGORICAL, allowed=("x", "y")),
    )
    model = plan(OWN, features=features, rules=(Rule("a", RuleKind.RANGE), Rule("c", RuleKind.CATEGORY)))
    frame = prepare(timed(20), model, model.windows[0]).frame
    breaches = {b.feature: b.slots for b in frame.breaches}
    assert breaches["a"][FIRST_BIN:-1].tolist() == [0] * 192 + [1] * 64
    assert breaches["a"][[0, 1, 2, -1]].tolist() == [0, 1, 1, 1]
    assert breaches["c"].tolist() == [0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize(("bounds", "breaching"), [((0.25, None), 64), ((None, 0.25), 192), ((0.0, 1.0), 0)])
def test_ranges_may_be_open(bounds, breaching):
    """None is no limit; the reference's minimum and maximum keep within limits they equal."""
    model = plan(
        OWN,
        features=(FeaturePlan("a", ("a",), Kind.NUMERIC, range=bounds),),
        rules=(Rule("a", RuleKind.RANGE),),
    )
    (breach,) = prepare(timed(20), model, model.windows[0]).frame.breaches
    assert breach.slots[FIRST_BIN:-1].sum() == breaching


def test_a_reference_without_values_says_so():
    """Nothing but missing values: no number of rows would help."""
    own = (numeric_profile("a"),)
    panes = np.zeros((30, own[0].slots), np.int64)
    panes[:, MISSING] = 500
    model = plan(own)
    prepared = prepare(reference(own, panes), model, model.windows[0])
    verdict = judge(window(own, panes[0]), prepared, model, previous=())
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Unknown.REFERENCE_TOO_SMALL)
    assert verdict.detail.startswith("reference too small: it has no values to compare with")
    assert verdict.blind == ("a",)


def test_a_reference_that_does_not_fit_its_features_is_refused():
    """Counts of other slots than the features have mean nothing."""
    model = plan(OWN)
    damaged = replace(timed(20), counts=np.ones(7, np.int64))
    with pytest.raises(ValueError, match="7 counts - reference january - 266 slots of its features"):
        prepare(damaged, model, model.windows[0])


def test_a_given_tolerance_stands():
    """By test, or by test and feature; ks takes it in PSI units."""
    given = {"psi": 0.2, "ks(a)": 0.04, "g": 0.5, "missing": 0.3}
    model = plan(OWN, tolerance=given)
    prepared = prepare(timed(30), model, model.windows[0])
    tolerance = {(t.feature, t.test): t.tolerance for t in judge(
        window(OWN, windows(2, 1)[0]), prepared, model, previous=()).tests}  # fmt: skip
    assert tolerance["a", "psi"] == 0.2
    assert tolerance["a", "ks"] == pytest.approx(0.1)
    assert tolerance["c", "g"] == 0.5
    assert tolerance["a", "missing"] == tolerance["c", "missing"] == 0.3


def test_detectors_vote_by_their_rank():
    """A named distance is calibrated by the reference's windows, and finds the shift as well."""
    model = plan(OWN, detectors=("wasserstein", "js"))
    prepared = prepare(timed(), model, model.windows[0])
    quiet = judge(window(OWN, windows(2, 1)[0]), prepared, model, previous=())
    assert quiet.state is State.OK
    assert {t.test for t in quiet.tests} >= {"wasserstein", "js"}
    drift = judge(window(OWN, moved()), prepared, model, previous=())
    assert {t.test for t in drift.named} >= {"wasserstein", "js"}
    assert {t.p for t in drift.named if t.test == "js"} == {1 / 361}


def test_counts_of_another_reference_are_refused():
    """The error says what is wrong, where, and what would be right."""
    model = plan(OWN)
    prepared = prepare(timed(20), model, model.windows[0])
    other = (numeric_profile("a", 20), OWN[1])
    with pytest.raises(ValueError, match=r"30 slots - window 1h of m - 266 of reference january"):
        judge(window(other, np.ones(30)), prepared, model, previous=())


def test_a_budget_of_nothing_pages_nothing_by_rank():
    """No finite reference can prove a budget of 0 pages."""
    model = replace(plan(OWN), budget=Budget(0.0, 30 * DAY))
    verdict = verdict_of(moved(), timed(30), model)
    assert not verdict.proven
    assert verdict.state is not State.DRIFT
