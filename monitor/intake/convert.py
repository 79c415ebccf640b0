"""Decoded columns to arrays: numbers, categories, error flags, group names."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, MISSING, NOVEL, OTHER
from monitor.novel import hash64
from monitor.plan import FeaturePlan, Kind, TimeUnit
from monitor.reference.category import canonical
from monitor.reference.profile import FeatureProfile

LATENCY_MS = {
    TimeUnit.SECONDS: 1e3,
    TimeUnit.MILLISECONDS: 1.0,
    TimeUnit.MICROSECONDS: 1e-3,
    TimeUnit.NANOSECONDS: 1e-6,
}
"""Milliseconds per unit of latency."""
LONGEST_NAME = 256
"""Characters of a novel category, version or variant that are kept: these travel in every sketch."""

Key = TypeVar("Key")

_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?inf(inity)?|nan", re.IGNORECASE)


class Slots(dict[object, int]):
    """Category → slot of one feature, by lookup alone: unknown ones are NOVEL.

    Rare categories of the reference are OTHER, known by their hash.
    Numbers and booleans are looked up by their canonical text, because True, 1 and 1.0 are equal
    as dictionary keys. Integers that name a category are keys themselves, except 0 and 1, which
    False and True are equal to; no other lookup is remembered, so that the memory stays bounded.
    """

    def __init__(self, categories: Sequence[str], tail: Iterable[int] = ()) -> None:
        """`tail` are hashes (`monitor.novel.hash64`) of categories that share the slot OTHER."""
        self._tail = frozenset(int(rare) for rare in tail)
        super().__init__({name: FIRST_BIN + slot for slot, name in enumerate(categories)})
        for name in categories:
            if name.isascii() and name.isdecimal() and name[0] != "0" and name != "1" and len(name) < 16:
                self[int(name)] = self[name]
        self[None] = MISSING

    def __missing__(self, key: object) -> int:
        if isinstance(key, str):
            return OTHER if self._tail and hash64(key) in self._tail else NOVEL
        name = canonical(key)  # type: ignore[arg-type]
        return self[name] if name in self or self._tail else NOVEL


def slots(kind: Kind, categories: Sequence[str], tail: Iterable[int] = ()) -> Mapping[object, int]:
    """Category → slot. Those of a boolean feature hold booleans only, which need no spelling."""
    found = Slots(categories, tail)
    return {value: found[value] for value in (None, False, True)} if kind is Kind.BOOLEAN else found


def slots_of(feature: FeaturePlan, profile: FeatureProfile | None) -> Mapping[object, int]:
    """Category → slot, as a hidden column or the reference says; without either all are NOVEL."""
    if feature.categories is not None:
        return slots(feature.kind, feature.categories)
    return (
        slots(feature.kind, profile.categories, profile.tail)
        if profile is not None
        else slots(feature.kind, ())
    )


def unnamed(feature: FeaturePlan) -> tuple[int, ...]:
    """Slots of which somebody needs the category's name. A contract that lists its categories must know
    those of rare ones too."""
    if feature.categories is not None:
        return ()
    return (NOVEL, OTHER) if feature.allowed else (NOVEL,)


class Flags(dict[object, int]):
    """Error status → 1, or 0 where it says that all went well: null, false, 0, "", ok, 2xx."""

    def __init__(self) -> None:
        fine = [None, False, 0, "", "ok", "OK", *range(200, 300), *map(str, range(200, 300))]
        super().__init__(dict.fromkeys(fine, 0))

    def __missing__(self, key: object) -> int:
        if isinstance(key, str):
            return int(key.strip().lower() not in {"", "ok", "false", "0", "null", "none"})
        return 1


class Numbers(dict[Key, int]):
    """Distinct keys of one batch, numbered as they are met."""

    def __missing__(self, key: Key) -> int:
        number = self[key] = len(self)
        return number


def numbers(column: Sequence[Any], out: NDArray[np.float64]) -> None:
    """Write a column of numbers and None to `out`, float64[rows], contiguous; None is NaN.

    Raises OverflowError for an integer that no double can hold.
    """
    try:
        struct.pack_into(f"{len(column)}d", out, 0, *column)  # a third of the time of numpy's own way
    except struct.error:
        out[:] = np.array(column, np.float64)


def vectors(column: Sequence[list[float] | None], out: NDArray[np.float64]) -> None:
    """A column of lists to `out`, float64[rows, length of each]; None is a vector of NaN."""
    present = [row for row, vector in enumerate(column) if vector is not None]
    found = (vector for vector in column if vector is not None)
    flat = np.fromiter(chain.from_iterable(found), np.float64, len(present) * out.shape[1])
    out[:] = np.nan
    out[present] = flat.reshape(len(present), out.shape[1])


def scaled(latency: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
    """Latencies in milliseconds; one beyond all numbers is infinite."""
    with np.errstate(over="ignore"):
        return latency * unit


def number(text: str) -> float | None:
    """The number that a text spells, NaN for an empty one; None when it spells no number.

    NaN and Infinity are read in the spellings of Python, Java and JavaScript.
    """
    stripped = text.strip()
    if not stripped:
        return float("nan")
    if len(stripped) > 400 or _NUMBER.fullmatch(stripped) is None or not stripped.isascii():
        return None
    return float(stripped)


def flags(column: Sequence[Any], known: Mapping[object, int]) -> NDArray[np.uint8]:
    """Error flags of a column, uint8[rows]. An object or array is an error."""
    try:
        return np.fromiter(map(known.__getitem__, column), np.uint8, len(column))
    except TypeError:  # an unhashable value
        found = (1 if isinstance(value, list | dict) else known[value] for value in column)
        return np.fromiter(found, np.uint8, len(column))


def names(column: Sequence[Any], absent: str) -> Sequence[str]:
    """Canonical names of a column of scalars; `absent` where it is None or empty."""
    if set(map(type, column)) == {str} and max(map(len, column)) <= LONGEST_NAME and "" not in column:
        return column
    return [absent if value is None or value == "" else shorten(canonical(value)) for value in column]


def quoted(name: str) -> bytes:
    """A text as most producers write it in JSON: everything but quotes, backslashes and controls as it is."""
    return msgspec.json.encode(name)


def shorten(name: str) -> str:
    """A name of at most LONGEST_NAME characters that still tells long names apart."""
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{name[: LONGEST_NAME - 33]}…{digest}"
