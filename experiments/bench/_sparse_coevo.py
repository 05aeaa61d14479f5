"""coevo's own networks as an engine of `gpu_sparse.py`: modules, what `compile_for_inference` makes, training steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from _sparse_case import CLASSES, INPUTS
from _sparse_engines import Engine, Run, State, optimizer_of
from _sparse_inputs import Scan
from _sparse_timing import device_ms, kernels, wall_ms
from torch import nn

from coevo.kernels.sparse.hierarchy import build_levels
from coevo.kernels.sparse.inference import CapacityWarning, compile_for_inference
from coevo.kernels.sparse.inference.compile import rooms
from coevo.kernels.sparse.modules import SPVCNN, BatchNorm, Conv3d, MinkUNet, ReLU, load_torchsparse
from coevo.kernels.sparse.tensors import SparseTensor
from coevo.kernels.sparse.training import TrainingStep, cross_entropy

# A scan that exceeds its capacity would be computed without the graph: an error here, so that no time is of that.
warnings.simplefilter("error", CapacityWarning)


class OrderedMinkUNet(MinkUNet):
    """MinkUNet whose logits are in the order in which the coordinates were given, as the peers' are."""

    def forward(self, x: SparseTensor) -> torch.Tensor:
        return x.with_feats(super().forward(x)).in_given_order()


class CenterPointEncoder(nn.Module):
    """CenterPoint's sparse encoder (det3d's SpMiddleResNetFHD) of coevo's modules."""

    def __init__(self, inputs: int) -> None:
        super().__init__()

        def block(width: int) -> nn.Module:
            first, second = Conv3d(width, width), Conv3d(width, width)
            return nn.Sequential(first, BatchNorm(width), ReLU(), second, BatchNorm(width))

        self.entry = nn.Sequential(Conv3d(inputs, 16), BatchNorm(16), ReLU())
        widths = (16, 32, 64, 128)
        self.downs = nn.ModuleList(nn.Sequential(Conv3d(a, b, 3, 2), BatchNorm(b), ReLU()) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(block(width) for width in widths for _ in range(2))
        self.squeeze = nn.Sequential(Conv3d(128, 128, (1, 1, 3), (1, 1, 2)), BatchNorm(128), ReLU())

    def forward(self, x: SparseTensor) -> torch.Tensor:
        x = self.entry(x)
        for index, block in enumerate(self.blocks):
            if index and index % 2 == 0:
                x = self.downs[index // 2 - 1](x)
            x = x.with_feats(torch.relu(block(x).feats + x.feats))
        return self.squeeze(x).feats


class CoevoEngine(Engine):
    """coevo. Maps are cached by the tensor, so a second run over the same one builds none."""

    name, package = "coevo", "coevo"
    ways = ("captured", "uncaptured")

    def network(self, state: State, ratio: float, grid: tuple[int, int, int], training: bool) -> nn.Module:
        net = _loaded(OrderedMinkUNet(CLASSES, INPUTS, ratio), state)
        return net.train() if training else net.eval().half()

    def enter(self, net: Any, scan: Scan, training: bool = False) -> SparseTensor:
        return SparseTensor.of(scan.feats if training else scan.half, scan.coords)

    def inference(
        self,
        state: State,
        ratio: float,
        grid: tuple[int, int, int],
        capacity: int,
        batch: int,
        only: str | None = None,
    ) -> dict[str, Run]:
        net = MinkUNet(CLASSES, INPUTS, ratio).eval()  # on the CPU: the device holds what is compiled alone
        load_torchsparse(net, state)

        def made(graph: bool) -> Run:
            static = compile_for_inference(
                net, capacity * batch, extent=grid, batches=batch, graph=graph, device="cuda"
            )
            return lambda scan: static(scan.half, scan.coords)

        return {way: made(way == "captured") for way in self.ways if only in (None, way)}

    def training_step(
        self, state: State, ratio: float, grid: tuple[int, int, int], capacity: int, batch: int
    ) -> Callable[[Scan], torch.Tensor]:
        """Forward and backward in one captured graph; the update as every library has it."""
        net = _loaded(MinkUNet(CLASSES, INPUTS, ratio), state).train()
        optimizer = optimizer_of(net)
        scaler = torch.amp.GradScaler("cuda")
        run = TrainingStep(net, cross_entropy, capacity * batch, scaler=scaler, extent=grid, batches=batch)

        def step(scan: Scan) -> torch.Tensor:
            loss = run(scan.feats, scan.coords, scan.labels)
            scaler.step(optimizer)
            scaler.update()
            return loss

        return step

    def centerpoint(self, grid: tuple[int, int, int], inputs: int) -> Any:
        return CenterPointEncoder(inputs).cuda().eval().half()

    def stages(
        self, state: State, ratio: float, grid: tuple[int, int, int], scan: Scan, capacity: int
    ) -> dict[str, Any]:
        """Times of the captured network's parts: maps alone, kernels by name, and what SPVCNN's points add."""
        net = _loaded(MinkUNet(CLASSES, INPUTS, ratio), state).eval()
        static = compile_for_inference(net, capacity, extent=grid)
        whole = static(scan.half, scan.coords)
        del whole
        found: dict[str, Any] = {
            "captured_device_ms": device_ms(lambda: static(scan.half, scan.coords, check=False), calls=3),
            "captured_kernels": kernels(lambda: static(scan.half, scan.coords)),
        }
        maps = _captured_maps(scan, capacity, static.splits, grid)
        for _ in range(3):
            maps()
        found["maps_captured_ms"] = device_ms(maps, calls=5)
        found["maps_captured_wall_ms"] = sorted(wall_ms([maps], 31))[15]
        found["maps_kernels"] = kernels(maps)
        points = SPVCNN(CLASSES, INPUTS, ratio).cuda().eval()
        points.load_state_dict(_loaded(MinkUNet(CLASSES, INPUTS, ratio), state).state_dict(), strict=False)
        with_points = compile_for_inference(points, capacity, extent=grid)
        with_points(scan.half, scan.coords)
        found["spvcnn_captured_device_ms"] = device_ms(
            lambda: with_points(scan.half, scan.coords, check=False), calls=3
        )
        for name in ("captured_device_ms", "maps_captured_ms", "maps_captured_wall_ms", "spvcnn_captured_device_ms"):
            print(f"stages coevo, {name}: {found[name]}", flush=True)
        return found


def _captured_maps(
    scan: Scan, capacity: int, splits: tuple[int, ...], grid: tuple[int, int, int]
) -> Callable[[], None]:
    """All levels and maps of a scan in one graph: coordinates in, maps of five strides out."""
    coords = torch.zeros((capacity, 4), dtype=torch.int32, device="cuda")
    coords[: len(scan)] = scan.coords
    count = torch.tensor([len(scan)], dtype=torch.int32, device="cuda")

    def build() -> Any:
        return build_levels(coords, 5, count=count, capacity=rooms(capacity), splits=splits, extent=grid)

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(2):
            build()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = build()
    graph.replay()
    made.check()
    return graph.replay


def _loaded(net: Any, state: State) -> Any:
    load_torchsparse(net, state)
    return net.cuda()
