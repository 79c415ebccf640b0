"""JSON lines files as batches."""

from __future__ import annotations

import io

import pytest

from monitor.intake import lines
from monitor.intake.lines import read_lines
from monitor.intake.packed import Packed
from monitor.names import Source

SOURCE = Source("t", 0)


def read(text: bytes, block: int = 1 << 20) -> list[tuple[int, bytes | None]]:
    batches = list(read_lines(io.BytesIO(text), SOURCE, block=block))
    return [pair for batch in batches for pair in zip(batch.offsets.tolist(), batch.values, strict=True)]


@pytest.mark.parametrize("block", [1, 2, 3, 5, 7, 1 << 20])
def test_a_file_is_read_the_same_in_blocks_of_any_size(block: int) -> None:
    """Offsets are line numbers, also behind empty lines and at the end without a newline."""
    text = b'{"a":1}\n\n{"b":22}\r\n \t \n  {"c":3} \n\n\n{"d":4}'
    expected = [(0, b'{"a":1}'), (2, b'{"b":22}'), (4, b'{"c":3}'), (7, b'{"d":4}')]
    assert [(at, (value or b"").strip()) for at, value in read(text, block)] == expected
    assert [(at, (value or b"").strip()) for at, value in read(text + b"\n", block)] == expected


def test_nothing_but_records_lies_between_packed_ones() -> None:
    """A file without empty lines is scanned where it was read; one with them is taken apart."""
    plain, gaps = (list(read_lines(io.BytesIO(text), SOURCE)) for text in (b"1\n2\n", b"1\n\n2\n"))
    assert isinstance(plain[0].values, Packed)
    assert not isinstance(gaps[0].values, Packed)


def test_batches_have_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read at once is folded in parts."""
    monkeypatch.setattr(lines, "CHUNK", 3)
    batches = list(read_lines(io.BytesIO(b"x\n" * 8), SOURCE))
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert read(b"") == []
