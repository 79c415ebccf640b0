"""Pictures, summaries and differences of references."""

from __future__ import annotations

import json
import math
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from monitor.reference.build import build
from monitor.reference.difference import compare
from monitor.reference.picture import bars, latency_quantile, quantile, share_by_interval
from monitor.reference.summary import describe, feature_counts, summary
from monitor.reference.svg import svg
from monitor.reference.table import Table
from tests.reference.tables import mixed, small


def one(values, **columns):
    reference = build(Table({"x": values, **columns}), model="m", name="r")
    return next(iter(feature_counts(reference)))


def test_bars_show_shares_against_the_largest():
    """The largest share is a full block, none a blank, and a tiny one is still seen."""
    assert bars([0.0, 1.0, 0.5, 1e-6]) == " █▄▁"
    assert bars([0.0, 0.0]) == "  "


def test_a_flat_distribution_looks_flat():
    """Uniform values have equal shares in equal intervals."""
    profile, counts = one(np.random.default_rng(1).random(100_000))
    (low, high), shares = share_by_interval(profile, counts, columns=20)
    assert 0 <= low < 0.02
    assert 0.98 < high <= 1
    assert np.ptp(shares) < 0.01


def test_an_outlier_does_not_flatten_the_picture():
    """The axis ends where 99.5 % of the rows lie."""
    values = np.concatenate([np.random.default_rng(2).normal(size=10_000), [1e9]])
    (low, high), _ = share_by_interval(*one(values), columns=20)
    assert -6 < low < high < 6


def test_integers_are_not_drawn_as_a_comb():
    """Each interval holds equally many integers."""
    profile, counts = one(np.random.default_rng(3).integers(0, 72, 100_000))
    _, shares = share_by_interval(profile, counts, columns=32)
    filled = shares[shares > 0]
    assert filled.max() / filled.min() < 1.2


def test_quantiles_are_those_of_the_values():
    """Quantiles read off the bins are within a bin of the plain ones."""
    values = np.random.default_rng(4).normal(size=50_000)
    profile, counts = one(values)
    for level in (0.01, 0.5, 0.99):
        assert quantile(profile, counts, level) == pytest.approx(np.quantile(values, level), abs=0.05)


def test_latency_quantiles_are_within_one_per_cent():
    """The latency histogram answers quantiles with its relative error, and rows without latency do not count."""
    table = mixed(20_000)
    latency = table.latency.copy()
    latency[::2] = np.nan
    reference = build(Table({"x": table.columns["score"]}, latency=latency), model="m", name="r")
    for level in (0.5, 0.9, 0.99):
        expected = np.nanquantile(latency, level, method="inverted_cdf")
        assert latency_quantile(reference.latency, level) == pytest.approx(expected, rel=0.0101)
    assert latency_quantile(np.zeros(1152, np.int64), 0.5) is None


def test_a_reference_describes_itself():
    """The text names every feature, the span of time and the notes; the JSON form is plain JSON."""
    reference = small()
    text = describe(reference)
    for profile in reference.features:
        assert profile.name in text
    assert "2026-01-01" in text
    data = json.loads(json.dumps(summary(reference), allow_nan=False))
    assert [feature["name"] for feature in data["features"]] == [
        profile.name for profile in reference.features
    ]


def test_the_svg_is_self_contained_xml():
    """It parses, shows every feature, escapes names, and refers to nothing outside."""
    table = Table(
        {"<b>&\x01": np.arange(100.0), "c": np.array(["<x>", "y"] * 50, object), "e": np.full(100, np.nan)}
    )
    text = svg(build(table, model="m<", name="r"))
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "<b>" in "".join(root.itertext())
    assert "href" not in text
    assert "url(" not in text


def test_equal_references_do_not_differ():
    """A reference compared with itself has PSI 0 and no changes."""
    difference = compare(small(), small())
    assert difference.added == difference.removed == difference.drifted(0.001) == ()
    assert all(one.psi == 0 and one.changes == () for one in difference.features if not math.isnan(one.psi))


def test_moved_features_come_first():
    """A shift and missing values are found, though edges differ; added and removed features are named."""
    random = np.random.default_rng(5)
    base = {"x": random.normal(size=5_000), "y": random.normal(size=5_000), "gone": np.arange(5_000.0)}
    moved = {"x": random.normal(1.0, size=5_000), "y": random.normal(size=5_000), "new": np.arange(5_000.0)}
    moved["y"][:1_000] = np.nan
    difference = compare(*(build(Table(columns), model="m", name="r") for columns in (base, moved)))
    x, y = difference.features
    assert (x.name, y.name) == ("x", "y")
    assert x.psi == pytest.approx(1.0, abs=0.15)  # of two normals one deviation apart
    assert y.psi < 0.02
    assert y.missing == pytest.approx(0.2)
    assert difference.drifted(0.1) == ("x", "y")
    assert (difference.added, difference.removed) == (("new",), ("gone",))


def test_categories_are_compared_by_name():
    """The order of slots does not matter; a renamed category does."""
    first = build(Table({"c": np.array(["a"] * 60 + ["b"] * 40, object)}), model="m", name="r")
    swapped = build(Table({"c": np.array(["b"] * 40 + ["a"] * 60, object)}), model="m", name="r")
    renamed = build(Table({"c": np.array(["a"] * 60 + ["B"] * 40, object)}), model="m", name="r")
    assert compare(first, swapped).features[0].psi == 0
    found = compare(first, renamed).features[0]
    assert found.psi > 1
    assert found.changes == ("categories +1 -1",)


def test_a_changed_kind_has_no_psi():
    """Numbers against categories cannot be compared, and that is said."""
    number = build(Table({"c": np.arange(100.0)}), model="m", name="r")
    text = build(Table({"c": np.array(["a"] * 100, object)}), model="m", name="r")
    found = compare(number, text).features[0]
    assert math.isnan(found.psi)
    assert "kind numeric -> categorical" in found.changes
