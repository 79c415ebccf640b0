"""Sketches as they lie in a topic: in the parts that a broker takes, and whole again.

    version u8 | chunks u16 | origin u32 | round u32 | applied u64 | digest 16 bytes | check u32 |
    part of the sealed sketch

The sealed sketch is not compressed (of older records it may be: its own head says so). Version 1 had a round
of 64 bits in place of origin and round.

`check` is the crc32 of the key and of the head before it, in this and every later version: what a record
says of its sketch is believed before the sketch is unpacked. The sealed sketch has a check of its own.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple

from monitor.errors import StateDamaged, StateTooNew
from monitor.names import SketchKey
from monitor.sketch import Sketch
from monitor.state.codec import decode_sketch, encode_sketch
from monitor.state.log import Marker

VERSION = 2
CHUNK_BYTES = 512 << 10
"""Of a sealed sketch in one record: half of what a broker takes by default (`message.max.bytes`)."""

_HEAD = struct.Struct(">BHIIQ16s")
_CHECK = struct.Struct(">I")
_START = _HEAD.size + _CHECK.size


class Sealed(NamedTuple):
    """A sketch in its stored form, with what can be known of it without unpacking it."""

    key: SketchKey
    applied: int
    digest: bytes
    body: bytes


class Head(NamedTuple):
    """What is the same in all records of a stored sketch."""

    chunks: int
    origin: int
    """As `origin_of`; 0 in records of version 1."""
    round: int
    """Which checkpoint of its writer it belongs to, counted from 1."""
    applied: int
    digest: bytes


class Part(NamedTuple):
    """What one record holds of a sketch."""

    head: Head
    payload: bytes


class Joints:
    """Puts parts together. A slot that was written anew is whole again once all of its new parts came.

    Holds what is not whole yet: parts of a write that is under way, or that never came to an end.
    """

    def __init__(self) -> None:
        self._parts: dict[Hashable, dict[int, Part]] = {}

    def __len__(self) -> int:
        """Slots that are not whole."""
        return len(self._parts)

    def take(self, slot: Hashable, chunk: int, part: Part) -> bytes | None:
        """The sealed sketch when this was the last part that it lacked.

        `slot` is whatever tells slots apart: parts of different ones never meet.
        """
        head = part.head
        if head.chunks == 1:
            self._parts.pop(slot, None)
            return part.payload if chunk == 0 else None
        parts = self._parts.setdefault(slot, {})
        parts[chunk] = part
        first = parts.get(0)
        if first is None:
            return None
        whole = [parts.get(at) for at in range(first.head.chunks)]
        payloads = [found.payload for found in whole if found is not None and found.head == first.head]
        if len(payloads) < len(whole):
            return None
        del self._parts[slot]
        return b"".join(payloads)


def sealed(sketch: Sketch) -> Sealed:
    """The stored form of a sketch."""
    body, digest = encode_sketch(sketch, compress=False)  # that is the producer's work, for many at once
    return Sealed(sketch.key, sketch.applied, digest, body)


def unsealed(stored: Sealed) -> Sketch:
    """The sketch. Raises StateDamaged, also when it is not the one that was promised; StateTooNew."""
    sketch = decode_sketch(stored.body)
    if (sketch.key, sketch.applied) != (stored.key, stored.applied):
        raise damaged("sketch", f"it is another one, applied through {sketch.applied}")
    return sketch


def origin_of(marker: Marker) -> int:
    """What tells apart counts that began elsewhere: their sketches may differ where `applied` is the same.

    That is so after a loss that was accepted, a reset, a gap that retention tore, or in a topic that was made anew.
    """
    return zlib.crc32(f"{marker.start}|{marker.since}|{marker.topic_id}".encode())


def chunks_of(stored: Sealed, *, size: int = CHUNK_BYTES) -> int:
    """How many records `split` makes of it."""
    return max(-(-len(stored.body) // size), 1)


def split(
    stored: Sealed, number: int, key_of: Callable[[int], bytes], *, origin: int, size: int = CHUNK_BYTES
) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the records of a sketch; `number` is the round, `key_of` gives a chunk's key."""
    chunks = chunks_of(stored, size=size)
    packed = _HEAD.pack(VERSION, chunks, origin, number, stored.applied, stored.digest)
    for chunk in range(chunks):
        key = key_of(chunk)
        yield key, packed + check(key, packed) + stored.body[chunk * size : (chunk + 1) * size]


def read_part(key: bytes, value: bytes) -> Part:
    """What a record holds of a sketch. Raises StateDamaged, StateTooNew."""
    head, payload = opened("sketch", key, value, size=_HEAD.size, version=VERSION)
    _, chunks, origin, number, applied, digest = _HEAD.unpack(head)
    return Part(Head(chunks, origin, number, applied, digest), payload)


def check(key: bytes, head: bytes) -> bytes:
    """What `opened` compares: it binds a record's head to its key."""
    return _CHECK.pack(zlib.crc32(head, zlib.crc32(key)))


def opened(what: str, key: bytes, value: bytes, *, size: int, version: int) -> tuple[bytes, bytes]:
    """The verified head, of which the first byte is the version, and what follows its check."""
    head, found = value[:size], value[size : size + _CHECK.size]
    if found != check(key, head):
        raise damaged(what, f"{len(value)} bytes, the check sum of its head differs")
    if head[0] > version:
        raise StateTooNew(
            f"stored {what} has format {head[0]} - state log - "
            f"this driftline reads up to {version}: use the newer driftline that wrote it"
        )
    return head, value[size + _CHECK.size :]


def damaged(what: str, found: str) -> StateDamaged:
    return StateDamaged(
        f"stored {what} does not verify ({found}) - state log - expected what driftline wrote: "
        "nothing else may write to this topic"
    )
