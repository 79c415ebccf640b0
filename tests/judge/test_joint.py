"""Groups: features that are judged together, for changes that none of them shows alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.layout import FREQUENCIES, LATENCY_BINS, PHASE_CLIP, PHASE_SCALE, PRESENT, allocate, merge
from monitor.cli.check_line import Sign
from monitor.cli.grouped import check_groups
from monitor.judge import catalogue as names
from monitor.judge.diagnose import diagnose
from monitor.judge.extract import Counts, extract
from monitor.judge.pairs import moved, told_pairs
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.record import to_json
from monitor.judge.weigh import weigh
from monitor.names import REASONS
from monitor.plan import RawRule
from monitor.reference.build import BuildSettings
from monitor.reference.sampled import Keeper
from monitor.reference.vector import mean_words
from monitor.sample import Sample
from monitor.verdict import State, Unknown
from tests.judge.build import DAY, HOUR
from tests.judge.joined import GROUP, NAMES, cells_of, columns_of, draw, plan_of, reference_of, window_of

ROWS, HOURS = 1_200, 400
REFERENCE = reference_of(draw(np.random.default_rng(1), ROWS * HOURS), hours=HOURS)
OWN = plan_of(REFERENCE)
PREPARED = prepare(REFERENCE, OWN, OWN.windows[0])


def verdict(values, *, reference=REFERENCE, own=OWN, prepared=PREPARED):
    return judge(window_of(values, reference, own), prepared, own, previous=())


def naive_sums(values, profile):
    """The Fourier sums of complete rows, one row and one frequency at a time, in Python's own numbers."""
    found = [0] * FREQUENCIES
    for row in np.asarray(values)[:, : profile.length].tolist():
        if not np.isfinite(row).all():
            continue
        rates = (1.0 / profile.scale).tolist()
        steps = [
            int(np.rint(min(max((x - c) * rate * PHASE_SCALE, -PHASE_CLIP), PHASE_CLIP)))
            for x, c, rate in zip(row, profile.center.tolist(), rates, strict=True)
        ]
        for at, (wave, phase) in enumerate(zip(profile.waves.tolist(), profile.phases.tolist(), strict=True)):
            turn = sum(s * w for s, w in zip(steps, wave, strict=True)) * 2**profile.shift + phase
            found[at] += int(np.rint(2**20 * (2 / FREQUENCIES) ** 0.5 * np.cos(2 * np.pi * turn / 2**32)))
    return found


def holed(rng, rows):
    """Rows in which some values are missing or infinite, and some are far away."""
    values = draw(rng, rows) * np.where(rng.random((rows, 1)) < 0.1, 1e6, 1.0)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[rng.random(values.shape) < 0.05] = np.inf
    return values


def test_sums_are_those_of_the_naive_twin():
    """Bit by bit; rows without a finite value of every member are counted apart, those with none of them apart."""
    values = holed(np.random.default_rng(2), 300)
    cells, profile = cells_of(values, REFERENCE, OWN), REFERENCE.features[-1].vector
    pair = values[:, :2]
    complete, empty = np.isfinite(pair).all(axis=1), np.isnan(pair).all(axis=1)
    want = [empty.sum(), (~complete & ~empty).sum(), 0, complete.sum()]
    assert cells.counts[0, -4:].tolist() == want
    assert cells.vectors[0, 3 * profile.length :].tolist() == naive_sums(values, profile)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 200), max_size=5))
def test_any_split_into_batches_and_any_order_of_merging_has_the_same_bits(seed, cuts):
    """Rows of one cell, cut anywhere, folded apart and merged backwards; and all in another order."""
    rng = np.random.default_rng(seed)
    values = holed(rng, 200)
    whole = cells_of(values, REFERENCE, OWN)
    total = allocate(REFERENCE.layout(), cells=1, rules=0, reasons=len(REASONS))
    for part in reversed(np.split(values, sorted(cuts))):
        merge(total, cells_of(part, REFERENCE, OWN))
    shuffled = cells_of(rng.permutation(values), REFERENCE, OWN)
    for name in ("counts", "vectors", "rows"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(whole, name))


def test_a_flipped_correlation_is_drift_though_no_feature_moved():
    """From 0.8 to -0.8, every distribution as it was: the group alone names it, and the diagnosis says what it is."""
    window = window_of(draw(np.random.default_rng(3), ROWS, rho=-0.8), REFERENCE, OWN)
    found = judge(window, PREPARED, OWN, previous=())
    assert (found.state, found.proven) == (State.DRIFT, True)
    assert [(test.feature, test.test) for test in found.named] == [(GROUP, names.JOINT)]
    assert found.tests[0].p < 1e-9
    assert max(test.x for test in found.tests if test.test != names.JOINT) < 0.9
    assert "joint(money)" in found.detail
    scores = found.scores[GROUP]
    assert scores.keys() == {"mmd", "mmd_noise", "joint", "incomplete"}
    assert scores["mmd"] > 3 * scores["mmd_noise"]
    assert scores["joint"] == pytest.approx(found.tests[0].score, rel=0.01)
    first = diagnose(window, found, PREPARED)["features"][0]
    assert (first["kind"], first["feature"]) == ("joint", GROUP)
    assert first["text"] == "income, debt go together otherwise than in the reference"
    to_json(found)


def test_without_the_group_nothing_is_seen():
    """The same window, with the group counted and not named by the configuration: ok, and its distance is shown."""
    own = plan_of(REFERENCE, groups=())
    found = verdict(
        draw(np.random.default_rng(3), ROWS, rho=-0.8),
        own=own,
        prepared=prepare(REFERENCE, own, own.windows[0]),
    )
    assert found.state is State.OK
    assert found.scores[GROUP].keys() == {"mmd", "mmd_noise", "incomplete"}
    assert found.scores[GROUP]["mmd"] > 3 * found.scores[GROUP]["mmd_noise"]
    assert not any(test.test == names.JOINT for test in found.tests)


def test_ordinary_windows_reject_as_often_as_the_level_says():
    """p of windows of the reference's own distribution, small and large: 10 % and 1 % of them."""
    rng, frame = np.random.default_rng(4), PREPARED.frame
    for rows in (100, 1_200):
        cells = [cells_of(draw(rng, rows), REFERENCE, OWN) for _ in range(400)]
        counts = np.concatenate([one.counts for one in cells])
        means = np.concatenate([one.vectors for one in cells])[:, mean_words(frame.layout.vectors)]
        n = np.full(len(cells), rows)
        nothing = np.zeros((len(cells), LATENCY_BINS), np.int64)
        windows = extract(Counts(counts, n, 0 * n, nothing, means=means), frame, left_out=False)
        evidence = weigh(windows, frame, PREPARED.tolerances, PREPARED.level, PREPARED.past)
        at = evidence.tests.index(names.JOINT)
        assert evidence.features[at] == GROUP
        for level, least, most in ((0.1, 0.06, 0.15), (0.01, 0.0, 0.03)):
            assert least < np.mean(evidence.p[:, at] <= level) <= most


def test_a_reference_that_wobbles_teaches_a_tolerance():
    """Where the correlation moves from hour to hour, as much again is ordinary; a fixed tolerance stands."""
    rng = np.random.default_rng(5)
    hours = [draw(rng, ROWS, rho=rho) for rho in rng.uniform(0.5, 0.9, 60)]
    reference = reference_of(np.concatenate(hours), hours=60)
    own = plan_of(reference, pages=60.0)
    prepared = prepare(reference, own, own.windows[0])
    assert PREPARED.tolerances.joint[0] < 0.001 < prepared.tolerances.joint[0]
    fixed = plan_of(reference, pages=60.0, tolerance={"joint(money)": 0.5})
    assert prepare(reference, fixed, fixed.windows[0]).tolerances.joint.tolist() == [0.5]
    told = [
        verdict(draw(rng, ROWS, rho=rho), reference=reference, own=own, prepared=prepared)
        for rho in (0.65, -0.8)
    ]
    assert [one.state for one in told] == [State.OK, State.DRIFT]


def test_without_event_times_the_null_alone_rejects():
    """No windows to be ranked among: Holm over the tests' p, and the tolerance is an assumed one."""
    reference = reference_of(draw(np.random.default_rng(6), 40_000), hours=1, timed=False)
    own = plan_of(reference)
    prepared = prepare(reference, own, own.windows[0])
    rng = np.random.default_rng(7)
    told = [
        verdict(draw(rng, ROWS, rho=rho), reference=reference, own=own, prepared=prepared)
        for rho in (0.8, -0.8)
    ]
    assert [one.state is State.DRIFT for one in told] == [False, True]
    assert not told[1].proven
    assert [test.feature for test in told[1].named] == [GROUP]
    assert "tolerance assumed" in told[1].detail


def test_rows_that_are_not_complete_are_said_and_do_not_vote():
    """Half of one member missing: its own test says so; the group is compared by its complete rows, and shows how
    many are not."""
    values = draw(np.random.default_rng(8), ROWS)
    values[::2, 0] = np.nan
    found = verdict(values)
    assert found.scores[GROUP]["incomplete"] == 0.5
    assert [(test.feature, test.test) for test in found.named] == [("income", "missing")]
    joint = next(test for test in found.tests if test.test == names.JOINT)
    assert joint.n == pytest.approx(ROWS / 2, rel=0.02)  # less the design effect of the members
    assert not any(test.feature == GROUP and test.test in names.RATIOS for test in found.tests)
    rule = RawRule("holes", "incomplete", GROUP, ">", 0.4, 1, "ticket")
    assert verdict(values, own=replace(OWN, raw_rules=(rule,))).rules == ("holes",)


@pytest.mark.parametrize("complete", [0, 40])
def test_a_group_with_too_few_complete_rows_says_nothing(complete):
    """None at all: blind, as any feature without values."""
    values = draw(np.random.default_rng(9), ROWS, rho=-0.8)
    values[complete:, 1] = np.nan
    found = verdict(values)
    joint = next(test for test in found.tests if test.test == names.JOINT)
    assert (joint.x, joint.p, joint.n) == (0.0, 1.0, 0.0)
    assert (GROUP in found.blind) == (complete == 0)


def test_a_reference_in_which_all_rows_are_one_has_no_null():
    """Nothing varies: the group does not vote, and nothing divides by zero."""
    reference = reference_of(np.ones((4_000, 3)), hours=40)
    own = plan_of(reference, pages=60.0)
    prepared = prepare(reference, own, own.windows[0])
    assert prepared.frame.joints == ()
    found = verdict(np.ones((100, 3)), reference=reference, own=own, prepared=prepared)
    assert found.state is not State.DRIFT
    assert found.scores[GROUP]["mmd"] == 0.0


def test_three_that_go_together():
    """Of a larger group any pair is seen."""
    reference = reference_of(draw(np.random.default_rng(10), 60_000), hours=100, members=NAMES)
    own = plan_of(reference, pages=60.0)
    prepared = prepare(reference, own, own.windows[0])
    rng = np.random.default_rng(11)
    told = [
        verdict(draw(rng, ROWS, rho=rho), reference=reference, own=own, prepared=prepared)
        for rho in (0.8, -0.8)
    ]
    assert [one.state for one in told] == [State.OK, State.DRIFT]
    assert told[1].named[0].feature == GROUP


def test_detectors_of_embeddings_are_not_asked_of_groups_too():
    """`mmd` in detectors: and the group still has one test, `joint`."""
    own = plan_of(REFERENCE, detectors=("mmd", "mean_shift"))
    found = verdict(
        draw(np.random.default_rng(3), ROWS, rho=-0.8),
        own=own,
        prepared=prepare(REFERENCE, own, own.windows[0]),
    )
    assert {test.test for test in found.tests if test.feature == GROUP and test.x > 0} == {names.JOINT}


def test_seasons_have_their_own_way_of_going_together():
    """A correlation that turns every 12 hours: by season both are ordinary, and each is drift at the other's time."""
    rng = np.random.default_rng(12)
    hours = 20 * 24
    values = np.concatenate([draw(rng, 200, rho=0.8 if hour % 24 < 12 else -0.8) for hour in range(hours)])
    reference = reference_of(values, hours=hours)
    own = plan_of(reference, pages=60.0, season="hour_of_day")
    prepared = prepare(reference, own, own.windows[0])
    day = np.zeros(len(prepared.seasons.rows), np.int64)
    day[prepared.seasons.calendar.at(np.array([100 * DAY + 3 * HOUR]))] = 200
    told = [
        judge(
            replace(window_of(draw(rng, 200, rho=rho), reference, own), seasons=day),
            prepared,
            own,
            previous=(),
        )
        for rho in (0.8, -0.8)
    ]
    assert [GROUP in {test.feature for test in one.named} for one in told] == [False, True]
    assert told[1].state is State.DRIFT


def test_check_says_which_groups_vote_and_why_others_do_not():
    """Named and known; counted alone; and one of which all rows are alike."""
    holed = draw(np.random.default_rng(17), 1_000)
    holed[::4, 0] = np.nan
    half, alike = reference_of(holed, hours=10), reference_of(np.ones((1_000, 3)), hours=10)
    lines = [
        line
        for reference, groups in ((half, (GROUP,)), (half, ()), (alike, (GROUP,)))
        for line in check_groups(plan_of(reference, groups=groups), reference)
    ]
    assert [line.sign for line in lines] == [Sign.OK, Sign.DOUBTFUL, Sign.DOUBTFUL]
    assert lines[0].text == "income, debt, complete in 75.0% of the reference's rows"
    assert "do not name it" in lines[1].text
    assert "no two different rows" in lines[2].text


def test_counts_stand_for_complete_rows():
    """The last slot of the group is what its sums are of."""
    assert REFERENCE.counts[-4:].tolist() == [0, 0, 0, ROWS * HOURS]
    assert REFERENCE.features[-1].labels == ("complete",)
    assert REFERENCE.layout().start[-1] - 1 == REFERENCE.layout().start[-2] + PRESENT
    assert verdict(draw(np.random.default_rng(13), 10)).reason is Unknown.NOT_ENOUGH_DATA


def codes_of(values, reference):
    """The rows as samples keep them."""
    keeper, columns = Keeper(reference.layout(), len(values)), columns_of(values, plan_of(reference))
    none = np.empty((0, len(values)), np.int32)
    keeper.add(list(columns.values), none, [columns.vectors], np.zeros(len(values), np.int64))
    return keeper.kept(np.zeros(1, np.int64))[0]


def test_sampled_rows_tell_which_pair_goes_together_otherwise():
    """Of three the two whose rank correlation moved, with both figures; where none did beyond doubt, or too few rows
    are complete, nothing is added."""
    rng = np.random.default_rng(14)
    reference = reference_of(
        draw(rng, 60_000), hours=100, members=NAMES, settings=BuildSettings(sample=4_000)
    )
    own = plan_of(reference, pages=60.0)
    prepared = prepare(reference, own, own.windows[0])
    values = draw(rng, ROWS, rho=-0.8)
    values[::3, 0] = np.nan
    codes = codes_of(values, reference)
    found = moved(codes, prepared.sample, prepared.frame, GROUP)
    assert (found.first, found.second) == NAMES[:2]
    assert (found.now, found.before) == (pytest.approx(-0.786, abs=0.03), pytest.approx(0.786, abs=0.02))
    assert moved(codes[:60], prepared.sample, prepared.frame, GROUP) is None
    assert moved(codes_of(draw(rng, ROWS), reference), prepared.sample, prepared.frame, GROUP) is None
    window = window_of(values, reference, own)
    verdict = judge(window, prepared, own, previous=())
    told = diagnose(window, verdict, prepared)
    told_pairs(told, window, prepared, Sample(np.zeros(len(codes), np.uint64), codes))
    (first,) = [one for one in told["features"] if one["feature"] == GROUP]
    assert first["text"].endswith("; rank correlation of income and debt 0.79 → -0.78")
    assert first["figures"]["pair"] == ["income", "debt"]


def test_a_member_that_is_one_value_has_no_correlation():
    """Neither with the other nor, where both are, with itself: nothing is divided by zero."""
    rng = np.random.default_rng(15)
    reference = reference_of(draw(rng, 6_000), hours=10, settings=BuildSettings(sample=4_000))
    own = plan_of(reference, pages=60.0)
    prepared = prepare(reference, own, own.windows[0])
    values = draw(rng, 300)
    values[:, 0] = 0.5
    assert moved(codes_of(values, reference), prepared.sample, prepared.frame, GROUP) is not None
    values[:, 1] = 0.5
    assert moved(codes_of(values, reference), prepared.sample, prepared.frame, GROUP).now == 0.0


def test_rows_of_a_season_stand_for_what_the_window_has_of_it():
    """Where the reference turns every 12 hours, a window of the day is held against the day's correlation."""
    rng = np.random.default_rng(16)
    hours = 20 * 24
    values = np.concatenate([draw(rng, 60, rho=0.8 if hour % 24 < 12 else -0.8) for hour in range(hours)])
    reference = reference_of(values, hours=hours, settings=BuildSettings(sample=20_000))
    own = plan_of(reference, pages=60.0, season="hour_of_day")
    prepared = prepare(reference, own, own.windows[0])
    rows = np.zeros(len(prepared.seasons.rows), np.int64)
    rows[prepared.seasons.calendar.at(np.array([100 * DAY + 3 * HOUR]))] = 400
    values = draw(rng, 400, rho=-0.8)
    window = replace(window_of(values, reference, own), seasons=rows)
    verdict = judge(window, prepared, own, previous=())
    told = diagnose(window, verdict, prepared)
    codes = codes_of(values, reference)
    told_pairs(told, window, prepared, Sample(np.zeros(len(codes), np.uint64), codes))
    (first,) = [one for one in told["features"] if one["feature"] == GROUP]
    assert first["figures"]["reference_correlation"] == pytest.approx(0.786, abs=0.05)
