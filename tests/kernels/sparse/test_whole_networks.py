"""Compiled networks and training steps through the device's kernels, in Triton's interpreter where there is no device.

Capacities exceed the scan, and every buffer that is not filled when allocated is poisoned (NaN, or row 3): what is
right then was computed from what was written.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.kernels.sparse.modules import SPVCNN, MinkUNet  # noqa: E402
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CHANNELS = (4, 4, 5, 6, 7, 6, 5, 4, 3)
ROOM = (18, 17, 16, 15, 14)
SPLITS = (1, 1, 1, 2, 3)


def make_scan(dtype=torch.float32):
    rng = np.random.default_rng(0)
    coords = np.column_stack([rng.integers(0, 2, 12), rng.integers(-2, 3, (12, 3))])
    coords = torch.tensor(rng.permutation(np.unique(coords, axis=0)), dtype=torch.int32, device=DEVICE)
    return torch.randn(len(coords), 4, device=DEVICE).to(dtype), coords


def make_net(kind, **options):
    torch.manual_seed(3)
    net = kind(5, channels=CHANNELS, **options).to(DEVICE)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(layer.running_var, 0.2, 0.6)
    return net


@pytest.fixture
def on_kernels(monkeypatch):
    """Every dispatch to plain torch goes to the kernels, and buffers begin poisoned."""

    def load(name):
        return importlib.import_module(f"coevo.kernels.sparse.{name}")

    def poisoned(make):
        def made(*args, **options):
            out = make(*args, **options)
            return out.fill_(float("nan") if out.is_floating_point() else 3)

        return made

    triton_hierarchy, plan, defaults = load("triton_hierarchy"), load("convolution.plan"), load("convolution.defaults")

    def build_levels(coords, levels=5, *, count, capacity, splits, merge=False, extent=None, batches=1):
        most = tuple(min(each, len(coords)) for each in capacity)
        return triton_hierarchy.build(coords, levels, count, most, tuple(splits), merge, None)

    def tiles(features, weight, kernel_map, second_channels):
        made = defaults._made(1, kernel_map)
        return plan.Plan(dataflow="sorted", splits=made, rows=16, columns=16, depth=16, warps=4, stages=1)

    if DEVICE == "cpu":
        monkeypatch.setattr(load("inference.compile"), "build_levels", build_levels)
        monkeypatch.setattr(load("training.batch"), "build_levels", build_levels)
        monkeypatch.setattr(load("convolution.dispatch"), "default_plan", tiles)
        monkeypatch.setattr(load("maps.build"), "compacted_pairs", load("maps.triton_pairs").compacted_pairs)
        for name in ("points.devoxelize", "points.scatter_mean", "points.lookup", "modules.batch_norm"):
            monkeypatch.setattr(load(name), "resolve_backend", lambda backend, tensor: "triton")
    return lambda: [
        monkeypatch.setattr(torch, name, poisoned(getattr(torch, name))) for name in ("empty", "empty_like")
    ]


@contextmanager
def plain_torch():
    """Plain torch again, within."""
    with pytest.MonkeyPatch.context() as plain:
        for name in ("points.devoxelize", "points.scatter_mean", "points.lookup", "modules.batch_norm"):
            module = importlib.import_module(f"coevo.kernels.sparse.{name}")
            plain.setattr(module, "resolve_backend", lambda backend, tensor: "reference")
        dispatch = importlib.import_module("coevo.kernels.sparse.convolution.dispatch")
        defaults = importlib.import_module("coevo.kernels.sparse.convolution.defaults")
        plain.setattr(dispatch, "default_plan", lambda *args: defaults.REFERENCE)
        yield


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        pytest.param(MinkUNet, None, marks=pytest.mark.slow),
        (SPVCNN, "voxels"),
        pytest.param(SPVCNN, "raw", marks=pytest.mark.slow),
    ],
)
def test_inference(on_kernels, kind, points):
    from coevo.kernels.sparse.inference.compile import StaticNetwork

    feats, coords = make_scan()
    net = make_net(kind, **({"points": points} if points else {})).eval()
    double = make_net(kind, **({"points": points} if points else {})).double().eval()
    if points == "raw":
        feats, coords = torch.randn(17, 4, device=DEVICE), coords.float().repeat(2, 1)[:17]
        coords[:, 1:] += 0.9 * torch.rand(17, 3, device=DEVICE)
    with torch.no_grad(), plain_torch():
        if points == "raw":
            wanted = double(PointTensor(feats.double(), coords.double()))
        else:
            x = SparseTensor.of(feats.double(), coords)
            wanted = x.with_feats(double(x)).in_given_order()
    on_kernels()
    static = StaticNetwork(net, ROOM, torch.float32, SPLITS, {}, False)
    found = static(feats, coords)
    assert (found.double() - wanted).norm() / wanted.norm() < 5e-3
    static._record()  # as it is done for a device: the same launches over one arena
    static._program.arena.fill_(0x7F)
    assert torch.equal(static(feats, coords), found)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MinkUNet, SPVCNN])
def test_training_step(on_kernels, kind):
    from coevo.kernels.sparse.training import TrainingStep

    def loss_of(logits, labels):
        return torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)

    feats, coords = make_scan()
    labels = torch.arange(len(coords), device=DEVICE) % 5
    net, double = make_net(kind).train(), make_net(kind).double().train()
    if kind is SPVCNN:
        net.dropout.p = double.dropout.p = 0.0
    with plain_torch():
        x = SparseTensor.of(feats.double(), coords)
        wanted = loss_of(double(x), labels[x.caches.order])
        wanted.backward()
    on_kernels()
    step = TrainingStep(net, loss_of, ROOM, dtype=None, splits=SPLITS, graph=False)
    found = step(feats, coords, labels)
    assert abs(float(found) - wanted.item()) < 1e-2 * abs(wanted.item())
    for (name, one), other in zip(net.named_parameters(), double.parameters(), strict=True):
        scale = float(other.grad.norm()) + 1e-3
        assert float((one.grad.double() - other.grad).norm()) < 0.02 * scale, name
    for (name, one), other in zip(net.named_buffers(), double.buffers(), strict=True):
        assert torch.allclose(one.double(), other.double(), rtol=1e-2, atol=1e-3), name
