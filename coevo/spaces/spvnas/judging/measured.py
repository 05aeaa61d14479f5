"""Latency and memory of a network on this device, from coordinates to logits, compiled as it is exported."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from coevo.kernels.sparse.inference import compile_for_inference
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.spaces.spvnas.data.voxels import VoxelSample

CALLS = 5


def compile_network(net: MinkUNet, capacity: Sequence[int], dtype: torch.dtype) -> Any:
    """`compile_for_inference` of a network in evaluation mode."""
    return compile_for_inference(net.eval(), tuple(capacity), dtype)


def network_ms(
    compiled: Any, samples: Sequence[VoxelSample], points: str = "voxels", repeats: int = 3
) -> npt.NDArray[np.float64]:
    """[scans]: milliseconds of a call of the compiled network, features and coordinates being on the device.

    On a CUDA device `CALLS` calls are queued between two events; on a CPU each is timed. The median of `repeats`.
    """
    found = []
    for sample in samples:
        feats = sample.point_feats if points == "raw" else sample.feats
        coords = sample.point_coords if points == "raw" else sample.coords
        compiled(feats, coords)  # told of overflows here, and warm
        times = []
        for _ in range(repeats):
            times.append(_queued_ms(compiled, feats, coords) if feats.is_cuda else _call_ms(compiled, feats, coords))
        found.append(statistics.median(times))
    return np.array(found)


def _call_ms(compiled: Any, feats: Any, coords: Any) -> float:
    began = time.perf_counter()
    compiled(feats, coords, check=False)
    return 1e3 * (time.perf_counter() - began)


def _queued_ms(compiled: Any, feats: Any, coords: Any) -> float:
    begin: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    begin.record()
    for _ in range(CALLS):
        compiled(feats, coords, check=False)
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / CALLS


def peak_memory_mib(net: MinkUNet, sample: VoxelSample, capacity: Sequence[int], dtype: torch.dtype) -> float:
    """What making and running the compiled network takes of a CUDA device beside what is there."""
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    compiled = compile_network(net, capacity, dtype)
    raw = sample.point_coords if compiled.is_raw else sample.coords
    compiled(sample.point_feats if compiled.is_raw else sample.feats, raw)
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20
