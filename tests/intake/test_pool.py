"""Arrays that are used again: never one that somebody holds."""

from __future__ import annotations

import numpy as np

from monitor.intake.pool import ALIGNED, Pool


def test_arrays_of_one_call_do_not_overlap():
    """Whatever was asked for before, each keeps what is written to it, and begins where vectors may."""
    pool = Pool()
    for rows in (3, 3, 100, 0, 7, 7):
        wanted = (((2, rows), np.float64), ((rows,), np.uint8), ((0, rows), np.int32), ((rows,), np.int64))
        arrays = pool.empty(*wanted)
        for number, array in enumerate(arrays):
            array[...] = number
        for number, (array, (shape, dtype)) in enumerate(zip(arrays, wanted, strict=True)):
            assert (array.shape, array.dtype) == (shape, dtype)
            assert (array == number).all()
            assert (array.ctypes.data - arrays[0].ctypes.data) % ALIGNED == 0


def test_what_is_held_is_not_handed_out_again():
    """A part of an array holds all of it; without anybody who holds it the same memory comes again."""
    pool = Pool()
    (held,) = pool.empty(((8,), np.int64))
    held[:] = 1
    part, where = held[2:], held.ctypes.data
    del held
    (other,) = pool.empty(((8,), np.int64))
    other[:] = 2
    assert (part == 1).all()
    del part
    assert pool.empty(((8,), np.int64))[0].ctypes.data == where
