"""Keys of the topics, there and back, and the partitions they belong to."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import StateDamaged
from monitor.names import SketchKey, Source
from monitor.state.kafka import keys
from monitor.state.kafka.keys import (
    BatchKey,
    MarkerKey,
    OwnerKey,
    ProgressKey,
    PublishedKey,
    SlotKey,
    WriterId,
)

SKETCH = SketchKey("m", "c", "", "", "", 0, Source("t", 0))
NAMES = st.text(max_size=5) | st.sampled_from(["", "ä", "\ud800", "a/1", "|"])
SOURCES = st.builds(Source, NAMES, st.integers(0, 3) | st.integers(0, (1 << 31) - 1))
WRITERS = st.integers(0, (1 << 64) - 1).map(WriterId)
COUNTS = st.integers(0, 3) | st.integers(0, (1 << 63) - 1)
SKETCHES = st.builds(
    SketchKey, NAMES, NAMES, NAMES, NAMES, NAMES, st.integers(-(1 << 63), (1 << 63) - 1), SOURCES
)
STATE = st.builds(SlotKey, SKETCHES, WRITERS, st.integers(0, 1), COUNTS) | st.builds(
    MarkerKey, SOURCES, WRITERS
)
PUBLISHED = st.builds(PublishedKey, SKETCHES, WRITERS, st.integers(0, 2), COUNTS)
PROGRESS = st.builds(ProgressKey, SOURCES)
LEDGER = st.builds(BatchKey, NAMES, COUNTS, COUNTS) | st.builds(OwnerKey, WRITERS)
TOPICS = [
    (STATE, keys.decode_state),
    (PUBLISHED, keys.decode_published),
    (PROGRESS, keys.decode_progress),
    (LEDGER, keys.decode_ledger),
]
DECODERS = [decode for _, decode in TOPICS]


@given(data=st.data(), topic=st.sampled_from(TOPICS))
def test_a_key_comes_back_and_names_only_itself(data, topic):
    """Unequal keys have unequal bytes, and the decoders of other topics refuse them."""
    some, decode = topic
    key, other = data.draw(some), data.draw(some)
    encoded = keys.encode(key)
    assert decode(encoded) == key
    assert (keys.encode(other) == encoded) == (other == key and type(other) is type(key))
    for refuse in DECODERS:
        if refuse is not decode:
            with pytest.raises(StateDamaged):
                refuse(encoded)


@given(data=st.data(), topic=st.sampled_from(TOPICS))
def test_any_bytes_are_a_key_or_damaged(data, topic):
    """Nothing but StateDamaged comes of bytes that somebody else wrote, cut or changed."""
    some, decode = topic
    encoded = bytearray(keys.encode(data.draw(some)))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255))
    cut = bytes(encoded[: data.draw(st.integers(0, len(encoded)))])
    for tried in (bytes(encoded), cut, bytes(encoded) + b"\0", data.draw(st.binary(max_size=20))):
        with contextlib.suppress(StateDamaged):
            decode(tried)


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (keys.decode_state, keys.encode(SlotKey(SKETCH, 1, 2))),
        (keys.decode_published, keys.encode(PublishedKey(SKETCH, 1, 3))),
        (keys.decode_ledger, b"\x92\xa1o\xc4\x07" + b"x" * 7),
        (keys.decode_ledger, b"\x92\xa1o\xc4\x09" + b"x" * 9),
        (keys.decode_progress, b"\x93\xa1p\xc4\x01\xff\x00"),
        (keys.decode_progress, b"\x93\xa1p\xc4\x01a\xff"),
        (keys.decode_progress, b"\x94\xa1p\xc4\x01a\x00\x00"),
        (keys.decode_ledger, b"\x92\xa1b\xc4\x00"),
    ],
)
def test_what_driftline_never_writes_is_refused(decode, data):
    """A third slot, ids of another length, names that are no text, numbers below zero, parts too few or many."""
    with pytest.raises(StateDamaged):
        decode(data)


@given(source=SOURCES, key=STATE)
def test_the_prefixes_of_a_source_are_those_of_its_keys_alone(source, key):
    """A reader passes by the records of other sources without decoding their keys."""
    owner = key.source if isinstance(key, MarkerKey) else key.sketch.source
    assert keys.encode(key).startswith(keys.prefixes_of(source)) == (owner == source)
    assert keys.encode(key).startswith(keys.prefixes_of(owner))


def test_bytes_and_partitions_stay_what_they_are():
    """They are in topics that outlive every version: a change here loses what was written."""
    source = Source("predictions", 7)
    sketch = SketchKey("fraud", "cafe", "1", "champion", "eu", 60_000, source)
    assert keys.encode(SlotKey(sketch, WriterId(258), 1, 3)) == (
        b"\x9c\xa1s\xc4\x0bpredictions\x07\xc4\x08" + bytes([0, 0, 0, 0, 0, 0, 1, 2])
        + b"\x01\x03\xc4\x05fraud\xc4\x04cafe\xc4\x011\xc4\x08champion\xc4\x02eu\xcd\xea\x60"
    )  # fmt: skip
    assert keys.encode(MarkerKey(source, WriterId(1))) == b"\x94\xa1m\xc4\x0bpredictions\x07\xc4\x08" + bytes(
        [0] * 7 + [1]
    )
    assert keys.encode(ProgressKey(source)) == b"\x93\xa1p\xc4\x0bpredictions\x07"
    assert keys.encode(BatchKey("fraud", 300, 2)) == b"\x94\xa1b\xc4\x05fraud\xcd\x01\x2c\x02"
    assert keys.encode(OwnerKey(WriterId(9))) == b"\x92\xa1o\xc4\x08" + bytes([0] * 7 + [9])
    assert [keys.partition_of_model(name, 12) for name in ("", "fraud", "churn")] == [0, 10, 0]
    assert [keys.partition_of_source(Source("predictions", at), 12) for at in range(4)] == [0, 10, 8, 2]
