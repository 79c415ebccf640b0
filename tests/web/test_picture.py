from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import FIRST_BIN
from monitor.plan import Kind
from monitor.web.picture import CATEGORIES_SHOWN, Counts, counts_of
from tests.web.view import categorical, drifting, numeric


def test_bars_are_shares_of_all_rows():
    """Whatever is drawn or grouped, both distributions sum to one."""
    model = drifting()
    for profile in model.reference.features:
        bars = counts_of(model, profile.name, "1h").bars()
        assert sum(bar.reference for bar in bars) == pytest.approx(1)
        assert sum(bar.window for bar in bars) == pytest.approx(1)


def test_numbers_are_drawn_in_coarse_groups():
    """256 bins become 20 groups whose names are their limits, and empty specials are left out."""
    bars = counts_of(drifting(), "tenure_months", "1h").bars()
    values = [bar for bar in bars if not bar.special]
    assert len(values) == 20
    assert [bar.label for bar in bars if bar.special] == ["missing"]
    for left, right in itertools.pairwise(values):
        assert left.label.split(" to ")[1] == right.label.split(" to ")[0]


def test_groups_add_up_naively():
    """Each group is the sum of its bins, computed the slow way."""
    counts = counts_of(drifting(), "tenure_months", "1h")
    values = [bar.window for bar in counts.bars() if not bar.special]
    slow = [0.0] * 20
    for index, group in enumerate(counts.profile.coarse):
        slow[group] += counts.window[FIRST_BIN + index] / counts.window.sum()
    assert values == pytest.approx(slow)


def test_rare_categories_join_other():
    """At most a dozen categories are drawn; the others are summed, in reference and window alike."""
    profile = categorical("city", tuple(f"c{index}" for index in range(100)))
    rng = np.random.default_rng(3)
    counts = Counts(profile, rng.integers(0, 50, profile.slots), rng.integers(0, 50, profile.slots))
    bars = counts.bars()
    assert sum(not bar.special for bar in bars) == CATEGORIES_SHOWN
    assert bars[-1].label == "other"
    assert sum(bar.window for bar in bars) == pytest.approx(1)


def test_a_feature_that_the_reference_does_not_know_has_no_picture():
    """Latency has tests but no slots; without a reference nothing has."""
    assert counts_of(drifting(), "latency", "1h") is None
    assert counts_of(replace(drifting(), reference=None), "age", "1h") is None


def test_labels_fit_slots():
    """One label per slot, for numbers and categories, also when the window has no counts."""
    vector = replace(categorical("z", ()), kind=Kind.VECTOR)
    for profile in (numeric("x", np.random.default_rng(1)), categorical("y", ("a", "b")), vector):
        counts = Counts(profile, np.zeros(profile.slots, np.int64), np.empty(0, np.int64))
        assert len(counts.labels()) == profile.slots
        assert counts.bars() is not None


def test_of_vectors_it_is_drawn_whether_they_are_there():
    """Present, missing and non-finite; what they hold has no bars."""
    profile = replace(categorical("e", ()), kind=Kind.VECTOR)
    counts = Counts(profile, np.array([1, 0, 0, 9]), np.array([4, 1, 0, 5]))
    found = [(bar.label, bar.reference, bar.window) for bar in counts.bars()]
    assert found == [("missing", 0.1, 0.4), ("non-finite", 0.0, 0.1), ("present", 0.9, 0.5)]
