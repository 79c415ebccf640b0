"""What a model is expected to do before labels come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from monitor.labels.estimate import Scored, calibrate, estimate, positive_shares
from tests.labels.rows import naive_binary

EDGES = np.linspace(0, 1, 257)


def counted(scores, labels):
    """int64[bins, 2]"""
    place = np.clip(np.searchsorted(EDGES, scores, side="right") - 1, 0, len(EDGES) - 2)
    counts = np.zeros((len(EDGES) - 1, 2), np.int64)
    np.add.at(counts, (place, labels), 1)
    return counts


def drawn(rng, rows, *, shift=0.0):
    """Scores of a model that is too sure of itself, and labels."""
    truth = 1 / (1 + np.exp(-rng.normal(shift, 1.2, rows)))
    scores = truth**2 / (truth**2 + (1 - truth) ** 2)
    return scores, (rng.random(rows) < truth).astype(int)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40))
def test_the_map_is_the_isotonic_regression(rows):
    """Of the bins that have rows; it never falls, and reads the others between their neighbours."""
    counts = np.array(rows, np.int64)
    found, sizes = calibrate(counts), counts.sum(axis=1)
    if not sizes.any():
        assert found is None
        return
    there = sizes > 0
    right = isotonic_regression(counts[there, 1] / sizes[there], weights=sizes[there])
    np.testing.assert_allclose(found.share[there], right.x, atol=1e-12)
    assert (np.diff(found.share) >= -1e-12).all()
    np.testing.assert_allclose(np.add.reduceat(sizes * there, found.starts), found.rows)


@pytest.mark.parametrize("shift", [0.0, -1.0])
def test_estimates_are_what_labels_will_say(shift):
    """Of another share of ones, too, as long as a score is worth what it was."""
    rng = np.random.default_rng(1)
    own = calibrate(counted(*drawn(rng, 200_000)))
    scores, labels = drawn(rng, 20_000, shift=shift)
    found = estimate([Scored(counted(scores, labels).sum(axis=1), own)], positive_shares(EDGES, 0.5))
    for name, value in naive_binary(scores[:5_000], labels[:5_000], 0.5).items():
        if name in found:
            assert found[name].value == pytest.approx(value, abs=0.03), name
    every = {
        "accuracy": ((scores >= 0.5) == labels).mean(),
        "true_positive": (labels * (scores >= 0.5)).mean(),
    }
    for name, value in every.items():
        assert found[name].value == pytest.approx(value, abs=0.01), name
        assert found[name].low <= value <= found[name].high
    cells = [
        found[f"{truth}_{side}"].value for truth in ("true", "false") for side in ("positive", "negative")
    ]
    assert sum(cells) == pytest.approx(1.0)


def test_segments_see_what_moves_between_them():
    """Where a score is worth less in one segment, and that one grows, only the estimate by segments follows."""
    rng = np.random.default_rng(2)

    def of(segment, rows):
        scores = rng.random(rows)
        return scores, (rng.random(rows) < (scores if segment == 0 else 0.5)).astype(int)

    known = [counted(*of(segment, 50_000)) for segment in (0, 1)]
    whole, maps = calibrate(known[0] + known[1]), [calibrate(one) for one in known]
    drawn_now = [of(0, 2_000), of(1, 18_000)]
    rows = [counted(*one).sum(axis=1) for one in drawn_now]
    truth = np.concatenate([(scores >= 0.5) == labels for scores, labels in drawn_now]).mean()
    positive = positive_shares(EDGES, 0.5)
    plain = estimate([Scored(rows[0] + rows[1], whole)], positive)["accuracy"]
    parts = estimate([Scored(*one) for one in zip(rows, maps, strict=True)], positive)["accuracy"]
    assert abs(plain.value - truth) > 0.05
    assert parts.value == pytest.approx(truth, abs=0.01)
    assert parts.low <= truth <= parts.high


def test_bounds_are_left_about_as_often_as_they_say():
    """At 95 %, with references that are not much larger than the window."""
    rng = np.random.default_rng(3)
    positive, left, runs = positive_shares(EDGES, 0.5), {}, 400
    for _ in range(runs):
        own = calibrate(counted(*drawn(rng, 4_000)))
        scores, labels = drawn(rng, 1_000)
        found = estimate([Scored(counted(scores, labels).sum(axis=1), own)], positive)
        right = naive_binary(scores, labels, 0.5)
        for name in ("accuracy", "precision", "recall", "f1", "auc"):
            left[name] = left.get(name, 0) + (not found[name].low <= right[name] <= found[name].high)
    assert all(0.01 * runs <= count <= 0.09 * runs for count in left.values()), left


def test_the_threshold_divides_a_bin():
    """Rows lie evenly in a bin; one of a single value is on one side of it."""
    edges = np.array([0.0, 0.4, 0.5, np.nextafter(0.5, 1), 0.6, 1.0])
    np.testing.assert_allclose(positive_shares(edges, 0.5), [0, 0, 1, 1, 1])
    np.testing.assert_allclose(positive_shares(np.array([0.0, np.nextafter(0, 1), 1.0]), 0.5), [0, 0.5])
    np.testing.assert_allclose(positive_shares(np.array([0.0, 0.4, 0.6, 1.0]), 0.45), [0, 0.75, 1])


def test_nothing_is_estimated_of_no_rows():
    """Figures that are not defined are left out."""
    own = calibrate(np.array([[5, 0], [0, 5]]))
    positive = positive_shares(np.array([0.0, 0.5, 1.0]), 0.5)
    assert estimate([Scored(np.zeros(2, np.int64), own)], positive) == {}
    assert "precision" not in estimate([Scored(np.array([4, 0]), own)], positive)
