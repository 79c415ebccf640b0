"""Scores of vector features: shown always, voting when they are named."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.fold import fold
from kernels.layout import FREQUENCIES, PRESENT, allocate, no_rules
from monitor.judge import catalogue as names
from monitor.judge.frame import build_frame
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.vectors import vector_scores
from monitor.names import REASONS
from monitor.plan import RawRule
from monitor.reference.build import build
from monitor.reference.table import Table
from monitor.reference.vector import mean_words
from monitor.verdict import State, Window
from tests.judge.build import HOUR, plan

LENGTH, ROWS, WINDOWS = 12, 150, 100


def draw(rng, rows, *, moved=0.0, turned=False):
    """Correlated vectors; `moved`: by so many deviations in dimension 7, `turned`: means and deviations stay."""
    common = rng.normal(size=(rows, 1))
    vectors = rng.normal(size=(rows, LENGTH)) + 0.5 * common
    if turned:
        vectors[:, ::2] -= common
    vectors[:, 7] += moved * vectors[:, 7].std()
    return vectors


def reference():
    rng = np.random.default_rng(4)
    rows = ROWS * WINDOWS
    return build(
        Table({"e": draw(rng, rows)}, events=np.arange(rows) * (HOUR // ROWS)), model="m", name="r", pane=HOUR
    )


REFERENCE = reference()


def window(vectors) -> Window:
    """A live window of these vectors, counted by the fold."""
    layout = REFERENCE.layout()
    cells = allocate(layout, cells=1, rules=0, reasons=len(REASONS))
    rows = len(vectors)
    fold(
        cells, layout, no_rules(layout), cell=np.zeros(rows, np.int32), values=np.empty((0, rows)),
        codes=np.empty((0, rows), np.int32), latency=np.full(rows, np.nan), errors=np.zeros(rows, np.uint8),
        offsets=np.arange(rows), vectors=vectors,
    )  # fmt: skip
    return Window(
        model="m", name="1h", start=1000 * HOUR, end=1001 * HOUR, rows=rows, errors=0,
        **{name: getattr(cells, name)[0] for name in
           ("counts", "sums", "extremes", "vectors", "latency", "violations", "rejects")},
    )  # fmt: skip


def verdict(vectors, **more):
    own = plan(REFERENCE.features, pages=60.0, **more)
    return judge(window(vectors), prepare(REFERENCE, own, own.windows[0]), own, previous=())


def scores(vectors):
    return verdict(vectors).scores["e"]


def test_scores_stand_in_every_verdict():
    """Distance, shift, their noise, and the dimension that moved, counted from 0."""
    found = scores(draw(np.random.default_rng(5), 400, moved=1.0))
    assert {*names.VECTOR_SCORES, "missing", "missing_ratio", "non_finite"} <= found.keys()
    assert found["mean_shift_dimension"] == 7
    assert found["mean_shift"] == pytest.approx(1.0, abs=0.15)
    assert found["mmd"] > 3 * found["mmd_noise"]
    assert not {"psi", "ks", "mean"} & found.keys()


def test_without_movement_scores_are_noise():
    """The squared distance, less what sampling adds, is nought on average; shifts stay within theirs."""
    rng = np.random.default_rng(6)
    found = [scores(draw(rng, 300)) for _ in range(40)]
    noise = found[0]["mmd_noise"]
    assert np.mean([one["mmd"] > 0 for one in found]) < 0.8
    assert max(one["mmd"] for one in found) < 2 * noise
    assert np.mean([one["mean_shift"] < one["mean_shift_noise"] for one in found]) > 0.75


def test_the_distance_is_that_of_the_kernel():
    """With as many rows as it takes, it is near the maximum mean discrepancy computed pair by pair."""
    rng = np.random.default_rng(7)
    own = REFERENCE.features[0].vector
    here, there = draw(rng, 1500, moved=1.5), draw(rng, 1500)

    def kernel(a, b):
        a, b = ((side - own.center) / own.scale / own.bandwidth for side in (a, b))
        square = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
        values = np.exp(-square / 2)
        return (values.sum() - len(a) * (a is b)) / (len(a) * len(b) - len(a) * (a is b))

    squared = kernel(here, here) + kernel(there, there) - 2 * kernel(here, there)
    assert scores(here)["mmd"] == pytest.approx(squared**0.5, rel=4 / FREQUENCIES**0.5)


def test_a_change_that_no_dimension_shows_is_seen():
    """Correlations turn while every mean stays: the distance grows and the shift does not."""
    found = scores(draw(np.random.default_rng(8), 2000, turned=True))
    assert found["mmd"] > 2 * found["mmd_noise"]
    assert found["mean_shift"] < 1.5 * found["mean_shift_noise"]


def test_they_vote_when_detectors_name_them():
    """Moved vectors drift then, and only then; a window like the reference's is ok."""
    rng = np.random.default_rng(9)
    moved, same = draw(rng, ROWS, moved=2.0), draw(rng, ROWS)
    assert verdict(moved).state is State.OK
    for detector in ("mmd", "mean_shift"):
        found = verdict(moved, detectors=(detector,))
        assert found.state is State.DRIFT
        assert (found.tests[0].feature, found.tests[0].test) == ("e", detector)
        assert verdict(same, detectors=(detector,)).state is State.OK


def test_missing_vectors_vote_like_any_missing_value():
    """Half of them gone is drift without any detector, and the vectors that stay are not blamed."""
    vectors = draw(np.random.default_rng(10), ROWS)
    vectors[::2] = np.nan
    found = verdict(vectors)
    assert found.state is State.DRIFT
    assert found.scores["e"]["missing_ratio"] == pytest.approx(0.5, abs=0.01)
    assert {test.test for test in found.tests if test.state is State.DRIFT} <= {"missing", "g"}


def test_windows_without_vectors_are_blind_to_them():
    """There is nothing to compare: no scores, no error, and the feature is named as blind."""
    found = verdict(np.full((ROWS, LENGTH), np.nan), detectors=("mmd", "mean_shift"))
    assert found.blind == ("e",)
    assert not {*names.VECTOR_SCORES} & found.scores["e"].keys()


def test_a_raw_rule_may_name_them():
    """`mmd(e) > 0.1` holds where the score says so."""
    rule = RawRule("r", "mmd", "e", ">", 0.1, 1, "ticket")
    moved = draw(np.random.default_rng(11), ROWS, moved=3.0)
    assert verdict(moved, raw_rules=(rule,)).rules == ("r",)


def test_a_window_left_out_is_compared_with_the_rest():
    """Scores of a part of the reference are those against a reference of the other rows."""
    own = plan(REFERENCE.features)
    frame = build_frame(REFERENCE, own)
    means = REFERENCE.panes.vectors[:1]
    counts = np.zeros((1, len(REFERENCE.counts)), np.int64)
    counts[0, PRESENT] = ROWS
    found = vector_scores(counts, means, frame, left=1)[0, 0]
    rest = frame.means - means[0]
    n, m = ROWS, REFERENCE.counts[PRESENT] - ROWS
    here, there = means[0, LENGTH:] / n / 2**20, rest[LENGTH:] / m / 2**20
    noise = (1 - there @ there) * (1 / n + 1 / m)
    assert found[0] == pytest.approx(max((here - there) @ (here - there) - noise, 0.0) ** 0.5)
    assert len(mean_words(frame.layout.vectors)) == len(frame.means)
