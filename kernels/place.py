"""Step 4: which pane a row belongs to. A pure function of the log prefix."""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel
from kernels.layout import Array

LATE = -1
"""The row is behind the watermark and the allowed lateness."""
FUTURE = -2
"""The row contradicts its own timestamp, or is ahead of all others on its own word alone."""


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
    lateness    int64[rows]    allowed lateness of the row's model
    pane        int64[rows]    pane size of the row's model, positive
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
    last = len(largest) - 1
    start = np.int64(0)
    size = np.int64(0)
    for row in range(len(events)):
        event = events[row]
        marks[row] = watermark(largest, log_append, bound)
        if timestamps[row] >= 0 and event - timestamps[row] > max_future:
            out[row] = FUTURE
            continue
        newest = largest[0] if log_append else largest[last]
        if not log_append and newest >= 0 and event - newest > max_ahead:
            out[row] = FUTURE
        elif event < 0 or (newest >= 0 and event < newest - bound - lateness[row]):
            out[row] = LATE
            continue
        else:
            if pane[row] != size or event < start or event - start >= size:  # a division costs 4 ns
                size = pane[row]
                start = event // size * size
            out[row] = start
        if event > largest[last]:
            spot = last
            if event > largest[0]:
                for at in range(last, 0, -1):
                    largest[at] = largest[at - 1]
                spot = 0
            while spot > 0 and largest[spot - 1] < event:
                largest[spot] = largest[spot - 1]
                spot -= 1
            largest[spot] = event
