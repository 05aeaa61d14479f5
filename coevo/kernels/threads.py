"""A range of candidates in even parts over threads: compiled kernels release the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise


def in_parts(work: Callable[[slice], None], count: int, threads: int) -> None:
    """work(part) for parts that cover 0 to count - 1; with one thread a single call. An error ends with the first."""
    parts = min(threads, count)
    if parts <= 1:
        work(slice(0, count))
        return
    edges = [count * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, [slice(first, last) for first, last in pairwise(edges)]))
