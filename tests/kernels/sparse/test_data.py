"""Points to voxels, scans to batches, dense grids to sparse tensors and back."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from coevo.errors import InputError

torch = pytest.importorskip("torch")

from coevo.kernels.sparse.dense import from_dense, to_dense  # noqa: E402
from coevo.kernels.sparse.hierarchy import build_levels  # noqa: E402
from coevo.kernels.sparse.quantize import collate, quantize  # noqa: E402
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor  # noqa: E402


@pytest.mark.parametrize("mode", ["floor", "round"])
def test_points_fall_into_voxels_as_numpy_has_it(mode):
    rng = np.random.default_rng(1)
    points, batch = rng.normal(size=(500, 3)) * (3, 3, 1), rng.integers(0, 3, size=500)
    made = quantize(torch.from_numpy(points), (0.5, 0.5, 0.25), batch=torch.from_numpy(batch), mode=mode)
    cells = getattr(np, mode if mode == "floor" else "rint")(points / (0.5, 0.5, 0.25)).astype(int)
    rows = np.column_stack([batch, cells])
    np.testing.assert_array_equal(made.coords.numpy()[made.places.numpy()], rows)
    assert len(np.unique(rows, axis=0)) == len(made.coords)
    feats = rng.normal(size=(500, 2))
    mean = made.mean(torch.from_numpy(feats)).numpy()
    for number, coords in enumerate(made.coords.numpy()):
        members = np.nonzero((rows == coords).all(axis=1))[0]
        assert (int(made.first[number]), int(made.counts[number])) == (members[0], len(members))
        np.testing.assert_allclose(mean[number], feats[members].mean(axis=0), rtol=1e-12)
    x = SparseTensor.of(torch.from_numpy(mean), made.coords)
    assert torch.equal(x.coords, made.coords) and torch.equal(x.feats, torch.from_numpy(mean))


def test_means_have_gradients_and_no_point_gives_no_voxel():
    made = quantize(torch.rand(12, 3, dtype=torch.float64) * 2, 1.0)
    feats = torch.rand(12, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(made.mean, feats)
    empty = quantize(torch.zeros(0, 3), 1.0)
    assert empty.coords.shape == (0, 4) and empty.mean(torch.zeros(0, 5)).shape == (0, 5)


@pytest.mark.parametrize(
    ("points", "size", "message"),
    [
        ([[0.0, 1.0, float("nan")]], 1.0, "point 0 is .*finite"),
        ([[0.0, 1.0, 2.0], [float("inf"), 0, 0]], 1.0, "point 1 is"),
        ([[0.0, 1.0, 2.0]], 0.0, "positive"),
        ([[0.0, 1.0, 2.0]], (1.0, 2.0), "one positive number or three"),
        ([[0.0, 1.0, 1e30]], 0.1, "must be -65536 .. 65535"),
        ([[0.0, 1.0]], 1.0, r"\[P, 3\]"),
    ],
)
def test_bad_points_are_one_clear_error(points, size, message):
    with pytest.raises(InputError, match=message):
        quantize(torch.tensor(points), size)


def test_scans_become_a_batch():
    a, b = torch.rand(3, 2), torch.rand(2, 2)
    feats, coords = collate([(a, torch.arange(9).reshape(3, 3)), (b, torch.zeros(2, 3, dtype=torch.int32))])
    assert torch.equal(feats, torch.cat([a, b])) and coords.dtype == torch.int32
    assert coords[:, 0].tolist() == [0, 0, 0, 1, 1] and coords[1].tolist() == [0, 3, 4, 5]
    with pytest.raises(InputError, match="scan 0 must have"):
        collate([(a, torch.zeros(2, 3, dtype=torch.int32))])
    with pytest.raises(InputError, match="quantise its points first"):
        collate([(a, torch.zeros(3, 3))])
    with pytest.raises(InputError, match="got 0"):
        collate([])


@pytest.mark.parametrize("stride", [1, 2])
def test_dense_grids_go_there_and_back(stride):
    rng = np.random.default_rng(2)
    grid = torch.from_numpy(rng.normal(size=(2, 3, 5, 4, 6)) * (rng.random(size=(2, 1, 5, 4, 6)) < 0.2))
    x = from_dense(grid, origin=(-4, 0, 2), stride=stride)
    assert x.stride == (stride,) * 3 and len(x.feats) == int((grid != 0).any(dim=1).sum())
    assert torch.equal(to_dense(x, (5, 4, 6), batches=2, origin=(-4, 0, 2)), grid)
    with pytest.raises(InputError, match="lies outside a grid"):
        to_dense(x, (5, 4, 3), batches=2, origin=(-4, 0, 2))
    feats = x.feats.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda feats: to_dense(x.with_feats(feats), (5, 4, 6), origin=(-4, 0, 2)), feats)


def test_an_empty_grid_is_an_empty_tensor():
    x = from_dense(torch.zeros(1, 2, 3, 3, 3))
    assert x.feats.shape == (0, 2) and not to_dense(x, (3, 3, 3)).any()
    with pytest.raises(InputError, match="a dense grid is"):
        from_dense(torch.zeros(3, 3, 3))


def test_points_have_real_coordinates_of_their_number():
    with pytest.raises(InputError, match="these are real numbers"):
        PointTensor(torch.zeros(2, 3), torch.zeros(2, 4, dtype=torch.int32))
    with pytest.raises(InputError, match=r"\[P, 4\]"):
        PointTensor(torch.zeros(2, 3), torch.zeros(2, 3))


def test_a_real_scan_has_the_voxels_and_pairs_that_were_counted_for_it():
    path = Path(os.environ.get("COEVO_LIDAR_SCAN", ""))
    if not path.is_file():
        pytest.skip("COEVO_LIDAR_SCAN names no SemanticKITTI scan")
    points = torch.from_numpy(np.fromfile(path, dtype=np.float32).reshape(-1, 4)[:, :3].astype(np.float64))
    made = build_levels(quantize(points, 0.05, mode="round").coords)
    share = [int(b.count) / int(a.count) for a, b in zip(made.levels, made.levels[1:], strict=False)]
    np.testing.assert_allclose(share, [0.728, 0.612, 0.510, 0.442], atol=0.01)
    mean = [int((each.neighbours >= 0).sum()) / each.capacity_out for each in made.submanifold]
    np.testing.assert_allclose(mean, [3.03, 4.49, 6.35, 7.74, 8.69], rtol=0.02)
