"""Eight bytes at a time: what the scanner needs of the machine and numba does not offer by itself.

With index checks on, or without a compiler, the same functions are plain array code, so that a load
beyond its array is an error there and not memory of somebody else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.jit import CHECKED, config, inline
from kernels.layout import Array

PADDING = 128
"""Bytes that must follow what is scanned: no load reaches further beyond the byte it starts from."""

ONES = np.uint64(0x0101010101010101)
HIGHS = np.uint64(0x8080808080808080)
ZEROS = np.uint64(0x3030303030303030)
NINES = np.uint64(0x7676767676767676)
"""0x80 - 10 in every byte: added to a byte of 0…9 the high bit stays clear, to 10…127 it is set."""
SPACES = np.uint64(0x2020202020202020)
QUOTES = np.uint64(0x2222222222222222)
SLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)

if config.DISABLE_JIT:
    np.seterr(over="ignore")  # words wrap around here, which numpy warns of and machines do not
else:
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    _I64 = ir.IntType(64)
    _I128 = ir.IntType(128)

if CHECKED or config.DISABLE_JIT:

    @inline
    def byte(data: Array, at: int) -> Any:
        """One byte, as int64."""
        return np.int64(data[at])

    @inline
    def get(array: Array, at: int) -> Any:
        """array[at] of a flat array, integers as int64; never from its end."""
        return np.int64(array[at]) if at >= 0 else np.int64(array[len(array)])

    @inline
    def put(array: Array, at: int, value: Any) -> None:
        """array[at] = value of a flat array; never from its end."""
        array[at if at >= 0 else len(array)] = value

    @inline
    def load8(data: Array, at: int) -> Any:
        """Eight bytes from `at` on as uint64, the first one lowest."""
        word = np.uint64(0)
        for i in range(8):
            word |= np.uint64(data[at + i]) << np.uint64(8 * i)
        return word

    @inline
    def digits_at(data: Array, at: int) -> Any:
        """Which of the sixteen bytes from `at` on are digits: a bit for each, the first one lowest."""
        found = np.uint64(0)
        for i in range(16):
            if 48 <= data[at + i] <= 57:
                found |= np.uint64(1) << np.uint64(i)
        return found

    @inline
    def dots_at(data: Array, at: int) -> Any:
        """Which of the sixteen bytes from `at` on are dots."""
        found = np.uint64(0)
        for i in range(16):
            if data[at + i] == 46:
                found |= np.uint64(1) << np.uint64(i)
        return found

    @inline
    def equal_at(data: Array, at: int, value: int) -> Any:
        """Which of the sixteen bytes from `at` on are `value`."""
        found = np.uint64(0)
        for i in range(16):
            if data[at + i] == value:
                found |= np.uint64(1) << np.uint64(i)
        return found

    @inline
    def quotes_at(data: Array, at: int) -> Any:
        """Which of the 64 bytes from `at` on are quotes."""
        found = np.uint64(0)
        for i in range(64):
            if data[at + i] == 34:
                found |= np.uint64(1) << np.uint64(i)
        return found

    @inline
    def odd_at(data: Array, at: int) -> Any:
        """Which of the 64 bytes from `at` on are backslashes, control characters or no ASCII."""
        found = np.uint64(0)
        for i in range(64):
            if data[at + i] < 32 or data[at + i] == 92 or data[at + i] > 127:
                found |= np.uint64(1) << np.uint64(i)
        return found

    @inline
    def differing(data: Array, at: int, text: Array, start: int) -> Any:
        """Which of the 32 bytes from `at` on are others than those of `text` from `start` on."""
        found = np.uint64(0)
        for i in range(32):
            if data[at + i] != text[start + i]:
                found |= np.uint64(1) << np.uint64(i)
        return found

else:

    def _address(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.gep(array.data, [args[1]], inbounds=True, source_etype=ir.IntType(8))

    def _element(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        array = context.make_array(kind)(context, builder, args[0])
        return builder.gep(
            array.data, [args[1]], inbounds=True, source_etype=context.get_data_type(kind.dtype)
        )

    @intrinsic
    def byte(_typing: Any, data: Any, at: Any) -> Any:
        """One byte, as int64."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _address(context, builder, signature, args)
            return builder.zext(builder.load(place, typ=ir.IntType(8)), _I64)

        return types.int64(data, types.int64), code

    @intrinsic
    def get(_typing: Any, array: Any, at: Any) -> Any:
        """array[at] of a flat array of integers, as int64; never from its end."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _element(context, builder, signature, args)
            value = builder.load(place, typ=context.get_data_type(array.dtype))
            if array.dtype.bitwidth == 64:
                return value
            return builder.sext(value, _I64) if array.dtype.signed else builder.zext(value, _I64)

        return types.int64(array, types.int64), code

    @intrinsic
    def put(_typing: Any, array: Any, at: Any, value: Any) -> Any:
        """array[at] = value of a flat array; never from its end."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.store(args[2], _element(context, builder, signature, args))
            return context.get_dummy_value()

        return types.void(array, types.int64, array.dtype), code

    @intrinsic
    def load8(_typing: Any, data: Any, at: Any) -> Any:
        """Eight bytes from `at` on as uint64, the first one lowest (on little-endian machines, the only ones numba knows)."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(_address(context, builder, signature, args), align=1, typ=_I64)

        return types.uint64(data, types.int64), code

    def _vector(builder: Any, array: Any, at: Any, width: int) -> Any:
        place = builder.gep(array.data, [at], inbounds=True, source_etype=ir.IntType(8))
        return builder.load(place, align=1, typ=ir.VectorType(ir.IntType(8), width))

    def _all(width: int, value: int) -> Any:
        return ir.Constant(ir.VectorType(ir.IntType(8), width), [value] * width)

    def _mask(builder: Any, flags: Any, width: int) -> Any:
        return builder.zext(builder.bitcast(flags, ir.IntType(width)), _I64)

    @intrinsic
    def digits_at(_typing: Any, data: Any, at: Any) -> Any:
        """Which of the sixteen bytes from `at` on are digits: a bit for each, the first one lowest."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            values = builder.sub(_vector(builder, array, args[1], 16), _all(16, 48))
            return _mask(builder, builder.icmp_unsigned("<", values, _all(16, 10)), 16)

        return types.uint64(data, types.int64), code

    @intrinsic
    def dots_at(_typing: Any, data: Any, at: Any) -> Any:
        """Which of the sixteen bytes from `at` on are dots."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            values = _vector(builder, array, args[1], 16)
            return _mask(builder, builder.icmp_unsigned("==", values, _all(16, 46)), 16)

        return types.uint64(data, types.int64), code

    @intrinsic
    def equal_at(_typing: Any, data: Any, at: Any, value: Any) -> Any:
        """Which of the sixteen bytes from `at` on are `value`."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            kind = ir.VectorType(ir.IntType(8), 16)
            one = builder.insert_element(
                ir.Constant(kind, ir.Undefined),
                builder.trunc(args[2], ir.IntType(8)),
                ir.Constant(ir.IntType(32), 0),
            )
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), 16), [0] * 16)
            values = builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), lanes)
            return _mask(
                builder, builder.icmp_unsigned("==", _vector(builder, array, args[1], 16), values), 16
            )

        return types.uint64(data, types.int64, types.int64), code

    @intrinsic
    def quotes_at(_typing: Any, data: Any, at: Any) -> Any:
        """Which of the 64 bytes from `at` on are quotes."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            values = _vector(builder, array, args[1], 64)
            return builder.bitcast(builder.icmp_unsigned("==", values, _all(64, 34)), _I64)

        return types.uint64(data, types.int64), code

    @intrinsic
    def odd_at(_typing: Any, data: Any, at: Any) -> Any:
        """Which of the 64 bytes from `at` on are backslashes, control characters or no ASCII."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            values = _vector(builder, array, args[1], 64)
            odd = builder.or_(
                builder.icmp_signed("<", values, _all(64, 32)),
                builder.icmp_unsigned("==", values, _all(64, 92)),
            )
            return builder.bitcast(odd, _I64)

        return types.uint64(data, types.int64), code

    @intrinsic
    def differing(_typing: Any, data: Any, at: Any, text: Any, start: Any) -> Any:
        """Which of the 32 bytes from `at` on are others than those of `text` from `start` on."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            one, other = (
                _vector(builder, context.make_array(kind)(context, builder, array), where, 32)
                for kind, array, where in zip(signature.args[::2], args[::2], args[1::2], strict=True)
            )
            return _mask(builder, builder.icmp_unsigned("!=", one, other), 32)

        return types.uint64(data, types.int64, text, types.int64), code


if config.DISABLE_JIT:

    @inline
    def high_product(a: Any, b: Any) -> Any:
        """Upper 64 bits of the 128-bit product of two uint64."""
        half = np.uint64(32)
        low = np.uint64(0xFFFFFFFF)
        a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
        middle = a1 * b0 + (a0 * b0 >> half)
        other = a0 * b1 + (middle & low)
        return a1 * b1 + (middle >> half) + (other >> half)

    @inline
    def trailing_zeros(word: Any) -> int:
        """Zero bits below the lowest set one, as int64; 64 for 0."""
        if word == np.uint64(0):
            return 64
        count = 0
        while not (word >> np.uint64(count)) & np.uint64(1):
            count += 1
        return count

    @inline
    def leading_zeros(word: Any) -> int:
        """Zero bits above the highest set one, as int64; 64 for 0."""
        count = 0
        while count < 64 and not (word >> np.uint64(63 - count)) & np.uint64(1):
            count += 1
        return count

    @inline
    def times(a: Any, b: Any) -> Any:
        """Lower 64 bits of the product of two uint64."""
        return a * b

    @inline
    def divided(a: float, b: float) -> float:
        """a ÷ b, never asked whether b is 0: that question keeps a loop from being vectorised."""
        return a / b

    @inline
    def double_of(bits: Any) -> Any:
        """The double whose bits a uint64 holds."""
        one = np.empty(1, np.uint64)
        one[0] = bits
        return one.view(np.float64)[0]

    @inline
    def bits_of(value: float) -> Any:
        """The bits of a double, as uint64."""
        one = np.empty(1, np.float64)
        one[0] = value
        return one.view(np.uint64)[0]

else:

    @intrinsic
    def high_product(_typing: Any, a: Any, b: Any) -> Any:
        """Upper 64 bits of the 128-bit product of two uint64."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            wide = builder.mul(*(builder.zext(arg, _I128) for arg in args))
            return builder.trunc(builder.lshr(wide, ir.Constant(_I128, 64)), _I64)

        return types.uint64(types.uint64, types.uint64), code

    @intrinsic
    def trailing_zeros(_typing: Any, word: Any) -> Any:
        """Zero bits below the lowest set one, as int64; 64 for 0."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), code

    @intrinsic
    def leading_zeros(_typing: Any, word: Any) -> Any:
        """Zero bits above the highest set one, as int64; 64 for 0."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), code

    @intrinsic
    def times(_typing: Any, a: Any, b: Any) -> Any:
        """Lower 64 bits of the product of two uint64."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.mul(args[0], args[1])

        return types.uint64(types.uint64, types.uint64), code

    @intrinsic
    def divided(_typing: Any, a: Any, b: Any) -> Any:
        """a ÷ b, never asked whether b is 0: that question keeps a loop from being vectorised."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.fdiv(*args)

        return types.float64(types.float64, types.float64), code

    @intrinsic
    def double_of(_typing: Any, bits: Any) -> Any:
        """The double whose bits a uint64 holds."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], ir.DoubleType())

        return types.float64(types.uint64), code

    @intrinsic
    def bits_of(_typing: Any, value: Any) -> Any:
        """The bits of a double, as uint64."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], _I64)

        return types.uint64(types.float64), code
