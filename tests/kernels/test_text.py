from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import text as kernels
from kernels import when
from kernels.jit import kernel
from kernels.words import PADDING


@kernel("int64(const uint8[::1], const uint8[::1], int64)")
def matches(data, text, size):
    """`kernels.text.matches` at the beginning of both."""
    return np.int64(kernels.matches(data, 0, text, 0, size))


@kernel("void(const uint8[::1], int64[::1])")
def skip_string(data, out):
    """`kernels.text.skip_string` behind a quote at the beginning."""
    out[0], out[1] = kernels.skip_string(data, 1)


@kernel("int64(const uint8[::1], int64)")
def skip_space_until(data, stop):
    """`kernels.text.skip_space_until` from the beginning on."""
    return np.int64(kernels.skip_space_until(data, 0, stop))


def padded(data: bytes) -> np.ndarray:
    return np.frombuffer(data + b"\n" + bytes(PADDING), np.uint8)


@given(st.text(st.sampled_from(" \t\n\r\v\x00{"), max_size=12), st.integers(0, 12))
def test_white_space_ends_where_the_record_does(content, stop):
    """Else a batch of records of white space would be read as often as it has records."""
    stop = min(stop, len(content))
    right = stop - len(content[:stop].lstrip(" \t\n\r"))
    assert skip_space_until(padded(content.encode()), stop) == right


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
@example(b"\xed\xa0\x80")
@example(b"\xf4\x90\x80\x80")
@example(b"\xc0\xaf")
@example(b"12345678\xe2\x82")
def test_utf8_is_what_python_decodes(data):
    """Overlong forms, surrogates, cut off characters and what lies beyond U+10FFFF are none."""
    try:
        data.decode()
    except UnicodeDecodeError:
        assert not kernels.is_utf8(padded(data), 0, len(data))
    else:
        assert kernels.is_utf8(padded(data), 0, len(data))


@given(st.binary(max_size=100), st.integers(0, 100), st.integers(0, 255))
def test_texts_match_where_all_bytes_are_equal(data, at, change):
    """Also texts longer than one comparison; the empty one never does."""
    text = bytearray(data)
    if data and at < len(data):
        text[at] = change
    found = matches(padded(data), padded(bytes(text)).copy(), len(data))
    assert found == (len(data) > 0 and bytes(text) == data)


@given(st.text(st.sampled_from('ab"\\ux0dD8é\x01\n'), max_size=24))
@example("\\ud83d\\ude00")
@example("aaaaaaa\\")
def test_strings_end_where_json_ends_them(content):
    """What the standard library refuses is declined; surrogates too, which not all decoders take alike."""
    import json

    data = f'"{content}" '.encode()
    out = np.zeros(2, np.int64)
    skip_string(padded(data), out)
    try:
        _, size = json.JSONDecoder().raw_decode(data.decode())
    except ValueError:
        assert out[0] == -1
    else:
        assert out[0] in {-1, len(data.decode()[:size].encode())}
        assert out[0] > 0 or "\\ud" in content.lower()


@given(
    st.integers(-2 * 86_400, 253_402_214_400).map(lambda s: datetime.fromtimestamp(s, UTC)),
    st.sampled_from(["Z", "+00:00", "-05:30", "+14:00", "-23:59"]),
    st.integers(0, 9),
)
@example(datetime(2024, 2, 29, tzinfo=UTC), "Z", 0)
@example(datetime(2000, 2, 29, tzinfo=UTC), "Z", 3)
def test_times_are_those_of_the_standard_library(time, offset, digits):
    """Rounded down to milliseconds; years before 1970 and times after 9999 are declined."""
    fraction = f".{time.microsecond:06d}000"[: digits + 1] if digits else ""
    text = f"{time:%Y-%m-%dT%H:%M:%S}"
    text = f"{time.year:04d}{text[text.index('-') :]}{fraction}{offset}"
    out = np.zeros(1, np.int64)
    end = when.read_rfc3339(padded(f'"{text}"'.encode()), 0, out)
    known = datetime.fromisoformat(f"{text[:19]}{offset}").timestamp() * 1000 + int(
        (fraction[1:] + "000")[:3]
    )
    if 0 <= known <= when.LATEST_MS and time.year >= 1970:
        assert (end, int(out[0])) == (len(text) + 2, int(known))
    else:
        assert end == -1


@given(st.from_regex(r"20[0-9]{2}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z", fullmatch=True))
def test_days_that_are_none_are_declined(text):
    """The 30th of February, the 25th hour, the 61st second."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        assert when.read_rfc3339(padded(f'"{text}"'.encode()), 0, np.zeros(1, np.int64)) == -1
    else:
        assert when.read_rfc3339(padded(f'"{text}"'.encode()), 0, np.zeros(1, np.int64)) == len(text) + 2
