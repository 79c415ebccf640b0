"""The integer counts of one cell, as they are stored, merged and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from monitor.names import SketchKey
from monitor.pack import Packed, pack

NOVEL_KEPT = 64
"""Novel values kept per feature: those of smallest hash, so that merging loses nothing exact."""


class Packable:
    """A field that takes an int64 array or a `Packed` one and always reads as an array.

    Reading a packed one unpacks it anew each time: 1,000 open panes of a wide model are 20 MB packed
    and 1 GB as arrays.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    @overload
    def __get__(self, sketch: None, owner: type) -> Packable: ...
    @overload
    def __get__(self, sketch: object, owner: type) -> NDArray[np.int64]: ...
    def __get__(self, sketch: object | None, owner: type) -> Packable | NDArray[np.int64]:
        if sketch is None:
            raise AttributeError(self._name)  # so that the dataclass sees no default
        held: NDArray[np.int64] | Packed = sketch.__dict__[self._name]
        return held.dense() if isinstance(held, Packed) else held

    def __set__(self, sketch: object, value: NDArray[np.int64] | Packed) -> None:
        sketch.__dict__[self._name] = value


@dataclass(frozen=True, eq=False, kw_only=True)
class Sketch:
    """Counts of one (model, config, version, variant, segment, pane, source partition).

    Holds exactly its rows among the offsets below `applied`. Absolute: a newer sketch of the
    same key replaces an older one, it is never added to it. Arrays are not to be written to;
    shapes are those of one row of `kernels.layout.CellArrays`.

    counts, latency: given as arrays or packed, read as arrays; `packed` and `add` do not unpack them.
    novel: categorical column → {category: count}, the NOVEL_KEPT categories of smallest hash.
    sample: some of its rows as `monitor.sample.pack` writes them; b"": none were kept.
    joinable: those of its rows that have an id, as `monitor.joinable.pack` writes them; b"" without labels.

    Compared by identity; equal content is equal `state.codec.digest`.
    """

    key: SketchKey
    applied: int
    rows: int
    errors: int
    counts: Packable = Packable()
    sums: NDArray[np.int64]
    extremes: NDArray[np.float64]
    latency: Packable = Packable()
    violations: NDArray[np.int64]
    rejects: NDArray[np.int64]
    first: int
    last: int
    novel: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    vectors: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    sample: bytes = b""
    joinable: bytes = b""

    def packed(self, name: str) -> Packed:
        """`counts` or `latency` as few bytes. Raises ValueError for a count below zero."""
        held: NDArray[np.int64] | Packed = self.__dict__[f"_{name}"]
        return held if isinstance(held, Packed) else Packed(pack(held))

    def compact(self, **changes: Any) -> Sketch:
        """The same sketch but for `changes`, to be kept: packed, it shares no array with this one."""
        held = {"counts": self.packed("counts"), "latency": self.packed("latency")}
        copies = {
            name: getattr(self, name).copy()
            for name in ("sums", "extremes", "vectors", "violations", "rejects")
        }
        return replace(self, **{**held, **copies, **changes})

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays as they are held."""
        held = (self.__dict__["_counts"], self.__dict__["_latency"], self.sums, self.extremes)
        flat = (self.violations, self.rejects, self.vectors)
        arrays = sum(len(a.data) if isinstance(a, Packed) else a.nbytes for a in (*held, *flat))
        return arrays + len(self.sample) + len(self.joinable)
