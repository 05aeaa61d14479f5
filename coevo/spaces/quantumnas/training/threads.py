"""One BLAS thread for small matrices: with more, products of 16 x 16 matrices take five times as long, and their last
bits depend on how many threads there were, so that the same seed would give other bytes on another machine."""

from __future__ import annotations

import functools
import importlib
from contextlib import AbstractContextManager
from typing import Any

from coevo.errors import missing_extra


@functools.cache
def _controller() -> Any:
    try:
        library = importlib.import_module("threadpoolctl")
    except ImportError as error:
        raise missing_extra("threadpoolctl", "quantum") from error
    return library.ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """While it lasts, BLAS uses one thread; afterwards as many as before."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit
