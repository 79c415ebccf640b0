"""Memory and functions of a library written in C, by address: what numba does not offer by itself.

Addresses are trusted. A wrong one ends the process, so only what the library itself handed out, and is
still held, may come here. Without a compiler the same functions go through ctypes.
"""

from __future__ import annotations

from typing import Any

from kernels.jit import CHECKED, config, inline
from kernels.layout import Array

if config.DISABLE_JIT:
    import ctypes

    @inline
    def word_at(address: int) -> int:
        """Eight bytes, as int64: an integer, a size or a pointer."""
        return ctypes.c_int64.from_address(int(address)).value

    @inline
    def half_at(address: int) -> int:
        """Four bytes, as int64: an `int` or an enumeration."""
        return ctypes.c_int32.from_address(int(address)).value

    @inline
    def byte_at(address: int) -> int:
        """One byte, as int64."""
        return ctypes.c_uint8.from_address(int(address)).value

    @inline
    def expect(address: int) -> None:
        """Nothing."""

    @inline
    def bring(data: Array, at: int, address: int, size: int) -> None:
        """data[at : at + size] = the bytes at `address`."""
        data[at : at + size] = bytearray(ctypes.string_at(int(address), int(size)))

    @inline
    def call1(function: int, first: int) -> None:
        """function(first), whatever it returns."""
        ctypes.CFUNCTYPE(None, ctypes.c_int64)(int(function))(int(first))

    @inline
    def call2(function: int, first: int, second: int) -> int:
        """function(first, second), which returns an integer of eight bytes."""
        kinds = (ctypes.c_int64,) * 3
        return int(ctypes.CFUNCTYPE(*kinds)(int(function))(int(first), int(second)))

    @inline
    def ask1(function: int, first: int) -> int:
        """function(first), which returns an `int` or an enumeration."""
        return int(ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64)(int(function))(int(first)))

    @inline
    def ask2(function: int, first: int, second: int) -> int:
        """function(first, second), which returns an `int` or an enumeration."""
        kinds = (ctypes.c_int32,) + (ctypes.c_int64,) * 2
        return int(ctypes.CFUNCTYPE(*kinds)(int(function))(int(first), int(second)))

    @inline
    def ask5(function: int, first: int, second: int, third: int, fourth: int, fifth: int) -> int:
        """function(first … fifth), which returns an `int` or an enumeration."""
        kinds = (ctypes.c_int32,) + (ctypes.c_int64,) * 5
        given = (int(first), int(second), int(third), int(fourth), int(fifth))
        return int(ctypes.CFUNCTYPE(*kinds)(int(function))(*given))

else:
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    _I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)

    def _load(builder: Any, address: Any, kind: Any) -> Any:
        return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1, typ=kind)

    def _call(builder: Any, result: Any, args: Any) -> Any:
        kind = ir.FunctionType(result, [_I64] * (len(args) - 1))
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    @intrinsic
    def word_at(_typing: Any, address: Any) -> Any:
        """Eight bytes, as int64: an integer, a size or a pointer."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return _load(builder, args[0], _I64)

        return types.int64(types.int64), code

    @intrinsic
    def half_at(_typing: Any, address: Any) -> Any:
        """Four bytes, as int64: an `int` or an enumeration."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.sext(_load(builder, args[0], _I32), _I64)

        return types.int64(types.int64), code

    @intrinsic
    def byte_at(_typing: Any, address: Any) -> Any:
        """One byte, as int64."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.zext(_load(builder, args[0], _I8), _I64)

        return types.int64(types.int64), code

    @intrinsic
    def expect(_typing: Any, address: Any) -> Any:
        """Let the processor fetch what lies at an address; a wrong one does no harm."""

        def code(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
            function = builder.module.declare_intrinsic("llvm.prefetch", [_I8.as_pointer()], kind)
            how = (ir.Constant(_I32, number) for number in (0, 3, 1))
            builder.call(function, [builder.inttoptr(args[0], _I8.as_pointer()), *how])
            return context.get_dummy_value()

        return types.void(types.int64), code

    @intrinsic
    def _copy(_typing: Any, data: Any, at: Any, address: Any, size: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            to = builder.gep(array.data, [args[1]], inbounds=True, source_etype=_I8)
            cgutils.raw_memcpy(builder, to, builder.inttoptr(args[2], _I8.as_pointer()), args[3], 1)
            return context.get_dummy_value()

        return types.void(data, types.int64, types.int64, types.int64), code

    @inline
    def bring(data: Array, at: int, address: int, size: int) -> None:
        """data[at : at + size] = the bytes at `address`."""
        if CHECKED and size > 0:
            data[at + size - 1] = data[at if at >= 0 else len(data)]
        _copy(data, at, address, size)

    @intrinsic
    def call1(_typing: Any, function: Any, first: Any) -> Any:
        """function(first), whatever it returns."""

        def code(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            _call(builder, ir.VoidType(), args)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), code

    @intrinsic
    def call2(_typing: Any, function: Any, first: Any, second: Any) -> Any:
        """function(first, second), which returns an integer of eight bytes."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return _call(builder, _I64, args)

        return types.int64(*[types.int64] * 3), code

    @intrinsic
    def ask1(_typing: Any, function: Any, first: Any) -> Any:
        """function(first), which returns an `int` or an enumeration."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.sext(_call(builder, _I32, args), _I64)

        return types.int64(types.int64, types.int64), code

    @intrinsic
    def ask2(_typing: Any, function: Any, first: Any, second: Any) -> Any:
        """function(first, second), which returns an `int` or an enumeration."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.sext(_call(builder, _I32, args), _I64)

        return types.int64(*[types.int64] * 3), code

    @intrinsic
    def ask5(
        _typing: Any, function: Any, first: Any, second: Any, third: Any, fourth: Any, fifth: Any
    ) -> Any:
        """function(first … fifth), which returns an `int` or an enumeration."""

        def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.sext(_call(builder, _I32, args), _I64)

        return types.int64(*[types.int64] * 6), code
