"""Rows of the reference by score, label and segment: what a score is worth, for estimates without labels.

Counted where the reference has a numeric feature `prediction`, and a label of 0 and 1: as a feature `label`, or as a
column that is read for this alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN
from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference.column import boolean_codes, column_of, numbers
from monitor.reference.segment_tally import HIDDEN_COLUMN, Column
from monitor.reference.table import FeatureDeclaration, Table

if TYPE_CHECKING:
    from monitor.reference.profile import FeatureProfile, Reference, SegmentColumn
    from monitor.reference.segments import SegmentEntry

    Segments = Sequence[SegmentColumn] | Sequence[SegmentEntry]

SCORE, TRUTH = "prediction", "label"
LABEL = HIDDEN_COLUMN + TRUTH
"""Name of the declaration of a label that is no feature."""
ARRAYS = {"calibration": "<i8"}
"""int64[parts * bins * 2]: the whole, then the parts of each column of segments. There where there was a label."""
_SLOTS = {"false": FIRST_BIN, "true": FIRST_BIN + 1}

Counts = NDArray[np.int64]


def none() -> Counts:
    """What a reference without labels has."""
    return np.zeros((0, 0, 2), np.int64)


def tally_calibration(
    chunks: Iterable[Table],
    features: Sequence[FeatureDeclaration],
    profiles: Sequence[FeatureProfile],
    columns: Sequence[Column],
) -> tuple[Counts, tuple[str, ...]]:
    """int64[parts, bins of the score, 2] labelled rows, and what is to be said where a label is none of 0 and 1.

    `features`: all declarations, hidden ones too, in the order of `profiles` as far as these go.
    """
    declared = {feature.name: feature for feature in features}
    label = declared.get(LABEL, declared.get(TRUTH))
    profile = next((one for one in profiles if one.name == SCORE and one.kind is Kind.NUMERIC), None)
    if label is None or profile is None:
        return none(), ()
    bins = len(profile.edges) - 1
    parts = [np.zeros((1, bins, 2), np.int64)]
    parts += [np.zeros((len(column.values) + 2, bins, 2), np.int64) for column in columns]
    for chunk in chunks:
        truth = boolean_codes(column_of(chunk, label), _SLOTS)
        if ((truth != FIRST_BIN) & (truth != FIRST_BIN + 1) & (truth != 0)).any():
            return none(), ("no estimates without labels: the label has other values than 0 and 1",)
        scores = numbers(column_of(chunk, declared[SCORE]), declared[SCORE])
        rows = np.flatnonzero((truth != 0) & np.isfinite(scores))
        place = np.clip(np.searchsorted(profile.edges, scores[rows], side="right") - 1, 0, bins - 1)
        place = place * 2 + truth[rows] - FIRST_BIN
        for part, own in zip(parts, [None, *columns], strict=True):
            of = 0 if own is None else own.parts(chunk)[rows]
            np.add.at(part.reshape(-1), of * bins * 2 + place, 1)
    found = np.concatenate(parts)
    return (found, ()) if found[0].any() else (none(), ())


def is_calibrated(features: Sequence[FeatureDeclaration]) -> bool:
    """Whether a pass over the rows is needed for it."""
    names = {feature.name for feature in features}
    return SCORE in names and not names.isdisjoint({TRUTH, LABEL})


def arrays(reference: Reference) -> list[tuple[str, str, NDArray[Any]]]:
    """What a file holds of them."""
    return (
        [("calibration", ARRAYS["calibration"], reference.calibration.ravel())]
        if len(reference.calibration)
        else []
    )


def assembled(flat: Counts | None, segments: Segments, *, where: str) -> Counts:
    """The counts of a file with these segments. Raises ReferenceInvalid."""
    if flat is None:
        return none()
    parts = _parts(segments)
    if not len(flat) or len(flat) % (2 * parts):
        raise ReferenceInvalid(
            f"{len(flat)} counts by score and label - {where} - as many for each of {parts} parts are right"
        )
    return flat.reshape(parts, -1, 2)


def _parts(segments: Segments) -> int:
    """The whole, and the segments of each column: its values, others, and none."""
    return 1 + sum(len(column.values) + 2 for column in segments)


def fits(reference: Reference) -> bool:
    """Whether they can be of the reference's scores and segments."""
    found = reference.calibration
    if not len(found):
        return found.size == 0
    at = next((i for i, one in enumerate(reference.features) if one.name == SCORE), None)
    if at is None or reference.features[at].kind is not Kind.NUMERIC:
        return False
    start, bins = sum(one.slots for one in reference.features[:at]), len(reference.features[at].edges) - 1
    if found.shape != (_parts(reference.segments), bins, 2) or (found < 0).any():
        return False
    own = reference.counts[start + FIRST_BIN - 1 : start + FIRST_BIN + bins + 1]
    low = 1
    for column in reference.segments:
        high = low + len(column.parts)
        if (found[low:high].sum(axis=0) != found[0]).any():
            return False
        low = high
    return int(found[0].sum()) <= int(own.sum()) and bool((found[0].sum(axis=1)[1:-1] <= own[2:-2]).all())
