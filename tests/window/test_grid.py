"""Where panes and windows begin and end."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from monitor.plan import WindowSpec
from monitor.window.grid import DAY, ends_holding, floor_pane, next_end, start_of

HOUR = 3_600_000
HOURLY = WindowSpec("1h", HOUR, HOUR)
SLIDING = WindowSpec("day", DAY, HOUR)
LOCAL = WindowSpec("1d", DAY, DAY, "America/New_York")

times = st.integers(min_value=0, max_value=4_000_000_000_000)


def _local(year: int, month: int, day: int) -> int:
    return round(datetime(year, month, day, tzinfo=ZoneInfo("America/New_York")).timestamp() * 1000)


@given(times, st.sampled_from([HOURLY, SLIDING, LOCAL]))
def test_next_end_is_the_first_later_end(after: int, spec: WindowSpec) -> None:
    """Stepping from end to end never skips one and never goes back."""
    end = next_end(spec, after)
    assert end > after
    assert next_end(spec, end - 1) == end
    assert next_end(spec, end) > end


@given(times, st.sampled_from([HOURLY, SLIDING, LOCAL]))
def test_ends_holding_are_exactly_the_windows_around_a_pane(at: int, spec: WindowSpec) -> None:
    """Every end returned holds the pane, and the one after them does not."""
    pane = floor_pane(at, 300_000)
    ends = ends_holding(spec, pane, until=pane + 10 * DAY)
    assert ends
    assert all(start_of(spec, end) <= pane < end for end in ends)
    assert start_of(spec, next_end(spec, ends[-1])) > pane


def test_local_days_are_as_long_as_the_calendar_says() -> None:
    """The day clocks go forward has 23 hours, the day they go back 25."""
    spring, autumn = _local(2013, 3, 11), _local(2013, 11, 4)
    assert spring - start_of(LOCAL, spring) == 23 * HOUR
    assert autumn - start_of(LOCAL, autumn) == 25 * HOUR
    assert next_end(LOCAL, _local(2013, 2, 8)) == _local(2013, 2, 9)
