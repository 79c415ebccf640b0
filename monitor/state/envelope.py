"""The outer form of every stored record: what it is, which format, and that it is whole.

    magic "dl" | kind u8 | version u8 | flags u8 | size u32 | check 8 bytes | payload

`size` is that of the plain body; the payload is the body, compressed with zlib when flag 1 is set.
`check` is blake2b over the head before it and the payload, in this and every later version, so
that damage is told apart from a newer format.
"""

from __future__ import annotations

import enum
import hashlib
import struct
import zlib

from monitor.errors import StateDamaged, StateTooNew

VERSION = 1
"""Of the bodies. Version N reads N - 1; a newer one is refused."""
MAX_BODY = 64 << 20
"""Plain bytes of one record; a limit on what a damaged size can make us allocate."""
COMPRESS_FROM = 256
"""Below this zlib's own head eats the gain."""

_MAGIC = b"dl"
_HEAD = struct.Struct("<2sBBBI")
_CHECK = 8
_ZLIB = 1


class Form(enum.IntEnum):
    """What a record is."""

    SKETCH = ord("S")
    MARKER = ord("M")
    PROGRESS = ord("P")
    BATCH = ord("B")
    OWNER = ord("O")
    NOTICE = ord("N")


def seal(form: Form, body: bytes, *, compress: bool = True) -> bytes:
    """The stored form of `body`, compressed when that saves a tenth. Either form is read everywhere."""
    if len(body) > MAX_BODY:
        raise ValueError(f"{form.name.lower()} too large - {len(body)} bytes - at most {MAX_BODY}")
    flags, payload = 0, body
    if compress and len(body) >= COMPRESS_FROM:
        smaller = zlib.compress(body, 1)
        if len(smaller) < len(body) * 9 // 10:
            flags, payload = _ZLIB, smaller
    head = _HEAD.pack(_MAGIC, form, VERSION, flags, len(body))
    return head + _check(head, payload) + payload


def unseal(form: Form, data: bytes) -> bytes:
    """The verified body of a record of this form. Raises StateDamaged, StateTooNew."""
    start = _HEAD.size + _CHECK
    if len(data) < start:
        raise damaged(form, f"{len(data)} bytes")
    magic, found, version, flags, size = _HEAD.unpack_from(data)
    payload = data[start:]
    if magic != _MAGIC or data[_HEAD.size : start] != _check(data[: _HEAD.size], payload):
        raise damaged(form, "its check sum differs")
    if version > VERSION:
        raise StateTooNew(
            f"stored {form.name.lower()} has format {version} - state log - "
            f"this driftline reads up to {VERSION}: use the newer driftline that wrote it"
        )
    if found != form or version != VERSION or flags > _ZLIB or size > MAX_BODY:
        raise damaged(form, f"kind {found}, format {version}, flags {flags}, {size} bytes")
    body = _inflate(form, payload, size) if flags & _ZLIB else payload
    if len(body) != size:
        raise damaged(form, f"{len(body)} bytes instead of {size}")
    return body


def damaged(form: Form, found: str) -> StateDamaged:
    return StateDamaged(
        f"stored {form.name.lower()} does not verify ({found}) - state log - expected what driftline wrote: "
        "restore the state from a copy, or accept its loss with --accept-data-loss"
    )


def _inflate(form: Form, payload: bytes, size: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        body = stream.decompress(payload, size + 1)  # never more than was promised
    except zlib.error as error:
        raise damaged(form, str(error)) from error
    if not stream.eof or stream.unused_data:
        raise damaged(form, "its compressed stream does not end where it should")
    return body


def _check(head: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHECK, key=head).digest()
