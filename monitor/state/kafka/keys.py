"""The keys of our topics ↔ bytes, and which partition a key belongs to.

A key is a MessagePack array: a letter that says what it is, then its parts. Names are UTF-8 with lone
surrogates passed, as JSON can carry them. Equal keys give equal bytes, for ever: compaction goes by them.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Any, NamedTuple, NewType, TypeAlias

import msgspec

from monitor.errors import StateDamaged
from monitor.names import SketchKey, Source

WriterId = NewType("WriterId", int)
"""64 random bits: one process, and for a state log one assignment of a source to it."""

MARKERS = b"\x94\xa1m"
"""What every key of a marker begins with in the state topic, and no other."""

NOTICES = b"\x92\xa1n"
"""What every key of a notice begins with in the progress topic, and no other."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Integer = Annotated[int, msgspec.Meta(ge=-1 << 63, le=(1 << 63) - 1)]
_Id = Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]


class SlotKey(NamedTuple):
    """A part of a sketch in the state topic. A writer has two slots for a sketch, 0 and 1."""

    sketch: SketchKey
    writer: WriterId
    slot: int
    chunk: int = 0


class MarkerKey(NamedTuple):
    """The marker of a writer in the state topic."""

    source: Source
    writer: WriterId


class PublishedKey(NamedTuple):
    """A part of a sketch in the sketches topic. Slot 0 is for whole ones, 1 and 2 for those in parts."""

    sketch: SketchKey
    writer: WriterId
    slot: int = 0
    chunk: int = 0


class ProgressKey(NamedTuple):
    """The progress of a source."""

    source: Source


class NoticeKey(NamedTuple):
    """What a process says of itself, in the progress topic."""

    writer: WriterId


class BatchKey(NamedTuple):
    """A batch of ledger entries; never used twice."""

    model: str
    term: int
    seq: int


class OwnerKey(NamedTuple):
    """The claim of a process to a partition of the ledger."""

    writer: WriterId


Key: TypeAlias = SlotKey | MarkerKey | PublishedKey | ProgressKey | NoticeKey | BatchKey | OwnerKey


class _Stored(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """How a key is stored: the tag first, then the fields in this order."""


class _Sketch(_Stored):
    topic: bytes
    partition: _Count
    writer: _Id
    slot: _Count
    chunk: _Count
    model: bytes
    config: bytes
    version: bytes
    variant: bytes
    segment: bytes
    pane: _Integer


class _Slot(_Sketch, tag="s"):
    pass


class _Published(_Sketch, tag="k"):
    pass


class _Marker(_Stored, tag="m"):
    topic: bytes
    partition: _Count
    writer: _Id


class _Progress(_Stored, tag="p"):
    topic: bytes
    partition: _Count


class _Notice(_Stored, tag="n"):
    writer: _Id


class _Batch(_Stored, tag="b"):
    model: bytes
    term: _Count
    seq: _Count


class _Owner(_Stored, tag="o"):
    writer: _Id


_encoder = msgspec.msgpack.Encoder()
_state = msgspec.msgpack.Decoder(_Slot | _Marker)
_published = msgspec.msgpack.Decoder(_Published)
_progress = msgspec.msgpack.Decoder(_Progress)
_ledger = msgspec.msgpack.Decoder(_Batch | _Owner)


def encode(key: Key) -> bytes:
    """The bytes of a key."""
    return _encoder.encode(_store(key))


def decode_state(data: bytes) -> SlotKey | MarkerKey:
    """A key of the state topic. Raises StateDamaged."""
    try:
        stored = _state.decode(data)
        if isinstance(stored, _Marker):
            return MarkerKey(_source(stored.topic, stored.partition), _writer(stored.writer))
        return SlotKey(_sketch(stored), _writer(stored.writer), _below(2, stored.slot), stored.chunk)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _damaged("state", error) from error


def decode_published(data: bytes) -> PublishedKey:
    """A key of the sketches topic. Raises StateDamaged."""
    try:
        stored = _published.decode(data)
        return PublishedKey(_sketch(stored), _writer(stored.writer), _below(3, stored.slot), stored.chunk)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _damaged("sketches", error) from error


def decode_progress(data: bytes) -> ProgressKey:
    """A key of the progress topic. Raises StateDamaged."""
    try:
        stored = _progress.decode(data)
        return ProgressKey(_source(stored.topic, stored.partition))
    except (msgspec.MsgspecError, ValueError) as error:
        raise _damaged("progress", error) from error


def decode_ledger(data: bytes) -> BatchKey | OwnerKey:
    """A key of the ledger topic. Raises StateDamaged."""
    try:
        stored = _ledger.decode(data)
        if isinstance(stored, _Owner):
            return OwnerKey(_writer(stored.writer))
        return BatchKey(_text(stored.model), stored.term, stored.seq)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _damaged("ledger", error) from error


def prefixes_of(source: Source) -> tuple[bytes, bytes]:
    """What the keys of a source begin with in the state topic, and no others, for `bytes.startswith`."""
    found = []
    for kind in (_Slot, _Marker):
        parts = (kind.__struct_config__.tag, _utf8(source.topic), source.partition)
        # A short MessagePack array is one byte that holds its length, then its parts side by side.
        head = bytes([0x90 | (1 + len(kind.__struct_fields__))])
        found.append(head + b"".join(map(_encoder.encode, parts)))
    return found[0], found[1]


def partition_of_model(model: str, count: int) -> int:
    """The partition of `count` that sketches and ledger of a model are in; "" is the source ledger."""
    return zlib.crc32(_utf8(model)) % count


def partition_of_source(source: Source, count: int) -> int:
    """The partition of `count` that the state of an input partition is in."""
    return zlib.crc32(_utf8(str(source))) % count


def _store(key: Key) -> _Stored:
    match key:
        case SlotKey():
            return _Slot(**_parts(key))
        case PublishedKey():
            return _Published(**_parts(key))
        case MarkerKey(source, writer):
            return _Marker(_utf8(source.topic), source.partition, writer.to_bytes(8, "big"))
        case ProgressKey(source):
            return _Progress(_utf8(source.topic), source.partition)
        case NoticeKey(writer):
            return _Notice(writer.to_bytes(8, "big"))
        case BatchKey(model, term, seq):
            return _Batch(_utf8(model), term, seq)
        case OwnerKey(writer):
            return _Owner(writer.to_bytes(8, "big"))


def _parts(key: SlotKey | PublishedKey) -> dict[str, Any]:
    model, config, version, variant, segment, pane, (topic, partition) = key.sketch
    return {
        "topic": _utf8(topic),
        "partition": partition,
        "writer": key.writer.to_bytes(8, "big"),
        "slot": key.slot,
        "chunk": key.chunk,
        "model": _utf8(model),
        "config": _utf8(config),
        "version": _utf8(version),
        "variant": _utf8(variant),
        "segment": _utf8(segment),
        "pane": pane,
    }


def _sketch(stored: _Sketch) -> SketchKey:
    return SketchKey(
        _text(stored.model),
        _text(stored.config),
        _text(stored.version),
        _text(stored.variant),
        _text(stored.segment),
        stored.pane,
        _source(stored.topic, stored.partition),
    )


def _source(topic: bytes, partition: int) -> Source:
    return Source(_text(topic), partition)


def _writer(data: bytes) -> WriterId:
    return WriterId(int.from_bytes(data, "big"))


def _below(limit: int, slot: int) -> int:
    if slot >= limit:
        raise ValueError(f"slot {slot}")
    return slot


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _damaged(topic: str, error: Exception) -> StateDamaged:
    return StateDamaged(
        f"a key does not decode ({error}) - topic of {topic} - expected what driftline wrote: "
        "nothing else may write to this topic"
    )
