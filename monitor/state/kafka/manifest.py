"""The record that closes a checkpoint: the marker, and what tells whether its sketches are all there.

    version u8 | round u64 | sketches u32 | total 16 bytes | check u32 | sealed marker

`check` is as in `chunks`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import NamedTuple

from monitor.names import SketchKey, Source
from monitor.state.codec import decode_marker, encode, encode_key
from monitor.state.kafka.chunks import check, damaged, opened
from monitor.state.log import Marker

VERSION = 1

_HEAD = struct.Struct(">BQI16s")
_WIDTH = 16


class Manifest(NamedTuple):
    """What a marker's sketches are: how many, and the sum of their marks modulo 2^128."""

    sketches: int
    total: int


class Closed(NamedTuple):
    """A checkpoint as its last record tells it."""

    marker: Marker
    round: int
    """Which checkpoint of its writer it is, counted from 1. A slot of a later round is not part of it."""
    manifest: Manifest


def mark_of(key: SketchKey, applied: int, digest: bytes) -> int:
    """The hash by which a sketch enters a manifest."""
    named = b"%b%d|%b" % (digest, applied, encode_key(key))
    return int.from_bytes(hashlib.blake2b(named, digest_size=_WIDTH).digest(), "big")


def manifest_of(marks: Iterable[int]) -> Manifest:
    """The manifest of sketches with these marks, in any order."""
    listed = list(marks)
    return Manifest(len(listed), sum(listed) % (1 << (8 * _WIDTH)))


def close(key: bytes, closed: Closed) -> bytes:
    """The value of the record with this key."""
    total = closed.manifest.total.to_bytes(_WIDTH, "big")
    head = _HEAD.pack(VERSION, closed.round, closed.manifest.sketches, total)
    return head + check(key, head) + encode(closed.marker)


def read_closed(key: bytes, value: bytes, source: Source) -> Closed:
    """The checkpoint of `source` that a record closes. Raises StateDamaged, StateTooNew."""
    head, body = opened("marker", key, value, size=_HEAD.size, version=VERSION)
    _, number, sketches, total = _HEAD.unpack(head)
    marker = decode_marker(body)
    if marker.source != source:
        raise damaged("marker", f"it is one of {marker.source}")
    return Closed(marker, number, Manifest(sketches, int.from_bytes(total, "big")))
