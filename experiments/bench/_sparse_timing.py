"""Times and memory of work on a CUDA device, for `gpu_sparse.py`.

Three times are told apart. `wall_ms` is what a user waits: the call and the device, from idle to idle. `device_ms` is
what the device takes when the host is ahead: the work is queued behind a kernel that sleeps, between two events; it is
None where the work waits for the device itself. `submit_ms` is the host's part.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import _bench
import torch

Work = Callable[[], Any]
_CYCLES_PER_MS = 2.0e6  # of the sleeping kernel, at about 2 GHz


def wall_ms(works: Sequence[Work], repeats: int, flush: bool = False) -> list[float]:
    """Milliseconds of `repeats` calls, one after the other over `works`; with `flush` the L2 cache is overwritten."""
    buffer = torch.empty(64 * 2**20, dtype=torch.int32, device="cuda") if flush else None
    times = []
    for index in range(repeats):
        work = works[index % len(works)]
        if buffer is not None:
            buffer.fill_(index)
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - began))
    return times


def submit_ms(work: Work, repeats: int = 5) -> float:
    """Milliseconds until the host has queued the work."""
    times = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - began))
    torch.cuda.synchronize()
    return statistics.median(times)


def device_ms(work: Work, calls: int = 1, repeats: int = 5) -> float | None:
    """Milliseconds of the device for one call; None where the host could not get ahead of it."""
    ahead = (submit_ms(work, 3) * calls * 1.5 + 0.5) * _CYCLES_PER_MS
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(int(ahead))
        begin.record()
        for _ in range(calls):
            work()
        end.record()
        if not begin.query():  # the device still sleeps, so every launch was queued before it began
            torch.cuda.synchronize()
            times.append(begin.elapsed_time(end) / calls)
        torch.cuda.synchronize()
    return statistics.median(times) if len(times) > repeats // 2 else None


def kernels(work: Work) -> list[dict[str, Any]]:
    """Each kernel of one call: name, launches, microseconds; the longest first."""
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        work()
        torch.cuda.synchronize()
    found = [
        {"kernel": event.key[:90], "launches": event.count, "us": round(event.self_device_time_total, 2)}
        for event in profiled.key_averages()
        if event.self_device_time_total > 0
    ]
    return sorted(found, key=lambda row: -row["us"])


def emptied() -> dict[str, float]:
    """What torch holds on the device after everything unused was given back, in MiB."""
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return {"allocated": torch.cuda.memory_allocated() / 2**20, "pools": _idle_in_pools()}


def peak_since(before: dict[str, float], work: Work) -> dict[str, float]:
    """MiB above `before`: the peak so far (making, first runs, capture), the peak of one more call, the larger.

    What a captured graph's pool keeps between replays counts in full: nobody else can have it.
    """
    torch.cuda.synchronize()
    making = torch.cuda.max_memory_allocated() / 2**20 - before["allocated"]
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    running = torch.cuda.max_memory_allocated() / 2**20 - before["allocated"]
    running += _idle_in_pools() - before["pools"]
    return {
        "making_mib": round(making, 1),
        "running_mib": round(running, 1),
        "peak_mib": round(max(making, running), 1),
    }


def _idle_in_pools() -> float:
    """MiB that graphs' private pools hold beyond what is allocated in them."""
    pools = [each for each in torch.cuda.memory_snapshot() if tuple(each["segment_pool_id"]) != (0, 0)]
    return sum(each["total_size"] - each["allocated_size"] for each in pools) / 2**20


def ceilings() -> dict[str, Any]:
    """The device, and what a large copy and a large half-precision product reach on it."""
    copy_ms = _copy_ms()
    product_ms = _product_ms()
    return {
        **_bench.gpu(),
        "copy_gb_s": round(2 * 2**30 / copy_ms / 1e6, 1),
        "half_product_tflop_s": round(2 * 8192**3 / product_ms / 1e9, 1),
    }


def spread(times: Sequence[float]) -> dict[str, Any]:
    """Median, fastest, the 95th of a hundred, count."""
    ordered = sorted(times)
    return {
        "median_ms": round(statistics.median(ordered), 4),
        "min_ms": round(ordered[0], 4),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 4),
        "repeats": len(ordered),
    }


def _copy_ms() -> float:
    """Of 1 GiB."""
    source = torch.rand(2**28, device="cuda")
    target = torch.empty_like(source)
    return statistics.median(wall_ms([lambda: target.copy_(source)], 8)[2:])


def _product_ms() -> float:
    """Of two random matrices of 8192 x 8192 in half precision."""
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.float16) for _ in range(2))
    return statistics.median(wall_ms([lambda: left @ right], 10)[3:])
