"""Estimates are held against what labels said, and their error is known."""

from __future__ import annotations

import pytest

from monitor.labels.reconcile import OVER, worth
from monitor.verdict import State, Unknown, Verdict

DAY = 86_400_000


def measured(end, accuracy, estimate, *, reason=None):
    state = State.UNKNOWN if reason else State.OK
    return Verdict(
        model="m", window="1d", start=end - DAY, end=end, revision=0, state=state, reason=reason, detail="", rows=100,
        coverage=1.0, p=1.0, statistic=0.0, alpha=0.0, proven=False, reference="", reference_windows=0, windows_needed=0,
        scores={"": {"accuracy": accuracy, "accuracy_low": 0.0, "accuracy_high": 1.0}}, estimate=estimate,
    )  # fmt: skip


def estimate(value, half=0.02, **segments):
    figures = {"accuracy": [value, value - half, value + half], "auc": [0.9, 0.8, 1.0]}
    return {
        "assumes": "P(y | x) stable",
        "figures": figures,
        "segments": {name: {"accuracy": [own, own - half, own + half]} for name, own in segments.items()},
    }


def test_the_error_is_a_mean_over_a_week():
    """By how each was made; windows before, without an estimate or too small to be measured count for nothing."""
    history = [
        measured(10 * DAY - OVER, 0.5, estimate(0.9)),
        measured(7 * DAY, 0.90, estimate(0.93, city=0.91)),
        measured(8 * DAY, 0.90, estimate(0.89, city=0.90)),
        measured(9 * DAY, 0.10, estimate(0.9), reason=Unknown.NOT_ENOUGH_DATA),
        measured(10 * DAY, 0.90, {}),
    ]
    found = worth(history)
    assert found.keys() == {"", "city"}
    assert found[""].keys() == {"accuracy"}  # no AUC was measured
    plain = found[""]["accuracy"]
    assert (plain.windows, plain.inside) == (2, 0.5)
    assert (plain.error, plain.bias) == (pytest.approx(0.02), pytest.approx(0.01))
    assert found["city"]["accuracy"].error == pytest.approx(0.005)
    assert worth([]) == {}
