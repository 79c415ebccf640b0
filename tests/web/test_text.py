from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.web import text
from monitor.web.shape import moment

THIN = "\u202f"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (text.count(48210), "48_210"),
        (text.count(None), "–"),
        (text.count(float("nan")), "–"),
        (text.decimal(0.02613), "0.0261"),
        (text.decimal(21.44), "21.4"),
        (text.decimal(0), "0"),
        (text.decimal(123456.0), "123_456"),
        (text.decimal(1.24e-9), "1.2_×_10⁻⁹"),
        (text.percent(0.57), "57.0_%"),
        (text.percent(0.0004), "<_0.1_%"),
        (text.percent(0), "0_%"),
        (text.percent(1), "100_%"),
        (text.span(0.4), "0_s"),
        (text.span(90), "1_min 30_s"),
        (text.span(2_592_000), "30_d"),
        (text.span(90_061), "1_d 1_h"),
        (text.span(None), "–"),
        (text.clock("2026-11-22T20:00:07.120Z"), "22_Nov 20:00"),
        (text.clock(None), "–"),
        (text.size(812_333), "793_KiB"),
        (text.size(5 * 1024**3), "5.0_GiB"),
        (text.symbol("drift"), "●"),
        (text.symbol("something new"), "◌"),
        (moment(1_795_377_607_120), "2026-11-22T20:00:07.120Z"),
        (moment(-1), None),
        (moment(10**18), None),
    ],
)
def test_numbers_read_like_numbers(shown, expected):
    """_ stands for a narrow no-break space."""
    assert shown == (expected and expected.replace("_", THIN))


@given(st.floats(allow_nan=True) | st.none())
def test_any_number_can_be_shown(value):
    """No score, however odd, breaks the page."""
    assert text.decimal(value)
    assert text.count(value)
    assert text.percent(value)
