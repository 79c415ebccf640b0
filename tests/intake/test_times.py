from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.intake.times import LATEST_MS, milliseconds
from monitor.plan import TimeUnit

PER_SECOND = {
    TimeUnit.SECONDS: 1,
    TimeUnit.MILLISECONDS: 10**3,
    TimeUnit.MICROSECONDS: 10**6,
    TimeUnit.NANOSECONDS: 10**9,
}


@pytest.mark.parametrize("unit", list(PER_SECOND))
@given(st.lists(st.integers(-(10**20), 10**20) | st.integers(0, 2 * 10**18), max_size=8))
@settings(max_examples=100, deadline=None)
def test_whole_numbers_are_exact(unit, column):
    """Integers of any size agree with exact arithmetic; those out of range are named."""
    times, faults = milliseconds(column, unit)
    for row, value in enumerate(column):
        exact = Fraction(value * 1000, PER_SECOND[unit]) // 1
        if 0 <= exact <= LATEST_MS:
            assert times[row] == exact
        else:
            assert row in faults
            assert times[row] == 0


@pytest.mark.parametrize("unit", list(PER_SECOND))
@given(st.lists(st.integers(0, 4_102_444_800_000_000), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_fractions_agree_with_their_text(unit, micros):
    """A double that was printed with microseconds gives the milliseconds of its text."""
    scale = Fraction(PER_SECOND[unit], 10**6)
    column = [float(value * scale) for value in micros]
    times, faults = milliseconds(column, unit)
    assert not faults
    assert times.tolist() == [value // 1000 for value in micros]
    assert milliseconds([1, *column], unit)[0].tolist()[1:] == times.tolist()


@given(
    st.lists(
        st.tuples(
            st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1970 < moment.year < 9998),
            st.integers(-18 * 60, 18 * 60),
            st.text("0123456789", max_size=12),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=200, deadline=None)
def test_rfc_3339_is_exact(items):
    """Any offset and any number of digits, rounded down to the millisecond."""
    column, expected = [], []
    for moment, offset, digits in items:
        local = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
        whole = (local - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        text = local.isoformat()
        column.append(f"{text[:19]}.{digits}{text[19:]}" if digits else text)
        expected.append(whole + int((digits + "000")[:3]))
    times, faults = milliseconds(column, TimeUnit.RFC3339)
    assert not faults
    assert times.tolist() == expected


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (1_700_000_000_000, TimeUnit.SECONDS, "plausible as ms"),
        (1_700_000_000_000_000, TimeUnit.MILLISECONDS, "plausible as us"),
        (1_700_000_000, TimeUnit.RFC3339, "plausible as s"),
        ("2023-11-14T22:13:20Z", TimeUnit.MILLISECONDS, "plausible as rfc3339"),
        ("2023-11-14T22:13:20", TimeUnit.RFC3339, "no offset"),
        ("2023-11-14T22:13:60Z", TimeUnit.RFC3339, "must be"),
        ("2023-11-14", TimeUnit.RFC3339, "must be"),
        ("1969-12-31T23:59:59Z", TimeUnit.RFC3339, "from 1970"),
        ("٣", TimeUnit.SECONDS, "must be"),
        ("1_0", TimeUnit.SECONDS, "must be"),
        ("", TimeUnit.SECONDS, "must be"),
        (-0.5, TimeUnit.SECONDS, "must be"),
        (1e300, TimeUnit.NANOSECONDS, "must be"),
        ("9" * 40, TimeUnit.SECONDS, "must be"),
        ("9" * 4000, TimeUnit.SECONDS, "must be"),
        ("1e400", TimeUnit.SECONDS, "must be"),
    ],
)
def test_what_is_no_time_is_explained(value, unit, words):
    """A mistaken unit is named, and the good times beside it are kept."""
    good = "2023-11-14T22:13:20Z" if unit is TimeUnit.RFC3339 else 1
    times, faults = milliseconds([good, value, good], unit)
    assert list(faults) == [1]
    assert words in faults[1]
    assert times[0] == times[2] > 0 or unit in {TimeUnit.MICROSECONDS, TimeUnit.NANOSECONDS}
