"""Labels find the predictions they belong to, in either order: an open-addressing table by the hash of an id.

What has been added up is a function of the rows alone, not of their order. Of several predictions of one
id that of smallest (deadline, rank, value) counts; of its labels those whose `stamp` is not before `opening` and whose
`mark` is not behind `deadline` of the prediction's cell, and of them the one of largest (stamp, offset, value).
A cell whose deadline is OVER is no cell any more: whatever prediction comes takes the place of its own.
Of a *brief* label ~`mark` is kept, which is negative: it counts only where `stamp` is not before `opening` + `less`.

    ids     uint64[capacity]  0 where nothing is; at least one place is free
    cell    int32[capacity]   the prediction's cell, -1 while only labels are known
    value   float32[capacity] the prediction
    label   int32[capacity]   the first of its labels, -1: none

20 bytes a place. Labels lie apart, in a list for each id:

    label_value  float32[labels]
    stamp, offset, mark  int64[labels]
    next_label   int32[labels]   -1: the last

Cells say when labels count, and where pairs are added up:

    opening, deadline  int64[cells]
    rank    uint64[cells]     the same for equal cells whatever their number
    parts   int32[cells, 1 + segment columns]   rows of `sums`: that of the whole, and of its segments
    sums    int64[rows, width]  as `add_pair` and `add_prediction` write them
"""

from __future__ import annotations

import math

import numpy as np

from kernels.foreign import expect
from kernels.jit import inline, kernel
from kernels.layout import Array

SCORE, CLASS, NUMBER = 0, 1, 2
"""Kinds of predictions: the probability of label 1, a class among `width_of(CLASS, classes)`, a number."""
BINS = 256
"""Of scores: 128 below the threshold and 128 from it on, evenly in each."""
UNIT = float(1 << 20)
SCORE_SUMS, NUMBER_SUMS = 3, 6
CLIP = float(1 << 26)
OVER = (1 << 63) - 1
_TINY = 1.0 / (1 << 24)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_LINE = 64
"""Bytes that the processor fetches together."""


def width_of(kind: int, classes: int) -> int:
    """int64 words of a row of sums: pairs, then predictions by slot, then sums, then predictions and labels."""
    slots = {SCORE: 3 * BINS + SCORE_SUMS, CLASS: (classes + 1) * (classes + 2), NUMBER: NUMBER_SUMS}
    return slots[kind] + 2


@inline
def bin_of(score: float, threshold: float) -> int:
    """Bin of a score; what is outside of [0, 1] counts at its end."""
    if score >= threshold:
        return BINS // 2 + min(
            int((score - threshold) / max(1.0 - threshold, _TINY) * (BINS // 2)), BINS // 2 - 1
        )
    return min(max(int(score / max(threshold, _TINY) * (BINS // 2)), 0), BINS // 2 - 1)


@inline
def _class(value: float, classes: int) -> int:
    return min(max(int(value), 0), classes)


@inline
def add_prediction(row: Array, kind: int, classes: int, threshold: float, value: float, sign: int) -> None:
    """Count a prediction, labelled or not; `sign` -1 takes it back."""
    if kind == SCORE:
        row[2 * BINS + bin_of(value, threshold)] += sign
    elif kind == CLASS:
        row[(classes + 1) * (classes + 1) + _class(value, classes)] += sign
    row[len(row) - 2] += sign


@inline
def add_pair(
    row: Array, kind: int, classes: int, threshold: float, scale: float, value: float, label: float, sign: int
) -> None:
    """Count a pair; `sign` -1 takes it back.

    SCORE   [256, 2] by bin and label; sums of score, (score - label)^2 and log loss in 2^-20
    CLASS   [classes + 1, classes + 1] by prediction and label
    NUMBER  sums of 1, q, |q|, (q >> 8)^2, p, (p >> 8)^2; q is (prediction - label) / scale in 2^-16, p the label
    """
    last = len(row)
    row[last - 1] += sign
    if kind == SCORE:
        is_one = 1 if label > 0.5 else 0
        row[2 * bin_of(value, threshold) + is_one] += sign
        score = min(max(value, 0.0), 1.0)
        clipped = min(max(score, _TINY), 1.0 - _TINY)
        loss = -math.log(clipped if is_one else 1.0 - clipped)
        row[last - 5] += sign * np.int64(np.rint(score * UNIT))
        row[last - 4] += sign * np.int64(np.rint((score - is_one) ** 2 * UNIT))
        row[last - 3] += sign * np.int64(np.rint(loss * UNIT))
    elif kind == CLASS:
        row[_class(value, classes) * (classes + 1) + _class(label, classes)] += sign
    else:
        q = np.int64(np.rint(min(max((value - label) / scale * 65536.0, -CLIP), CLIP)))
        p = np.int64(np.rint(min(max(label / scale * 65536.0, -CLIP), CLIP)))
        row[0] += sign
        row[1] += sign * q
        row[2] += sign * abs(q)
        row[3] += sign * (q >> 8) * (q >> 8)
        row[4] += sign * p
        row[5] += sign * (p >> 8) * (p >> 8)


@inline
def _first(ids: Array, own: int) -> int:
    """From where on an id is looked for."""
    spread = (own ^ (own >> _HALF)) * _SPREAD
    return np.int64(((spread >> _HALF) * np.uint64(len(ids))) >> _HALF)


@inline
def _place(ids: Array, own: int, at: int) -> int:
    """Where an id is, or would be, that is not between `_first` and `at`."""
    while ids[at] != 0 and ids[at] != own:
        at += 1
        if at == len(ids):
            at = 0
    return at


@inline
def _seek(
    ids: Array, cell: Array, value: Array, label: Array, own_id: Array, begin: int, end: int, places: Array
) -> None:
    """For own_id[begin:end] where each is, or from where on it will be when those before it are put in; at most as many as
    `places`.

    A place is in no cache, and waiting for one after the other is most of the time that a join takes: here the processor
    fetches those of all at the same time.
    """
    of_id, of_cell, of_value, of_label = (
        ids.ctypes.data, cell.ctypes.data, value.ctypes.data, label.ctypes.data,
    )  # fmt: skip
    for row in range(begin, end):
        at = _first(ids, own_id[row])
        expect(of_id + 8 * at)
        expect(of_id + 8 * at + _LINE)
        places[row - begin] = at
    for row in range(begin, end):
        at = _place(ids, own_id[row], places[row - begin])
        expect(of_cell + 4 * at)
        expect(of_value + 4 * at)
        expect(of_label + 4 * at)
        places[row - begin] = at


@inline
def _best(
    first: int, low: int, high: int, less: int,
    value: Array, stamp: Array, offset: Array, mark: Array, following: Array,
) -> int:  # fmt: skip
    """The label that counts among a list, -1: none."""
    best = np.int64(-1)
    at = np.int64(first)
    while at >= 0:
        own = mark[at]
        if (low if own >= 0 else low + less) <= stamp[at] and max(own, ~own) <= high:
            is_better = best < 0 or stamp[at] > stamp[best]
            if not is_better and stamp[at] == stamp[best]:
                is_better = offset[at] > offset[best]
                if offset[at] == offset[best]:
                    is_better = value[at] > value[best]
            if is_better:
                best = at
        at = np.int64(following[at])
    return best


@kernel(
    "int64(uint64[::1], int32[::1], float32[::1], int32[::1], "
    "float32[::1], int64[::1], int64[::1], int64[::1], int32[::1], "
    "const int64[::1], const int64[::1], const uint64[::1], const int32[:, ::1], int64[:, ::1], "
    "int64, int64, float64, float64, int64, "
    "const uint64[::1], const int32[::1], const float32[::1], "
    "uint64[::1], int32[::1], float32[::1], int64[::1], int64[::1])"
)
def add_predictions(
    ids: Array, cell: Array, value: Array, label: Array,
    label_value: Array, stamp: Array, offset: Array, mark: Array, next_label: Array,
    opening: Array, deadline: Array, rank: Array, parts: Array, sums: Array,
    kind: int, classes: int, threshold: float, scale: float, less: int,
    own_id: Array, own_cell: Array, own_value: Array,
    other_id: Array, other_cell: Array, other_value: Array, others: Array, places: Array,
) -> int:  # fmt: skip
    """Take predictions and count their pairs; how many places of the table became used.

    ids, cell, value, label   the table
    label_value, stamp, offset, mark, next_label   the lists of labels
    opening, deadline, rank, parts, sums   the cells
    own_id     uint64[rows]   none is 0
    own_cell   int32[rows]
    own_value  float32[rows]
    other_id, other_cell, other_value   [rows]: predictions that do not count because of one with an earlier deadline
    less       by which brief labels count less early
    others     int64[1]       how many these are
    places     int64[any]     room for as many that are looked for at the same time
    """
    used = 0
    for row in range(len(own_id)):
        ahead = row % len(places)
        if ahead == 0:
            _seek(ids, cell, value, label, own_id, row, min(row + len(places), len(own_id)), places)
        at = _place(ids, own_id[row], places[ahead])
        new, taken = own_cell[row], own_value[row]
        if ids[at] == 0:
            ids[at] = own_id[row]
            label[at] = -1
            used += 1
        elif cell[at] >= 0:
            old = cell[at]
            is_before = deadline[new] < deadline[old]
            if deadline[new] == deadline[old]:
                is_before = rank[new] < rank[old] or (rank[new] == rank[old] and taken < value[at])
            if deadline[new] != deadline[old] and deadline[old] != OVER:
                other_id[others[0]] = own_id[row]
                other_cell[others[0]] = old if is_before else new
                other_value[others[0]] = value[at] if is_before else taken
                others[0] += 1
            if not is_before:
                continue
            best = _best(
                label[at], opening[old], deadline[old], less, label_value, stamp, offset, mark, next_label
            )
            for part in range(parts.shape[1]):
                add_prediction(sums[parts[old, part]], kind, classes, threshold, value[at], -1)
                if best >= 0:
                    add_pair(
                        sums[parts[old, part]], kind, classes, threshold, scale, value[at], label_value[best], -1
                    )  # fmt: skip
        cell[at] = new
        value[at] = taken
        best = _best(
            label[at], opening[new], deadline[new], less, label_value, stamp, offset, mark, next_label
        )
        for part in range(parts.shape[1]):
            add_prediction(sums[parts[new, part]], kind, classes, threshold, taken, 1)
            if best >= 0:
                add_pair(sums[parts[new, part]], kind, classes, threshold, scale, taken, label_value[best], 1)
    return used


@kernel(
    "int64(uint64[::1], int32[::1], float32[::1], int32[::1], "
    "float32[::1], int64[::1], int64[::1], int64[::1], int32[::1], "
    "const int64[::1], const int64[::1], const int32[:, ::1], int64[:, ::1], "
    "int64, int64, float64, float64, int64, "
    "const uint64[::1], int64, int64, int64[::1], int64[::1])"
)
def add_labels(
    ids: Array, cell: Array, value: Array, label: Array,
    label_value: Array, stamp: Array, offset: Array, mark: Array, next_label: Array,
    opening: Array, deadline: Array, parts: Array, sums: Array,
    kind: int, classes: int, threshold: float, scale: float, less: int,
    own_id: Array, begin: int, end: int, late: Array, places: Array,
) -> int:  # fmt: skip
    """Take the labels [begin, end) of the lists, which stand there but are in none yet; places that became used.

    ids, cell, value, label   the table
    label_value, stamp, offset, mark, next_label   the lists of labels
    opening, deadline, parts, sums   the cells
    less    by which brief labels count less early
    own_id  uint64[end - begin]   none is 0
    late    int64[1]   how many come behind the deadline of their prediction is added
    places  int64[any]   room for as many that are looked for at the same time
    """
    used = 0
    for own in range(begin, end):
        row = own - begin
        ahead = row % len(places)
        if ahead == 0:
            _seek(ids, cell, value, label, own_id, row, min(row + len(places), len(own_id)), places)
        at = _place(ids, own_id[row], places[ahead])
        if ids[at] == 0:
            ids[at] = own_id[row]
            cell[at] = -1
            value[at] = 0.0
            label[at] = -1
            used += 1
        first, of = label[at], cell[at]
        next_label[own] = first
        label[at] = own
        is_late = of >= 0 and max(mark[own], ~mark[own]) > deadline[of]
        if is_late:
            late[0] += 1
        if of < 0 or is_late or stamp[own] < opening[of]:
            continue
        before = _best(first, opening[of], deadline[of], less, label_value, stamp, offset, mark, next_label)
        best = _best(own, opening[of], deadline[of], less, label_value, stamp, offset, mark, next_label)
        if best == before:
            continue
        for part in range(parts.shape[1]):
            target = sums[parts[of, part]]
            if before >= 0:
                add_pair(target, kind, classes, threshold, scale, value[at], label_value[before], -1)
            add_pair(target, kind, classes, threshold, scale, value[at], label_value[best], 1)
    return used


@kernel(
    "void(int64[:, ::1], int64, int64, float64, float64, "
    "const int32[::1], const float32[::1], const float32[::1])"
)
def add_labelled(
    sums: Array,
    kind: int,
    classes: int,
    threshold: float,
    scale: float,
    row: Array,
    value: Array,
    label: Array,
) -> None:
    """Count predictions that have their label beside them: nothing is to be found.

    sums   int64[rows of sums, width]
    row    int32[predictions]    where to count each, -1: nowhere
    value  float32[predictions]  not counted where it is not finite
    label  float32[predictions]  not finite: there is none yet
    """
    for at in range(len(row)):
        if row[at] < 0 or not math.isfinite(value[at]):
            continue
        add_prediction(sums[row[at]], kind, classes, threshold, value[at], 1)
        if math.isfinite(label[at]):
            add_pair(sums[row[at]], kind, classes, threshold, scale, value[at], label[at], 1)


@kernel(
    "int64(uint64[::1], int32[::1], float32[::1], int32[::1], "
    "float32[::1], int64[::1], int64[::1], int64[::1], int32[::1], "
    "uint64[::1], int32[::1], float32[::1], int32[::1], "
    "float32[::1], int64[::1], int64[::1], int64[::1], int32[::1], "
    "const boolean[::1], int64, int64, int64[::1])"
)
def move(
    ids: Array, cell: Array, value: Array, label: Array,
    label_value: Array, stamp: Array, offset: Array, mark: Array, next_label: Array,
    new_ids: Array, new_cell: Array, new_value: Array, new_label: Array,
    new_label_value: Array, new_stamp: Array, new_offset: Array, new_mark: Array, new_next: Array,
    is_over: Array, oldest: int, less: int, unknown: Array,
) -> int:  # fmt: skip
    """Move into an empty table (ids all 0) what is not over; how many labels it has.

    ids, cell, value, label   the table
    label_value, stamp, offset, mark, next_label   the lists of labels
    new_ids, new_cell, new_value, new_label   the empty table
    new_label_value, new_stamp, new_offset, new_mark, new_next   and its lists
    is_over  bool[cells]   these are no cells any more: labels are as if nobody had predicted them
    oldest   labels without a prediction whose `stamp` is smaller are not waited for any more
    less     as much earlier brief ones are let go
    unknown  int64[2]   how many labels are let go that had no prediction is added; and how many because they were brief
    """
    labels = 0
    for at in range(len(ids)):
        if ids[at] == 0:
            continue
        own = cell[at]
        if own >= 0 and is_over[own]:
            own = np.int32(-1)
        head = np.int64(-1)
        of = np.int64(label[at])
        while of >= 0:
            if own >= 0 or stamp[of] >= (oldest if mark[of] >= 0 else oldest + less):
                new_label_value[labels] = label_value[of]
                new_stamp[labels] = stamp[of]
                new_offset[labels] = offset[of]
                new_mark[labels] = mark[of]
                new_next[labels] = head
                head = np.int64(labels)
                labels += 1
            elif cell[at] < 0:
                unknown[0 if stamp[of] < oldest else 1] += 1
            of = np.int64(next_label[of])
        if own < 0 and head < 0:
            continue
        to = _place(new_ids, ids[at], _first(new_ids, ids[at]))
        new_ids[to] = ids[at]
        new_cell[to] = own
        new_value[to] = value[at] if own >= 0 else 0.0
        new_label[to] = head
    return labels
