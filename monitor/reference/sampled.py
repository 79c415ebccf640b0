"""Rows of the reference that are kept, as slot codes: what live samples of rows are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import Layout
from monitor.errors import ReferenceInvalid
from monitor.sample import Reservoir, Sample, hashes_of, reference_rows

if TYPE_CHECKING:
    from monitor.reference.profile import Reference

ARRAYS = {"sample": "<u2", "sample_panes": "<i8"}
"""uint16[features * rows], feature by feature, rows in the order of panes; and int64[panes], rows of each. There where
rows were kept."""
_WORDS = 4
"""Codes of 16 bits that the number of a row's pane takes beside those of its features."""
SEED = 0x64_72_69_66_74_6C_69_6E


class Keeper:
    """A uniform sample of the rows of a table, by the hash of their number; lives as long as one pass."""

    def __init__(self, layout: Layout, wanted: int) -> None:
        """`wanted`: rows that are kept at most."""
        self._layout = layout
        self._rows = min(wanted, reference_rows(layout.features))
        none = Sample(np.empty(0, np.uint64), np.empty((0, layout.features + _WORDS), np.uint16))
        self._kept = Reservoir(none, self._rows)
        self._seen = 0

    def add(
        self,
        columns: Sequence[NDArray[np.float64]],
        codes: NDArray[np.int32],
        vectors: Sequence[NDArray[np.float64]],
        panes: NDArray[np.int64],
    ) -> None:
        """The next rows, as `Encoder` has them, and the number of the pane of each; negative ones are left out. Chunks
        may be cut anywhere."""
        if not self._rows:
            return
        count = codes.shape[1]
        hashes = hashes_of(np.arange(self._seen, self._seen + count), SEED)
        self._seen += count
        rows = np.flatnonzero((hashes <= np.uint64(self._kept.bound)) & (panes >= 0))
        if len(rows) > self._rows:
            rows = rows[np.argpartition(hashes[rows], self._rows)[: self._rows]]
        if len(rows):
            own = np.ascontiguousarray(panes[rows], "<i8").view("<u2").reshape(len(rows), _WORDS)
            self._kept.add(
                hashes[rows], np.hstack([self._encoded(columns, codes, vectors, rows), own.astype(np.uint16)])
            )

    def kept(self, panes: NDArray[np.int64]) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        """uint16[rows, features] in the order of panes, whose numbers are given, ascending; int64[panes], rows of each.
        Of none both are empty."""
        found, features = self._kept.read().codes, self._layout.features
        if not len(found):
            return found[:, :features], np.empty(0, np.int64)
        own = np.ascontiguousarray(found[:, features:], "<u2").view("<i8").ravel()
        order = np.argsort(own, kind="stable")
        return found[order, :features], np.bincount(np.searchsorted(panes, own), minlength=len(panes))

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


def arrays(reference: Reference) -> list[tuple[str, str, NDArray[Any]]]:
    """What a file holds of them."""
    if not len(reference.sample):
        return []
    own: dict[str, NDArray[Any]] = {
        "sample": np.ascontiguousarray(reference.sample.T).reshape(-1),
        "sample_panes": reference.sampled,
    }
    return [(name, dtype, own[name]) for name, dtype in ARRAYS.items()]


def fits(reference: Reference) -> bool:
    """Whether they can be of the reference's features and panes."""
    sample, own, rows = reference.sample, reference.sampled, reference.panes.rows
    if not sample.size:
        return not own.any()
    slots = [profile.slots for profile in reference.features]
    return (
        own.shape == rows.shape
        and bool(((own >= 0) & (own <= rows)).all())
        and int(own.sum()) == len(sample)
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
