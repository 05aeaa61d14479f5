"""All levels and maps of a scan at once: the kernels (in Triton's interpreter where there is no CUDA device) against
plain torch, and that against dictionaries through `test_map_reference`."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.errors import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module")
def kernels():
    from coevo.kernels.sparse import triton_hierarchy
    from coevo.kernels.sparse.coordinates import triton_keys

    assert triton_keys.INTERPRETED is (DEVICE == "cpu"), "triton was imported before this folder's conftest"
    return triton_hierarchy


def surface(rng, count, side, batches=2):
    """Distinct voxels near a bent surface, in random order."""
    at = rng.integers(-side, side, size=(count, 2))
    height = np.round(side / 4 * np.sin(at[:, 0] / side * 3) + rng.normal(size=count)).astype(int)
    rows = np.column_stack([rng.integers(0, batches, size=count), at, height])
    return torch.from_numpy(rng.permutation(np.unique(rows, axis=0)).astype(np.int32))


def built(kernels, coords, levels=5, *, count=None, capacity=None, splits=1, merge=False, extent=None):
    from coevo.kernels.sparse.hierarchy import _each

    most = None if capacity is None else tuple(min(each, len(coords)) for each in _each(capacity, levels, "capacity"))
    return kernels.build(coords.to(DEVICE), levels, count, most, _each(splits, levels, "splits"), merge, extent)


def compare(made, wanted):
    """Levels, maps, ways between rows and status, in the rows that are in use."""

    def same(a, b, rows=None):
        a, b = a.cpu().numpy(), b.cpu().numpy()
        np.testing.assert_array_equal(a[..., :rows], b[..., :rows])

    same(made.status, wanted.status)
    finest = int(wanted.levels[0].count)
    same(made.order, wanted.order, finest)
    same(made.places, wanted.places)
    for a, b in zip(made.levels, wanted.levels, strict=True):
        same(a.count, b.count)
        assert (a.stride, a.capacity) == (b.stride, b.capacity)
        same(a.keys, b.keys, int(b.count))
        same(a.coords.T, b.coords.T, int(b.count))
    for a, b in zip(made.ancestors, wanted.ancestors, strict=True):
        same(a, b, finest)
    for a, b in zip(made.submanifold + made.down, wanted.submanifold + wanted.down, strict=True):
        compare_maps(a, b)
        compare_maps(a.inverse(), b.inverse())


def compare_maps(a, b):
    np.testing.assert_array_equal(a.neighbours.cpu().numpy(), b.neighbours.cpu().numpy())
    for name in ("kernel_size", "stride", "dilation", "symmetric", "capacity_in", "capacity_out"):
        assert getattr(a, name) == getattr(b, name)
    assert int(a.count_in) == int(b.count_in) and int(a.count_out) == int(b.count_out)
    ready = [key for key in a.made if key[0] == "sorted"]
    for _, splits in ready:
        mine, theirs = a.sorted(splits), b.sorted(splits)
        assert mine.width == theirs.width
        np.testing.assert_array_equal(mine.order.cpu().numpy(), theirs.order.cpu().numpy())
        np.testing.assert_array_equal(mine.masks.cpu().numpy(), theirs.masks.cpu().numpy())
        if mine.neighbours is not None:
            ranges = np.arange(a.volume) // mine.width
            wanted = np.take_along_axis(b.neighbours.cpu().numpy(), theirs.order.cpu().numpy()[ranges], 1)
            np.testing.assert_array_equal(mine.neighbours.cpu().numpy(), wanted)


@pytest.mark.parametrize(("levels", "splits"), [(5, (1, 1, 1, 2, 3)), (1, 20), (7, 1)])
@pytest.mark.parametrize("count", [1, 2, 1500])
def test_kernels_agree_with_plain_torch(kernels, levels, splits, count):
    from coevo.kernels.sparse.hierarchy import _each, reference

    coords = surface(np.random.default_rng(count), count, 40)
    made = built(kernels, coords, levels, splits=splits)
    wanted = reference(coords, levels, splits=_each(splits, levels, "splits"))
    compare(made, wanted)
    assert all(
        ("sorted", cut) in each.made for each, cut in zip(made.submanifold, _each(splits, levels, ""), strict=True)
    )
    assert all(("sorted", 1) in each.made and ("sorted", 1) in each.inverse().made for each in made.down)


@pytest.mark.parametrize("used", [0, 700])
def test_with_a_capacity_rows_beyond_the_count_are_left_alone(kernels, used):
    from coevo.kernels.sparse.hierarchy import reference

    coords = surface(np.random.default_rng(7), 3000, 40)[:1500]
    coords[used:] = coords[0]  # what stands there must not matter
    count = torch.tensor([used], dtype=torch.int32, device=DEVICE)
    capacity = (1500, 1400, 1000, 600, 400)
    made = built(kernels, coords, count=count, capacity=capacity)
    wanted = reference(coords, 5, count=count, capacity=capacity)
    compare(made, wanted)
    assert int(made.status) == 0
    made.check()


def test_coordinates_may_be_of_another_layout(kernels):
    coords = surface(np.random.default_rng(6), 60, 9)
    strided = coords.t().contiguous().t()
    assert not strided.is_contiguous()
    compare(built(kernels, strided), built(kernels, coords.to(torch.int64)))


def test_points_of_one_voxel_are_merged(kernels):
    from coevo.kernels.sparse.hierarchy import reference

    rng = np.random.default_rng(8)
    coords = surface(rng, 900, 12)
    coords = coords[torch.from_numpy(rng.integers(0, len(coords), size=2000))]
    made = built(kernels, coords, merge=True)
    compare(made, reference(coords, 5, merge=True))
    at = made.levels[0].coords.cpu()[made.places.cpu().long()]
    np.testing.assert_array_equal(at.numpy(), coords.numpy())


def test_what_is_wrong_is_flagged_on_the_device(kernels):
    from coevo.kernels.sparse.hierarchy import reference

    coords = surface(np.random.default_rng(9), 300, 20)
    small = (len(coords), len(coords), 20, 100, 3)
    made = built(kernels, coords, capacity=small)
    assert (int(made.levels[2].count), int(made.levels[4].count), int(made.status)) == (20, 3, 4)
    for each in made.submanifold + made.down + tuple(each.inverse() for each in made.down):  # void, but within bounds
        assert int(each.neighbours.min()) >= -1 and int(each.neighbours.max()) < each.capacity_in
    with pytest.raises(InputError, match="more voxels than the capacity"):
        made.check()

    far = coords.clone()
    far[17, 2], far[18, 0], far[19, 3] = 65536, 4095, -65537
    made = built(kernels, far, capacity=len(far))
    compare(made, reference(far, 5, capacity=(len(far),) * 5))
    with pytest.raises(InputError, match=r"-65536 .. 65535, batch 0 .. 4094"):
        made.check()
    with pytest.raises(InputError, match=r"-65536 .. 65535"):
        built(kernels, far)

    wide = coords.to(torch.int64)
    wide[4, 1] += 2**32
    assert int(built(kernels, wide, capacity=len(wide)).status) == 1

    twice = torch.cat([coords, coords[3:4]])
    assert int(built(kernels, twice, capacity=len(twice)).status) == 2
    with pytest.raises(InputError, match="rows with the same coordinates"):
        built(kernels, twice)


@pytest.mark.parametrize(("half", "batches", "dropped"), [(64, 2, 0), ((2048, 2048, 1024), 1, 2), (2048, 16, 3)])
def test_keys_of_an_extent_sort_alike_in_32_bits(kernels, half, batches, dropped):
    from coevo.kernels.sparse.coordinates.keys import Extent
    from coevo.kernels.sparse.hierarchy import reference

    half = half if isinstance(half, tuple) else (half,) * 3
    extent = Extent.of(half, batches)
    assert extent.dropped == dropped
    rng = np.random.default_rng(dropped)
    ends = [[b, *(sign * h - (sign > 0) for sign, h in zip(signs, half, strict=True))] for b in (0, batches - 1)
            for signs in ((1, 1, -1), (-1, -1, -1), (-1, 1, 1))]  # fmt: skip
    spread = np.column_stack([rng.integers(0, batches, 120), *(rng.integers(-h, h, 120) for h in half)])
    close = np.column_stack([np.zeros(120, int), *(rng.integers(-6, 6, 120) for _ in half)])
    coords = torch.from_numpy(
        rng.permutation(np.unique(np.concatenate([ends, spread, close]), axis=0)).astype(np.int32)
    )
    compare(built(kernels, coords, extent=extent), reference(coords, 5))

    beyond = coords.clone()
    beyond[5, 2], beyond[6, 0] = half[1], batches
    made = built(kernels, beyond, capacity=len(beyond), extent=extent)
    compare(made, reference(beyond, 5, capacity=(len(beyond),) * 5, extent=extent))
    with pytest.raises(InputError, match="outside the extent"):
        made.check()


def test_the_last_cell_of_an_extent_of_31_bits_is_refused(kernels):
    from coevo.kernels.sparse.coordinates.keys import Extent
    from coevo.kernels.sparse.hierarchy import reference

    extent = Extent((10, 9, 9), 0)
    coords = torch.tensor([[0, 1023, 511, 511], [0, 1022, 511, 511]], dtype=torch.int32)
    made = built(kernels, coords, capacity=2, extent=extent)
    compare(made, reference(coords, 5, capacity=(2,) * 5, extent=extent))
    assert int(made.status) == 1 and int(made.levels[0].count) == 1


def test_the_ends_of_the_range_have_no_neighbours_beyond(kernels):
    from coevo.kernels.sparse.hierarchy import reference

    low, high = -65536, 65535
    ends = [[b, x, y, z] for b in (0, 4094) for x in (low, high) for y in (low, high) for z in (low, 0, high)]
    coords = torch.tensor([*ends, [1, low, low, low]], dtype=torch.int32)
    made = built(kernels, coords, 4)
    compare(made, reference(coords, 4))
    assert all(int((each.neighbours >= 0).sum()) == each.capacity_out for each in made.submanifold)


def test_the_call_refuses_what_it_cannot_do():
    from coevo.kernels.sparse.hierarchy import build_levels

    coords = torch.zeros(1, 4, dtype=torch.int32)
    with pytest.raises(InputError, match="1 to 17 levels"):
        build_levels(coords, 18)
    with pytest.raises(InputError, match="splits must be a whole number >= 1, or one for each of 5 levels"):
        build_levels(coords, splits=(1, 2))
    with pytest.raises(InputError, match="can be cut in 1 to 27 ranges"):
        build_levels(coords, splits=28)
    with pytest.raises(InputError, match=r"int32 \[N, 4\]"):
        build_levels(coords.float())
    with pytest.raises(InputError, match="too large to sort in 32 bits"):
        build_levels(coords, extent=65536)
    empty = build_levels(coords[:0], 3)
    assert [each.capacity for each in empty.levels] == [0, 0, 0] and int(empty.status) == 0


def test_tensors_share_what_was_built():
    from coevo.kernels.sparse.hierarchy import build_levels

    made = build_levels(surface(np.random.default_rng(4), 200, 20), 3)
    caches = made.caches()
    assert caches.kernel_map(4, 3) is made.submanifold[2]
    assert caches.kernel_map(2, 2, 2) is made.down[1]
    assert caches.transposed_map(2, 2, 2) is made.down[0].inverse()
