"""Design effects."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.reference.build import BuildSettings, build
from monitor.reference.design import between_blocks, between_clusters
from monitor.reference.table import Table
from tests.reference.tables import DAY, START

SEED = 20260101


def effects(table, **settings):
    reference = build(table, model="m", name="r", pane=300_000, settings=BuildSettings(**settings))
    return {profile.name: (profile.design, profile.design_measured) for profile in reference.features}


def stream(columns, *, rows, days=10, cluster=None):
    random = np.random.default_rng(SEED)
    return Table(columns, events=START + np.sort(random.integers(0, days * DAY, rows)), cluster=cluster)


def test_independent_rows_have_an_effect_of_one():
    """Without dependence the effect is 1, a few per cent of noise aside."""
    random = np.random.default_rng(SEED)
    rows = 100_000
    found = effects(stream({"x": random.normal(size=rows), "c": random.integers(0, 5, rows)}, rows=rows))
    for design, measured in found.values():
        assert measured
        assert 1.0 <= design < 1.06


def test_runs_of_equal_rows_have_the_effect_of_their_length():
    """Rows that come in runs of 5 equal ones are worth a fifth of their number."""
    random = np.random.default_rng(SEED)
    values = np.repeat(random.normal(size=20_000), 5)
    design, _ = effects(stream({"x": values}, rows=100_000))["x"]
    assert design == pytest.approx(5.0, rel=0.1)


def test_clusters_have_the_effect_of_their_size():
    """Ten equal rows of each user, anywhere in time, are worth one."""
    random = np.random.default_rng(SEED)
    users = random.permutation(np.repeat(np.arange(3_000), 10))
    taste = random.normal(size=3_000)
    table = Table({"x": taste[users]}, cluster=users)
    design, measured = effects(table)["x"]
    assert measured
    assert design == pytest.approx(10.0, rel=0.1)
    independent = Table({"x": random.normal(size=30_000)}, cluster=users)
    assert effects(independent)["x"][0] < 1.1


def test_clusters_count_inside_the_windows_they_are_judged_in():
    """A user who comes once an hour makes hourly windows no less informative."""
    random = np.random.default_rng(SEED)
    rows = 24_000
    users = np.tile(np.arange(100), rows // 100)
    table = Table(
        {"x": random.normal(size=100)[users]},
        events=START + np.repeat(np.arange(rows // 100), 100) * 3_600_000,
        cluster=users,
    )
    assert effects(table, window=3_600_000)["x"][0] < 1.1
    assert effects(table, window=10 * DAY)["x"][0] > 50


def test_sparse_data_is_not_measured():
    """Too few rows for blocks leave the effect at 1, assumed."""
    random = np.random.default_rng(SEED)
    assert effects(stream({"x": random.normal(size=50)}, rows=50))["x"] == (1.0, False)


def test_sparse_hours_are_measured_by_the_day():
    """Where hours hold too few rows for 20 blocks, days are used."""
    random = np.random.default_rng(SEED)
    assert effects(stream({"x": random.normal(size=5_000)}, rows=5_000))["x"][1]


def test_text_and_missing_clusters_are_taken():
    """Clusters may be text; rows without one are left out of the estimate."""
    random = np.random.default_rng(SEED)
    users = np.array([None if i % 7 == 0 else f"u{i % 500}" for i in range(10_000)], object)
    assert effects(Table({"x": random.normal(size=10_000)}, cluster=users))["x"][1]


def test_block_variance_is_one_on_average():
    """Over many simulated windows the ratio of variances averages to 1, also for rare shares."""
    random = np.random.default_rng(SEED)
    shares = np.array([0.5, 0.3, 0.15, 0.04, 0.01])
    ratios = [between_blocks(random.multinomial(25, shares, size=20)) for _ in range(400)]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.03)


def test_a_share_that_never_varies_has_no_effect():
    """A constant column gives 1 by blocks and by clusters."""
    counts = np.array([[50, 0]] * 20)
    assert between_blocks(counts) == 1.0
    assert between_clusters(counts) == 1.0
