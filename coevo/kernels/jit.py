"""numba, in one place: what compiles a kernel, and the error where it is not installed.

Machine code is cached beside the sources (or in numba's own cache folder where that is read-only), so that a process
compiles a kernel only once a machine. Kernels release the interpreter lock: callers spread candidates over threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from coevo.errors import missing_extra

try:
    import numba
except ImportError as error:
    raise missing_extra("numba", "quantum", "naas") from error

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function as machine code. Sums may be fused (a * b + c rounds once), never reordered."""
    made: Function = numba.njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")(function)
    return made


def compiled_lending(function: Function) -> Function:
    """As `compiled`, without counting references: every row that is taken of an array costs two atomic operations
    otherwise, more than a short pass over it. Arrays are lent by the caller; the function may not make any."""
    made: Function = numba.njit(
        cache=True, nogil=True, fastmath={"contract"}, error_model="numpy", _nrt=False
    )(function)  # fmt: skip
    return made


def compiled_reordering(function: Function) -> Function:
    """As `compiled`, and sums may be taken in another order, as vector instructions do: their last bits then depend on
    the type of processor."""
    made: Function = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"}, error_model="numpy")(function)
    return made


def compiled_holding_lock(function: Function) -> Function:
    """As `compiled`, for what calls into libraries of Python objects: no other thread changes these meanwhile."""
    made: Function = numba.njit(cache=True, error_model="numpy")(function)
    return made
