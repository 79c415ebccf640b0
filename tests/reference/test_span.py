"""Sizes of panes."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.errors import ReferenceInvalid
from monitor.reference.span import DAY, HOUR, pane_size, show_span

MINUTE = 60_000


def grown(days: int, *, pane: int, unit: int = 0) -> int:
    return pane_size(np.arange(days * DAY // pane), pane=pane, unit=unit)


def test_few_panes_keep_their_size():
    """A pane size that gives at most 2,000 panes stays."""
    assert grown(3, pane=5 * MINUTE) == 5 * MINUTE


def test_only_panes_with_rows_count():
    """A year with a row a week is no reason for longer panes."""
    weeks = np.arange(52) * 7 * DAY // MINUTE
    assert pane_size(weeks, pane=MINUTE) == MINUTE


@pytest.mark.parametrize(("days", "size"), [(20, 15 * MINUTE), (80, HOUR), (100, 2 * HOUR), (900, 12 * HOUR)])
def test_longer_panes_still_make_hours_and_days(days, size):
    """Without a unit panes grow along divisors of an hour, then of a day; 40 min is never used."""
    assert grown(days, pane=5 * MINUTE) == size


def test_panes_divide_the_unit_of_the_windows():
    """With windows of 90 min panes grow along divisors of 90 min."""
    size = grown(60, pane=MINUTE, unit=90 * MINUTE)
    assert size == 45 * MINUTE
    assert 90 * MINUTE % size == 0


def test_beyond_the_unit_panes_double():
    """When even panes of the unit are too many, they double and can no longer be cut to windows."""
    assert grown(365, pane=MINUTE, unit=HOUR) == 8 * HOUR


def test_a_pane_of_nothing_is_refused():
    """A pane of 0 ms is an error, not an endless loop."""
    with pytest.raises(ReferenceInvalid, match="no pane"):
        grown(1, pane=DAY) and pane_size(np.arange(3), pane=0)


@pytest.mark.parametrize(("ms", "text"), [(HOUR, "1h"), (90_000, "90s"), (DAY, "1d"), (1500, "1500ms")])
def test_spans_are_written_as_in_configurations(ms, text):
    """The largest unit that divides a span is used."""
    assert show_span(ms) == text
