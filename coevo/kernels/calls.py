"""C functions and memory by their addresses, inside compiled kernels.

An address is an int64 that whoever hands it to the kernel vouches for. Passing addresses as arguments, instead of
building functions into a kernel, lets its machine code be cached: a library stands elsewhere in every process.
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra

try:
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic
except ImportError as error:
    raise missing_extra("numba", "quantum") from error

_ADDRESS = ir.IntType(64)


def _inside_kernels(function: Any) -> Any:
    """numba's `intrinsic`."""
    return intrinsic(function)


def _call(builder: Any, result: Any, values: Any) -> Any:
    """Calls values[0] with the other values, all of them addresses or sizes."""
    function = ir.FunctionType(result, [_ADDRESS] * (len(values) - 1)).as_pointer()
    return builder.call(builder.inttoptr(values[0], function), list(values[1:]))


def _load(builder: Any, bits: int, address: Any) -> Any:
    """The unsigned integer of so many bits at an address, as 64 bits."""
    number = builder.load(builder.inttoptr(address, ir.IntType(bits).as_pointer()), align=1)
    return builder.zext(number, _ADDRESS)


@_inside_kernels
def call_for_nothing(typing: Any, function: Any, first: Any, second: Any, third: Any) -> Any:
    """void function(first, second, third)."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _call(builder, ir.VoidType(), values)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64, types.int64), code


@_inside_kernels
def call_for_byte(typing: Any, function: Any, first: Any) -> Any:
    """uint8_t function(first), as int64."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.zext(_call(builder, ir.IntType(8), values), _ADDRESS)

    return types.int64(types.int64, types.int64), code


@_inside_kernels
def call_for_double(typing: Any, function: Any, first: Any) -> Any:
    """double function(first)."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _call(builder, ir.DoubleType(), values)

    return types.float64(types.int64, types.int64), code


@_inside_kernels
def byte_at(typing: Any, address: Any) -> Any:
    """The uint8_t at an address, as int64."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _load(builder, 8, values[0])

    return types.int64(types.int64), code


@_inside_kernels
def word_at(typing: Any, address: Any) -> Any:
    """The uint32_t at an address, as int64."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _load(builder, 32, values[0])

    return types.int64(types.int64), code
