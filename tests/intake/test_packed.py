"""The bytes of many records in one array behave as a list of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.words import PADDING
from monitor.columns import Batch
from monitor.intake.packed import Chained, Headers, Packed, joined
from monitor.names import Source
from monitor.pipeline import merged
from monitor.salvage import cut

VALUES = st.lists(st.none() | st.binary(max_size=6), max_size=12)


def packed(values):
    """As a poll lays them out; something else lies before."""
    data, starts, ends = bytearray(b"before\n"), [], []
    for value in values:
        starts.append(len(data))
        data += value or b""
        ends.append(len(data))
        data += b"\n"
    nulls = np.array([value is None for value in values], np.bool_)
    places = (np.array(each, np.int64) for each in (starts, ends))
    return Packed(
        np.frombuffer(bytes(data) + bytes(PADDING), np.uint8), *places, nulls if nulls.any() else None
    )


@given(VALUES, st.integers(-3, 14), st.integers(-3, 14))
def test_it_is_the_list_of_its_values(values, start, stop):
    """Items, slices of slices and sizes, with null and empty values apart."""
    held = packed(values)
    assert list(held) == values
    assert list(held[start:stop]) == values[start:stop]
    assert list(held[start:][:stop]) == values[start:][:stop]
    assert held.sizes.tolist() == [-1 if value is None else len(value) for value in values]
    assert held == values
    if values:
        assert held[-1] == values[-1]


@given(st.lists(st.tuples(VALUES, st.integers(0, 4), st.booleans()), min_size=1, max_size=5))
def test_joining_gives_the_values_one_after_the_other(parts):
    """Packed where all are, parts of others too; a newline behind each, and as many bytes as kernels may load."""
    pieces = [(packed(values) if is_packed else list(values))[skip:] for values, skip, is_packed in parts]
    found = joined(pieces)
    assert list(found) == [value for values, skip, _ in parts for value in values[skip:]]
    if isinstance(found, Packed) and len(found):
        assert (found.data[found.ends] == ord("\n")).all()
        assert len(found.data) >= found.ends[-1] + 1 + PADDING
        assert (found.starts[1:] == found.ends[:-1] + 1).all()


@given(st.lists(st.lists(st.integers(), max_size=5), max_size=4), st.integers(0, 14), st.integers(0, 14))
def test_a_chain_is_the_list_of_its_items(parts, start, stop):
    """Also a part of it, and nothing beyond its end."""
    whole = [item for part in parts for item in part]
    chain = Chained(parts)
    assert (len(chain), list(chain)) == (len(whole), whole)
    assert list(chain[start:stop]) == whole[start:stop]
    with pytest.raises(IndexError):
        chain[len(whole)]


def test_headers_belong_to_their_records():
    """Several, of one name, null and empty values, none at all; names that are no UTF-8 do not fail."""
    names, values = packed([b"a", b"a", "ß".encode(), b"\xff"]), packed([b"1", None, b"", b"2"])
    headers = Headers(names, values, np.array([0, 2, 2]), np.array([2, 2, 4]))
    expected = [[("a", b"1"), ("a", None)], None, [("ß", b""), ("\ufffd", b"2")]]
    assert list(headers) == expected
    assert list(headers[1:]) == expected[1:]


def test_batches_of_packed_values_are_merged_and_cut():
    """What the pipeline and the search for a culprit do to a batch, with keys and headers."""

    def batch(first, values):
        at = np.arange(first, first + len(values))
        none = [None] * len(values)
        return Batch(Source("t", 0), packed(values), packed([b"%d" % n for n in at]), none, at, at)

    both = merged([batch(0, [b"a", None]), batch(2, [b"", b"d"])])
    assert (list(both.values), list(both.keys)) == ([b"a", None, b"", b"d"], [b"0", b"1", b"2", b"3"])
    part = cut(both, 1, 3)
    assert isinstance(part.values, Packed)
    assert (list(part.values), list(part.keys), part.sizes.tolist()) == ([None, b""], [b"1", b"2"], [-1, 0])
    assert list(part.headers) == [None, None]
