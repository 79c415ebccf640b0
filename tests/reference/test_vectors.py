"""References of vector features: centres, scales, frequencies, sums, and the file."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.layout import FREQUENCIES, PRESENT, SUM_SCALE
from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference import file as reference_file
from monitor.reference.build import BuildSettings, build
from monitor.reference.difference import compare
from monitor.reference.file import pack, unpack
from monitor.reference.summary import describe, summary
from monitor.reference.svg import svg
from monitor.reference.table import FeatureDeclaration, Table
from monitor.reference.vector import mean_words, profile_vectors, stacked

HOUR = 3_600_000


def table(rows=600, *, length=5, seed=1, **more):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(3.0, 2.0, (rows, length)) * 10.0 ** np.arange(length)
    vectors[rng.random(rows) < 0.1] = np.nan
    columns = {"e": vectors, "x": rng.normal(size=rows), **more}
    return Table(columns, events=np.sort(rng.integers(0, 48 * HOUR, rows)))


def made(of=None, **changes):
    return build(table() if of is None else of, **{"model": "m", "name": "r", "pane": HOUR, **changes})


REFERENCE = made()
CONTENT = pack(REFERENCE)


def vector_of(reference, name="e"):
    return next(profile.vector for profile in reference.features if profile.name == name)


def test_centres_and_scales_are_medians_and_quartiles():
    """Per dimension, whatever its unit, of the vectors that are there."""
    vectors = table().columns["e"]
    present = vectors[~np.isnan(vectors[:, 0])]
    own = vector_of(REFERENCE)
    low, high = np.quantile(present, [0.25, 0.75], axis=0)
    np.testing.assert_allclose(own.center, np.median(present, axis=0), rtol=0.05)
    np.testing.assert_allclose(own.scale, high - low, rtol=0.05)


def test_the_bandwidth_is_the_median_distance_of_standardised_vectors():
    """So that the kernel sees neither everything nor nothing as alike."""
    vectors = table().columns["e"]
    own = vector_of(REFERENCE)
    rows = ((vectors[~np.isnan(vectors[:, 0])] - own.center) / own.scale)[:300]
    pairs = np.linalg.norm(rows[:, None] - rows[None], axis=2)[np.triu_indices(len(rows), 1)]
    assert own.bandwidth == pytest.approx(np.median(pairs), rel=0.05)


def test_frequencies_come_from_the_names_alone():
    """Another model or feature has others; they are normal with the kernel's own spread."""
    sample = np.random.default_rng(1).normal(size=(400, 64))
    one, same, other = (profile_vectors(sample, model=m, feature="e") for m in ("m", "m", "n"))
    np.testing.assert_array_equal(one.waves, same.waves)
    np.testing.assert_array_equal(one.phases, same.phases)
    assert (one.waves != other.waves).mean() > 0.99
    turns = one.waves * 2.0 ** (one.shift - 21) * 2 * math.pi * one.bandwidth
    assert turns.mean() == pytest.approx(0.0, abs=0.05)
    assert turns.std() == pytest.approx(1.0, abs=0.02)


def test_sums_are_those_of_the_rows():
    """Moments and counts of the whole reference, and of each pane, are of the vectors that are there."""
    vectors = table().columns["e"]
    present = vectors[~np.isnan(vectors[:, 0])]
    own = vector_of(REFERENCE)
    of = REFERENCE.layout().vectors
    want = np.rint((present - own.center) * (1 / own.scale) * SUM_SCALE).sum(axis=0)
    np.testing.assert_array_equal(REFERENCE.vectors[:5], want)
    assert REFERENCE.counts[PRESENT] == len(present)
    np.testing.assert_array_equal(REFERENCE.panes.vectors.sum(axis=0), REFERENCE.vectors[mean_words(of)])
    assert REFERENCE.panes.vectors.shape == (len(REFERENCE.panes), 5 + FREQUENCIES)


def test_chunks_do_not_matter():
    """Rows cut anywhere give the same profile and the same sums."""
    whole = table()
    parts = [
        Table({name: column[at] for name, column in whole.columns.items()}, events=whole.events[at])
        for at in np.array_split(np.arange(600), 7)
    ]
    assert pack(made(parts)) == pack(REFERENCE)


def test_lists_are_vectors_when_they_are_declared_so():
    """A column of lists and None is what the same numbers in an array are."""
    vectors = table().columns["e"]
    lists = np.array([None if math.isnan(row[0]) else row.tolist() for row in vectors] + [0], object)[:-1]
    of = replace(table(), columns={**table().columns, "e": lists})
    declared = (FeatureDeclaration("e", kind=Kind.VECTOR), FeatureDeclaration("x"))
    assert pack(made(of, features=declared)) == pack(REFERENCE)


@pytest.mark.parametrize(
    ("rows", "declaration", "text"),
    [
        ([[1.0, 2.0], [1.0]], FeatureDeclaration("e", kind=Kind.VECTOR), "one length"),
        ([[1.0, 2.0], None], FeatureDeclaration("e", kind=Kind.VECTOR, length=3), "3 numbers"),
        ([[1.0, "x"], None], FeatureDeclaration("e", kind=Kind.VECTOR), "other than numbers"),
        ([1.0, None], FeatureDeclaration("e", kind=Kind.VECTOR), "no list"),
        ([None, None], FeatureDeclaration("e", kind=Kind.VECTOR), "vectors of 0"),
    ],
)
def test_what_is_no_vector_is_refused(rows, declaration, text):
    """With the feature and what would be right."""
    column = np.empty(len(rows), object)
    column[:] = rows
    with pytest.raises(ReferenceInvalid, match=text):
        build(Table({"e": column}), model="m", name="r", features=(declaration,))


def test_a_declared_length_stands_without_vectors():
    """A column that was always null so far is a vector feature that nothing is known of."""
    column = np.array([None, None], object)
    declared = (FeatureDeclaration("e", kind=Kind.VECTOR, length=3),)
    found = build(Table({"e": column}), model="m", name="r", features=declared)
    assert vector_of(found).length == 3
    assert unpack(pack(found), where="x").vectors.sum() == 0


def test_the_file_keeps_everything():
    """Every array survives; a file with vectors but without sampled rows is of format 2."""
    content = pack(replace(REFERENCE, sample=np.zeros((0, 0), np.uint16)))
    found = unpack(content, where="x")
    assert content.startswith(b"driftline-reference 2\n")
    for name in ("center", "scale", "waves", "phases", "shift", "bandwidth"):
        np.testing.assert_array_equal(getattr(vector_of(found), name), getattr(vector_of(REFERENCE), name))
    for mine, theirs in zip(found.layout().vectors, REFERENCE.layout().vectors, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(found.vectors, REFERENCE.vectors)
    np.testing.assert_array_equal(found.panes.vectors, REFERENCE.panes.vectors)
    assert pack(found) == content
    plain = build(Table({"x": np.arange(9.0)}), model="m", name="r", settings=BuildSettings(sample=0))
    assert pack(plain).startswith(b"driftline-reference 1\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"center": np.array([0, 0, 0, 0, np.nan])},
        {"scale": np.zeros(5)},
        {"scale": np.full(5, np.inf)},
        {"scale": np.full(5, 5e-324)},
        {"scale": np.ones(4)},
        {"waves": np.zeros((FREQUENCIES, 4), np.int16)},
        {"waves": np.zeros((FREQUENCIES - 1, 5), np.int16)},
        {"phases": np.zeros(3, np.int32)},
        {"shift": 22},
        {"shift": -1},
        {"bandwidth": 0.0},
    ],
)
def test_arrays_that_would_mislead_the_kernels_are_refused(changes):
    """What is read from a file is checked before anything indexes with it."""
    from monitor.reference.check import check

    profile = next(one for one in REFERENCE.features if one.name == "e")
    broken = replace(profile, vector=replace(profile.vector, **changes))
    features = tuple(broken if one is profile else one for one in REFERENCE.features)
    with pytest.raises(ReferenceInvalid):
        check(replace(REFERENCE, features=features), where="x")


@settings(max_examples=60, deadline=None)
@given(st.integers(22, len(CONTENT) - reference_file.TRAILER - 1), st.integers(0, 255))
def test_damage_under_a_right_checksum_is_refused_or_harmless(at, byte):
    """Nothing that somebody changed and sealed again reaches the kernels inconsistent."""
    body = bytearray(CONTENT[: -reference_file.TRAILER])
    body[at] = byte
    sealed = bytes(body) + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"
    try:
        found = unpack(sealed, where="x")
    except ReferenceInvalid:
        return
    of = found.layout().vectors
    assert of.waves.shape == (FREQUENCIES, of.wave_start[-1])
    assert found.vectors.shape == (of.words,)


def test_sums_that_do_not_add_up_are_refused():
    """The panes' sums are the whole's."""
    panes = replace(REFERENCE.panes, vectors=REFERENCE.panes.vectors + 1)
    with pytest.raises(ReferenceInvalid, match="sums of vectors"):
        unpack(pack(replace(REFERENCE, panes=panes)), where="x")


def test_features_are_stacked_side_by_side():
    """Each keeps its own dimensions, words and padded columns of waves."""
    rng = np.random.default_rng(2)
    parts = [profile_vectors(rng.normal(size=(50, n)), model="m", feature=str(n)) for n in (3, 40, 32)]
    of = stacked(parts)
    assert of.dim_start.tolist() == [0, 3, 43, 75]
    assert of.wave_start.tolist() == [0, 32, 96, 128]
    assert of.word_start.tolist() == [0, 9 + FREQUENCIES, 129 + 2 * FREQUENCIES, 225 + 3 * FREQUENCIES]
    np.testing.assert_array_equal(of.waves[:, 32:72], parts[1].waves)
    assert not of.waves[:, 3:32].any()
    kept = mean_words(of)
    assert len(kept) == 75 + 3 * FREQUENCIES
    assert len(set(kept.tolist())) == len(kept)


def test_people_see_vectors_as_vectors():
    """Summary, text and picture name length and bandwidth; two references differ by their length."""
    data = summary(REFERENCE)["features"][0]
    assert (data["kind"], data["length"]) == ("vector", 5)
    assert "vectors of 5, bandwidth" in describe(REFERENCE)
    assert "present" in svg(REFERENCE)
    other = made(table(length=6))
    found = {one.name: one for one in compare(REFERENCE, other).features}
    assert found["e"].changes == ("length 5 -> 6",)
    assert math.isnan(found["e"].psi)
