"""Operators between points and voxels against sums written out point by point; gradients against differences."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.errors import ConfigError, InputError  # noqa: E402
from coevo.kernels.sparse.coordinates.build import sorted_level  # noqa: E402
from coevo.kernels.sparse.points import (  # noqa: E402
    Membership,
    devoxelize,
    find_corners,
    find_rows,
    find_voxels,
    scatter_mean,
    voxelize,
)
from coevo.kernels.sparse.points.segments import group  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BACKENDS = ("reference", "triton")


def make_level(rng, num_voxels, stride=1, extent=6, batches=2):
    """A level of distinct random voxels."""
    coords = np.column_stack([rng.integers(0, batches, num_voxels), rng.integers(-extent, extent, (num_voxels, 3))])
    coords[:, 1:] *= stride
    coords = torch.tensor(np.unique(coords, axis=0), dtype=torch.int32, device=DEVICE)
    return sorted_level(coords, (stride,) * 3)[0]


def make_points(rng, num_points, extent=7.0, batches=2):
    coords = np.column_stack([rng.integers(0, batches, num_points), rng.uniform(-extent, extent, (num_points, 3))])
    return torch.tensor(coords, dtype=torch.float64, device=DEVICE)


def rows_by_voxel(level):
    return {tuple(each): row for row, each in enumerate(level.coords.tolist())}


@pytest.mark.parametrize("stride", [1, 2, 3, 16])
@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_corners_are_those_of_the_cell(stride, nearest, backend):
    rng = np.random.default_rng(stride)
    level = make_level(rng, 300, stride)
    points = make_points(rng, 200, 7.0 * stride)
    points[:2, 1] = torch.tensor([float("nan"), 1e30])
    found = find_corners(points, level, nearest=nearest, backend=backend)
    assert (found.rows[:2] == -1).all() and (found.weights[:2] == 0).all()
    points, found = points[2:], dataclasses.replace(found, rows=found.rows[2:], weights=found.weights[2:])
    held = rows_by_voxel(level)
    for point, rows, weights in zip(points.tolist(), found.rows.tolist(), found.weights.tolist(), strict=True):
        scaled = np.array(point[1:]) / stride
        low = np.floor(scaled)
        wanted = {}
        for place, corner in enumerate(itertools.product((0, 1), repeat=3)):
            where = (int(point[0]), *(int(each) * stride for each in low + corner))
            share = np.prod([f if c else 1 - f for c, f in zip(corner, scaled - low, strict=True)])
            if where in held and (not nearest or place == 0):
                assert rows[place] == held[where]
                wanted[place] = 1.0 if nearest else share
            else:
                assert rows[place] == -1
        total = sum(wanted.values())
        for place in range(8):
            assert weights[place] == pytest.approx(wanted.get(place, 0.0) / (total + 1e-8), abs=1e-6)


def test_a_point_on_a_voxel_takes_its_features_alone():
    level = make_level(np.random.default_rng(0), 100)
    features = torch.randn(level.capacity, 3, device=DEVICE)
    corners = find_corners(level.coords.float(), level)
    assert torch.allclose(devoxelize(features, corners), features, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("backend", BACKENDS)
def test_voxels_of_points(stride, backend):
    rng = np.random.default_rng(3)
    level, points = make_level(rng, 200, stride), make_points(rng, 150, 7.0 * stride)
    held = rows_by_voxel(level)
    found = find_voxels(points, level, backend=backend)
    wanted = [
        held.get((int(p[0]), *(int(np.floor(each / stride)) * stride for each in p[1:])), -1) for p in points.tolist()
    ]
    assert found.index.tolist() == wanted
    assert -1 in wanted and max(wanted) >= 0
    used = torch.tensor([40], dtype=torch.int32, device=DEVICE)
    assert find_voxels(points, level, used, backend).index.tolist() == wanted[:40] + [-1] * 110
    assert (find_corners(points, level, used, backend=backend).rows[40:] == -1).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_of_a_level_that_are_not_in_use_are_not_read(backend):
    rng = np.random.default_rng(4)
    level, points = make_level(rng, 100), make_points(rng, 80)
    wanted = find_corners(points, level, backend=backend)
    more = torch.tensor([5, -7, 0], dtype=torch.int64, device=DEVICE)
    padded = dataclasses.replace(level, keys=torch.cat([level.keys, more]))
    found = find_corners(points, padded, backend=backend)
    assert torch.equal(found.rows, wanted.rows) and torch.equal(found.weights, wanted.weights)
    assert torch.equal(
        find_voxels(points, padded, backend=backend).index, find_voxels(points, level, backend=backend).index
    )


def test_coordinates_that_no_key_holds_are_found_nowhere():
    level = make_level(np.random.default_rng(0), 50)
    far = torch.tensor([[0, 2**30, 0, 0], [-1, 0, 0, 0], [0, -(2**31), 5, 5]], dtype=torch.int32, device=DEVICE)
    assert find_rows(far, level).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("channels", [1, 5, 48])
def test_devoxelize(backend, dtype, channels):
    rng = np.random.default_rng(channels)
    level, points = make_level(rng, 120), make_points(rng, 70)
    corners = find_corners(points, level)
    features = torch.randn(level.capacity, channels, dtype=torch.float64).to(DEVICE)
    added = torch.randn(70, channels, dtype=torch.float64).to(DEVICE)
    wanted = added.clone()
    for point, place in itertools.product(range(70), range(8)):
        if corners.rows[point, place] >= 0:
            wanted[point] += corners.weights[point, place] * features[corners.rows[point, place]]
    found = devoxelize(features.to(dtype), corners, added.to(dtype), backend)
    assert found.dtype == dtype
    assert torch.allclose(found.double(), wanted, atol=tolerance(dtype))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_scatter_mean(backend, dtype):
    rng = np.random.default_rng(1)
    index = torch.tensor(rng.integers(-1, 20, 300), dtype=torch.int32, device=DEVICE)
    index[index == 7] = 8  # voxel 7 has no points
    index[:90] = 5  # and voxel 5 more than one block holds
    features = torch.randn(300, 17, dtype=torch.float64).to(DEVICE)
    wanted = torch.stack([features[index == row].mean(0) if row != 7 else torch.zeros(17, device=DEVICE)
                          for row in range(20)])  # fmt: skip
    found = scatter_mean(features.to(dtype), Membership(index, 20), backend)
    assert found.dtype == dtype
    assert torch.allclose(found.double(), wanted.double(), atol=tolerance(dtype))


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients(backend):
    rng = np.random.default_rng(5)
    level, points = make_level(rng, 8, extent=1, batches=1), make_points(rng, 4, 1.5, batches=1)
    corners, membership = find_corners(points, level), find_voxels(points, level)
    features = torch.randn(level.capacity, 2, dtype=torch.float64, device=DEVICE, requires_grad=True)
    at_points = torch.randn(4, 2, dtype=torch.float64, device=DEVICE, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, a: devoxelize(f, corners, a, backend), (features, at_points))
    assert torch.autograd.gradcheck(lambda f: scatter_mean(f, membership, backend), at_points)


@pytest.mark.parametrize("backend", BACKENDS)
def test_points_that_are_not_in_use_get_zeros(backend):
    rng = np.random.default_rng(6)
    level, points = make_level(rng, 60), make_points(rng, 50)
    used = torch.tensor([21], dtype=torch.int32, device=DEVICE)
    corners = find_corners(points, level, used, backend=backend)
    features = torch.randn(level.capacity, 4, device=DEVICE)
    added = torch.ones(50, 4, device=DEVICE)
    added[21:] = 0 if backend == "reference" else float("nan")
    found = devoxelize(features, corners, added, backend)
    assert (found[21:] == 0).all() and (found[:21] != 0).any()


def test_gradients_of_half_precision_sum_in_single():
    """2,048 and 300 times 1: sums in float16 would stop at 2,048."""
    many = torch.ones(301, 16, dtype=torch.float16, device=DEVICE)
    many[0] = 2048
    level = make_level(np.random.default_rng(0), 1)
    corners = find_corners(level.coords.double().expand(301, 4), level)
    voxel = torch.ones(1, 16, dtype=torch.float16, device=DEVICE, requires_grad=True)
    devoxelize(voxel, corners, backend="triton").backward(many)
    assert (voxel.grad == 2348).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_points_and_no_voxels(backend):
    level = make_level(np.random.default_rng(0), 30)
    none = torch.zeros(0, 4, dtype=torch.float64, device=DEVICE)
    features = torch.randn(level.capacity, 4, device=DEVICE, requires_grad=True)
    found = devoxelize(features, find_corners(none, level), backend=backend)
    assert found.shape == (0, 4)
    found.sum().backward()
    assert (features.grad == 0).all()
    membership = find_voxels(none, level)
    assert (scatter_mean(torch.zeros(0, 4, device=DEVICE), membership, backend) == 0).all()
    empty = sorted_level(torch.zeros(0, 4, dtype=torch.int32, device=DEVICE), (1, 1, 1))[0]
    points = make_points(np.random.default_rng(0), 9)
    assert (devoxelize(torch.zeros(0, 4, device=DEVICE), find_corners(points, empty), backend=backend) == 0).all()
    assert (find_voxels(points, empty).index == -1).all()


def test_groups_keep_the_order_of_their_entries():
    index = torch.tensor([2, -1, 0, 2, 0, -1, 2], dtype=torch.int32, device=DEVICE)
    found = group(index, 4)
    assert found.order[:5].tolist() == [2, 4, 0, 3, 6]
    assert found.starts.tolist() == [0, 2, 2, 5, 5]
    assert found.lengths.tolist() == [2, 0, 3, 0]


@pytest.mark.parametrize("trim", [True, False])
def test_voxelize(trim):
    rng = np.random.default_rng(2)
    points = make_points(rng, 400, 3.0)
    used = torch.tensor([390], dtype=torch.int32, device=DEVICE)
    level, membership = voxelize(points, used, trim=trim)
    floored = points[:390].floor().to(torch.int32)
    rows = int(level.count)
    assert rows == len(torch.unique(floored, dim=0)) == (level.capacity if trim else rows)
    assert (level.keys[:rows].diff() > 0).all()
    assert (level.keys[rows:] == 2**63 - 1).all()
    assert (level.coords[membership.index[:390].long()] == floored).all()
    assert (membership.index[390:] == -1).all()


def test_voxelize_refuses_what_is_no_place():
    with pytest.raises(InputError, match="point 1 lies at"):
        voxelize(torch.tensor([[0, 1.0, 2.0, 3.0], [0, float("nan"), 0, 0]], device=DEVICE))
    with pytest.raises(InputError, match="point 0 lies at"):
        voxelize(torch.tensor([[0, 1.0e6, 2.0, 3.0]], device=DEVICE))


def test_bad_input():
    level = make_level(np.random.default_rng(0), 30)
    corners = find_corners(make_points(np.random.default_rng(0), 5), level)
    features = torch.zeros(level.capacity + 1, 3, device=DEVICE)
    with pytest.raises(InputError, match=f"expected|needs features \\[{level.capacity}"):
        devoxelize(features, corners)
    with pytest.raises(InputError, match=r"added features \[5, 3\], got \[4, 3\]"):
        devoxelize(features[:-1], corners, torch.zeros(4, 3, device=DEVICE))
    with pytest.raises(InputError, match="one row a point"):
        scatter_mean(features, Membership(torch.zeros(3, dtype=torch.int32, device=DEVICE), 2))
    with pytest.raises(ConfigError, match="backend must be one of"):
        devoxelize(features[:-1], corners, backend="cuda")
    with pytest.raises(InputError, match="floating-point features"):
        devoxelize(features[:-1].long(), corners, backend="triton")


def tolerance(dtype):
    return {torch.float64: 1e-7, torch.float32: 1e-5, torch.float16: 2e-2}[dtype]
