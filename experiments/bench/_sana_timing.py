"""Times of short work on a CUDA device, for `gpu_sana.py` and `gpu_came.py`.

Work is captured into a CUDA graph, one call after the other over copies of its inputs that are together larger than the
L2 cache several times over: no call finds its inputs there, and no launch is paid for by the host.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch

Work = Callable[[], Any]
ROTATED_BYTES = 256 * 2**20
"""Of the copies of an operation's inputs; the L2 cache of an H200 has 50 MiB."""


def copies_of(bytes_of_one: int) -> int:
    """How many copies of inputs are rotated: enough to empty the cache, at least two, at most 64."""
    return max(2, min(64, -(-ROTATED_BYTES // max(1, bytes_of_one))))


def captured(works: Sequence[Work]) -> torch.cuda.CUDAGraph:
    """All works, once, as one graph; each has run before (that compiles what has to be)."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for work in works:
            work()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for work in works:
            work()
    return graph


def graph_ms(works: Sequence[Work], repeats: int = 7) -> float:
    """Median milliseconds of one of the works, replayed as a graph."""
    graph = captured(works)
    graph.replay()
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / len(works))
    del graph
    return statistics.median(times)


def copy_gb_s(size: int) -> float:
    """GB/s (read and written) of copies of `size` bytes, as everything here is timed."""
    count = copies_of(2 * size)
    pairs = [[torch.empty(size // 2, dtype=torch.bfloat16, device="cuda") for _ in range(2)] for _ in range(count)]
    works = [lambda pair=pair: pair[1].copy_(pair[0]) for pair in pairs]
    return 2 * size / graph_ms(works) / 1e6
