"""Sparse convolution's edge cases on a CUDA device, small enough to run under compute-sanitizer.

    compute-sanitizer --tool memcheck --error-exitcode 9 python experiments/bench/sparse_edges.py

No voxel, one voxel, few voxels in a large capacity, channels that are no multiple of 16, transposed convolution, a
batch whose middle scan is empty, negative coordinates, kernels of 1, 2, 3 and 5. Every case goes forward and backward
in float32 and half precision and is held to the same modules on the CPU, where the plain reference runs. torch's
allocator would hide a read beyond a tensor's end in its own pool, so run it with PYTORCH_NO_CUDA_MEMORY_CACHING=1.
The last line is "N passed, M failed".
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator

import _bench  # noqa: F401  finds coevo in a copy of the tree
import torch
from torch import nn

from coevo.kernels.sparse.modules import BatchNorm, Conv3d, MinkUNet, ReLU
from coevo.kernels.sparse.tensors import SparseTensor

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


def check(net: nn.Module, coords: torch.Tensor, inputs: int, dtype: torch.dtype) -> None:
    """Forward and backward on the device against the CPU; AssertionError where they are apart."""
    feats = torch.randn((len(coords), inputs), generator=torch.Generator().manual_seed(1))
    found = {}
    for device in ("cpu", "cuda"):
        net = net.to(device).train()
        net.zero_grad()
        x = feats.to(device).requires_grad_()
        given = SparseTensor.of(x, coords.to(device))
        with torch.autocast("cuda", dtype=torch.float16, enabled=device == "cuda" and dtype == torch.float16):
            out = net(given)
            rows = out if isinstance(out, torch.Tensor) else out.feats
            loss = (rows.float() * torch.linspace(-1.0, 1.0, rows.shape[1], device=device)).square().sum()
        loss.backward()
        grads = [x.grad, *(parameter.grad for parameter in net.parameters())]
        found[device] = [rows.detach(), *(torch.zeros(1) if grad is None else grad for grad in grads)]
    for ours, wanted in zip(found["cuda"], found["cpu"], strict=True):
        assert ours.shape == wanted.shape, (ours.shape, wanted.shape)
        apart = (ours.cpu().double() - wanted.double()).norm()
        assert bool(torch.isfinite(ours).all()), "not finite"
        assert apart <= LIMITS[dtype] * wanted.double().norm() + 1e-4, (float(apart), float(wanted.norm()))


def main() -> int:
    passed, failed = 0, 0
    for dtype in LIMITS:
        for name, coords in clouds():
            cases = [(what, net, 4) for what, net in layers(4, 61)] + [(what, net, 61) for what, net in layers(61, 16)]
            if len(coords) > 100:
                cases.append(("MinkUNet 0.64", MinkUNet(19, 4, 0.64), 4))
            for what, net, inputs in cases:
                try:
                    check(net, coords, inputs, dtype)
                    passed += 1
                except Exception as error:
                    failed += 1
                    print(f"FAILED {name}, {what}, {inputs} channels, {dtype}: {type(error).__name__}: {error}")
                    traceback.print_exc(limit=-3)
    torch.cuda.synchronize()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
