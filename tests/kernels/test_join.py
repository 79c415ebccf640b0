"""Labels find predictions: what is added up is that of a twin that looks at all rows at once, in any order."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.join import BINS, width_of
from monitor.joinable import LABELS, dtype_of
from monitor.labels.join import KINDS, Join
from monitor.plan import JoinPlan

PLAN = JoinPlan("labels", "score", wait=100, digest=b"8 bytes!")
CELLS = ((0, 0), (0, 1), (50, 2), (500, 3))
"""(start of the cohort, rank)."""
LESS = 30
"""By which brief labels are less early."""


def join_of(kind):
    join = Join(replace(PLAN, kind=kind, classes=("a", "b", "c"), threshold=0.3, scale=0.5), less=LESS)
    for start, rank in CELLS:
        parts = [join.row(), join.row()]
        join.cell(opening=start - PLAN.wait, deadline=start + PLAN.wait, rank=rank, parts=parts)
    return join


def twin(kind, events):
    """The sums of every cell, each prediction and label looked at once, from the rows alone."""
    predictions, labels = {}, {}
    for event in events:
        if event[0] == "prediction":
            _, own, cell, value = event
            start, rank = CELLS[cell]
            predictions.setdefault(own, []).append((start + PLAN.wait, rank, value, cell))
        else:
            labels.setdefault(event[1], []).append(event[2:])
    found = np.zeros((len(CELLS), width_of(KINDS[kind], 3)), np.int64)
    for own, known in predictions.items():
        _, _, value, cell = min(known)
        start = CELLS[cell][0]
        row = found[cell]
        _predicted(row, kind, value)
        fitting = [
            (stamp, offset, label)
            for label, stamp, mark, offset, brief in labels.get(own, ())
            if start - PLAN.wait + LESS * brief <= stamp and mark <= start + PLAN.wait
        ]
        if fitting:
            _paired(row, kind, value, max(fitting)[2])
    return found


def _slot(value):
    half = BINS // 2
    if value >= 0.3:
        return half + min(int((value - 0.3) / 0.7 * half), half - 1)
    return min(max(int(value / 0.3 * half), 0), half - 1)


def _predicted(row, kind, value):
    row[-2] += 1
    if kind == "score":
        row[2 * BINS + _slot(value)] += 1
    if kind == "class":
        row[16 + min(max(int(value), 0), 3)] += 1


def _paired(row, kind, value, label):
    row[-1] += 1
    if kind == "score":
        one = int(label > 0.5)
        row[2 * _slot(value) + one] += 1
        clipped = min(max(value, 2**-24), 1 - 2**-24)
        loss = -math.log(clipped if one else 1 - clipped)
        row[-5:-2] += [round(value * 2**20), round((value - one) ** 2 * 2**20), round(loss * 2**20)]
    elif kind == "class":
        row[min(int(value), 3) * 4 + min(int(label), 3)] += 1
    else:
        q, p = round((value - label) / 0.5 * 65536), round(label / 0.5 * 65536)
        row[:6] += [1, q, abs(q), (q >> 8) ** 2, p, (p >> 8) ** 2]


def run(kind, events, *, room=None):
    join = join_of(kind)
    for event in events:
        if event[0] == "prediction":
            _, own, cell, value = event
            join.predict(
                np.array([own], np.uint64), np.array([cell], np.int32), np.array([value], np.float32)
            )
        else:
            rows = np.zeros(1, dtype_of(LABELS, 0))
            rows[0] = event[1:6]
            join.label(rows, np.array([event[6]]))
        if room is not None:
            room(join)
    sums = [join.sums(row) for row in range(join.rows)]
    return join, np.array([sums[join._parts[cell, 0]] for cell in range(len(CELLS))])


ids = st.integers(1, 6) | st.sampled_from([2**63, 2**64 - 1, 2**32])
values = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
events = st.lists(
    st.tuples(st.just("prediction"), ids, st.integers(0, len(CELLS) - 1), values)
    | st.tuples(
        st.just("label"),
        ids,
        values,
        st.integers(-101, -99) | st.integers(-71, -69) | st.integers(399, 401) | st.integers(429, 431),
        st.integers(-200, 700),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(KINDS)), events, st.randoms(use_true_random=False))
def test_sums_are_of_the_rows_and_not_of_their_order(kind, events, random):
    """Repeated predictions, corrected and repeated labels, labels too early, too late and of nobody."""
    if kind == "class":
        events = [
            (*e[:3], round(4 * e[3])) if e[0] == "prediction" else (*e[:2], round(4 * e[2]), *e[3:])
            for e in events
        ]
    want = twin(kind, events)
    for _ in range(3):
        _, found = run(kind, events)
        np.testing.assert_array_equal(found, want)
        random.shuffle(events)


@settings(max_examples=60, deadline=None)
@given(events, st.integers(3, 40))
def test_moving_to_another_table_changes_nothing(events, room):
    """Whenever it happens, and however full the table is."""
    moved = lambda join: join._rebuild(  # noqa: E731
        max(join.used + 1, room), max(join.labels, 1), np.zeros(len(CELLS), np.bool_), -(2**62)
    )
    _, found = run("score", events, room=moved)
    np.testing.assert_array_equal(found, twin("score", events))


@settings(max_examples=100, deadline=None)
@given(events, st.integers(1, 70), st.booleans())
def test_looking_for_many_at_a_time_changes_nothing(events, ahead, labels_first):
    """Ids that are new, or the same, or in each other's way, within one call."""
    events = [(kind, own + turn, *rest) for turn in range(5) for kind, own, *rest in events if own < 2**63]
    join = join_of("score")
    join._places = np.zeros(ahead, np.int64)
    rows = np.array([event[1:6] for event in events if event[0] == "label"], dtype_of(LABELS, 0))
    brief = np.array([event[6] for event in events if event[0] == "label"], np.bool_)
    columns = list(zip(*(event[1:] for event in events if event[0] == "prediction"), strict=True))
    if labels_first:
        join.label(rows, brief)
    if columns:
        dtypes = (np.uint64, np.int32, np.float32)
        join.predict(*(np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)))
    if not labels_first:
        join.label(rows, brief)
    sums = np.array([join.sums(join._parts[cell, 0]) for cell in range(len(CELLS))])
    np.testing.assert_array_equal(sums, twin("score", events))


def test_lists_of_labels_grow_without_the_table():
    """What was found stays where it was, and no place of the table is moved."""
    join, _ = run("score", [("prediction", 9, 1, 0.5)])
    table = join._table.ids
    rows = np.zeros(1_200, dtype_of(LABELS, 0))
    rows["id"], rows["value"], rows["offset"] = 9, 1.0, np.arange(len(rows))
    for part in np.array_split(rows, 12):
        join.label(part)
    assert join._table.ids is table
    assert join.labels == len(rows)
    assert join.sums(join._parts[1, 0])[-1] == 1


def test_what_is_over_is_let_go():
    """Predictions of a cell with their labels, and labels that nobody waits for; sums stand, and the cell is free."""
    events = [("prediction", 1, 0, 0.5), ("label", 1, 1.0, 1, 10, 0, False), ("prediction", 2, 3, 0.5)]
    events += [("label", 3, 1.0, 399, 450, 0, False), ("label", 4, 1.0, 400, 450, 0, False)]
    events += [("label", 5, 1.0, 429, 450, 0, True), ("label", 6, 1.0, 430, 450, 0, True)]
    events += [("label", 7, 1.0, 399, 450, 0, True)]
    join, before = run("score", events)
    assert (join.used, join.labels) == (7, 6)
    join.forget([0], oldest=400)
    assert (join.used, join.labels) == (3, 2)
    assert (join.unknown, join.brief) == (2, 1)
    assert join.cell(opening=0, deadline=9, rank=7, parts=[0, 1]) == 0
    np.testing.assert_array_equal(join.sums(0), before[0])


def test_ten_times_as_many_as_there_was_room_for():
    """The table grows, and an open prediction takes less than 24 bytes of it."""
    join, rng = join_of("score"), np.random.default_rng(4)
    own = rng.integers(1, 2**63, 200_000).astype(np.uint64)
    for part in np.array_split(own, 40):
        join.predict(part, np.full(len(part), 3, np.int32), np.full(len(part), 0.5, np.float32))
    assert join.used == len(np.unique(own)) == join.sums(join._parts[3, 0])[-2]
    table = sum(array.nbytes for array in join._table)
    assert table / join.used < 24


@pytest.mark.parametrize("kind", list(KINDS))
def test_parts_get_the_same(kind):
    """A cell of a segment adds to the whole and to the segment."""
    join, _ = run(kind, [("prediction", 9, 1, 1.0), ("label", 9, 1.0, 0, 0, 0, False)])
    whole, segment = join._parts[1]
    assert whole != segment
    np.testing.assert_array_equal(join.sums(whole), join.sums(segment))
    assert join.sums(whole)[-1] == 1
