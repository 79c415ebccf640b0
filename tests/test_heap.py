"""Free memory of the C library's heaps is given back, and its sizes are told."""

from __future__ import annotations

import ctypes
import sqlite3

import numpy as np
import pytest

from monitor.clock import ManualClock
from monitor.heap import TRIM_EVERY, Heap, usage
from monitor.state.database import memory

has_glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc 2.33 or later")


@has_glibc
def test_it_is_given_back_once_in_a_while() -> None:
    """Not at the start, and not twice in a row."""
    clock = ManualClock(0)
    heap = Heap(clock)
    assert not heap.tick()
    clock.advance(TRIM_EVERY)
    assert heap.tick()
    assert not heap.tick()
    clock.advance(TRIM_EVERY)
    assert heap.tick()


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """musl and macOS have no such function, and nothing to be told."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    clock = ManualClock(0)
    heap = Heap(clock)
    clock.advance(TRIM_EVERY)
    assert not heap.tick()
    assert usage() == {}
    assert memory() is None


@has_glibc
def test_what_is_in_use_is_told() -> None:
    """Arrays of 100 kB count as used or, where blocks of that size have mappings of their own, as mapped."""
    before = usage()
    held = [np.ones(12_500) for _ in range(50)]
    after = usage()
    assert after["used"] + after["mapped"] - before["used"] - before["mapped"] > 4_000_000
    assert len(held) == 50


def test_sqlite_tells_what_it_holds() -> None:
    """A table in memory is seen where the library lets itself be asked."""
    if (before := memory()) is None:
        pytest.skip("this SQLite cannot be asked")
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (x)")
    db.execute("INSERT INTO t VALUES (zeroblob(1000000))")
    assert (memory() or 0) - before > 900_000
    db.close()
