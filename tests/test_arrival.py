"""When partitions that are behind will have caught up."""

from __future__ import annotations

from math import inf

import pytest

from monitor.arrival import KEPT, SPAN, Arrivals
from monitor.names import Source
from monitor.state.log import Progress

SOURCE = Source("predictions", 0)


def told(*reports, paused=""):
    """What is said after reports of (seconds, applied, end)."""
    arrivals = Arrivals()
    for second, applied, end in reports:
        progress = Progress(SOURCE, applied, end, -1, idle=False, paused=paused, observed=second * 1000)
        arrivals.note([progress])
    return arrivals.seconds.get(SOURCE)


def test_the_lag_that_shrinks_says_when():
    """1,000 records less in 10 s: what is left takes ten times as long where it is ten times as much; what producers
    add meanwhile is in it."""
    assert told((0, 0, 11_000), (10, 1_000, 11_000)) == pytest.approx(100)
    assert told((0, 0, 11_000), (10, 3_000, 13_000)) == pytest.approx(100)


def test_a_lag_that_grows_has_no_time():
    """Nor one that stands still."""
    assert told((0, 0, 10_000), (10, 1_000, 20_000)) == inf
    assert told((0, 0, 10_000), (10, 1_000, 11_000)) == inf


def test_nothing_is_said_of_what_was_seen_once_or_is_at_its_end_or_paused():
    """One report has no rate; without lag nothing is waited for; a pause ends when somebody helps."""
    assert told((0, 0, 10_000)) is None
    assert told((0, 0, 100), (10, 100, 100)) is None
    assert told((0, 0, 100), (10, -1, -1)) is None
    assert told((0, 0, 10_000), (10, 1_000, 10_000), paused="too many rejects") is None


def test_who_keeps_up_is_not_behind():
    """A report finds a few records on their way each time, now more, now less: they take as long as they take to be read."""
    assert told((0, 0, 40), (10, 10_000, 10_050), (20, 20_000, 20_060)) == pytest.approx(0.06)


def test_another_reader_begins_anew():
    """It has another clock, or goes on from an older checkpoint."""
    assert told((0, 0, 11_000), (10, 1_000, 11_000), (9, 1_500, 11_000)) is None
    assert told((0, 500, 11_000), (10, 1_000, 11_000), (11, 600, 11_000)) is None


def test_the_rate_is_that_of_the_last_minutes_however_many_reports():
    """An hour of standstill is forgotten after SPAN; of many reports a few are kept, the newest among them."""
    stalled = [(second, 0, 100_000 + second) for second in range(0, 3600, 10)]
    going = [(3600 + second, 10 * second, 103_600) for second in range(10, SPAN // 1000 + 20, 10)]
    last = going[-1]
    assert told(*stalled, *going) == pytest.approx((last[2] - last[1]) / 10)
    arrivals = Arrivals()
    for number in range(1, 1000):
        arrivals.note([Progress(SOURCE, number, 10_000, -1, idle=False, paused="", observed=number * 100)])
    assert len(arrivals._seen[SOURCE]) <= KEPT
    assert arrivals.seconds[SOURCE] == pytest.approx((10_000 - 999) / 10)
