"""Stored records: exact, canonical, and not to be trusted."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import StateDamaged, StateError, StateTooNew
from monitor.names import REASONS
from monitor.pack import Packed, pack, unpack
from monitor.sketch import Sketch
from monitor.state import envelope
from monitor.state.codec import (
    Shape,
    decode_marker,
    decode_progress,
    decode_sketch,
    digest,
    encode,
    encode_key,
    encode_sketch,
)
from monitor.state.envelope import Form, seal, unseal
from tests.state.cases import make_key, make_marker, make_progress, make_sketch

SHAPES = [
    {},
    {"slots": 0, "numeric": 0, "rules": 0, "latency": 0},
    {"slots": 3000, "numeric": 40, "rules": 50},
]


def same(a, b):
    """Field by field, arrays element by element."""
    names = ("counts", "sums", "extremes", "latency", "violations", "rejects")
    scalars = ("key", "applied", "rows", "errors", "first", "last", "novel")
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in names) and all(
        getattr(a, n) == getattr(b, n) for n in scalars
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(12))
def test_sketch_comes_back_exactly(shape, seed):
    """Every field and every array element survives, whatever the shapes and the filling."""
    sketch = make_sketch(seed=seed, **shape)
    back = decode_sketch(encode(sketch))
    assert same(back, sketch)
    assert back.counts.dtype == back.sums.dtype == np.int64
    assert back.counts.flags.writeable
    assert encode(back) == encode(sketch)
    assert encode_sketch(sketch) == (encode(sketch), digest(sketch))


integers = st.integers(-(1 << 63), (1 << 63) - 1)


@given(st.lists(st.one_of(st.just(0), st.integers(0, 300), integers), max_size=200))
def test_packed_array_comes_back(values):
    """Any int64 array survives packing, and its bytes depend on the values alone."""
    array = np.array(values, np.int64)
    data = pack(array, signed=True)
    assert np.array_equal(unpack(data, "x"), array)
    assert pack(array[::-1].copy()[::-1], signed=True) == data


@given(st.lists(st.one_of(st.just(0), st.integers(0, 300), st.integers(0, 1 << 62)), max_size=200))
def test_a_packed_sum_is_the_sum(values):
    """Adding what is packed is adding the array, counts beyond 32 bits and empty arrays included."""
    array = np.array(values, np.int64)
    packed = Packed(pack(array))
    total = np.arange(len(array))
    packed.add_to(total)
    assert np.array_equal(total, np.arange(len(array)) + array)
    assert np.array_equal(packed.dense(), array)
    assert len(packed) == len(array)
    with pytest.raises(ValueError, match="one length"):
        packed.add_to(np.zeros(len(array) + 1, np.int64))


def test_a_sketch_that_is_kept_is_small_and_the_same():
    """A compact sketch has the digest of the one it was made of and shares nothing with it."""
    sketch = make_sketch(seed=3, slots=3000)
    kept = sketch.compact()
    assert digest(kept) == digest(sketch)
    assert kept.nbytes < sketch.nbytes
    sketch.counts[0] += 1
    sketch.sums[0] += 1
    assert digest(kept) == digest(make_sketch(seed=3, slots=3000))


def test_packing_is_small():
    """A wide array with few counts costs bytes for the counts, not for the width."""
    array = np.zeros(10_000, np.int64)
    array[[5, 700, 9000]] = (1, 2, 3)
    assert len(pack(array)) == 10 + 3 * 2 + 3
    assert len(pack(np.zeros(10_000, np.int64))) == 5
    assert len(pack(np.arange(200))) == 5 + 200


def test_negative_count_is_refused_at_writing():
    """A count below zero is a defect; it must not become state that cannot be read back."""
    sketch = make_sketch(seed=1)
    sketch.counts[3] = -1
    with pytest.raises(ValueError, match="below zero"):
        encode(sketch)


def test_digest_depends_on_content_only():
    """Order of novel values and arrays' memory layout do not matter; every number does."""
    sketch = make_sketch(seed=4)
    shuffled = replace(
        sketch, counts=np.repeat(sketch.counts, 2)[::2], novel={1: {"b": 1, "a": 2}, 0: {"z": 1}}
    )
    ordered = replace(sketch, novel={0: {"z": 1}, 1: {"a": 2, "b": 1}})
    assert digest(shuffled) == digest(ordered)
    assert encode(shuffled) == encode(ordered)
    for change in ({"rows": 1}, {"applied": 11}, {"first": 4}, {"errors": 99}, {"key": make_key(pane=1)}):
        assert digest(replace(sketch, **change)) != digest(sketch)
    sketch.latency[0] += 1
    assert digest(sketch) != digest(make_sketch(seed=4))


def test_sums_of_vectors_are_kept_where_there_are_any():
    """They survive and are part of the digest; a sketch with the wrong number of them is refused."""
    sketch = make_sketch(seed=3, words=300)
    data = encode(sketch)
    found = decode_sketch(data, expected=Shape(40, 2, 1, 3, 300))
    np.testing.assert_array_equal(found.vectors, sketch.vectors)
    assert found.vectors.dtype == np.int64
    assert digest(found) == digest(sketch) != digest(replace(sketch, vectors=sketch.vectors + 1))
    assert encode(found) == data
    for words in (0, 299):
        with pytest.raises(StateDamaged):
            decode_sketch(data, expected=Shape(40, 2, 1, 3, words))


def test_digest_is_the_same_in_every_version_of_driftline():
    """A pinned value: changing it would make every checkpoint of the older version diverge."""
    sketch = Sketch(
        key=make_key(pane=1_700_000_000_000, version="v2", segment="eu"),
        applied=1 << 40,
        rows=7,
        errors=1,
        counts=np.array([0, 0, 5, 70_000, 0, 0, 0, 0, 0, 1], np.int64),
        sums=np.array([[-3, 1 << 40, 2]], np.int64),
        extremes=np.array([[-1.5, np.inf]]),
        latency=np.arange(20, dtype=np.int64),
        violations=np.zeros(2, np.int64),
        rejects=np.array([0, 2, 0], np.int64),
        first=3,
        last=99,
        novel={0: {"ä": 2, "b": 1}},
    )
    assert digest(sketch).hex() == "e27215263d1f96c8491e5d2781e3e8fa"


def test_reasons_added_later_change_no_digest():
    """A sketch written before a reason was appended reads as having none of it."""
    old = replace(make_sketch(seed=2), rejects=np.array([1, 0, 3], np.int64))
    padded = replace(old, rejects=np.pad(old.rejects, (0, len(REASONS) - 3)))
    assert digest(old) == digest(padded)
    assert np.array_equal(decode_sketch(encode(old)).rejects, padded.rejects)


def test_unknown_reasons_are_refused():
    """A sketch that counts more reasons than are known comes from a newer driftline."""
    newer = replace(make_sketch(seed=2), rejects=np.ones(len(REASONS) + 1, np.int64))
    with pytest.raises(StateTooNew, match="newer"):
        decode_sketch(encode(newer))


def test_marker_and_progress_come_back():
    """Markers and progress survive, also with no tallies and with odd names."""
    for marker in (make_marker(), make_marker(live={"ä\ud800": -5}, tallies=None), make_marker(watermark=-1)):
        assert decode_marker(encode(marker)) == marker
        assert encode(decode_marker(encode(marker))) == encode(marker)
    progress = replace(make_progress(), paused="dead letters over the limit", end=-1)
    assert decode_progress(encode(progress)) == progress


@given(
    st.lists(st.text(max_size=20), min_size=5, max_size=5),
    st.integers(0, 1 << 50),
    st.dictionaries(
        st.integers(0, 9), st.dictionaries(st.text(max_size=9), st.integers(1, 1 << 60)), max_size=3
    ),
)
def test_any_text_survives(names, pane, novel):
    """Keys and novel categories come from records: any text at all."""
    model, config, version, variant, segment = names
    key = make_key(pane=pane)._replace(
        model=model, config=config, version=version, variant=variant, segment=segment
    )
    back = decode_sketch(encode(replace(make_sketch(key, seed=1), novel=novel)))
    assert back.key == key
    assert back.novel == {column: counts for column, counts in novel.items() if counts}
    assert encode_key(back.key) == encode_key(key)


def test_lone_surrogates_survive():
    """JSON can carry half a character; it must neither crash nor change."""
    sketch = replace(make_sketch(make_key(version="\ud800"), seed=1), novel={0: {"\udfff": 1}})
    assert same(decode_sketch(encode(sketch)), sketch)


@pytest.mark.parametrize("record", [make_sketch(seed=7, slots=800), make_marker(), make_progress()])
def test_damage_is_always_found(record):
    """Any flipped bit, any cut and any appended byte raises StateDamaged and nothing else."""
    decode = {"Sketch": decode_sketch, "Marker": decode_marker, "Progress": decode_progress}[
        type(record).__name__
    ]
    data, rng = encode(record), random.Random(1)
    for _ in range(400):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        with pytest.raises(StateDamaged):
            decode(bytes(damaged))
    for size in [*range(20), len(data) - 1]:
        with pytest.raises(StateDamaged):
            decode(data[:size])
    with pytest.raises(StateDamaged):
        decode(data + b"\0")


@pytest.mark.parametrize("seed", range(4))
def test_forged_bodies_never_get_through_half_read(seed):
    """A body with a right check sum and random changes either reads as valid or raises StateError."""
    rng = random.Random(seed)
    body = unseal(Form.SKETCH, encode(make_sketch(seed=seed, slots=200)))
    for _ in range(500):
        forged = bytearray(body)
        for _ in range(rng.randrange(1, 4)):
            forged[rng.randrange(len(forged))] = rng.randrange(256)
        try:
            sketch = decode_sketch(seal(Form.SKETCH, bytes(forged)))
        except StateError:
            continue
        assert all(
            a.min(initial=0) >= 0 for a in (sketch.counts, sketch.latency, sketch.violations, sketch.rejects)
        )
        assert sketch.extremes.shape == (len(sketch.sums), 2)
        assert not np.isnan(sketch.extremes).any()
        assert min(sketch.rows, sketch.errors, sketch.applied) >= 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x04\x05\x00\x00\x00",  # unknown type
        b"\x00\xff\xff\xff\xff",  # 4 G elements
        b"\x10\xff\xff\xff\xff",  # 4 G zeros
        b"\x00\x03\x00\x00\x00ab",  # two values for three
        b"\x10\x03\x00\x00\x00\x01\x00",  # cut
        b"\x10\x03\x00\x00\x00\x04\x00\x00\x00\x00" + b"\x01" * 8,  # more filled than there are
        b"\x10\x03\x00\x00\x00\x01\x00\x00\x00\x00\x03\x01",  # index 3 of 3
        b"\x10\x03\x00\x00\x00\x02\x00\x00\x00\x00\x01\x00\x01\x01",  # the same index twice
        b"\x10\x03\x00\x00\x00\x01\x00\x00\x00\x03" + b"\xff" * 8 + b"\x01",  # negative index
    ],
)
def test_forged_arrays_are_refused(data):
    """Lengths, types and indices are checked before an array is filled."""
    with pytest.raises(StateDamaged):
        unpack(data, "counts")


def test_wrong_form_is_refused():
    """A marker does not read as a sketch, nor the other way round."""
    with pytest.raises(StateDamaged):
        decode_sketch(encode(make_marker()))
    with pytest.raises(StateDamaged):
        decode_marker(encode(make_sketch()))


def test_newer_format_is_told_apart_from_damage(monkeypatch):
    """A whole record of a newer format raises StateTooNew, a damaged version byte StateDamaged."""
    data = bytearray(encode(make_marker()))
    data[3] = 9
    with pytest.raises(StateDamaged):
        decode_marker(bytes(data))
    monkeypatch.setattr(envelope, "VERSION", 9)
    newer = encode(make_marker())
    monkeypatch.undo()
    with pytest.raises(StateTooNew, match="format 9"):
        decode_marker(newer)


def test_compressed_bomb_stops_at_the_promised_size():
    """A record that inflates beyond its stated size is damage, found without inflating it all."""
    bomb = zlib.compress(bytes(50_000_000), 9)
    head = envelope._HEAD.pack(b"dl", Form.SKETCH, envelope.VERSION, 1, 1000)
    with pytest.raises(StateDamaged):
        unseal(Form.SKETCH, head + envelope._check(head, bomb) + bomb)


def test_marker_with_wrong_types_is_refused():
    """A marker's fields are checked as strictly as a sketch's."""
    whole = unseal(Form.MARKER, encode(make_marker()))
    for old, new in [
        (b'"applied":10', b'"applied":-1'),
        (b'"applied":10', b'"applied":1.5'),
        (b'"applied":10', b'"applied":true'),
        (b'"applied":10', b'"applied":99999999999999999999'),
        (b'"live":{}', b'"live":{"a":"b"}'),
        (b'"since":-1', b'"since":NaN'),
        (b'"epoch":-1,', b""),
        (b"{", b"[" * 100_000),
    ]:
        assert old in whole
        with pytest.raises(StateDamaged):
            decode_marker(seal(Form.MARKER, whole.replace(old, new, 1)))


def test_shapes_are_checked_against_the_layout():
    """A reader that knows the layout refuses arrays of another shape before a kernel sees them."""
    data = encode(make_sketch(seed=1, slots=40, numeric=2, rules=3))
    decode_sketch(data, expected=Shape(slots=40, numeric=2, categorical=1, rules=3))
    for wrong in ((41, 2, 1, 3), (40, 3, 1, 3), (40, 2, 1, 4)):
        with pytest.raises(StateDamaged, match="instead of"):
            decode_sketch(data, expected=Shape(*wrong))
