"""Pooling over kernel maps and over whole scans against loops over windows."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.errors import ConfigError, InputError  # noqa: E402
from coevo.kernels.sparse.points import global_pool, pool  # noqa: E402
from coevo.kernels.sparse.tensors import SparseTensor  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BACKENDS = ("reference", "triton")


def make_map(seed, kernel_size, stride, most=60):
    rng = np.random.default_rng(seed)
    coords = np.unique(np.column_stack([rng.integers(0, 2, most), rng.integers(-3, 3, (most, 3))]), axis=0)
    x = SparseTensor.of(torch.zeros(len(coords), 1), torch.tensor(coords, dtype=torch.int32))
    return x.caches.kernel_map(1, kernel_size, stride)


def wanted_rows(features, neighbours, mode):
    found = []
    for column in neighbours.T.tolist():
        rows = features[[row for row in column if row >= 0]]
        if not len(rows):
            found.append(torch.zeros_like(features[0]))
        else:
            found.append(rows.amax(0) if mode == "max" else rows.mean(0))
    return torch.stack(found)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", ["max", "average"])
@pytest.mark.parametrize(("kernel_size", "stride"), [(2, 2), (3, 1), (3, 2), (1, 1)])
def test_pool(backend, mode, kernel_size, stride):
    kernel_map = make_map(kernel_size, kernel_size, stride)
    features = torch.randn(kernel_map.capacity_in, 19, dtype=torch.float64)
    wanted = wanted_rows(features, kernel_map.neighbours, mode)
    for dtype, limit in ((torch.float64, 1e-12), (torch.float32, 1e-6), (torch.float16, 1e-3)):
        found = pool(features.to(dtype), kernel_map, mode, backend)
        assert found.dtype == dtype
        assert torch.allclose(found.double(), wanted, atol=limit, rtol=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", ["max", "average"])
def test_gradients(backend, mode):
    for kernel_size, stride in ((2, 2), (3, 1)):
        kernel_map = make_map(9, kernel_size, stride, 7)
        features = torch.randn(kernel_map.capacity_in, 2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda f, m=kernel_map: pool(f, m, mode, backend), features)


def test_only_the_first_of_equal_values_gets_the_gradient():
    kernel_map = make_map(0, 2, 2)
    features = torch.ones(kernel_map.capacity_in, 3, requires_grad=True)
    pool(features, kernel_map, "max", "triton").sum().backward()
    first = torch.zeros_like(features)
    for column in kernel_map.neighbours.T.tolist():
        first[next(row for row in column if row >= 0)] = 1
    assert torch.equal(features.grad, first)


def test_nan_is_the_largest():
    kernel_map = make_map(1, 2, 2)
    features = torch.zeros(kernel_map.capacity_in, 1)
    features[4] = float("nan")
    reached = (kernel_map.neighbours == 4).any(dim=0)
    for backend in BACKENDS:
        assert torch.equal(pool(features, kernel_map, "max", backend).isnan()[:, 0], reached)


@pytest.mark.parametrize("mode", ["max", "average"])
def test_global_pool(mode):
    batch = torch.tensor([0, 0, 2, 2, 2, -1], dtype=torch.int32)
    features = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    found = global_pool(features, batch, 4, mode)
    for scan in range(4):
        rows = features[batch == scan]
        reduced = rows.amax(0) if mode == "max" and len(rows) else rows.sum(0) / max(len(rows), 1)
        assert torch.allclose(found[scan], reduced)
    assert torch.autograd.gradcheck(lambda f: global_pool(f, batch, 4, mode), features)
    assert global_pool(torch.zeros(0, 4), batch[:0], 2, mode).tolist() == [[0.0] * 4] * 2


def test_rows_not_in_use_may_hold_anything():
    features = torch.tensor([[1.0], [float("nan")]])
    for mode in ("max", "average"):
        assert global_pool(features, torch.tensor([0, -1]), 1, mode).tolist() == [[1.0]]


def test_bad_input():
    kernel_map = make_map(0, 2, 2)
    with pytest.raises(ConfigError, match="mode must be one of"):
        pool(torch.zeros(kernel_map.capacity_in, 1), kernel_map, "mean")
    with pytest.raises(InputError, match=f"features \\[{kernel_map.capacity_in}, channels\\]"):
        pool(torch.zeros(kernel_map.capacity_in + 1, 1), kernel_map)
    with pytest.raises(InputError, match="batch"):
        global_pool(torch.zeros(3, 1), torch.zeros(2), 1)
