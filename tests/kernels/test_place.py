from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.place import FUTURE, LATE, place, watermark
from monitor.state.log import AGREE
from tests import naive

MINUTE = 60_000
T = 1_700_000_040_000  # a whole minute


def run(
    rows,
    *,
    agree=AGREE,
    cuts=(),
    log_append=False,
    bound=30_000,
    max_future=5 * MINUTE,
    max_ahead=7 * 1440 * MINUTE,
):
    """Panes, marks and final `largest` of rows (event, timestamp, lateness, pane), placed in batches."""
    table = np.array(rows, np.int64).reshape(-1, 4)
    largest = np.full(agree, -1, np.int64)
    panes, marks = [], []
    for part in np.split(table, sorted(cuts)):
        out, mark = np.empty(len(part), np.int64), np.empty(len(part), np.int64)
        columns = [np.ascontiguousarray(column) for column in part.T]
        place(*columns, largest, int(log_append), bound, max_future, max_ahead, out, mark)
        panes += out.tolist()
        marks += mark.tolist()
    return panes, marks, largest.tolist()


def row(event, *, timestamp=-1, lateness=5 * MINUTE):
    return event, timestamp, lateness, MINUTE


times = st.one_of(st.integers(0, 300), st.integers(0, 5000), st.just(-1), st.just(2**63 - 1))
logs = st.lists(
    st.tuples(times, times, st.sampled_from([0, 40]), st.sampled_from([1, 7, 60])), min_size=1, max_size=60
)


@settings(max_examples=150, deadline=None)
@given(
    logs,
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from([0, 20]),
    st.sampled_from([0, 50, 1000]),
    st.sampled_from([0, 50, 1000]),
)
def test_batches_do_not_matter(log, cuts, agree, log_append, bound, max_future, max_ahead):
    """However the log is cut, every row gets the pane that the whole prefix before it gives it."""
    limits = {"bound": bound, "max_future": max_future, "max_ahead": max_ahead}
    cuts = [min(cut, len(log)) for cut in cuts]
    cut = run(log, agree=agree, cuts=cuts, log_append=log_append, **limits)
    assert cut == run(log, agree=agree, log_append=log_append, **limits)
    assert cut[:2] == naive.place(log, agree, log_append=log_append, **limits)


def test_watermark_of_broker_time_follows_the_largest_event():
    """With LogAppendTime one row moves the watermark, and rows behind lateness are late."""
    panes, marks, _ = run(
        [row(T, timestamp=T), row(T - 330_000, timestamp=T), row(T - 330_001, timestamp=T)], log_append=True
    )
    assert marks == [-1, T - 30_000, T - 30_000]
    assert panes == [T, T - 6 * MINUTE, LATE]


def test_one_wrong_clock_does_not_make_honest_rows_late():
    """A producer that is a year ahead is future; the rows of the others stay where they belong."""
    rows = [row(T + i) for i in range(40)] + [row(T + 365 * 1440 * MINUTE)] + [row(T + i) for i in range(40)]
    panes, marks, largest = run(rows)
    assert panes[40] == FUTURE
    assert set(panes[:40] + panes[41:]) == {T}
    assert marks[-1] == T + 30 - 30_000, "the 20 largest: the wrong one, one 39, nine pairs from 38 to 30"
    assert largest[0] == T + 365 * 1440 * MINUTE


def test_twenty_that_agree_move_the_watermark():
    """After a long silence the first rows count as future, the twentieth that agrees is believed."""
    year = 365 * 1440 * MINUTE
    rows = [row(T + i) for i in range(AGREE)] + [row(T + year + i) for i in range(30)]
    panes, marks, _ = run(rows)
    assert panes[AGREE : 2 * AGREE] == [FUTURE] * AGREE
    assert panes[2 * AGREE :] == [T + year] * 10
    assert marks[2 * AGREE] == T + year - 30_000


def test_a_row_that_contradicts_its_own_timestamp_leaves_no_trace():
    """However many such rows come, they never move the watermark."""
    panes, marks, largest = run(
        [row(T + 5 * MINUTE + 1, timestamp=T)] * 50 + [row(T + 5 * MINUTE, timestamp=T)]
    )
    assert panes == [FUTURE] * 50 + [T + 5 * MINUTE]
    assert set(marks) == {-1}
    assert largest == [T + 5 * MINUTE] + [-1] * (AGREE - 1)


def test_watermark_is_undefined_until_enough_rows_agree():
    """Nothing is late before the watermark exists."""
    panes, marks, largest = run([row(T)] * (AGREE - 1) + [row(0)])
    assert panes == [T] * (AGREE - 1) + [0]
    assert set(marks) == {-1}
    assert watermark(np.array(largest), 0, 30_000) == 0, "never below zero, which would read as undefined"
    assert watermark(np.array(largest), 1, 30_000) == T - 30_000


def test_rows_of_several_models_have_their_own_panes_and_lateness():
    """Pane size and lateness belong to the row, the watermark to the partition."""
    rows = [(T + MINUTE, -1, 0, 60 * MINUTE)] * AGREE + [(T, -1, 0, 60 * MINUTE), (T, -1, MINUTE, 10_000)]
    panes, _, _ = run(rows)
    assert panes[AGREE:] == [LATE, T]
    assert panes[0] == T + MINUTE - (T + MINUTE) % (60 * MINUTE)
