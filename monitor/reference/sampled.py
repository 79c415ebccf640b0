"""Rows of the reference that are kept, as slot codes: what live samples of rows are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.layout import Layout
from monitor.errors import ReferenceInvalid
from monitor.sample import Reservoir, Sample, hashes_of, reference_rows

ARRAYS = {"sample": "<u2"}
"""uint16[features * rows], feature by feature; there where rows were kept."""
SEED = 0x64_72_69_66_74_6C_69_6E


class Keeper:
    """A uniform sample of the rows of a table, by the hash of their number; lives as long as one pass."""

    def __init__(self, layout: Layout, wanted: int) -> None:
        """`wanted`: rows that are kept at most."""
        self._layout = layout
        self._rows = min(wanted, reference_rows(layout.features))
        none = Sample(np.empty(0, np.uint64), np.empty((0, layout.features), np.uint16))
        self._kept = Reservoir(none, self._rows)
        self._seen = 0

    def add(
        self,
        columns: Sequence[NDArray[np.float64]],
        codes: NDArray[np.int32],
        vectors: Sequence[NDArray[np.float64]],
    ) -> None:
        """The next rows, as `Encoder` has them. Chunks may be cut anywhere."""
        if not self._rows:
            return
        count = codes.shape[1]
        hashes = hashes_of(np.arange(self._seen, self._seen + count), SEED)
        self._seen += count
        rows = np.flatnonzero(hashes <= np.uint64(self._kept.bound))
        if len(rows) > self._rows:
            rows = rows[np.argpartition(hashes[rows], self._rows)[: self._rows]]
        if len(rows):
            self._kept.add(hashes[rows], self._encoded(columns, codes, vectors, rows))

    def codes(self) -> NDArray[np.uint16]:
        """uint16[rows, features]"""
        return self._kept.read().codes

    def _encoded(
        self,
        columns: Sequence[NDArray[np.float64]],
        codes: NDArray[np.int32],
        vectors: Sequence[NDArray[np.float64]],
        rows: NDArray[np.int64],
    ) -> NDArray[np.uint16]:
        from kernels.lookup import lookup
        from kernels.sample import encode_rows  # compiles or loads the kernel

        layout, count = self._layout, len(rows)
        out = np.empty((count, layout.features), np.uint16)
        values = np.empty((layout.numeric, count))
        for place, column in enumerate(columns):
            values[place] = column[rows]
        side = np.concatenate([np.empty((count, 0)), *(vector[rows] for vector in vectors)], axis=1)
        encode_rows(
            out, np.empty(count), np.empty(count, np.int32), np.arange(count, dtype=np.int32),
            values, codes[:, rows], side, layout.kind, layout.column, layout.vectors.dim_start, *lookup(layout),
        )  # fmt: skip
        return out


def arrays(sample: NDArray[np.uint16]) -> list[tuple[str, str, NDArray[np.uint16]]]:
    """What a file holds of them."""
    return [("sample", ARRAYS["sample"], np.ascontiguousarray(sample.T).reshape(-1))] if len(sample) else []


def fits(sample: NDArray[np.uint16], slots: Sequence[int], rows: int) -> bool:
    """Whether it can be of `rows` rows of features with so many slots each."""
    return not sample.size or (
        len(sample) <= rows
        and sample.shape[1] == len(slots)
        and bool((sample.max(axis=0) < np.array(slots)).all())
    )


def assembled(flat: NDArray[np.uint16] | None, *, rows: int, features: int, where: str) -> NDArray[np.uint16]:
    """The kept rows of a file: uint16[rows, features]. Raises ReferenceInvalid."""
    found = flat if flat is not None else np.empty(0, np.uint16)
    if rows < 0 or len(found) != rows * features:
        raise ReferenceInvalid(
            f"{len(found)} codes of sampled rows - {where} - those of {rows} rows of {features} features are right"
        )
    return found.reshape(features, rows).T
