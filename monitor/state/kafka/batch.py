"""Ledger entries ↔ the records that hold them: what was appended together is one record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from monitor.errors import StateError
from monitor.state.envelope import MAX_BODY, Form, damaged, seal, unseal
from monitor.state.log import Entry
from monitor.state.text import to_text

LARGEST = 4 << 20
"""Bytes of one append as stored. The topic takes 8 MiB, so that an entry which was appended together with
others fits in any case when it is written anew without them, compressed a little worse."""


class Item(NamedTuple):
    """One entry of a batch."""

    kind: str
    id: str
    text: bytes | None
    """The body as JSON, ASCII; None removes the entry."""


class Owner(NamedTuple):
    """A process that took a partition over."""

    member: str
    """Its host."""
    at: int
    """When, milliseconds, by its clock."""
    group: str = ""
    """`kafka.group` of its installation; "" in records of before it was noted."""


class _Batch(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    items: tuple[tuple[bytes, bytes, bytes | None], ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Batch)


def items_of(entries: Sequence[Entry]) -> list[Item]:
    """The entries as they are stored; of two with equal kind and id the last. TypeError: not JSON-able."""
    items = {(one.kind, one.id): one.body for one in entries}
    return [
        Item(kind, name, None if body is None else to_text(body).encode())
        for (kind, name), body in items.items()
    ]


def encode_batch(items: Iterable[Item], *, largest: int = LARGEST) -> bytes:
    """The record of a batch. Raises StateError where it would be larger than that."""
    stored = tuple((_utf8(kind), _utf8(name), text) for kind, name, text in items)
    body = _encoder.encode(_Batch(stored))
    if len(body) > MAX_BODY:
        raise _too_large(len(stored), len(body), MAX_BODY)
    data = seal(Form.BATCH, body)
    if len(data) > largest:
        raise _too_large(len(stored), len(data), largest)
    return data


def decode_batch(data: bytes) -> list[Item]:
    """The entries of a batch, no two with equal kind and id. Raises StateDamaged, StateTooNew."""
    try:
        stored = _decoder.decode(unseal(Form.BATCH, data))
        items = [Item(_text(kind), _text(name), text) for kind, name, text in stored.items]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged(Form.BATCH, str(error)) from error
    if len({(item.kind, item.id) for item in items}) < len(items):
        raise damaged(Form.BATCH, "an entry that is there twice")
    if not all(item.text is None or (item.text.isascii() and item.text[:1] == b"{") for item in items):
        raise damaged(Form.BATCH, "a body that is no JSON object")
    return items


def encode_owner(owner: Owner) -> bytes:
    """The record by which a process takes a partition. What decides is its offset; of its content only the group
    matters to others, and readers of any version pass over fields that they do not know."""
    return seal(Form.OWNER, json.dumps(owner._asdict(), sort_keys=True).encode())


def decode_owner(data: bytes) -> Owner:
    """Who took a partition. Raises StateDamaged, StateTooNew."""
    try:
        stored = json.loads(unseal(Form.OWNER, data))
        return Owner(str(stored["member"]), int(stored["at"]), str(stored.get("group", "")))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(Form.OWNER, str(error)) from error


def _too_large(count: int, found: int, largest: int) -> StateError:
    return StateError(
        f"{count} ledger entries are too large together - {found} bytes - at most {largest}: "
        "watch fewer features in one model"
    )


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
