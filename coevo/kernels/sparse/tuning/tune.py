"""Measuring which plans suit a network on the user's scans.

Layers that share a map must agree on how its rows are sorted, so they are one group (as in TorchSparse++, MICRO 2023,
sec. 4): for each number of splits the best plan of each layer is taken, and the number whose sum is the least, with the
time that the further sorting takes. At the end the whole network is timed both ways, and the defaults stay where they
are not beaten.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from coevo.errors import InputError
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.hierarchy import Hierarchy, build_levels
from coevo.kernels.sparse.inference.compile import compile_for_inference, rooms
from coevo.kernels.sparse.inference.folding import FoldedConv
from coevo.kernels.sparse.inference.static_unet import LEVELS, StaticUNet
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.shape import DEFAULT_SPLITS, STAGES
from coevo.kernels.sparse.tuning.candidates import plans_of, splits_of
from coevo.kernels.sparse.tuning.tuned import Tuning, keep

Tensor = Any
Signature = tuple[int, int, int, bool]
"""What a layer's time depends on beside its group: channels in, out, of its shortcut; whether a residual is added."""
_COMPILING = 0.6
"""The share of the time that compiling may take."""


@dataclass(frozen=True, eq=False)
class Group:
    """The layers that share a map: of a level's 3x3x3 map, or of one between two levels."""

    name: str
    level: int | None
    kernel_map: KernelMap
    layers: dict[str, FoldedConv]

    def signatures(self) -> dict[Signature, FoldedConv]:
        """One layer of each kind."""
        return {signature_of(name, layer): layer for name, layer in self.layers.items()}

    def splits(self) -> tuple[int, ...]:
        """Numbers of splits that are tried."""
        if self.level is None:
            return (1,)
        widest = max(max(layer.weight.shape[1:]) for layer in self.layers.values())
        return splits_of(self.kernel_map.volume, int(widest))


def tune(
    net: MinkUNet,
    scans: Sequence[tuple[Tensor, Tensor]],
    capacity: int | Sequence[int],
    dtype: torch.dtype = torch.float16,
    *,
    seconds: float = 60.0,
    persist: bool = True,
    at: Path | None = None,
) -> Tuning:
    """Measures plans for `compile_for_inference(net, capacity, dtype)`, which finds them again by itself.

    Args:
        net: a MinkUNet or SPVCNN on a CUDA device.
        scans: (features [N, in_channels], coordinates int32 [N, 4]) of the user's own, on the net's device; the largest
            is measured on, and the result is judged on all.
        capacity, dtype: as `compile_for_inference`.
        seconds: how long it may take; what is not measured by then keeps its default.
        persist: whether the result is kept for later runs, in `at` or `store.folder()`.

    Raises:
        InputError: no CUDA device, no scan, or a scan that exceeds the capacity.
    """
    deadline = time.monotonic() + seconds
    _check_device(next(net.parameters()).device)
    room = rooms(capacity)
    if not scans or max(len(coords) for _, coords in scans) > room[0]:
        raise InputError(f"tune needs at least one scan, and none with more than {room[0]} voxels, the capacity")
    with torch.no_grad():
        unet = StaticUNet(net, dtype)
        _, coords = max(scans, key=lambda scan: len(scan[1]))
        build = _builder(coords, room)
        made = build(DEFAULT_SPLITS)
        made.check()
        groups = groups_of(unet, made)
        times, complete = _measured(groups, dtype, deadline, seconds)
        base_us = graph_us(partial(build, DEFAULT_SPLITS), 2)

        def sorting_us(level: int, splits: int) -> float:
            if splits == 1:
                return 0.0
            cut = tuple(splits if at_level == level else 1 for at_level in range(LEVELS))
            return max(0.0, graph_us(partial(build, cut), 2) - base_us)

        splits, plans = choose(groups, times, sorting_us)
        default_ms = _network_ms(net, scans, room, dtype, DEFAULT_SPLITS, {})
        tuned_ms = _network_ms(net, scans, room, dtype, splits, plans)
    if tuned_ms >= default_ms:
        splits, plans, tuned_ms = DEFAULT_SPLITS, {}, default_ms
    tuning = Tuning(splits, plans, default_ms, tuned_ms, complete)
    if persist:
        keep(tuning, net, room, dtype, at)
    return tuning


def _check_device(device: torch.device) -> None:
    if device.type != "cuda":
        raise InputError(f"plans are measured on a CUDA device, and the network is on {device}; move it there")


def groups_of(unet: StaticUNet, made: Hierarchy) -> list[Group]:
    """The network's convolutions by the maps that they share."""
    layers = unet.convolutions()

    def named(*prefixes: str) -> dict[str, FoldedConv]:
        return {name: layer for name, layer in layers.items() if name.startswith(prefixes)}

    groups = []
    for level in range(LEVELS):
        prefixes: tuple[str, ...] = ("stem.",)
        if level:
            prefixes = tuple(f"stage{level}.{1 + block}." for block in range(len(unet.blocks_down[level - 1])))
        if level < STAGES:
            prefixes += (f"up{STAGES - level}.1.",)
        groups.append(Group(f"level {level}", level, made.submanifold[level], named(*prefixes)))
    for level in range(STAGES):
        groups.append(Group(f"down {level}", None, made.down[level], named(f"stage{level + 1}.0")))
        groups.append(Group(f"up {level}", None, made.down[level].inverse(), named(f"up{STAGES - level}.0")))
    return groups


def signature_of(name: str, layer: FoldedConv) -> Signature:
    """What tells a layer from others of its group."""
    beside = 0 if layer.shortcut_weight is None else int(layer.shortcut_weight.shape[0])
    residual = name.endswith(".net.3") and not beside
    return int(layer.weight.shape[1]), int(layer.weight.shape[2]), beside, residual


def choose(
    groups: Sequence[Group],
    times: dict[tuple[str, Signature, Plan], float],
    sorting_us: Callable[[int, int], float],
) -> tuple[tuple[int, ...], dict[str, Plan]]:
    """(splits of the levels, plans by layer) with the least sum of times (microseconds).

    Args:
        times: by group, signature and plan; what was not measured is absent.
        sorting_us: what sorting a level by so many splits takes beyond one.
    """
    splits = list(DEFAULT_SPLITS)
    plans: dict[str, Plan] = {}
    for group in groups:
        offers = []
        for number in group.splits():
            best: dict[Signature, tuple[float, Plan]] = {}
            for (name, signature, plan), taken in times.items():
                if name == group.name and plan.splits == number:
                    best[signature] = min(best.get(signature, (taken, plan)), (taken, plan), key=lambda pair: pair[0])
            if len(best) == len(group.signatures()):
                total = sum(best[signature_of(*layer)][0] for layer in group.layers.items())
                total += 0.0 if group.level is None else sorting_us(group.level, number)
                offers.append((total, number, best))
        if offers:
            _, number, best = min(offers, key=lambda offer: offer[0])
            plans.update({name: best[signature_of(name, layer)][1] for name, layer in group.layers.items()})
            if group.level is not None:
                splits[group.level] = number
    return tuple(splits), plans


def graph_us(work: Callable[[], Any], calls: int = 4, replays: int = 3) -> float:
    """Microseconds of the device for one call, from replays of a graph of several: the host does not count."""
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            work()
    graph.replay()
    return 1e3 * _elapsed_ms(graph.replay, replays) / calls


def _elapsed_ms(work: Callable[[], Any], times: int) -> float:
    """Milliseconds between events around the work, the median of several times."""
    found: list[float] = []
    for _ in range(times):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        work()
        end.record()
        end.synchronize()
        found.append(begin.elapsed_time(end))
    return statistics.median(found)


def _measured(
    groups: Sequence[Group], dtype: torch.dtype, deadline: float, seconds: float
) -> tuple[dict[tuple[str, Signature, Plan], float], bool]:
    """Microseconds by group, signature and plan, and whether all were measured."""
    features = _Features(dtype, groups[0].kernel_map.neighbours.device)
    tasks = []
    for group in groups:
        for splits in group.splits():
            if splits > 1:
                group.kernel_map.sorted(splits)
            for signature, layer in group.signatures().items():
                for rank, plan in enumerate(plans_of(signature[0], signature[1], splits, group.kernel_map.volume)):
                    tasks.append((rank, (group.name, signature, plan), _call(group, signature, layer, plan, features)))
    tasks.sort(key=lambda task: task[0])  # every layer's first candidates before anybody's last
    compiled = _compiled([task[2] for task in tasks], deadline - (1.0 - _COMPILING) * seconds)
    times: dict[tuple[str, Signature, Plan], float] = {}
    for (_, key, call), ready in zip(tasks, compiled, strict=True):
        if ready is None or time.monotonic() > deadline:
            return times, False
        if ready:
            times[key] = graph_us(call)
    return times, True


def _compiled(calls: Sequence[Callable[[], Any]], deadline: float) -> list[bool | None]:
    """Run each call once, several at a time, as compiling lets other threads go on. Whether each ran: False where the
    device has no room for its tiles, None where the deadline came first."""

    def once(call: Callable[[], Any]) -> bool:
        from triton.runtime.errors import OutOfResources

        try:
            with torch.no_grad():
                call()
        except OutOfResources:
            return False
        return True

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        pending = [pool.submit(once, call) for call in calls]
        wait(pending, timeout=max(0.0, deadline - time.monotonic()))
        for each in pending:
            each.cancel()
    torch.cuda.synchronize()
    return [None if each.cancelled() else each.result() for each in pending]


def _call(group: Group, signature: Signature, layer: FoldedConv, plan: Plan, features: _Features) -> Callable[[], Any]:
    """One run of a layer by a plan over random features, its epilogue included."""
    inputs, outputs, beside, has_residual = signature
    kernel_map = group.kernel_map
    made = FoldedConv(layer.weight, layer.shift, layer.relu, layer.shortcut_weight, plan)

    def call() -> Tensor:
        given: dict[str, Tensor] = {}
        if beside:
            given["shortcut"] = features[kernel_map.capacity_out, beside]
        elif has_residual:
            given["residual"] = features[kernel_map.capacity_out, outputs]
        return made(features[kernel_map.capacity_in, inputs], kernel_map, **given)

    return call


class _Features(dict[tuple[int, int], Tensor]):
    """Random features by (rows, channels), made on first use: layers of a network, too, read what was read before."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.dtype, self.device = dtype, device

    def __missing__(self, key: tuple[int, int]) -> Tensor:
        self[key] = torch.randn(key, device=self.device).to(self.dtype)
        return self[key]


def _builder(coords: Tensor, room: tuple[int, ...]) -> Callable[[tuple[int, ...]], Hierarchy]:
    padded = torch.zeros((room[0], 4), dtype=torch.int32, device=coords.device)
    padded[: len(coords)] = coords
    count = torch.tensor([len(coords)], dtype=torch.int32, device=coords.device)

    def build(splits: tuple[int, ...]) -> Hierarchy:
        return build_levels(padded, LEVELS, count=count, capacity=room, splits=splits)

    return build


def _network_ms(
    net: MinkUNet,
    scans: Sequence[tuple[Tensor, Tensor]],
    room: tuple[int, ...],
    dtype: torch.dtype,
    splits: tuple[int, ...],
    plans: dict[str, Plan],
) -> float:
    """Milliseconds of the captured network, the median over the scans."""
    static = compile_for_inference(net, room, dtype, splits=splits, plans=plans)
    found: list[float] = []
    for feats, coords in scans:
        static(feats, coords)
        found.append(_elapsed_ms(partial(static, feats, coords, check=False), 5))
    return statistics.median(found)
