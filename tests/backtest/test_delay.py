"""How long changes go on before they are found."""

from __future__ import annotations

from monitor.backtest import delay
from monitor.backtest.delay import Delay, Found
from monitor.backtest.injection import Injection, parse
from tests.backtest.build import pool
from tests.judge.build import DAY, HOUR


def test_large_changes_are_found_at_once_and_none_never():
    """The delay reaches from the pane in which the change begins to the end of the window that drifts."""
    changes = [
        *parse("missing:n0=0.5"),
        *parse("missing:n0=0.0001"),
        *parse("shift:n1=0.5"),
        *parse("rename:c=1"),
    ]
    found = delay.measure(pool(n=8_000), changes, runs=4, seed=2)
    assert [one.share for one in found] == [1.0, found[1].share, 1.0, 1.0]
    assert found[1].share <= 0.5  # of false pages: a day has 0.4 of them
    for one in (found[0], found[2], found[3]):
        assert one.quantile("time", 1.0) == HOUR
        assert one.quantile("windows", 0.5) == 1
        assert one.quantile("rows", 0.5) == 8_000
        assert one.within == DAY
    assert found == delay.measure(pool(n=8_000), changes, runs=4, seed=2)


def of(size, *times, kind="shift"):
    runs = tuple(None if time is None else Found(1, 10, time) for time in times)
    return Delay(Injection(kind, "f", size), runs, DAY)


def test_quantiles_count_runs_in_which_nothing_was_found():
    """A median of what was found alone would flatter."""
    one = of(1.0, 5, None, 3, None, None)
    assert one.share == 0.4
    assert one.quantile("time", 0.2) == 3
    assert one.quantile("time", 0.5) is None


def test_the_smallest_size_has_no_larger_one_that_is_missed():
    """One lucky size among those that are missed is none; factors below 1 are as large as their inverse."""
    none, all_ = (None,) * 10, (1,) * 10
    assert delay.smallest([of(1, *none), of(2, *all_), of(3, *all_)]).injection.size == 2
    assert delay.smallest([of(1, *all_), of(2, *none), of(3, *all_)]).injection.size == 3
    assert delay.smallest([of(1, *all_), of(2, *none)]) is None
    assert delay.smallest([of(0.1, *all_, kind="scale"), of(2, *all_, kind="scale")]).injection.size == 2
