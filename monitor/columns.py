"""A batch on its way from bytes to rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from monitor.intake.packed import Packed
from monitor.names import Reason, Source


@dataclass(slots=True)
class Batch:
    """The records of one poll of one source partition, in offset order. Step 1.

    values      the record values, `Packed` where a kernel may read them in place; None is a null value
    keys        the record keys, for dead letters; they may be fetched on demand, so ask only for few
    headers     the record headers as the client gives them, for dead letters; the same holds
    offsets     int64[records]
    timestamps  int64[records]  record timestamp, milliseconds; -1 when the record has none
    log_append  True when the timestamps are the broker's (LogAppendTime)
    """

    source: Source
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]
    headers: Sequence[list[tuple[str, bytes | None]] | None]
    offsets: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    log_append: bool = False
    _sizes: NDArray[np.int64] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """int64[records]: bytes of each value, -1 for a null value. Counted once; do not write to it."""
        if self._sizes is None:
            self._sizes = _sizes(self.values)
        return self._sizes


def _sizes(values: Sequence[bytes | None]) -> NDArray[np.int64]:
    if isinstance(values, Packed):
        return values.sizes
    try:
        return np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]
    except TypeError:  # a null value among them, which is rare
        found = (-1 if value is None else len(value) for value in values)
        return np.fromiter(found, np.int64, len(values))


@dataclass(slots=True)
class Reject:
    """A record that cannot become a row.

    `detail` says what is wrong, where, and what would be right; never a feature's value.
    """

    index: int
    """Position in the batch."""
    reason: Reason
    detail: str
    model: str = ""
    """The model it names, "" when it names none."""


@dataclass(frozen=True, slots=True, eq=False)
class Novel:
    """Categories of a batch that have no slot, by name: entry i says that `codes[column[i], row[i]]` is
    NOVEL (or OTHER, only where the contract lists the allowed categories) and is called `names[name[i]]`.

    row, column, name  int32[entries]   in any order, each (row, column) at most once
    names              distinct
    """

    row: NDArray[np.int32]
    column: NDArray[np.int32]
    name: NDArray[np.int32]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.row)


_NONE = np.zeros(0, np.int32)
NOTHING_NOVEL = Novel(_NONE, _NONE, _NONE, ())


@dataclass(slots=True)
class Columns:
    """The accepted records of one batch for one model, as arrays. Step 2.

    index       int64[rows]                 position of each row in the batch, ascending
    offsets     int64[rows]
    timestamps  int64[rows]                 record timestamps, milliseconds, -1 when absent
    events      int64[rows]                 event times, milliseconds
    values      float64[numeric, rows]      NaN is missing; infinities are kept
    codes       int32[categorical, rows]    slot of the category (`kernels.layout`): 0 missing,
                                            1 novel, 2 other, 3… categories
    vectors     float64[rows, dims]         of all vector features side by side; a missing one is all
                                            NaN; None without vector features
    latency     float64[rows]               milliseconds, NaN when absent
    errors      uint8[rows]                 1 when the record reports an error
    group       int32[rows]                 index into `groups`
    groups      the distinct (version, variant) of the batch
    novel       the rows whose code is 1, and those whose code is 2 where the contract lists the allowed
                categories
    segments    int32[segment columns, rows]   as codes, of the values of `ModelPlan.segments`; None
                without segments
    ids         uint64[rows]                hash of the id that labels find a prediction by, 0 where there
                                            is none; None without labels
    outcome     float32[rows]               the prediction, or the label itself, NaN where it is missing;
                                            None as `ids`
    label       float32[rows]               the label beside the prediction, NaN where it is missing; None where
                                            labels come on a topic of their own; then there are no ids
    """

    model: str
    index: NDArray[np.int64]
    offsets: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    events: NDArray[np.int64]
    values: NDArray[np.float64]
    codes: NDArray[np.int32]
    latency: NDArray[np.float64]
    errors: NDArray[np.uint8]
    group: NDArray[np.int32]
    groups: tuple[tuple[str, str], ...]
    novel: Novel = NOTHING_NOVEL
    vectors: NDArray[np.float64] | None = None
    segments: NDArray[np.int32] | None = None
    ids: NDArray[np.uint64] | None = None
    outcome: NDArray[np.float32] | None = None
    label: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """Some of the rows, without the names of novel categories."""
        return replace(
            self,
            index=self.index[rows],
            offsets=self.offsets[rows],
            timestamps=self.timestamps[rows],
            events=self.events[rows],
            values=self.values[:, rows],
            codes=self.codes[:, rows],
            latency=self.latency[rows],
            errors=self.errors[rows],
            group=self.group[rows],
            novel=NOTHING_NOVEL,
            vectors=self.vectors[rows] if self.vectors is not None else None,
            segments=self.segments[:, rows] if self.segments is not None else None,
            ids=self.ids[rows] if self.ids is not None else None,
            outcome=self.outcome[rows] if self.outcome is not None else None,
            label=self.label[rows] if self.label is not None else None,
        )
