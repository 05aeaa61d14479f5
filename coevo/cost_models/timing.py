"""Milliseconds of work on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

Work = Callable[[], Any]
CALLS = 8
"""Launches of the work in one captured graph: the time of a replay is divided by them."""


def device_ms(work: Work, device: torch.device, repeats: int) -> float:
    """The median of one call's times after a first call that compiles.

    On a CUDA device the calls are captured in a graph and replayed between two events, as a compiled network runs
    them: what the host takes to launch does not count. On a CPU every call is timed.
    """
    if device.type == "cuda":
        return _captured(work, device, repeats)
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def _captured(work: Work, device: torch.device, repeats: int) -> float:
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = [work() for _ in range(CALLS)]
    graph.replay()
    events = []
    for _ in range(repeats):
        begin: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        begin.record()
        graph.replay()
        end.record()
        events.append((begin, end))
    torch.cuda.synchronize(device)
    del kept
    return statistics.median(float(begin.elapsed_time(end)) for begin, end in events) / CALLS
