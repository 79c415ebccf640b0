"""The reference file."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ReferenceInvalid, ReferenceTooNew
from monitor.reference import file as reference_file
from monitor.reference.build import build
from monitor.reference.file import pack, read, unpack, write
from monitor.reference.profile import FeatureProfile, Panes
from monitor.reference.table import Table
from tests.reference.tables import mixed, small

REFERENCE = small(created=1_767_225_600_000, origin={"from": "january.parquet"})
CONTENT = pack(REFERENCE)


def sealed(body: bytes) -> bytes:
    """The body with a checksum that fits, as an attacker would make it."""
    return body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


def with_header(change) -> bytes:
    """The content with its header changed and the checksum right again."""
    magic, header, rest = CONTENT[: -reference_file.TRAILER].split(b"\n", 2)
    data = json.loads(header)
    change(data)
    return sealed(b"\n".join([magic, json.dumps(data).encode(), rest]))


def with_panes(**changes) -> bytes:
    return pack(replace(REFERENCE, panes=replace(REFERENCE.panes, **changes)))


def assert_same(first, second):
    for one in fields(first):
        a, b = getattr(first, one.name), getattr(second, one.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        elif isinstance(a, Panes | FeatureProfile):
            assert_same(a, b)
        elif isinstance(a, tuple) and a and isinstance(a[0], FeatureProfile):
            for x, y in zip(a, b, strict=True):
                assert_same(x, y)
        elif one.name != "digest":
            assert a == b or (a != a and b != b)


def arrays(layout):
    return [*layout[:-1], *layout.vectors]


def test_what_is_written_is_read_back(tmp_path):
    """Every field and array survives, the digest is the file's, and the layout is the same."""
    path = tmp_path / "churn.ref"
    digest = write(REFERENCE, path)
    found = read(path)
    assert_same(REFERENCE, found)
    assert found.digest == digest
    assert digest == hashlib.sha256(path.read_bytes()[: -reference_file.TRAILER]).hexdigest()
    for mine, theirs in zip(arrays(found.layout()), arrays(REFERENCE.layout()), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_untimed_reference_is_read_back():
    """One pane of 0 ms is a valid reference."""
    reference = build(Table({"x": np.arange(10.0), "c": np.array(["a"] * 10, object)}), model="m", name="r")
    assert_same(reference, unpack(pack(reference), where="x"))


def test_equal_references_are_equal_bytes(tmp_path):
    """Two builds of the same rows write the same file."""
    again = build(
        mixed(), model="churn", name="january", pane=3_600_000, created=1_767_225_600_000,
        origin={"from": "january.parquet"},
    )  # fmt: skip
    assert write(again, tmp_path / "a") == write(REFERENCE, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_header_is_plain_text():
    """Two lines of the file say what it is, to people as well."""
    magic, header, _ = CONTENT.split(b"\n", 2)
    assert magic == b"driftline-reference 1"
    assert json.loads(header)["model"] == "churn"


def test_writing_replaces_the_old_file_in_one_step(tmp_path):
    """An interrupted write leaves the old file; nothing else stays in the folder."""
    path = tmp_path / "churn.ref"
    path.write_bytes(b"old")
    write(REFERENCE, path)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["churn.ref"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """Writing where nothing can be written is an error of ours, with the path."""
    with pytest.raises(ReferenceInvalid, match="cannot be written"):
        write(REFERENCE, tmp_path / "none" / "churn.ref")


def test_an_inconsistent_reference_is_not_written(tmp_path):
    """Counts that do not add up are refused before there is a file."""
    with pytest.raises(ReferenceInvalid, match="sums over the panes"):
        write(replace(REFERENCE, rows=1), tmp_path / "churn.ref")
    assert list(tmp_path.iterdir()) == []


def test_a_newer_format_is_refused_as_such():
    """A later version is told apart from damage."""
    body = CONTENT[: -reference_file.TRAILER].replace(b"reference 1\n", b"reference 7\n", 1)
    with pytest.raises(ReferenceTooNew, match="format 7"):
        unpack(sealed(body), where="x")


@pytest.mark.parametrize("content", [b"", b"driftline-reference ", b"PAR1", pickle.dumps({}), CONTENT[:21]])
def test_other_files_are_refused(content):
    """Whatever is no reference is refused, a pickle without being loaded."""
    with pytest.raises(ReferenceInvalid):
        unpack(content, where="x")


@given(st.integers(0, len(CONTENT) - 1))
def test_a_truncated_file_is_refused(length):
    """No prefix of a file is a file."""
    with pytest.raises(ReferenceInvalid):
        unpack(CONTENT[:length], where="x")


@given(st.integers(0, 8 * len(CONTENT) - 1))
def test_a_flipped_bit_is_noticed(bit):
    """Any single bit is covered by the checksum or is the checksum."""
    damaged = bytearray(CONTENT)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ReferenceInvalid):
        unpack(bytes(damaged), where="x")


@given(st.integers(21, len(CONTENT) - reference_file.TRAILER - 1), st.integers(0, 255))
def test_damage_under_a_right_checksum_is_refused_or_harmless(at, byte):
    """A file that somebody changed and sealed again is consistent or refused, never worse."""
    body = bytearray(CONTENT[: -reference_file.TRAILER])
    body[at] = byte
    try:
        found = unpack(sealed(bytes(body)), where="x")
    except ReferenceInvalid:
        return
    assert found.counts.sum() == found.rows * len(found.features)


def grow(name, field, value):
    def change(header):
        next(entry for entry in header["arrays"] if entry["name"] == name)[field] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        grow("counts", "shape", [1 << 40]),
        grow("counts", "shape", [-1]),
        grow("counts", "shape", [2, 2]),
        grow("counts", "stored", 1 << 40),
        grow("counts", "dtype", "|O"),
        grow("counts", "name", "other"),
        lambda header: header["arrays"].pop(),
        lambda header: header["arrays"].append(header["arrays"][0]),
        lambda header: header.update(surprise=1),
        lambda header: header.update(rows="many"),
        lambda header: header.update(pane=0),
        lambda header: header.update(timed=False),
        lambda header: header["features"][0].update(bins=0),
        lambda header: header["features"][0].update(bins=1 << 40),
        lambda header: header["features"][0].update(scale=0.0),
        lambda header: header["features"][0].update(design=0.5),
        lambda header: header["features"][0].update(kind="embedding"),
        lambda header: header["features"][0].update(path=[]),
        lambda header: header["features"][1].update(name="amount"),
        lambda header: header["features"][2].update(categories=["DE", "DE", "US"]),
        lambda header: header["features"][2].update(categories=["DE"]),
        lambda header: header["features"][4].update(categories=["true", "false"]),
    ],
)
def test_a_header_that_lies_is_refused(change):
    """Sizes, types and counts of the header are checked against the arrays before they are used."""
    with pytest.raises(ReferenceInvalid):
        unpack(with_header(change), where="x")


def broken(array, at, value):
    copy = array.copy()
    copy[at] = value
    return copy


PANES = REFERENCE.panes


@pytest.mark.parametrize(
    "content",
    [
        with_panes(starts=PANES.starts[::-1].copy()),
        with_panes(starts=PANES.starts + 1),
        with_panes(slots=broken(PANES.slots, 0, -1)),
        with_panes(slots=broken(PANES.slots, 0, 1 << 30)),
        with_panes(slots=broken(PANES.slots, 1, PANES.slots[0])),
        with_panes(values=broken(PANES.values, 0, -5)),
        with_panes(values=broken(PANES.values, 0, 1 << 62)),
        with_panes(indptr=broken(PANES.indptr, 1, 1 << 40)),
        with_panes(indptr=broken(PANES.indptr, 0, 1)),
        with_panes(rows=broken(PANES.rows, 0, 1 << 62)),
        with_panes(rows=PANES.rows[:-1]),
        with_panes(errors=PANES.rows + 1),
        with_panes(latency_bins=broken(PANES.latency_bins, 0, 5000)),
        pack(replace(REFERENCE, counts=broken(REFERENCE.counts, 3, 1 << 40))),
        pack(replace(REFERENCE, counts=REFERENCE.counts[:-1])),
        pack(replace(REFERENCE, latency=broken(REFERENCE.latency, 3, 7))),
    ],
)
def test_arrays_that_do_not_fit_are_refused(content):
    """Out-of-range slots, falling pointers, negative counts and wrong sums never reach a kernel."""
    with pytest.raises(ReferenceInvalid):
        unpack(content, where="x")


@pytest.mark.parametrize("edges", [[0.0, np.nan], [0.0, np.inf], [1.0, 1.0], [2.0, 1.0]])
def test_edges_must_ascend_and_be_finite(edges):
    """Edges that a search would get lost in are refused."""
    constant = next(profile for profile in REFERENCE.features if profile.name == "constant")
    wrong = replace(constant, edges=np.array(edges))
    features = tuple(wrong if profile is constant else profile for profile in REFERENCE.features)
    with pytest.raises(ReferenceInvalid, match="edges"):
        unpack(pack(replace(REFERENCE, features=features)), where="x")


def test_a_small_file_cannot_fill_the_memory(monkeypatch):
    """Arrays are never unpacked beyond what the header says, and the header is limited."""
    monkeypatch.setattr(reference_file, "MAX_ARRAYS", 1000)
    with pytest.raises(ReferenceInvalid, match="bytes together"):
        unpack(CONTENT, where="x")


def test_deeply_nested_headers_are_refused():
    """JSON that is deeper than any reader's stack is an error, not a crash."""
    body = b'driftline-reference 1\n{"origin":' + b"[" * 100_000 + b"\n"
    with pytest.raises(ReferenceInvalid):
        unpack(sealed(body), where="x")
