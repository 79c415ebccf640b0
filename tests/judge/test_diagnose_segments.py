"""What changed, in models with segments or seasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import SUM_SCALE
from monitor.diagnosed import diagnosed
from monitor.incident.model import evidence_of
from monitor.judge.diagnose import diagnose
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.plan import SegmentPlan
from monitor.verdict import State
from tests.judge.build import (
    CHANCES,
    OWN,
    draw,
    plan,
    reference,
    segmented,
    uniform,
    window,
)

LOW = [np.concatenate([np.zeros(3), np.full(32, 1 / 32), np.zeros(33)]), CHANCES[1]]
"""Of the young alone: a segment whose ordinary is not that of the whole."""
ROWS = {"DE": 1_500, "FR": 1_500, "other": 1_200}
PLAN = plan(OWN, segments=(SegmentPlan("country", ("country",), values=("DE", "FR")),))


@pytest.fixture(scope="module")
def prepared():
    rng = np.random.default_rng(3)
    parts = [draw(rng, LOW if name == "FR" else CHANCES, rows, 400) for name, rows in ROWS.items()]
    parts.append(np.zeros_like(parts[0]))
    whole = reference(OWN, sum(parts))
    return prepare(segmented(whole, {"country": (("DE", "FR"), parts)}), PLAN, PLAN.windows[0])


def with_moments(counts):
    """A window of the middles of its bins."""
    made = window(OWN, counts)
    bins = counts[3 : OWN[0].slots - 1]
    values = (np.repeat((np.arange(64) + 0.5) / 64, bins) - OWN[0].center) / OWN[0].scale
    q = np.round(values * SUM_SCALE).astype(np.int64)
    made.sums[0] = q.sum(), (q * q & 0xFFFFFFFF).sum(), (q * q >> 32).sum()
    return replace(made, extremes=made.extremes)


def judged(prepared, **chances):
    rng = np.random.default_rng(1)
    usual = dict.fromkeys(ROWS, CHANCES) | {"FR": LOW} | chances
    counts = {name: draw(rng, usual[name], rows, 1)[0] for name, rows in ROWS.items()}
    whole = with_moments(sum(counts.values()))
    segments = {f"country={name}": with_moments(own) for name, own in counts.items()}
    verdict = judge(whole, prepared, PLAN, previous=(), segments=segments)
    assert verdict.state is State.DRIFT
    return verdict, whole, segments


def test_a_change_of_one_segment_alone_is_explained_there(prepared):
    """Against that segment's own reference: its ages moved, though the whole has always had such ages."""
    moved = np.concatenate([np.zeros(5), np.full(32, 1 / 32), np.zeros(31)])
    verdict, whole, segments = judged(prepared, FR=[moved, CHANCES[1]])
    verdict = replace(verdict, tests=tuple(replace(test, x=0.5) for test in verdict.tests))
    said = diagnose(whole, verdict, prepared, segments=segments)
    cause = said["features"][0]
    assert (cause["segment"], cause["feature"], cause["kind"]) == ("country=FR", "age", "location")
    assert "mean 0.25" in cause["text"]
    assert [one["segment"] for one in said["segments"]["guilty"]] == ["country=FR"]
    assert said["segments"]["innocent"] == ["country=DE", "country=other"]
    evidence = evidence_of(replace(verdict, diagnosis=said))
    assert evidence["diagnosis"]["causes"][0]["segment"] == "country=FR"


def test_the_segments_that_carry_a_change_of_the_whole_stand_beside_it(prepared):
    """Guilty ones with what happened there, innocent ones by name."""
    gone = [uniform(OWN[0], missing=0.4), CHANCES[1]]
    verdict, whole, segments = judged(prepared, DE=gone)
    said = diagnosed(verdict, whole, prepared, PLAN, segments=segments).diagnosis
    assert (said["features"][0]["feature"], said["features"][0]["kind"]) == ("age", "missing")
    assert "segment" not in said["features"][0]
    (guilty,) = said["segments"]["guilty"]
    assert (guilty["segment"], guilty["kind"]) == ("country=DE", "missing")
    assert guilty["text"].endswith("missing, 0 % in the reference")
    assert said["segments"]["of"] == {"guilty": 1, "innocent": 2, "all": 4}


def test_a_segment_that_is_not_at_hand_is_ranked_without_a_kind(prepared):
    """An old window may be told of without its segments' counts."""
    verdict, whole, _ = judged(prepared, DE=[uniform(OWN[0], missing=0.4), CHANCES[1]])
    (guilty,) = diagnose(whole, verdict, prepared)["segments"]["guilty"]
    assert "kind" not in guilty


def test_a_change_is_told_against_the_seasons_that_the_window_covers():
    """The mean that stands beside the window's is that of the hour, not of the whole reference."""
    rng = np.random.default_rng(5)
    panes = np.concatenate([draw(rng, CHANCES if n % 24 < 12 else LOW, 1_500, 1) for n in range(24 * 28)])
    own = plan(OWN, season="hour_of_day", pages=100.0)
    prepared = prepare(reference(OWN, panes), own, own.windows[0])
    moved = np.concatenate([np.zeros(9), np.full(32, 1 / 32), np.zeros(27)])
    made = with_moments(draw(rng, [moved, CHANCES[1]], 1_500, 1)[0])
    made = replace(made, seasons=prepared.seasons.calendar.rows_of({18 * 3_600_000: made.rows}))
    verdict = judge(made, prepared, own, previous=())
    assert verdict.state is State.DRIFT
    cause = diagnosed(verdict, made, prepared, own).diagnosis["features"][0]
    assert (cause["feature"], cause["kind"]) == ("age", "location")
    assert cause["figures"]["reference_mean"] == pytest.approx(0.25, abs=0.01)
    assert cause["figures"]["shift"] == pytest.approx(6 / 64, abs=0.01)
