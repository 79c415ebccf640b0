"""The part of a reference that is counted by segment."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference import file as reference_file
from monitor.reference.build import build
from monitor.reference.check import check
from monitor.reference.file import pack, unpack
from monitor.reference.segment_tally import SegmentDeclaration
from monitor.reference.segments import arrays, names_of, of_segment
from monitor.reference.table import FeatureDeclaration, Table
from tests.reference.test_file import sealed

HOUR = 3_600_000
START = 1_767_225_600_000
ROWS = 4_000
REGION = SegmentDeclaration("region", path=("ctx", "region"), values=("eu",))
DECLARED = (
    FeatureDeclaration("x"),
    FeatureDeclaration("c"),
    FeatureDeclaration("flag"),
    FeatureDeclaration("e", kind=Kind.VECTOR, length=3),
    replace(REGION.hidden, column="region"),
)
SEGMENTS = (SegmentDeclaration("c", "c", top=2), SegmentDeclaration("flag", "flag"), REGION)


def table(start: int = 0, stop: int = ROWS) -> Table:
    """Rows [start, stop) of one data set; every tenth of the region `us` has a category of its own."""
    rng = np.random.default_rng(5)
    region = np.array(["eu", "us", None], object)[rng.choice(3, ROWS, p=(0.5, 0.4, 0.1))]
    c = np.array(["a", "b", "z"], object)[rng.choice(3, ROWS, p=(0.6, 0.3, 0.1))]
    rare = np.flatnonzero(region == "us")[::10]
    c[rare] = [f"rare{row}" for row in rare]
    columns = {
        "x": rng.normal(size=ROWS), "c": c, "flag": rng.random(ROWS) < 0.3, "region": region,
        "e": rng.normal(size=(ROWS, 3)),
    }  # fmt: skip
    own = slice(start, stop)
    return Table(
        {name: column[own] for name, column in columns.items()},
        events=START + np.sort(rng.integers(0, 30 * HOUR, ROWS))[own],
        latency=rng.exponential(20, ROWS)[own],
        errors=(rng.random(ROWS) < 0.1).astype(np.uint8)[own],
    )


def built(*chunks: Table):
    return build(list(chunks), model="m", name="r", features=DECLARED, pane=HOUR, segments=SEGMENTS)


REFERENCE = built(table())


def part(name: str):
    """One segment as a reference of its own."""
    for column in REFERENCE.segments:
        for at, segment in enumerate(names_of(column)):
            if segment == name:
                return of_segment(REFERENCE, column, at)
    raise AssertionError(name)


def test_a_segment_is_the_reference_of_its_rows():
    """Counts, latency and panes are those of a reference that was built of these rows alone, with the same bins."""
    whole = table()
    rows = np.flatnonzero(whole.columns["region"] == "eu")
    own = part("region=eu")
    assert own.rows == len(rows)
    assert own.errors == int(whole.errors[rows].sum())
    assert own.features[0].edges is REFERENCE.features[0].edges
    layout = own.layout()
    c = own.counts[layout.start[1] : layout.start[2]]
    categories = own.features[1].categories
    assert c[3 + categories.index("a")] == np.count_nonzero(whole.columns["c"][rows] == "a")
    assert own.latency.sum() == len(rows)
    assert np.array_equal(own.panes.starts, REFERENCE.panes.starts)


def test_categories_that_occur_once_are_told_by_segment():
    """All of them lie in one region: others need not expect any."""
    us = part("region=other")
    assert us.features[1].novelty == pytest.approx(0.1, rel=0.01)
    assert part("region=eu").features[1].novelty == 0
    assert 0 < REFERENCE.features[1].novelty < us.features[1].novelty


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, ROWS - 1), max_size=4, unique=True))
def test_chunks_do_not_matter(cuts):
    """However the rows are cut, the file has the same bytes."""
    edges = [0, *sorted(cuts), ROWS]
    again = built(*(table(a, b) for a, b in itertools.pairwise(edges)))
    for (name, _, mine), (_, _, theirs) in zip(arrays(REFERENCE), arrays(again), strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


def test_the_whole_is_as_without_segments():
    """No feature is made of a column that is read for segments alone, and the counts are the same."""
    plain = build(table(), model="m", name="r", features=DECLARED[:-1], pane=HOUR)
    assert [f.name for f in REFERENCE.features] == [f.name for f in plain.features]
    assert pack(replace(REFERENCE, segments=())) == pack(plain)


def test_a_file_with_segments_is_read_back():
    """Format 3 without sampled rows; a reference without any stays what older versions read."""
    content = pack(REFERENCE)
    bare = replace(REFERENCE, sample=np.zeros((0, 0), np.uint16))
    assert pack(bare).startswith(b"driftline-reference 3\n")
    assert pack(replace(bare, segments=())).startswith(b"driftline-reference 2\n")
    found = unpack(content, where="x")
    assert [(c.name, c.values) for c in found.segments] == [(c.name, c.values) for c in REFERENCE.segments]
    for (name, _, mine), (_, _, theirs) in zip(arrays(REFERENCE), arrays(found), strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


def test_segments_that_are_not_the_whole_are_refused():
    """A part that lacks rows, a share that is none, a value twice, a column of a wrong name."""
    first, *rest = REFERENCE.segments
    part_of = first.parts[0]
    panes = part_of.panes
    broken = [
        replace(first, parts=(first.parts[1], *first.parts[1:])),
        replace(first, parts=(replace(part_of, novelty=part_of.novelty + 2), *first.parts[1:])),
        replace(first, parts=(replace(part_of, panes=replace(panes, rows=panes.rows + 1)), *first.parts[1:])),
        replace(
            first, parts=(replace(part_of, panes=replace(panes, slots=panes.slots + 9_999)), *first.parts[1:])
        ),
        replace(first, values=("a", "a")),
        replace(first, values=("a", "other")),
        replace(first, name="a=b"),
    ]
    for column in broken:
        with pytest.raises(ReferenceInvalid, match="segments by"):
            check(replace(REFERENCE, segments=(column, *rest)), where="x")


@pytest.mark.parametrize("name", ["segment_indptr", "segment_rows", "segment_slots", "segment_novelty"])
def test_arrays_that_do_not_fit_are_refused(name, monkeypatch):
    """A file whose checksum is right is still not believed."""
    real = arrays(REFERENCE)

    def shorter(_reference):
        return [(own, dtype, array[:-1] if own == name else array) for own, dtype, array in real]

    monkeypatch.setattr(reference_file.segments, "arrays", shorter)
    with pytest.raises(ReferenceInvalid):
        unpack(pack(REFERENCE), where="x")


def test_a_header_that_names_too_many_is_refused():
    """Before anything of their size is allocated."""
    magic, header, blobs = pack(REFERENCE)[: -reference_file.TRAILER].split(b"\n", 2)
    told = json.loads(header)
    told["segments"] = [{"name": "c", "values": [str(at) for at in range(10_001)]}]
    body = b"\n".join([magic, json.dumps(told).encode(), blobs])
    with pytest.raises(ReferenceInvalid, match="at most 10000"):
        unpack(sealed(body), where="x")
