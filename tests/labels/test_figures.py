"""Figures of counts against those of the rows themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from monitor.labels.cells import Regression
from monitor.labels.figures import CATALOGUE, Basis, kurtosis, realise
from monitor.labels.smooth import auc_ties, of_classes, of_scores
from tests.labels.rows import (
    binary,
    multiclass,
    naive_binary,
    naive_calibration,
    naive_multiclass,
    regression,
    scored,
)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6), st.integers(1, 400), st.sampled_from([0.5, 0.07, 0.9]), st.sampled_from([0.0, 3.0])
)
def test_figures_of_scores_are_those_of_the_rows(seed, rows, threshold, slope):
    """All but AUC and calibration error to the last digits; those within what bins hide, as they say."""
    scores, labels = scored(np.random.default_rng(seed), rows, slope=slope)
    cell = binary(scores, labels, threshold)
    found, naive = realise(cell).figures, naive_binary(scores, labels, threshold)
    assert found.keys() == naive.keys() | {"calibration_error"}
    for name, value in naive.items():
        near = 1e-6 if name in {"log_loss", "brier"} else 1e-12
        far = auc_ties(cell.counts.astype(float)) + 1e-12 if name == "auc" else near
        assert found[name].value == pytest.approx(value, abs=far, rel=0), name
    naive_error = naive_calibration(scores, labels, threshold)
    assert found["calibration_error"].value == pytest.approx(naive_error, abs=1 / 128)
    for name, figure in found.items():
        measure = CATALOGUE[name]
        assert measure.low <= figure.low <= figure.value + 1e-12, name
        assert figure.value - 1e-12 <= figure.high <= measure.high, name


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(1, 6))
def test_figures_of_classes_are_those_of_the_rows(seed, rows, classes):
    """Classes that never occur have no figure, and two that are both `other` are not compared."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes + 1, rows)
    predicted = np.where(rng.random(rows) < 0.6, labels, rng.integers(0, classes + 1, rows))
    found = realise(multiclass(predicted, labels, classes)).figures
    naive = naive_multiclass(predicted, labels, classes)
    assert found.keys() == naive.keys()
    for name, value in naive.items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name
        assert found[name].low <= value + 1e-12
        assert value - 1e-12 <= found[name].high


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(20, 400), st.sampled_from([0.01, 1.0, 50.0]))
def test_figures_of_numbers_are_those_of_the_rows(seed, rows, noise):
    """Means to the last digits of their units, squares to what their coarser unit leaves."""
    rng = np.random.default_rng(seed)
    scale = 2.0
    labels = rng.normal(5, 3, rows)
    predictions = labels + 0.3 * noise + noise * rng.laplace(size=rows)
    found, error = realise(regression(predictions, labels, scale)).figures, predictions - labels
    assert found["bias"].value == pytest.approx(error.mean(), abs=scale / 65536)
    assert found["mae"].value == pytest.approx(abs(error).mean(), abs=scale / 65536)
    square, unit = (error**2).mean(), scale / 256
    assert found["rmse"].value ** 2 == pytest.approx(square, rel=0, abs=unit * (abs(error).mean() + unit))
    if noise >= 1:
        assert found["r2"].value == pytest.approx(1 - square / labels.var(), rel=0.01, abs=0.01)
    assert all(figure.low <= figure.value <= figure.high for figure in found.values())


def test_counts_add_up():
    """The figures of two cohorts are those of their rows together, and unlike bins do not add up."""
    rng = np.random.default_rng(1)
    scores, labels = scored(rng, 500)
    first, second = binary(scores[:200], labels[:200], 0.4), binary(scores[200:], labels[200:], 0.4)
    assert realise(first.merged(second)) == realise(binary(scores, labels, 0.4))
    with pytest.raises(ValueError, match=r"thresholds 0\.4 and 0\.5"):
        first.merged(binary(scores, labels, 0.5))
    errors = regression(scores, labels, 1.0).merged(regression(labels, scores, 1.0))
    assert realise(errors).figures["bias"].value == pytest.approx(0.0, abs=1e-5)
    with pytest.raises(ValueError, match="scales"):
        errors.merged(regression(scores, labels, 2.0))
    classes = multiclass(labels, labels, 2)
    assert realise(classes.merged(classes)).figures["accuracy"].value == 1.0


def test_a_cohort_without_labels_has_no_figures():
    """Nothing is made up: no labels, no figures, and a coverage of 0; none of no predictions."""
    scores, labels = scored(np.random.default_rng(1), 50)
    nobody = np.zeros(50, bool)
    for cell in (
        binary(scores, labels, 0.5, has_label=nobody),
        multiclass(labels, labels, 2, has_label=nobody),
    ):
        found = realise(cell, basis=Basis.EARLY)
        assert (found.figures, found.labelled, found.coverage, found.basis) == ({}, 0, 0.0, "early")
    nothing = realise(Regression(1.0, np.zeros(6, np.int64), 0))
    assert nothing.figures == {}
    assert math.isnan(nothing.coverage)


@pytest.mark.parametrize("kind", ["scores", "classes"])
def test_gradients_are_derivatives(kind):
    """One row more in a cell moves a figure by its gradient there, to first order."""
    rng = np.random.default_rng(2)
    table = rng.integers(1, 50, (256, 2) if kind == "scores" else (5, 5)).astype(float)

    def figures(table):
        return of_scores(table, 0.3) if kind == "scores" else of_classes(table, 4)

    found = figures(table)
    for cell in [(0, 1), (3, 0), (4, 1), (len(table) - 1, 1)]:
        more, less = table.copy(), table.copy()
        more[cell] += 1e-3
        less[cell] -= 1e-3
        for name, smooth in found.items():
            moved = (figures(more)[name].value - figures(less)[name].value) / 2e-3
            assert smooth.gradient[cell] == pytest.approx(moved, rel=1e-5, abs=1e-10), name
        assert all((table * smooth.gradient).sum() == pytest.approx(0, abs=1e-9) for smooth in found.values())


def test_losses_say_which_way_is_better():
    """Every figure has a direction and a range, and only losses are better when lower."""
    lower = {name for name, measure in CATALOGUE.items() if measure.better == "lower"}
    assert lower == {"log_loss", "brier", "calibration_error", "mae", "rmse"}
    assert CATALOGUE["bias"].better == "near_zero"


def test_kurtosis_is_that_of_known_shapes():
    """3 of normal and even errors, 6 and 9 of Student's; more than its own of Laplace's, of which 6 is."""
    assert kurtosis(math.sqrt(2 / math.pi), 1.0) == 3.0
    assert kurtosis(0.5, 1 / 3) == 3.0
    assert kurtosis(1.0, 2.0) == pytest.approx(9.0)
    for freedom, own in ((6, 6.0), (10, 4.0)):
        student = t(freedom)
        mae = 2 * student.expect(lambda x: x, lb=0)
        assert kurtosis(mae, student.var()) == pytest.approx(own, rel=1e-4)
    assert kurtosis(1.0, 6.0) > 25
