"""Bins of numeric features and their coarse view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.reference.bins import LARGEST, coarse_groups, nested, numeric_edges

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def edges_of(values, **settings):
    values = np.sort(np.asarray(values, np.float64))
    return numeric_edges(values, minimum=float(values.min()), maximum=float(values.max()), **settings)


@given(st.lists(FINITE, min_size=1, max_size=300))
def test_every_value_of_the_reference_lies_in_a_bin(values):
    """Edges ascend, are finite, and hold minimum and maximum; only the largest double has no room."""
    edges = edges_of(values)
    assert (np.diff(edges) > 0).all()
    assert np.isfinite(edges).all()
    assert edges[0] <= min(values)
    assert max(values) < edges[-1] or max(values) == LARGEST


def test_no_values_give_one_bin():
    """An empty column has the bin from 0 to 1, so that its layout exists."""
    assert numeric_edges(np.empty(0), minimum=np.inf, maximum=-np.inf).tolist() == [0.0, 1.0]


def test_a_constant_has_one_bin_of_its_own():
    """A constant column has exactly one bin, which holds the constant alone."""
    assert edges_of([3.5] * 100).tolist() == [3.5, np.nextafter(3.5, np.inf)]


def test_there_are_as_many_quantiles_as_asked_for():
    """A smooth column has 256 edges: 255 quantiles of the data, and the one above the maximum."""
    values = np.random.default_rng(1).normal(size=100_000)
    edges = edges_of(values)
    assert len(edges) == 256
    assert np.isin(edges[:-1], values).all()


@pytest.mark.parametrize("level", [0.001, 0.999])
def test_the_tails_are_edges(level):
    """The 0.001 and 0.999 quantiles are edges, however few quantiles are kept."""
    values = np.random.default_rng(2).normal(size=50_000)
    expected = np.quantile(values, level, method="inverted_cdf")
    assert expected in edges_of(values, quantiles=16)


def test_an_atom_has_a_bin_of_its_own():
    """A value with more than 1/256 of the rows shares its bin with nothing, not even its neighbours."""
    random = np.random.default_rng(3)
    values = np.concatenate([random.exponential(1.0, 9_900), np.full(100, 2.0)])
    edges = edges_of(values)
    place = int(np.searchsorted(edges, 2.0))
    assert edges[place] == 2.0
    assert edges[place + 1] == np.nextafter(2.0, np.inf)


def test_few_rows_make_no_atoms():
    """In 100 distinct rows every row has 1 % of the mass, and none is an atom."""
    edges = edges_of(np.random.default_rng(4).normal(size=100))
    assert len(edges) <= 101


def test_coarse_groups_are_balanced():
    """The 20 groups of a smooth column have 5 % each, to half a fine bin."""
    mass = np.full(255, 40)
    shares = np.bincount(coarse_groups(mass), weights=mass) / mass.sum()
    assert len(shares) == 20
    assert np.abs(shares - 0.05).max() <= 0.5 / 255 + 1 / 255


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300))
def test_coarse_groups_ascend_and_none_is_empty(mass):
    """Groups are numbered upwards along the bins, and every one that is used has rows, if there are any."""
    mass = np.array(mass)
    groups = coarse_groups(mass)
    assert (np.diff(groups) >= 0).all()
    assert groups[0] >= 0
    assert groups[-1] < 20
    if mass.sum():
        assert all(mass[groups == group].sum() > 0 for group in np.unique(groups))


def test_coarse_levels_are_nested():
    """Bins that share a group share it at every coarser level."""
    groups = np.arange(20, dtype=np.int16)
    for finer, coarser in ((20, 10), (10, 5), (20, 2)):
        pairs = set(
            zip(nested(groups, level=finer).tolist(), nested(groups, level=coarser).tolist(), strict=True)
        )
        assert len(pairs) == finer
        assert len({pair[1] for pair in pairs}) == coarser
