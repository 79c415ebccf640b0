"""Ledger entries as they are stored, there and back."""

from __future__ import annotations

import contextlib
import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import StateDamaged, StateError, StateTooNew
from monitor.state import envelope
from monitor.state.envelope import MAX_BODY, Form, seal
from monitor.state.kafka.batch import LARGEST, Item, Owner, decode_batch, encode_batch, encode_owner, items_of
from monitor.state.log import Entry
from monitor.state.text import to_body

NAMES = st.text(max_size=6) | st.sampled_from(["", "ä|/1", "\ud800"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.lists(
    st.builds(Entry, NAMES, NAMES, st.none() | st.dictionaries(NAMES, VALUES, max_size=4)), max_size=8
)


@given(entries=ENTRIES)
def test_entries_come_back(entries):
    """Of two with equal kind and id the last counts, as in one append of any state log."""
    items = decode_batch(encode_batch(items_of(entries)))
    stored = {(kind, name): None if text is None else to_body(text.decode()) for kind, name, text in items}
    assert stored == {(entry.kind, entry.id): entry.body for entry in entries}
    assert len(items) == len(stored)


def test_numbers_that_json_does_not_know_come_back() -> None:
    """A score may be one."""
    (item,) = decode_batch(encode_batch(items_of([Entry("verdict", "a", {"x": math.nan, "y": -math.inf})])))
    body = to_body(item.text.decode())
    assert math.isnan(body["x"])
    assert body["y"] == -math.inf


def test_what_is_no_json_is_refused_before_it_is_written() -> None:
    """As by any state log."""
    with pytest.raises(TypeError):
        items_of([Entry("verdict", "a", {"x": object()})])


@given(entries=ENTRIES, data=st.data())
def test_any_bytes_are_a_batch_or_damaged(entries, data):
    """Whatever is cut or changed is noticed."""
    encoded = bytearray(encode_batch(items_of(entries)))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    for tried in (bytes(encoded), bytes(encoded[:at]), b"", data.draw(st.binary(max_size=40))):
        with pytest.raises(StateDamaged):
            decode_batch(tried)


@given(body=st.binary(max_size=30) | st.lists(st.binary(max_size=5)).map(msgspec.msgpack.encode))
def test_a_sound_seal_around_anything_else_is_damaged(body):
    """Nothing but StateDamaged comes of it."""
    with contextlib.suppress(StateDamaged):
        decode_batch(seal(Form.BATCH, body))


@pytest.mark.parametrize(
    "items",
    [
        [(b"k", b"i", b"[]")],
        [(b"k", b"i", b"")],
        [(b"k", b"i", b'{"\xc3\xa4":1}')],
        [(b"k", b"i", b"{}"), (b"k", b"i", None)],
        [(b"k", b"\xff", b"{}")],
        [("k", b"i", b"{}", b"more")],
        [(b"k", b"i")],
        [(b"k", 1, b"{}")],
    ],
)
def test_what_driftline_never_writes_is_damaged(items):
    """Bodies that are no objects or not ASCII, an entry twice, names that are no text, other shapes."""
    with pytest.raises(StateDamaged):
        decode_batch(seal(Form.BATCH, msgspec.msgpack.encode([items])))


def test_other_forms_and_newer_formats_are_told_apart(monkeypatch) -> None:
    """An owner record is no batch; a batch of a newer driftline is not damaged."""
    with pytest.raises(StateDamaged):
        decode_batch(encode_owner(Owner("host", 1)))
    monkeypatch.setattr(envelope, "VERSION", 9)
    newer = encode_batch([])
    monkeypatch.undo()
    with pytest.raises(StateTooNew, match="newer driftline"):
        decode_batch(newer)


def test_too_much_in_one_append_is_refused() -> None:
    """By what it takes compressed, and by what it takes in memory; a limit may be set higher."""
    noise = random.Random(1).randbytes(LARGEST).hex().encode()
    item = Item("verdict", "a", b'{"x":"' + noise + b'"}')
    with pytest.raises(StateError, match="too large together"):
        encode_batch([item])
    assert decode_batch(encode_batch([item], largest=2 * LARGEST)) == [item]
    with pytest.raises(StateError, match="too large together"):
        encode_batch([Item("verdict", "a", b"{}" + b" " * MAX_BODY)])
