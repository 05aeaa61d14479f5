"""What each idea gives in coevo, on and off, and whether training is reproducible.

The ablation runs the 42 convolutions of MinkUNet that have a map, with the inputs that they have on the first scan, and
sums the device's time; one thing is changed at a time. TorchSparse's papers claim gains for adaptive grouping,
vectorised access, fusion and locality: these rows are what they are worth here. The captured graph is on and off in
the part `inference` ("captured", "uncaptured").
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from _lidar_scans import read_scan
from _sparse_case import CLASSES, INPUTS, minkunet_layers
from _sparse_inputs import Scan
from _sparse_parts import Bench
from _sparse_timing import device_ms

STEPS = 50


def tuning(bench: Bench) -> dict[str, Any]:
    """coevo's autotuner on four scans at width 1.0: what it takes and gives. Later parts run with what it found."""
    if not any(engine.name == "coevo" for engine in bench.engines):
        return {"left_out": "coevo is not among the engines"}
    return bench.attempt("tuning", _tuning, bench)


def _tuning(row: dict[str, Any], bench: Bench) -> None:
    from coevo.kernels.sparse.modules import MinkUNet, load_torchsparse
    from coevo.kernels.sparse.tuning.tune import tune

    net = MinkUNet(CLASSES, INPUTS, 1.0)
    load_torchsparse(net, bench.state(1.0))
    scans = [(scan.half, scan.coords) for scan in bench.scans[:4]]
    began = time.perf_counter()
    found = tune(net.cuda().eval(), scans, bench.arguments.capacity, seconds=bench.arguments.tuning_seconds)
    row.update(seconds=time.perf_counter() - began, allowed_seconds=bench.arguments.tuning_seconds)
    row.update(default_ms=found.default_ms, tuned_ms=found.tuned_ms, complete=found.complete)
    row.update(splits=found.splits, plans={name: str(plan) for name, plan in found.plans.items()})
    brief = {name: value for name, value in row.items() if name != "plans"}
    print(f"tuning: {brief}", flush=True)


@dataclass(frozen=True)
class _Layer:
    """A convolution with what it is given."""

    name: str
    feats: torch.Tensor
    weight: torch.Tensor
    kernel_map: Any


@torch.no_grad()
def ablation(bench: Bench) -> dict[str, Any]:
    """Milliseconds of the device for all mapped convolutions, by what was changed."""
    engine = next((each for each in bench.engines if each.name == "coevo"), None)
    if engine is None:
        return {"left_out": "coevo is not among the engines"}
    layers = _layers(engine, bench)
    rows: dict[str, Any] = {"convolutions": len(layers)}
    for what, run in _variants().items():
        rows[what] = bench.attempt(f"ablation {what}", _variant, what, run, layers)
    return rows


def _variant(row: dict[str, Any], what: str, run: Callable[[_Layer], Callable[[], Any]], layers: list[_Layer]) -> None:
    times = {}
    for layer in layers:
        work = run(layer)
        work()
        times[layer.name] = device_ms(work, calls=3, repeats=3)
    row["waits_for_the_device"] = sum(each is None for each in times.values())
    row["sum_ms"] = sum(each for each in times.values() if each is not None)
    row["us"] = {name: None if each is None else round(1e3 * each, 2) for name, each in times.items()}
    print(f"ablation, {what}: {row['sum_ms']:.3f} ms, {row['waits_for_the_device']} layers not timed", flush=True)


def _layers(engine: Any, bench: Bench) -> list[_Layer]:
    net = engine.network(bench.state(1.0), 1.0, bench.grid, training=False)
    found: list[_Layer] = []
    hooks = []
    for layer in minkunet_layers(1.0):
        if layer.kernel > 1:

            def seen(module: Any, given: tuple[Any, ...], name: str = layer.name) -> None:
                feats = torch.cat([each.feats for each in given if each is not None], dim=1)
                found.append(_Layer(name, feats, module.kernel.detach(), module.kernel_map(given[0])))

            hooks.append(net.get_submodule(layer.name).register_forward_pre_hook(seen))
    net(engine.enter(net, bench.scans[0]))
    for hook in hooks:
        hook.remove()
    return found


def _variants() -> dict[str, Callable[[_Layer], Callable[[], Any]]]:
    """Each name with what makes a layer's work."""
    from coevo.kernels.sparse.convolution.autograd import convolve
    from coevo.kernels.sparse.convolution.epilogue import Epilogue
    from coevo.kernels.sparse.convolution.plan import Plan

    def planned(**given: Any) -> Callable[[_Layer], Callable[[], Any]]:
        plan = Plan(**given)
        return lambda layer: lambda: convolve(layer.feats, layer.weight, layer.kernel_map, plan=plan)

    def default(layer: _Layer) -> Callable[[], Any]:
        return lambda: convolve(layer.feats, layer.weight, layer.kernel_map)

    def not_vectorised(layer: _Layer) -> Callable[[], Any]:
        """Rows of odd length: no access can be wider than one element."""
        feats, weight = _odd(layer.feats), _odd(layer.weight)
        return lambda: convolve(feats, weight, layer.kernel_map)

    def scattered(layer: _Layer) -> Callable[[], Any]:
        """Voxels in a random order, so that neighbours do not lie together."""
        kernel_map = _shuffled(layer.kernel_map)
        return lambda: convolve(layer.feats, layer.weight, kernel_map)

    def fused(layer: _Layer) -> Callable[[], Any]:
        scale, shift, residual = _epilogue_of(layer)
        epilogue = Epilogue(scale=scale, shift=shift, residual=residual, relu=True)
        return lambda: convolve(layer.feats, layer.weight, layer.kernel_map, epilogue=epilogue)

    def not_fused(layer: _Layer) -> Callable[[], Any]:
        scale, shift, residual = _epilogue_of(layer)

        def work() -> torch.Tensor:
            sums = convolve(layer.feats, layer.weight, layer.kernel_map)
            return torch.relu(sums * scale.half() + shift.half() + residual)

        return work

    return {
        "as it is": default,
        "sorted, 1 split": planned(dataflow="sorted", splits=1),
        "sorted, 2 splits": planned(dataflow="sorted", splits=2),
        "sorted, 3 splits": planned(dataflow="sorted", splits=3),
        "not sorted": planned(dataflow="unsorted"),
        "voxels in a random order": scattered,
        "access not vectorised": not_vectorised,
        "batch norm, residual and ReLU fused": fused,
        "batch norm, residual and ReLU apart": not_fused,
        "gather, GEMM, scatter: adaptive grouping": planned(dataflow="gather_scatter"),
        "gather, GEMM, scatter: every offset alone": planned(dataflow="gather_scatter", group_spread=0.0, group_rows=0),
        "fetch on demand": planned(dataflow="fetch_on_demand"),
    }


def _odd(tensor: torch.Tensor) -> torch.Tensor:
    """The same values in rows that are one or two elements longer, and odd in length."""
    width = tensor.shape[-1] + 1 + tensor.shape[-1] % 2
    wide = tensor.new_empty((*tensor.shape[:-1], width))
    wide[..., : tensor.shape[-1]] = tensor
    return wide[..., : tensor.shape[-1]]


def _shuffled(kernel_map: Any) -> Any:
    """The map between the same voxels in random orders."""
    generator = torch.Generator(device=kernel_map.neighbours.device).manual_seed(0)
    device = kernel_map.neighbours.device
    moved = torch.randperm(kernel_map.capacity_in, generator=generator, device=device).to(torch.int32)
    rows = torch.randperm(kernel_map.capacity_out, generator=generator, device=device)
    found = kernel_map.neighbours.long()
    neighbours = torch.where(found >= 0, moved[found.clamp(min=0)], -1)[:, rows].contiguous()
    return replace(kernel_map, neighbours=neighbours, symmetric=False, made={})


def _epilogue_of(layer: _Layer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rows, outputs = layer.kernel_map.capacity_out, layer.weight.shape[-1]
    made = (torch.rand(outputs, device="cuda"), torch.rand(outputs, device="cuda"))
    return (*made, torch.randn((rows, outputs), device="cuda", dtype=layer.feats.dtype))


def reproducible(bench: Bench) -> dict[str, Any]:
    """Bytes of parameters and statistics that differ after two trainings of 50 steps.

    The network is SPVCNN at width 0.5 over raw points, so that voxelising and devoxelising are differentiated too.
    """
    if not any(engine.name == "coevo" for engine in bench.engines):
        return {"left_out": "coevo is not among the engines"}
    row = bench.attempt("reproducible", _reproducible, bench)
    print(f"reproducible: {row}", flush=True)
    return row


def _reproducible(row: dict[str, Any], bench: Bench) -> None:
    clouds = [_points_of(bench, scan, index) for index, scan in enumerate(bench.scans[:4])]
    first, second = (_trained(clouds, bench.arguments.seed) for _ in range(2))
    apart = {name: int((_bytes(value) != _bytes(second[name])).sum()) for name, value in first.items()}
    moved = _trained(clouds, bench.arguments.seed, steps=0)
    row["steps"] = STEPS
    row["bytes"] = sum(value.numel() * value.element_size() for value in first.values())
    row["different_bytes"] = sum(apart.values())
    row["finite"] = all(bool(torch.isfinite(value).all()) for value in first.values() if value.is_floating_point())
    row["parameters_that_moved"] = sum(not torch.equal(first[name], moved[name]) for name in first)
    if not row["finite"] or row["parameters_that_moved"] < len(first) // 2:
        raise RuntimeError(f"the training did not train: {row}")


def _points_of(bench: Bench, scan: Scan, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(features, float coordinates in voxels, labels) of points that lie anywhere in a scan's voxels."""
    generator = torch.Generator(device="cuda").manual_seed(seed)
    points = len(read_scan(bench.arguments.scan)) if bench.arguments.scan is not None else len(scan)
    rows = torch.randint(len(scan), (points,), generator=generator, device="cuda")
    coords = scan.coords[rows].float()
    coords[:, 1:] += torch.rand((points, 3), generator=generator, device="cuda")
    return scan.feats[rows], coords, scan.labels[rows]


def _trained(clouds: list[Any], seed: int, steps: int = STEPS) -> dict[str, torch.Tensor]:
    from coevo.kernels.sparse.modules import SPVCNN
    from coevo.kernels.sparse.tensors import PointTensor

    torch.manual_seed(seed)
    net = SPVCNN(CLASSES, INPUTS, 0.5, points="raw").cuda().train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    for step in range(steps):
        feats, coords, labels = clouds[step % len(clouds)]
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.float16):
            logits = net(PointTensor(feats, coords))
            loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1).contiguous().view(torch.uint8)
