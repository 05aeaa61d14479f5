"""Sparse convolution's edge cases on a CUDA device, small enough to run under compute-sanitizer.

    python experiments/bench/sparse_edges.py --sanitizer --processes 14

No voxel, one voxel, few voxels in a large capacity (inference and training), raw points, channels that are no multiple
of 16, transposed convolution, a batch whose middle scan is empty, negative coordinates, kernels of 1, 2, 3 and 5. Every
layer goes forward and backward, from 4 to 61 channels in float32 and from 61 to 16 in half precision, and is held to
the same modules on the CPU, where the plain reference runs. Far coordinates and a line go through one network and one
layer. A compiled network's buffers share an arena: of it, memcheck sees what leaves the arena.
Most of the time is compilation, so the cases are dealt out to processes that run side by side. Under `--sanitizer`
each of them runs in compute-sanitizer's memcheck, with torch's allocator off, whose pool would hide a read beyond a
tensor's end.
The last line is "N passed, M failed" and how many processes failed; the exit status is 0 where no case failed and no
access was wrong.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import _bench  # noqa: F401  finds coevo in a copy of the tree
import torch
from torch import nn

from coevo.kernels.sparse.inference import compile_for_inference
from coevo.kernels.sparse.modules import SPVCNN, BatchNorm, Conv3d, MinkUNet, ReLU
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor
from coevo.kernels.sparse.training import TrainingStep

CHANNELS = (20, 20, 40, 40, 40, 40, 40, 20, 20)  # few widths, so few kernels are compiled; no multiples of 16
MEMCHECK = ("compute-sanitizer", "--tool", "memcheck", "--error-exitcode", "9")
LIMITS = {torch.float32: 5e-3, torch.float16: 2e-2}  # float32 products run in tf32


def clouds() -> Iterator[tuple[str, torch.Tensor]]:
    """(name, int32 [N, 4])."""
    generator = torch.Generator().manual_seed(0)
    yield "no voxel", torch.zeros((0, 4), dtype=torch.int32)
    yield "one voxel", torch.tensor([[0, 7, 0, 3]], dtype=torch.int32)
    yield "one far voxel", torch.tensor([[0, -4000, 5000, -300]], dtype=torch.int32)
    grid = torch.unique(torch.randint(-9, 9, (600, 4), generator=generator, dtype=torch.int32), dim=0)
    grid[:, 0] = (grid[:, 0] > 0) * 2  # scan 1 of three is empty
    grid = torch.unique(grid, dim=0)
    yield "negative coordinates, an empty scan", grid[torch.randperm(len(grid), generator=generator)]
    line = torch.zeros((129, 4), dtype=torch.int32)
    line[:, 1] = torch.arange(129)
    yield "a line of 129", line


def layers(inputs: int, outputs: int) -> Iterator[tuple[str, nn.Sequential]]:
    """(name, modules) for channel counts."""
    yield "3x3x3", nn.Sequential(Conv3d(inputs, outputs), BatchNorm(outputs), ReLU())
    yield "5x5x5", nn.Sequential(Conv3d(inputs, outputs, 5))
    yield "1x1x1", nn.Sequential(Conv3d(inputs, outputs, 1, bias=True))
    yield "3x3x3 apart by 2", nn.Sequential(Conv3d(inputs, outputs, 3, dilation=2))
    yield "3x3x3 by 2", nn.Sequential(Conv3d(inputs, outputs, 3, 2))
    down, up = Conv3d(inputs, outputs, 2, 2), Conv3d(outputs, inputs, 2, 2, transposed=True)
    yield "down and up", nn.Sequential(down, BatchNorm(outputs), ReLU(), up)


def check(net: nn.Module, coords: torch.Tensor, inputs: int, dtype: torch.dtype, device: str = "cuda") -> None:
    """Forward and backward on the device against the CPU; AssertionError where they are apart."""
    feats = torch.randn((len(coords), inputs), generator=torch.Generator().manual_seed(1))
    found = []
    for place in ("cpu", device):
        net = net.to(place).train()
        net.zero_grad()
        x = feats.to(place, copy=True).requires_grad_()  # without a copy the CPU's leaf would be the device's parent
        given = SparseTensor.of(x, coords.to(place))
        with torch.autocast("cuda", dtype=torch.float16, enabled=place == "cuda" and dtype == torch.float16):
            out = net(given)
            rows = out if isinstance(out, torch.Tensor) else out.feats
            loss = (rows.float() * torch.linspace(-1.0, 1.0, rows.shape[1], device=place)).square().sum()
        loss.backward()
        grads = [x.grad, *(parameter.grad for parameter in net.parameters())]
        assert all(grad is not None for grad in grads), "a gradient is missing"
        found.append([each.detach().cpu().clone() for each in (rows, *grads)])  # `net.to` moves gradients in place
    for wanted, ours in zip(*found, strict=True):
        assert ours.shape == wanted.shape, (ours.shape, wanted.shape)
        apart = (ours.double() - wanted.double()).norm()
        assert bool(torch.isfinite(ours).all()), "not finite"
        assert apart <= LIMITS[dtype] * wanted.double().norm() + 1e-4, (float(apart), float(wanted.norm()))


def check_static(net: MinkUNet, coords: torch.Tensor, capacity: int) -> None:
    """A compiled network with room to spare, against the modules on the CPU."""
    feats = torch.randn((len(coords), 4), generator=torch.Generator().manual_seed(2))
    found = {}
    for device, dtype in (("cpu", torch.float32), ("cuda", torch.float16)):
        static = compile_for_inference(net.to(device).eval(), capacity, dtype, graph=False)
        found[device] = static(feats.to(device, dtype), coords.to(device)).double().cpu()
    apart = (found["cuda"] - found["cpu"]).norm()
    assert found["cuda"].shape == found["cpu"].shape
    assert apart <= LIMITS[torch.float16] * found["cpu"].norm() + 1e-4, (float(apart), float(found["cpu"].norm()))


def check_step(net: MinkUNet, coords: torch.Tensor, capacity: int) -> None:
    """Gradients of a training step with room to spare, against those without."""
    feats = torch.randn((len(coords), 4), generator=torch.Generator().manual_seed(3)).cuda()
    labels = torch.arange(len(coords), device="cuda") % 19
    net = net.cuda().train()

    def loss(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, wanted, ignore_index=255)

    found = []
    for room in (len(coords), capacity):
        step = TrainingStep(net, loss, (room,) * 5, dtype=None, graph=False)
        step(feats, coords.cuda(), labels)
        found.append([parameter.grad.clone() for parameter in net.parameters()])
    for ours, wanted in zip(*found, strict=True):
        assert (ours - wanted).norm() <= LIMITS[torch.float32] * wanted.norm() + 1e-4


def check_points(coords: torch.Tensor) -> None:
    """SPVCNN over raw points, forward and backward, against the CPU."""
    generator = torch.Generator().manual_seed(4)
    rows = torch.randint(len(coords), (3 * len(coords),), generator=generator)
    at = coords[rows].float()
    at[:, 1:] += torch.rand((len(rows), 3), generator=generator)
    feats = torch.randn((len(rows), 4), generator=generator)
    net = SPVCNN(19, 4, channels=CHANNELS, points="raw").eval()
    found = []
    for device in ("cpu", "cuda"):
        net = net.to(device)
        net.zero_grad()
        logits = net(PointTensor(feats.to(device), at.to(device)))
        logits.square().mean().backward()
        gradients = [each.grad for each in net.parameters() if each.grad is not None]
        found.append([each.detach().cpu().clone() for each in (logits, *gradients)])
    for wanted, ours in zip(*found, strict=True):
        assert (ours - wanted).norm() <= 2e-2 * wanted.norm() + 1e-4, (float((ours - wanted).norm()), ours.shape)


def cases() -> list[tuple[str, Callable[[], None]]]:
    """Every case with its name, those that compile most first."""

    def whole(work: Callable[..., None], *given: Any) -> Callable[[], None]:
        return lambda: work(MinkUNet(19, 4, channels=CHANNELS), *given)

    networks: list[tuple[str, Callable[[], None]]] = []
    single: list[tuple[str, Callable[[], None]]] = []
    for name, coords in clouds():
        briefly = "far" in name or "line" in name
        if len(coords) > 1 and not briefly:
            networks.append((f"{name}, training step", whole(check_step, coords, 700)))
            networks.append((f"{name}, raw points", partial(check_points, coords)))
        if len(coords) > 100 and not briefly:
            for dtype in LIMITS:
                work = whole(check, coords, 4, dtype)
                networks.append((f"{name}, MinkUNet, {dtype}", work))
        for capacity in (700,) if briefly else (len(coords) + 1, 700):
            work = whole(check_static, coords, capacity)
            networks.append((f"{name}, compiled, capacity {capacity}", work))
        for dtype, (inputs, outputs) in zip(LIMITS, ((4, 61), (61, 16)), strict=True):
            for what, made in list(layers(inputs, outputs))[: 1 if briefly else None]:
                work = partial(check, made, coords, inputs, dtype)
                single.append((f"{name}, {what}, {inputs} to {outputs} channels, {dtype}", work))
    return networks + single


def run(share: int, shares: int) -> int:
    """Every `shares`-th case from number `share` on; how many failed."""
    passed, failed = 0, 0
    for name, work in cases()[share::shares]:
        began = time.perf_counter()
        try:
            work()
            torch.cuda.synchronize()
            passed += 1
            print(f"{time.perf_counter() - began:.1f} s {name}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc(limit=-3)
    print(f"{passed} passed, {failed} failed", flush=True)
    return failed


def run_all(processes: int, sanitizer: bool) -> int:
    """All cases dealt out to processes; the exit status."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")  # of the reference: the processes share the CPU
    if sanitizer:
        environment["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"
    command = [*(MEMCHECK if sanitizer else ()), sys.executable, __file__, "--share"]

    def run_share(share: int) -> tuple[int, list[int]]:
        """The exit status, cases passed and failed; what it prints is printed as it comes."""
        counts = [0, 0]
        arguments = [*command, f"{share}/{processes}"]
        with subprocess.Popen(
            arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(f"{share}: {line}", end="", flush=True)
                if line.rstrip().endswith(" failed") and " passed, " in line:
                    counts = [int(word) for word in line.split() if word.isdigit()]
        return process.returncode, counts

    with ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(run_share, range(processes)))
    passed, failed = (sum(counts[place] for _, counts in found) for place in (0, 1))
    wrong = sum(status != 0 for status, _ in found)
    print(f"{passed} passed, {failed} failed; {wrong} of {processes} processes with an error")
    return 1 if wrong or failed or passed != len(cases()) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=8, help="how many run side by side")
    parser.add_argument("--sanitizer", action="store_true", help="under compute-sanitizer")
    parser.add_argument("--share", help="I/N: every N-th case from number I on, in this process")
    arguments = parser.parse_args()
    if arguments.share:
        share, shares = (int(part) for part in arguments.share.split("/"))
        return 1 if run(share, shares) else 0
    return run_all(arguments.processes, arguments.sanitizer)


if __name__ == "__main__":
    sys.exit(main())
