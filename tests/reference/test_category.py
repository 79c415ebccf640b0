"""Names of categories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.reference.category import canonical


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("1.0", "1.0"),
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (True, "true"),
        (False, "false"),
        (0.5, "0.5"),
        (1e22, "10000000000000000000000"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        ("", ""),
    ],
)
def test_values_have_one_name(value, name):
    """A text names itself, whole numbers are written as integers, booleans as JSON writes them."""
    assert canonical(value) == name


@given(st.integers(-(2**53), 2**53))
def test_an_integer_and_its_float_agree(number):
    """A column that missing values turned into floats names the same categories as the integers did."""
    assert canonical(number) == canonical(float(number))


def test_integers_too_wide_for_decimal_have_a_name():
    """An integer of 10,000 digits, which Python refuses to print, is named all the same."""
    assert canonical(10**10_000).startswith("0x")
    assert canonical(10**10_000) != canonical(10**10_000 + 1)
