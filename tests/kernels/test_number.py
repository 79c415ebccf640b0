from __future__ import annotations

import math
import re
import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import number
from kernels.jit import kernel
from kernels.words import PADDING
from tests.intake.mutate import NUMBERS

GRAMMAR = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


@kernel("void(const uint8[::1], float64[::1], int64[::1])")
def read_one(data, out, end):
    """The number at the beginning of `data`, by the way that takes all of them."""
    mantissa, power, negative, _, end[0] = number.read_number(data, 0)
    if end[0] >= 0:
        value, fits = number.to_double(mantissa, power)
        out[0] = -value if negative else value
        if not fits:
            end[0] = -2


@kernel("void(const uint8[::1], uint64[::1], uint8[::1], uint8[::1], int64[::1])")
def read_short_one(data, bits, lengths, firsts, end):
    """The number at the beginning of `data`, by the way for short ones."""
    bits[0], lengths[0], firsts[0], end[0] = number.read_short(data, 0)


@kernel("void(const uint8[::1], float64[::1], int64[::1])")
def read_long_one(data, out, end):
    """The number at the beginning of `data`, by the way for numbers with a dot."""
    mantissa, behind, negative, end[0] = number.read_long(data, 0)
    if end[0] >= 0:
        value = number.eisel_lemire(mantissa, -behind)[0]
        out[0] = -value if negative else value


def naive(text: str) -> tuple[float, int]:
    """What the standard library makes of the longest number that a text begins with."""
    match = GRAMMAR.match(text)
    if match is None:
        return math.nan, -1
    return float(match[0]), len(match[0])


def read(text: str) -> tuple[float, int]:
    data = np.frombuffer(text.encode() + b"," + bytes(PADDING), np.uint8)
    out, end = np.zeros(1), np.zeros(1, np.int64)
    read_one(data, out, end)
    return float(out[0]), int(end[0])


def read_short(text: str) -> tuple[float, int]:
    data = np.frombuffer(text.encode() + b"," + bytes(PADDING), np.uint8)
    bits, end = np.zeros(1, np.uint64), np.zeros(1, np.int64)
    lengths, firsts = np.zeros((2, 1), np.uint8)
    read_short_one(data, bits, lengths, firsts, end)
    number.finish(bits, lengths, firsts, 1, 0, 1, np.zeros(1, np.uint64))
    return float(bits.view(np.float64)[0]), int(end[0])


def same(one: float, other: float) -> bool:
    return struct.pack("<d", one) == struct.pack("<d", other)


@st.composite
def texts(draw):
    """Numbers as languages print them, exactly between two doubles, and with any digits."""
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return repr(draw(st.floats(allow_nan=False, allow_infinity=False)))
    if kind == 1:
        half = draw(st.integers(2**52, 2**53 - 1)) * 2 + 1
        return str(half << draw(st.integers(0, 5)))
    if kind == 2:
        return f"{draw(st.integers(0, 10**19))}e{draw(st.integers(-400, 400))}"
    if kind == 3:
        return f"{draw(st.integers(-(10**9), 10**9))}.{draw(st.from_regex(r'[0-9]{1,17}', fullmatch=True))}"
    return draw(st.from_regex(r"-?[0-9]{1,4}(\.[0-9]{0,6})?([eE][-+]?[0-9]{0,3})?", fullmatch=True))


@given(texts())
@example("2.2250738585072011e-308")
@example("9007199254740993")
def test_numbers_are_rounded_as_the_standard_library_rounds_them(text):
    """To the last bit; what has more than nineteen significant digits, or overflows, is declined."""
    value, end = read(text)
    expected, size = naive(text)
    if end >= 0:
        assert (end, same(value, expected)) == (size, True)
    elif size > 0:
        digits = re.sub(r"[eE].*|\D", "", text).lstrip("0")
        assert len(digits) > number.MOST_DIGITS or math.isinf(expected) or "e" in text.lower() or text[size:]


@pytest.mark.parametrize("text", NUMBERS)
def test_odd_numbers_are_read_exactly_or_declined(text):
    """Never another value, and never an end inside of what JSON takes for the number."""
    value, end = read(text)
    expected, size = naive(text)
    assert end < 0 or (end == size and same(value, expected))


@given(st.from_regex(r"-?[0-9.]{1,10}[eE+-]?[0-9]?", fullmatch=True) | texts())
@example("-0")
@example("-0.0")
@example("00.5")
@example("12345678")
@example("0.123456")
def test_short_numbers_are_those_of_the_long_way(text):
    """Whatever the short way takes it reads as the other one, except that an integer -0 is 0."""
    value, end = read_short(text)
    if end < 0:
        return
    expected, size = read(text)
    if expected == 0 and "." not in text[:size]:
        expected = 0.0
    assert (end, same(value, expected)) == (size, True)


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,7}|[0-9]\.[0-9]{1,6}|[1-9][0-9]{1,3}\.[0-9]{1,3})", fullmatch=True))
def test_usual_numbers_take_the_short_way(text):
    """At most eight characters behind the sign."""
    assert read_short(text)[1] == len(text)


@given(
    st.text("0123456789.-+eEnul :,", min_size=1, max_size=9) | st.binary(min_size=1, max_size=9),
    st.binary(min_size=8, max_size=8),
)
@example("null", b"00000000")
@example("-0", b"00000000")
@example("-0.0", b"00000000")
@example("-1234567", b"12345678")
@example("-12345678", b"12345678")
@example("123456789", b"12345678")
@example("0", b"1.......")
@example("-null", b"00000000")
def test_characters_spell_a_number_or_are_flawed(text, before):
    """Exactly what JSON allows with at most eight characters behind the sign, and null; whatever stands before."""
    characters = text if isinstance(text, bytes) else text.encode()
    word = int.from_bytes((before + characters)[-8:], "little")
    bits, flaws = np.array([word], np.uint64), np.zeros(1, np.uint64)
    number.finish(
        bits, np.array([len(characters)], np.uint8), np.frombuffer(characters[:1], np.uint8), 1, 0, 1, flaws
    )
    found = float(bits.view(np.float64)[0])
    plain = characters.decode("latin-1")
    if plain == "null":
        assert (math.isnan(found), bits[0] != number.FLAWED, flaws[0]) == (True, True, 0)
    elif GRAMMAR.fullmatch(plain) and "e" not in plain.lower() and len(plain.lstrip("-")) <= 8:
        expected = 0.0 if plain == "-0" else float(plain)
        assert (same(found, expected), flaws[0]) == (True, 0)
    else:
        assert (bits[0], flaws[0]) == (number.FLAWED, 1)


def read_long(text: str) -> tuple[float, int]:
    data = np.frombuffer(text.encode() + b"," + bytes(PADDING), np.uint8)
    out, end = np.zeros(1), np.zeros(1, np.int64)
    read_long_one(data, out, end)
    return float(out[0]), int(end[0])


@given(
    texts()
    | st.from_regex(r"-?[0-9]{0,9}\.?[0-9]{0,25}[eE.-]?[0-9]?", fullmatch=True)
    | st.from_regex(r"-?[1-9][0-9]{0,7}\.[0-9]{8,23}", fullmatch=True)
)
@example("0.000")
@example("-0.0")
@example("0.1234567890123456789")
@example("9007199254740992.5")
@example("12345678.12345678901")
@example("63171.2050607575775757")
@example("12345678.1234567890123456")
def test_numbers_with_a_dot_are_those_of_the_general_way(text):
    """The same value and the same end, or none."""
    value, end = read_long(text)
    if end >= 0:
        expected, size = read(text)
        assert (end, same(value, expected)) == (size, True)


@given(st.floats(1e-4, 9e7).map(repr).filter(lambda text: "e" not in text))
def test_doubles_as_programs_print_them_take_the_way_with_a_dot(text):
    """Fifteen to seventeen digits, and zeros before them."""
    assert read_long(text)[1] == len(text)
