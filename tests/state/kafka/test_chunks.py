"""Sketches in parts: put together again under any compaction, and never of two writes."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import StateDamaged, StateTooNew
from monitor.names import Source
from monitor.state.codec import encode_sketch
from monitor.state.kafka import chunks
from monitor.state.kafka.chunks import Head, Joints, Sealed, chunks_of, read_part, sealed, split, unsealed
from monitor.state.kafka.logs import Place, Write
from tests.state.cases import contents, make_key, make_sketch
from tests.state.kafka.memory import Broker, Logs

KEY = make_key()
PLACE = Place("sketches", 0)
BODIES = st.binary(max_size=12) | st.binary(min_size=1, max_size=3)

DIGESTS = st.binary(min_size=16, max_size=16)
STORED = st.builds(Sealed, st.just(KEY), st.integers(0, 1 << 62), DIGESTS, st.binary(min_size=1, max_size=20))


def key_of(chunk):
    return b"key%d" % chunk


def parts(stored, *, number=1, size=4):
    return list(split(stored, number, key_of, origin=0xCAFE, size=size))


@given(
    writes=st.lists(st.tuples(BODIES, st.integers(0, 4), st.booleans()), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 30), max_size=3),
)
def test_only_what_was_written_whole_is_read(writes, cuts):
    """Writes of all lengths to one slot, some broken off, compacted anywhere: the last is read if it is whole."""
    broker = Broker({"sketches": 1})
    logs = Logs(broker)
    whole, last = {}, None
    for applied, (body, stop, is_broken) in enumerate(writes):
        records = parts(Sealed(KEY, applied, b"d" * 16, body))
        kept = records[:stop] if is_broken else records
        logs.write([Write(PLACE, key, value) for key, value in kept])
        if len(kept) == len(records):
            whole[applied] = body
            last = (applied, body)
        elif kept:
            last = None  # the one before is partly gone
    for cut in cuts:
        broker.compact(PLACE, cut)
    joints, found = Joints(), []
    for record in logs.read(PLACE, 0):
        part = read_part(record.key, record.value)
        body = joints.take("slot", int(record.key[3:]), part)
        if body is not None:
            assert whole[part.head.applied] == body
            found.append((part.head.applied, body))
    assert last is None or found[-1] == last


def test_nothing_is_held_of_what_is_whole():
    """A reader that never ends holds parts only while more of them are to come."""
    joints = Joints()
    for body in (b"twelve bytes", b"one", b"twelve bytes"):
        stored = Sealed(KEY, 1, b"d" * 16, body)
        for chunk, (key, value) in enumerate(parts(stored)):
            whole = joints.take("slot", chunk, read_part(key, value))
            assert len(joints) == (whole is None)
        assert whole == body
    key, value = parts(stored)[1]
    assert joints.take("slot", 1, read_part(key, value)) is None
    (key, value) = parts(stored._replace(body=b"one"))[0]
    assert joints.take("slot", 0, read_part(key, value)) == b"one"
    assert len(joints) == 0


@given(data=st.data(), stored=STORED)
def test_a_head_that_was_changed_is_noticed(data, stored):
    """Nor does a record verify under another key."""
    key, value = data.draw(st.sampled_from(parts(stored)))
    part = read_part(key, value)
    assert part.head == (chunks_of(stored, size=4), 0xCAFE, 1, stored.applied, stored.digest)
    at = data.draw(st.integers(0, chunks._START - 1))
    changed = bytearray(value)
    changed[at] ^= data.draw(st.integers(1, 255))
    for wrong in ((key, bytes(changed)), (key + b"0", value), (key, value[:at])):
        with pytest.raises(StateDamaged):
            read_part(*wrong)


def test_a_sketch_comes_back():
    """Whole and in parts; the one that was promised, or none."""
    sketch = make_sketch(seed=3, slots=400)
    stored = sealed(sketch)
    for size in (10, len(stored.body), len(stored.body) + 1):
        joints = Joints()
        for chunk, (key, value) in enumerate(parts(stored, size=size)):
            body = joints.take(0, chunk, read_part(key, value))
        assert contents([unsealed(stored._replace(body=body))]) == contents([sketch])
    for wrong in (
        stored._replace(applied=11),
        stored._replace(key=make_key(source=Source("predictions", 9))),
        stored._replace(body=stored.body[:-1]),
        stored._replace(body=stored.body[:40] + b"x" + stored.body[41:]),
    ):
        with pytest.raises(StateDamaged):
            unsealed(wrong)


def test_a_sketch_is_not_compressed_by_itself():
    """The producer compresses many at once; one that an older driftline compressed is read all the same."""
    sketch = make_sketch(seed=3, slots=40_000)
    stored = sealed(sketch)
    body, digest = encode_sketch(sketch)
    assert digest == stored.digest
    assert len(body) < len(stored.body) * 3 // 4
    older = unsealed(stored._replace(body=body))
    assert contents([older]) == contents([unsealed(stored)]) == contents([sketch])


def test_a_newer_format_is_said_to_be_one():
    """It verifies like any other: the check stays where it is."""
    ((key, value),) = parts(Sealed(KEY, 5, b"d" * 16, b"abc"))
    head = bytes([chunks.VERSION + 1]) + value[1 : chunks._HEAD.size]
    newer = head + zlib.crc32(head, zlib.crc32(key)).to_bytes(4, "big") + b"whatever"
    with pytest.raises(StateTooNew, match="format 3"):
        read_part(key, newer)


def test_bytes_stay_what_they_are():
    """They are in topics that outlive every version."""
    head = bytes.fromhex("02 0002 0000cafe 00000003 0000000000000102") + b"0123456789abcdef"
    assert parts(Sealed(KEY, 258, b"0123456789abcdef", b"hello"), number=3) == [
        (b"key0", head + bytes.fromhex("51b6d735") + b"hell"),
        (b"key1", head + bytes.fromhex("c4c603a0") + b"o"),
    ]


def test_records_of_version_1_are_read():
    """They had the round in all of the place where the origin lies now, which nobody knows of them."""
    head = bytes.fromhex("01 0002 0000000000000003 0000000000000102") + b"0123456789abcdef"
    found = [
        read_part(b"key0", head + b"G\xd6\xec\xea" + b"hell"),
        read_part(b"key1", head + b"\xd2\xa68\x7f" + b"o"),
    ]
    assert found == [(Head(2, 0, 3, 258, b"0123456789abcdef"), payload) for payload in (b"hell", b"o")]
