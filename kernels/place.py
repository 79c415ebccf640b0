"""Step 4: which pane a row belongs to. A pure function of the log prefix."""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel
from kernels.layout import Array

LATE = -1
"""The row is behind the watermark and the allowed lateness."""
FUTURE = -2
"""The row contradicts its own timestamp, or is ahead of all others on its own word alone."""
RECENT = 256
"""Rows that are newer than all before them, one after the other, until the largest event times are moved together."""


@kernel("int64(const int64[::1], int64, int64)")
def watermark(largest: Array, log_append: int, bound: int) -> int:
    """The event time before which no more rows are expected; -1 while that is not known.

    largest     int64[agree]   the largest event times seen, descending, -1 where fewer
    log_append  1 when timestamps are the broker's: the largest event time counts. 0: the producer's
                clock may be wrong, so the last entry counts, which all the others agree with
    bound       how much event times are out of order, milliseconds
    """
    newest = largest[0] if log_append else largest[len(largest) - 1]
    if newest < 0:
        return -1
    return int(max(newest - bound, 0))


@kernel(
    "void(const int64[::1], const int64[::1], const int64[::1], const int64[::1], int64[::1],"
    " int64, int64, int64, int64, int64[::1], int64[::1])"
)
def place(
    events: Array,
    timestamps: Array,
    lateness: Array,
    pane: Array,
    largest: Array,
    log_append: int,
    bound: int,
    max_future: int,
    max_ahead: int,
    out: Array,
    marks: Array,
) -> None:
    """Find the pane of every row of one source partition; rows in offset order. Times in ms.

    events      int64[rows]    event times, not negative (a negative one is late)
    timestamps  int64[rows]    record timestamps, -1 when absent
    lateness    int64[rows]    allowed lateness of the row's model; or int64[1], that of all rows
    pane        int64[rows]    pane size of the row's model, positive; likewise
    largest     int64[agree]   mutated; the largest event times seen, descending, -1 where fewer
    log_append  1 when timestamps are the broker's, else 0; see `watermark`
    bound       watermark bound
    max_future  how far an event may lie ahead of its record timestamp
    max_ahead   how far it may lie ahead of `largest[-1]` when timestamps are the producer's
    out         int64[rows]    start of the pane, LATE or FUTURE
    marks       int64[rows]    the watermark before the row, -1 while undefined

    A row that contradicts its own timestamp leaves no trace in `largest`. One that is only far
    ahead of the others does: as many of them as `largest` holds agree, and move the watermark.
    So one bad clock cannot make every honest row late, and a restart after a long silence can.
    Each row is judged by the rows before it, so cutting the log into other batches changes nothing.
    """
    if len(events) == 0:
        return
    agree = len(largest)
    recent = np.empty(
        agree + RECENT, np.int64
    )  # the last `agree` of the first `tail` are `largest`, ascending
    tail = agree
    for at in range(agree):
        recent[at] = largest[agree - 1 - at]
    is_one = len(pane) < len(events)
    late, whole = lateness[0], pane[0]
    most, agreed = recent[tail - 1], recent[tail - agree]
    start = np.int64(0)
    size = np.int64(0)
    for row in range(len(events)):
        event = events[row]
        newest = most if log_append else agreed
        if not is_one:
            late, whole = lateness[row], pane[row]
        marks[row] = -1 if newest < 0 else max(newest - bound, 0)
        if timestamps[row] >= 0 and event - timestamps[row] > max_future:
            out[row] = FUTURE
            continue
        if not log_append and newest >= 0 and event - newest > max_ahead:
            out[row] = FUTURE
        elif event < 0 or (newest >= 0 and event < newest - bound - late):
            out[row] = LATE
            continue
        else:
            if whole != size or event < start or event - start >= size:  # a division costs 4 ns
                size = whole
                start = event // size * size
            out[row] = start
        if event >= most:  # the rule; all are moved but once in RECENT rows
            if tail == len(recent):
                for at in range(agree):
                    recent[at] = recent[tail - agree + at]
                tail = agree
            recent[np.uint64(tail)] = event
            tail += 1
            most = event
        elif event > agreed:
            spot = tail - agree
            while recent[spot + 1] < event:
                recent[spot] = recent[spot + 1]
                spot += 1
            recent[spot] = event
        else:
            continue
        agreed = recent[np.uint64(tail - agree)]
    for at in range(agree):
        largest[at] = recent[tail - 1 - at]
