"""Rows of the reference by score and label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference.build import build
from monitor.reference.calibrated import LABEL
from monitor.reference.file import pack, unpack
from monitor.reference.segment_tally import SegmentDeclaration
from monitor.reference.table import FeatureDeclaration, Table
from tests.reference.tables import cut

ROWS = 4_000


def table(seed=0, **columns):
    rng = np.random.default_rng(seed)
    score = np.round(rng.random(ROWS), 2)
    score[rng.random(ROWS) < 0.02] = np.nan
    label = (rng.random(ROWS) < np.nan_to_num(score, nan=0.5)).astype(float)
    label[rng.random(ROWS) < 0.1] = np.nan
    country = rng.choice(np.array(["DE", "FR", None], object), ROWS)
    return Table({"prediction": score, "label": label, "country": country, **columns})


def built(rows, **changes):
    return build(rows, model="m", name="r", **changes)


def test_rows_are_counted_by_score_and_label():
    """Of rows that have both, whatever chunks they come in."""
    rows = table()
    reference = built(cut(rows, [1_000, 700]))
    score, label = rows.columns["prediction"], rows.columns["label"]
    both = ~np.isnan(score) & ~np.isnan(label)
    assert reference.calibration.sum() == both.sum()
    edges = reference.features[0].edges
    for own in (0, 1):
        expected = np.histogram(score[both & (label == own)], edges)[0]
        np.testing.assert_array_equal(reference.calibration[0, :, own], expected)


def test_segments_have_counts_of_their_own():
    """One part for each value, one for others and one for missing ones; together they are the whole."""
    rows = table()
    segments = (SegmentDeclaration("country", "country", values=("DE",)),)
    reference = built(rows, segments=segments)
    assert len(reference.calibration) == 4
    np.testing.assert_array_equal(reference.calibration[1:].sum(axis=0), reference.calibration[0])
    own = rows.columns["country"] == "DE"
    both = ~np.isnan(rows.columns["prediction"]) & ~np.isnan(rows.columns["label"])
    assert reference.calibration[1].sum() == (own & both).sum()


@pytest.mark.parametrize("spelt", [["no", "yes"], [1.0, 2.0]])
def test_other_labels_are_not_taken_for_0_and_1(spelt):
    """What does not say 0 or 1 gives no map, and the reference says so."""
    label = np.array(spelt, object if isinstance(spelt[0], str) else float)[np.arange(ROWS) % 2]
    reference = built(table(label=label))
    assert len(reference.calibration) == 0
    assert any("other values than 0 and 1" in note for note in reference.notes)


def test_booleans_and_words_are_labels():
    """true and false, as values or as text, are as good as 1 and 0."""
    flags = np.arange(ROWS) % 2 == 1
    words = np.array(["false", "true"], object)[flags.astype(int)]
    first, second = built(table(label=flags)), built(table(label=words))
    np.testing.assert_array_equal(first.calibration, second.calibration)
    assert first.calibration[0, :, 1].sum() > 0


def test_a_label_can_be_no_feature():
    """Read for the map alone it is not watched, so that live records need none."""
    rows = table()
    features = (
        FeatureDeclaration("prediction", kind=Kind.NUMERIC),
        FeatureDeclaration(LABEL, kind=Kind.CATEGORICAL, column="label"),
    )
    reference = built(rows, features=features)
    assert [one.name for one in reference.features] == ["prediction"]
    np.testing.assert_array_equal(reference.calibration, built(rows).calibration)


def test_without_labels_the_format_is_the_old_one():
    """Older versions read what has nothing new in it."""
    rows = table()
    plain = built(Table({"prediction": rows.columns["prediction"]}))
    assert pack(plain).startswith(b"driftline-reference 1\n")
    content = pack(built(rows))
    assert content.startswith(b"driftline-reference 6\n")


def test_what_is_written_is_read_back():
    """With the parts of segments, too."""
    segments = (SegmentDeclaration("country", "country", values=("DE",)),)
    reference = built(table(), segments=segments)
    found = unpack(pack(reference), where="x")
    np.testing.assert_array_equal(found.calibration, reference.calibration)


@pytest.mark.parametrize("change", ["negative", "too many", "parts", "bins"])
def test_counts_that_do_not_fit_are_refused(change):
    """More labels than rows of a score, segments that are not the whole, another number of bins."""
    segments = (SegmentDeclaration("country", "country", values=("DE",)),)
    reference = built(table(), segments=segments)
    counts = reference.calibration.copy()
    if change == "negative":
        counts[0, 3, 0] -= 10_000
    elif change == "too many":
        counts[:2, 5, 1] += 10_000
    elif change == "parts":
        counts[2, 5, 1] += 1
    else:
        counts = counts[:, 1:]
    with pytest.raises(ReferenceInvalid, match="labelled rows"):
        unpack(pack(replace(reference, calibration=counts)), where="x")
