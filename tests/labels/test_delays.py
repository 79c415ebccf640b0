"""Figures of cohorts whose labels come sooner of one class than of the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from monitor.labels.delays import Delays, Part, weigh
from monitor.labels.figures import Basis, realise
from tests.labels.rows import binary, multiclass, naive_binary, scored

EDGES = np.array([0.0, 0.25, 0.5, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 36, 48, 72, 96])
"""Hours."""
MEAN = {0: 24.0, 1: 3.0}
"""Of the delay of each label: a fraud is told at once, that there was none comes late."""


def delayed(rng, labels):
    return np.minimum(rng.exponential([MEAN[int(label)] for label in labels]), EDGES[-1] - 1e-9)


def delays_of(rng, rows, draw):
    _, labels = draw(rng, rows)
    late = delayed(rng, labels)
    return Delays(EDGES, np.stack([np.histogram(late[labels == own], EDGES)[0] for own in (0, 1)], axis=1))


def cohort(rng, rows, draw, youngest, oldest, threshold=0.5):
    """Its cell at an age, and all its scores and labels."""
    scores, labels = draw(rng, rows)
    came = delayed(rng, labels) <= rng.uniform(youngest, oldest, rows)
    return binary(scores, labels, threshold, has_label=came), scores, labels


def test_early_labels_mislead_and_weighted_ones_do_not():
    """Where frauds are told first the plain figures are more than 5 points off, the weighted ones less than 1."""
    rng = np.random.default_rng(0)
    delays = delays_of(rng, 200_000, scored)
    cell, scores, labels = cohort(rng, 100_000, scored, 4, 5)
    naive = naive_binary(scores[:20_000], labels[:20_000], 0.5) | {
        "accuracy": ((scores >= 0.5) == labels).mean()
    }
    early = realise(cell, basis=Basis.EARLY)
    weighted = weigh([Part(cell, 4, 5)], delays)
    assert early.basis == "early"
    assert weighted.basis == "weighted"
    off = {name: abs(early.figures[name].value - naive[name]) for name in ("accuracy", "precision", "brier")}
    assert min(off.values()) > 0.05, off
    for name in ("accuracy", "precision", "recall", "f1", "auc", "brier"):
        assert weighted.figures[name].value == pytest.approx(naive[name], abs=0.01), name
        assert weighted.figures[name].low <= naive[name] <= weighted.figures[name].high
    assert weighted.figures["calibration_error"].value < 0.01 < early.figures["calibration_error"].value


def test_complete_cohorts_need_no_weights():
    """With all labels there the weighted figures are the plain ones, alone and beside a young cohort."""
    rng = np.random.default_rng(1)
    delays = delays_of(rng, 20_000, scored)
    cell, scores, _labels = cohort(rng, 20_000, scored, 200, 200)
    assert cell.labelled == len(scores)
    plain, weighted = realise(cell).figures, weigh([Part(cell, 200, 200)], delays).figures
    assert plain.keys() == weighted.keys()
    for name, figure in plain.items():
        assert weighted[name].value == pytest.approx(figure.value, abs=1e-12), name
    young, _, _ = cohort(rng, 20_000, scored, 2, 6)
    both = weigh([Part(cell, 200, 200), Part(young, 2, 6)], delays)
    assert both.predictions == 40_000
    assert both.figures["accuracy"].value == pytest.approx(plain["accuracy"].value, abs=0.01)


def test_what_is_too_young_is_left_out():
    """A cohort of which hardly a label of a class can have come says nothing, and is in no figure."""
    rng = np.random.default_rng(2)
    delays = delays_of(rng, 20_000, scored)
    young, _, _ = cohort(rng, 1_000, scored, 0, 0.2)
    old, _, _ = cohort(rng, 1_000, scored, 20, 21)
    assert weigh([Part(young, 0, 0.2)], delays).figures == {}
    both = weigh([Part(young, 0, 0.2), Part(old, 20, 21)], delays)
    assert both == weigh([Part(old, 20, 21)], delays)
    assert both.predictions == 1_000
    assert weigh([], delays).figures == {}


def test_labels_of_unknown_delay_have_no_weight():
    """No complete cohort had a 1: what early ones stand for is not known, and no figure is made up."""
    rng = np.random.default_rng(3)
    delays = delays_of(rng, 20_000, scored)
    without = Delays(delays.edges, delays.counts * [1, 0])
    cell, _, _ = cohort(rng, 5_000, scored, 20, 21)
    assert weigh([Part(cell, 20, 21)], without).figures == {}


def test_scores_that_are_labelled_less_often_count_in_full():
    """Where only some of the low scores are ever labelled, groups of scores are as many as were predicted."""
    rng = np.random.default_rng(4)
    scores, labels = scored(rng, 100_000)
    came = (scores > 0.5) | (rng.random(len(scores)) < 0.2)
    cell = binary(scores, labels, 0.5, has_label=came)
    delays = delays_of(rng, 20_000, scored)
    truth = ((scores >= 0.5) == labels).mean()
    assert abs(realise(cell).figures["accuracy"].value - truth) > 0.02
    assert weigh([Part(cell, 200, 200)], delays).figures["accuracy"].value == pytest.approx(truth, abs=0.005)


def test_classes_are_weighted_by_their_labels():
    """Macro figures and accuracy of several classes, one of which comes late."""
    rng = np.random.default_rng(5)
    labels = rng.choice(2, 50_000, p=[0.6, 0.4])
    right = np.array([0.9, 0.6])[labels]
    predicted = np.where(rng.random(len(labels)) < right, labels, 1 - labels)
    late = delayed(rng, labels)
    counts = np.stack([np.histogram(late[labels == own], EDGES)[0] for own in (0, 1)], axis=1)
    delays = Delays(EDGES, np.hstack([counts, np.zeros((len(counts), 1), np.int64)]))
    cell = multiclass(predicted, labels, 2, has_label=delayed(rng, labels) <= 5)
    found = weigh([Part(cell, 5, 5)], delays).figures
    truth = realise(multiclass(predicted, labels, 2)).figures
    assert abs(realise(cell).figures["accuracy"].value - truth["accuracy"].value) > 0.05
    for name, figure in truth.items():
        assert found[name].value == pytest.approx(figure.value, abs=0.01), name


@pytest.mark.parametrize("ages", [(0, 96), (3, 3), (2.5, 2.5001), (0.1, 7), (90, 300)])
def test_the_share_of_delays_passed_is_an_average_over_ages(ages):
    """Of predictions that are evenly of the ages of a cohort, and delays that lie evenly in their bins."""
    rng = np.random.default_rng(6)
    counts = rng.integers(0, 50, (len(EDGES) - 1, 2))
    delays = Delays(EDGES, counts)
    late = rng.random(200_000)
    age = rng.uniform(*ages, len(late))
    passed = delays.passed(*ages)
    for row, (low, high) in enumerate(itertools.pairwise(EDGES)):
        assert passed[row] == pytest.approx((low + late * (high - low) <= age).mean(), abs=0.005)
    assert delays.share(passed) == pytest.approx(passed @ counts / counts.sum(axis=0))


@pytest.mark.slow
def test_weighted_bounds_hold_at_all_looks():
    """While a cohort grows older its figures stay within bounds that know how well delays are known."""
    big, labels = scored(np.random.default_rng(8), 2_000_000)
    truth = {name: figure.value for name, figure in realise(binary(big, labels, 0.5)).figures.items()}
    truth["calibration_error"] = 0.0
    runs = 150
    left = dict.fromkeys(truth, 0)
    for run in range(runs):
        rng = np.random.default_rng([9, run])
        delays = delays_of(rng, 3_000, scored)
        scores, labels = scored(rng, 5_000)
        late = delayed(rng, labels)
        looks = [
            weigh([Part(binary(scores, labels, 0.5, has_label=late <= age), age, age)], delays).figures
            for age in np.geomspace(2, 96, 20)
        ]
        for name, value in truth.items():
            left[name] += any(not of[name].low <= value <= of[name].high for of in looks if name in of)
    assert max(left.values()) <= 0.09 * runs, left
