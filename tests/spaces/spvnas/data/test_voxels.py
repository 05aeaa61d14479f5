"""Voxels of scans, against dictionaries."""

import numpy as np
import pytest
import torch

from coevo.errors import InputError
from coevo.kernels.sparse.tensors import SparseTensor
from coevo.spaces.spvnas.data.scan import Scan
from coevo.spaces.spvnas.data.voxels import collate, voxelize_scan


def random_scan(seed, count=500, reach=2.0, labelled=True):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-reach, reach, (count, 4)).astype(np.float32)
    return Scan(points, rng.integers(0, 19, count) if labelled else None, f"s{seed}")


@pytest.mark.parametrize("voxel_m", [0.05, 0.3, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_first_point_of_each_rounded_voxel(seed, voxel_m):
    scan = random_scan(seed)
    sample = voxelize_scan(scan, voxel_m)
    grid = np.floor(scan.points[:, :3].astype(np.float64) / voxel_m + 0.5).astype(np.int64)
    grid -= grid.min(axis=0)
    first = {}
    for row, cell in enumerate(map(tuple, grid.tolist())):
        first.setdefault(cell, row)
    assert len(sample.coords) == len(first)
    for row, (batch, *cell) in enumerate(sample.coords.tolist()):
        assert batch == 0
        assert torch.equal(sample.feats[row], torch.from_numpy(scan.points[first[tuple(cell)]]))
        assert sample.labels[row] == scan.labels[first[tuple(cell)]]
    assert torch.equal(sample.coords[sample.inverse][:, 1:], torch.from_numpy(grid).to(torch.int32))


def test_the_floor_of_the_points_is_their_voxel_and_rows_are_in_the_keys_order():
    sample = voxelize_scan(random_scan(0, 5000, 60.0))
    assert torch.equal(sample.point_coords.floor().to(torch.int32), sample.coords[sample.inverse])
    x = SparseTensor.of(sample.feats, sample.coords)
    assert torch.equal(x.coords, sample.coords)


def test_a_cap_keeps_voxels_with_all_their_points():
    scan = random_scan(1, 3000)
    whole, part = voxelize_scan(scan, 0.5), voxelize_scan(scan, 0.5, most_voxels=100, seed=[3, 4])
    assert len(part.coords) == 100
    kept = set(map(tuple, part.coords.tolist()))
    assert kept < set(map(tuple, whole.coords.tolist()))
    there = [tuple(cell) in kept for cell in whole.coords[whole.inverse].tolist()]
    assert torch.equal(part.point_feats, whole.point_feats[torch.tensor(there)])
    assert torch.equal(part.point_coords.floor().to(torch.int32), part.coords[part.inverse])
    again = voxelize_scan(scan, 0.5, most_voxels=100, seed=[3, 4])
    other = voxelize_scan(scan, 0.5, most_voxels=100, seed=[3, 5])
    assert torch.equal(part.coords, again.coords)
    assert not torch.equal(part.coords, other.coords)


def test_batches_hold_their_scans_apart():
    samples = [voxelize_scan(random_scan(seed, 50 * (seed + 1)), 0.5) for seed in range(3)]
    batch = collate([collate(samples[:2]), samples[2]])
    assert batch.names == ("s0", "s1", "s2")
    for number, sample in enumerate(samples):
        mine = batch.coords[:, 0] == number
        points = batch.point_coords[:, 0] == number
        assert torch.equal(batch.coords[mine][:, 1:], sample.coords[:, 1:])
        assert torch.equal(batch.labels[mine], sample.labels)
        assert torch.equal(batch.feats[batch.inverse[points]], sample.feats[sample.inverse])


def test_a_scan_without_labels_is_ignored_everywhere():
    sample = voxelize_scan(random_scan(0, labelled=False))
    assert set(sample.labels.tolist()) == set(sample.point_labels.tolist()) == {255}


def test_one_point():
    sample = voxelize_scan(Scan(np.array([[-7, 3, 1, 0.5]], dtype=np.float32), None, "one"))
    assert sample.coords.tolist() == [[0, 0, 0, 0]]
    assert sample.inverse.tolist() == [0]


@pytest.mark.parametrize("given", [{"voxel_m": 0.0}, {"voxel_m": float("nan")}, {"most_voxels": 0}])
def test_senseless_numbers_are_refused(given):
    with pytest.raises(InputError, match="must be"):
        voxelize_scan(random_scan(0), **given)


def test_a_scan_too_wide_is_refused():
    far = Scan(np.array([[0, 0, 0, 0], [5000, 0, 0, 0]], dtype=np.float32), None, "wide")
    with pytest.raises(InputError, match="take larger voxels"):
        voxelize_scan(far)
    with pytest.raises(InputError, match="at least one"):
        collate([])
