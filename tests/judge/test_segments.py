"""Segments are judged against their own part of the reference, within the model's one budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.judge.kept import Kept
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.record import from_json, to_json
from monitor.plan import Rule, RuleKind, SegmentPlan
from monitor.verdict import State, Unknown
from tests.judge import segment_pages
from tests.judge.build import (
    CHANCES,
    OWN,
    draw,
    plan,
    reference,
    segmented,
    window,
)
from tests.judge.pages import summary

SEGMENTS = (SegmentPlan("country", ("country",), values=("DE", "FR")),)
ROWS = {"DE": 1_500, "FR": 300, "other": 1_200, "missing": 0}


@pytest.fixture(scope="module")
def model():
    return plan(OWN, segments=SEGMENTS, rules=(Rule("age", RuleKind.NULL),))


@pytest.fixture(scope="module")
def prepared(model):
    rng = np.random.default_rng(3)
    parts = [draw(rng, CHANCES, rows, 400) for rows in ROWS.values()]
    whole = reference(OWN, sum(parts))
    return prepare(segmented(whole, {"country": (("DE", "FR"), parts)}), model, model.windows[0])


def windows(seed=0, rows=ROWS, **chances):
    """The whole and its segments; `chances`: those of a segment that differ."""
    rng = np.random.default_rng(seed)
    parts = {
        name: draw(rng, chances.get(name, CHANCES), count, 1)[0] for name, count in rows.items() if count
    }
    whole = window(OWN, sum(parts.values()), violations=(0,))
    return whole, {f"country={name}": window(OWN, counts) for name, counts in parts.items()}


def shifted():
    """Ages move by a third of their spread."""
    moved = CHANCES[0].copy()
    moved[3:-1] *= np.linspace(0.5, 1.5, len(moved) - 4)
    return [moved / moved.sum(), CHANCES[1]]


def judged(found, prepared, model):
    whole, segments = found
    return judge(whole, prepared, model, previous=[], segments=segments)


def test_an_ordinary_window_is_ok_in_every_segment(prepared, model):
    """Each segment has its state and rows, and one without rows has no data."""
    verdict = judged(windows(), prepared, model)
    assert verdict.state is State.OK
    assert [(s.segment, s.state, s.rows) for s in verdict.segments] == [
        ("country=DE", State.OK, 1_500),
        ("country=FR", State.UNKNOWN, 300),
        ("country=other", State.OK, 1_200),
        ("country=missing", State.UNKNOWN, 0),
    ]
    assert verdict.segments[1].reason is Unknown.NOT_ENOUGH_DATA
    assert verdict.segments[3].reason is Unknown.NO_DATA
    assert verdict.statistic >= max(s.statistic for s in verdict.segments)


def test_a_change_in_one_segment_is_found_there(prepared, model):
    """The window drifts, the text names the segment, and the others stay ok."""
    verdict = judged(windows(other=shifted()), prepared, model)
    states = {s.segment: s.state for s in verdict.segments}
    assert verdict.state is states["country=other"] is State.DRIFT
    assert states["country=DE"] is State.OK
    own = verdict.segments[2]
    assert own.tests[0].feature == "age"
    assert {test.feature for test in own.named} == {"age"}
    assert verdict.statistic == own.statistic > 1
    assert verdict.p <= verdict.alpha
    assert "country=other" in verdict.detail


def test_a_change_of_all_rows_names_the_whole_first(prepared, model):
    """One verdict, whose text starts with the feature and lists the segments."""
    rows = {name: 4 * count for name, count in ROWS.items()}
    everywhere = dict.fromkeys(ROWS, shifted())
    verdict = judged(windows(rows=rows, **everywhere), prepared, model)
    assert verdict.state is State.DRIFT
    assert verdict.named[0].feature == "age"
    assert verdict.detail.startswith(f"{verdict.named[0].test}(age) is ")
    assert "by segments in country=DE" in verdict.detail


def test_thresholds_stand_at_the_level_of_all_tests(prepared, model):
    """Every test of every segment that can be judged has the same part of the budget."""
    tests = prepared.frame.tests + sum(part.frame.tests for part in prepared.parts.values())
    assert sorted(prepared.parts) == ["country=DE", "country=FR", "country=other"]
    assert prepared.level == pytest.approx(prepared.alpha / tests)
    assert all(part.level == prepared.level for part in prepared.parts.values())
    assert not any(
        test.test == "violation"
        for part in judged(windows(), prepared, model).segments
        for test in part.tests
    )


def test_a_reference_without_segments_says_how_to_build_one(model):
    """The whole is judged as ever; segments are unknown, with the remedy."""
    rng = np.random.default_rng(3)
    parts = [draw(rng, CHANCES, rows, 400) for rows in ROWS.values()]
    plain = reference(OWN, sum(parts))
    bare = replace(model, segments=())
    without, never = (prepare(plain, one, one.windows[0]) for one in (model, bare))
    assert without.level == never.level
    verdict = judged(windows(), without, model)
    assert verdict.state is State.OK
    assert {s.reason for s in verdict.segments[:3]} == {Unknown.NO_REFERENCE}
    assert "driftline reference build" in verdict.segments[0].detail


def test_other_means_the_same_values_or_nothing(model):
    """A reference counted by other values knows the ones that it has, and not what `other` is."""
    rng = np.random.default_rng(3)
    parts = [draw(rng, CHANCES, rows, 400) for rows in (1_500, 900, 0)]
    counted = segmented(reference(OWN, sum(parts)), {"country": (("DE",), parts)})
    found = prepare(counted, model, model.windows[0])
    assert sorted(found.parts) == ["country=DE"]
    assert found.unready == {
        "country=FR": Unknown.NO_REFERENCE,
        "country=other": Unknown.NO_REFERENCE,
        "country=missing": Unknown.REFERENCE_TOO_SMALL,
    }


def test_verdicts_of_segments_are_kept_to_the_last_bit(prepared, model):
    """In the ledger and in memory; a shrunken record keeps states and rows; an old one has no segments."""
    verdict = judged(windows(other=shifted()), prepared, model)
    assert from_json(to_json(verdict)) == verdict == Kept.of(verdict).verdict()
    bare = Kept.of(verdict).bare()
    assert [s.state for s in bare.verdict().segments] == [s.state for s in verdict.segments]
    assert bare.parts == Kept.of(verdict).parts == sum(ROWS.values())
    old = {name: value for name, value in to_json(verdict).items() if name != "segments"}
    assert from_json(old) == replace(verdict, segments=())


def test_pages_stay_within_the_budget_with_segments():
    """Twelve pages a month are accepted, of all segments together, and some are sent without a change."""
    quiet = segment_pages.Setting("quick", n=900, numeric=4, categorical=2, pages=12.0)
    found = summary([segment_pages.simulate(quiet, seed) for seed in range(6)])
    assert 0.3 * quiet.pages < found["mean"] <= 1.1 * quiet.pages + 2 * found["error"]
