"""What is checked before a decoder may see a record: size, depth, repeated keys, UTF-8."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.outline import DEEP, NON_ASCII, WIDE, outline
from monitor.columns import Reject
from monitor.names import Reason

SMALLEST_TABLE = 1 << 10
LARGEST_TABLE = 1 << 16
"""Entries of the key table: 512 keys a record at first, doubled as wider records are met, until
1 MiB of scratch. Records of more than 32,768 keys are compared in Python, key by key."""


class Gate:
    """Keeps out what decoders take in silence or choke on. One per decoder; not shared by threads."""

    def __init__(self, *, max_bytes: int, max_depth: int) -> None:
        self._max_bytes = max_bytes
        self._max_depth = max_depth
        self._objects = np.zeros(max(max_depth, 1), np.int64)
        self._widen(SMALLEST_TABLE)

    def admit(self, values: Sequence[bytes | None], model: str) -> tuple[list[int], list[Reject]]:
        """Positions of the records that may be decoded, and the rejects with `model` in them."""
        rejects: list[Reject] = []
        sizes = [-1 if value is None else len(value) for value in values]
        if sizes and (min(sizes) <= 0 or max(sizes) > self._max_bytes):
            for index, size in enumerate(sizes):
                if size <= 0:
                    what = "null value" if size < 0 else "empty value, 0 bytes"
                    rejects.append(Reject(index, Reason.DECODE, f"{what} - must be a JSON object", model))
                elif size > self._max_bytes:
                    detail = f"{size} bytes - the record - at most {self._max_bytes} (max_bytes)"
                    rejects.append(Reject(index, Reason.OVERSIZE, detail, model))
            out = {reject.index for reject in rejects}
            positions = [index for index in range(len(values)) if index not in out]
        else:
            positions = list(range(len(values)))
        chosen = [value for index in positions if (value := values[index]) is not None]
        flags = self._outline(chosen)
        if not flags.any():
            return positions, rejects
        out = set()
        for row in np.flatnonzero(flags).tolist():
            fault = self._confirm(chosen[row], int(flags[row]))
            if fault is not None:
                out.add(positions[row])
                rejects.append(Reject(positions[row], fault[0], fault[1], model))
        return [index for index in positions if index not in out], rejects

    def _outline(self, values: Sequence[bytes]) -> NDArray[np.uint8]:
        flags = np.zeros(len(values), np.uint8)
        ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
        starts = np.concatenate([np.zeros(1, np.int64), ends])[:-1]
        self._owners.fill(-1)
        data = np.frombuffer(b"".join(values), np.uint8)
        outline(  # type: ignore[no-untyped-call]
            self._owners, self._hashes, self._objects, data, starts, ends, self._max_depth, flags
        )
        return flags

    def _confirm(self, value: bytes, flags: int) -> tuple[Reason, str] | None:
        if flags & DEEP:
            detail = f"nested too deep - the record - at most {self._max_depth} levels (max_depth)"
            return Reason.DEPTH, detail
        if flags & NON_ASCII:
            try:
                value.decode()
            except UnicodeDecodeError as error:
                return Reason.DECODE, f"invalid UTF-8 - byte {error.start} - must be UTF-8 JSON"
        if flags & WIDE and len(self._owners) < LARGEST_TABLE:
            self._widen(len(self._owners) * 2)
        if flags & ~NON_ASCII:
            repeated = repeated_key(value)
            if repeated is not None:
                return Reason.DUPLICATE_KEY, f"key repeated - {clip(repeated)!r} - each key once per object"
        return None

    def _widen(self, table: int) -> None:
        self._owners = np.empty(table, np.int64)
        self._hashes = np.empty(table, np.uint64)


def repeated_key(value: bytes) -> str | None:
    """A key that some object of a JSON text holds twice; None when there is none or it is not JSON."""
    repeated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            repeated.append(next(key for at, key in enumerate(keys) if key in keys[:at]))

    try:
        json.loads(value.decode(), object_pairs_hook=note, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return None
    return repeated[0] if repeated else None


def clip(text: str) -> str:
    """At most 64 characters of a name that a producer chose."""
    return text if len(text) <= 64 else f"{text[:63]}…"
