"""Decoding a batch without a Python loop per record, and why a record does not decode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from monitor.names import Reason

Fault = tuple[Reason, str]
"""Reason and detail: what is wrong, where, what would be right; never a value of the record."""


def decode_all(
    decode: Callable[[bytes], Any], values: Sequence[bytes | None]
) -> tuple[list[Any], dict[int, Fault]]:
    """Decode without a Python loop per record: the decoded ones, and the faults by position."""
    records: list[Any] = []
    faults: dict[int, Fault] = {}
    remaining: Iterable[Any] = iter(values)
    while True:
        try:
            records.extend(map(decode, remaining))  # keeps what came before an exception
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            position = len(records) + len(faults)
            faults[position] = explain(error, values[position] or b"")
        else:
            return records, faults


def explain(error: Exception, value: bytes) -> Fault:
    """Why a record does not decode, in words that hold no value of it."""
    if isinstance(error, RecursionError):
        return Reason.DEPTH, "nested too deep - the record - lower max_depth"
    text = str(error).replace("`", "")
    if isinstance(error, msgspec.ValidationError):
        return Reason.WRONG_TYPE, text
    if isinstance(error, UnicodeDecodeError):
        return Reason.DECODE, "invalid UTF-8 - the record - must be UTF-8 JSON"
    _, _, tail = text.rpartition("(byte ")
    if tail.endswith(")") and tail[:-1].isdecimal():
        at = int(tail[:-1])
        for literal in ("NaN", "Infinity"):
            if value.startswith(literal.encode(), at):
                return (
                    Reason.DECODE,
                    f"{literal} is not JSON - byte {at} - write null, or the text {literal!r}",
                )
    return Reason.DECODE, f"{text} - the record - must be valid JSON"
