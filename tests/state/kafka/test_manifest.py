"""The record that closes a checkpoint."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import StateDamaged, StateTooNew
from monitor.state.kafka import manifest
from monitor.state.kafka.keys import MarkerKey, WriterId, encode
from monitor.state.kafka.manifest import Closed, Manifest, close, manifest_of, mark_of, read_closed
from tests.state.cases import OTHER, SOURCE, make_key, make_marker

KEY = encode(MarkerKey(SOURCE, WriterId(7)))
ENTRIES = st.lists(
    st.tuples(
        st.builds(make_key, st.sampled_from(["", "a"]), pane=st.integers(0, 2)),
        st.integers(0, 20),
        st.sampled_from([b"0" * 16, b"1" * 16]),
    ),
    max_size=5,
)


@given(one=ENTRIES, other=ENTRIES, data=st.data())
def test_a_manifest_is_that_of_a_set(one, other, data):
    """The order does not matter; another key, offset or digest, one more or one less does."""
    first, second = (manifest_of(mark_of(*entry) for entry in entries) for entries in (one, other))
    assert (first == second) == (sorted(one) == sorted(other))
    assert manifest_of(mark_of(*entry) for entry in data.draw(st.permutations(one))) == first


@given(
    number=st.integers(0, (1 << 64) - 1),
    sketches=st.integers(0, (1 << 32) - 1),
    total=st.integers(0, (1 << 128) - 1),
)
def test_what_closes_a_checkpoint_comes_back(number, sketches, total):
    """Marker, round and manifest."""
    closed = Closed(make_marker(live={"fraud": 5}), number, Manifest(sketches, total))
    assert read_closed(KEY, close(KEY, closed), SOURCE) == closed


@given(data=st.data())
def test_damage_is_noticed(data):
    """Wherever a byte changes, wherever it is cut, and under another key or source."""
    value = close(KEY, Closed(make_marker(), 3, Manifest(1, 5)))
    at = data.draw(st.integers(0, len(value) - 1))
    changed = bytearray(value)
    changed[at] ^= data.draw(st.integers(1, 255))
    other = encode(MarkerKey(SOURCE, WriterId(8)))
    for wrong in (
        (KEY, bytes(changed), SOURCE),
        (KEY, value[:at], SOURCE),
        (other, value, SOURCE),
        (KEY, value, OTHER),
    ):
        with pytest.raises(StateDamaged):
            read_closed(*wrong)


def test_a_newer_format_is_said_to_be_one():
    """It is told apart from damage."""
    value = close(KEY, Closed(make_marker(), 3, Manifest(1, 5)))
    head = bytes([manifest.VERSION + 1]) + value[1 : manifest._HEAD.size]
    check = zlib.crc32(head, zlib.crc32(KEY)).to_bytes(4, "big")
    with pytest.raises(StateTooNew):
        read_closed(KEY, head + check + b"whatever", SOURCE)


def test_marks_stay_what_they_are():
    """A manifest is compared with marks that a later version makes."""
    assert mark_of(make_key(pane=60_000), 10, b"0123456789abcdef") == 132069657349700758795882141285552438856
