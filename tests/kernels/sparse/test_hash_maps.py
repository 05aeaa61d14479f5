"""Maps through a hash table, and levels with padded capacity, against plain torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.kernels.sparse.coordinates import keys as packed  # noqa: E402
from coevo.kernels.sparse.coordinates import padded, reference  # noqa: E402
from coevo.kernels.sparse.coordinates.build import outputs as outputs_of  # noqa: E402
from coevo.kernels.sparse.coordinates.levels import Level  # noqa: E402
from coevo.kernels.sparse.maps import reference as maps  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module")
def hashed():
    from coevo.kernels.sparse.coordinates import triton_keys
    from coevo.kernels.sparse.maps import triton_hash

    assert triton_keys.INTERPRETED is (DEVICE == "cpu"), "triton was imported before this folder's conftest"
    return triton_hash


def level_of(seed, count, side=6, stride=1):
    rng = np.random.default_rng(seed)
    rows = np.column_stack([rng.integers(0, 2, count), rng.integers(-side, side, (count, 3)) * stride])
    coords = torch.from_numpy(np.unique(rows, axis=0).astype(np.int32)).to(DEVICE)
    return reference.sorted_level(coords, (stride,) * 3)[0]


def with_room(level, capacity):
    """The level with rows beyond its count that hold another voxel."""
    keys = torch.zeros(capacity, dtype=torch.int64, device=DEVICE)
    coords = torch.zeros((capacity, 4), dtype=torch.int32, device=DEVICE)
    keys[: level.capacity], coords[: level.capacity] = level.keys, level.coords
    return Level(coords, keys, level.count, level.stride, exact=False)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5, (3, 1, 2), (1, 3, 5)])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 3), (2, 1), (3, 2), ((1, 2, 3), 1)])
def test_hashed_maps_agree_with_plain_torch(hashed, kernel, stride, dilation):
    kernel, stride, dilation = (each if isinstance(each, tuple) else (each,) * 3 for each in (kernel, stride, dilation))
    inputs = level_of(sum(kernel), 150, stride=2)
    outputs = outputs_of(inputs, kernel, stride, dilation)
    made = hashed.kernel_map(inputs, outputs, kernel, stride, dilation)
    wanted = maps.kernel_map(inputs, outputs, kernel, stride, dilation)
    assert torch.equal(made.neighbours, wanted.neighbours)
    assert (made.symmetric, made.volume) == (wanted.symmetric, wanted.volume)


@pytest.mark.parametrize(
    ("kernel", "stride", "splits"), [(1, 1, 1), (2, 2, 1), (3, 1, 2), (3, 2, 3), (5, 1, 5), (2, 3, 7)]
)
@pytest.mark.parametrize(("count", "capacity"), [(0, 0), (1, 1), (0, 9), (300, 300), (150, 400)])
def test_inverses_and_sorted_rows_agree_with_plain_torch(hashed, kernel, stride, splits, count, capacity):
    from coevo.kernels.sparse.maps import triton_derived
    from coevo.kernels.sparse.maps.kernel_map import check_splits

    kernel, stride = (kernel,) * 3, (stride,) * 3
    inputs = level_of(count, count)
    inputs = inputs if capacity == count else with_room(inputs, capacity)
    forward = maps.kernel_map(inputs, outputs_of(inputs, kernel, stride, (1, 1, 1)), kernel, stride, (1, 1, 1))
    assert torch.equal(triton_derived.inverse_neighbours(forward), maps.inverse_neighbours(forward))
    width = check_splits(forward.volume, splits)
    made, wanted = triton_derived.sorted_rows(forward, splits, width), maps.sorted_rows(forward, splits, width)
    assert (
        torch.equal(made.order, wanted.order) and torch.equal(made.masks, wanted.masks) and made.width == wanted.width
    )


@pytest.mark.parametrize("count", [0, 1, 90])
def test_rows_beyond_the_count_are_neither_found_nor_answered(hashed, count):
    level = with_room(level_of(count, count), 400)
    for kernel in ((3, 3, 3), (2, 2, 2)):
        made = hashed.kernel_map(level, level, kernel, (1, 1, 1), (1, 1, 1))
        assert torch.equal(made.neighbours, maps.kernel_map(level, level, kernel, (1, 1, 1), (1, 1, 1)).neighbours)
        used = int(level.count)
        assert (made.neighbours[:, used:] == -1).all() and int(made.neighbours.max()) < max(used, 1)


def test_the_ends_of_the_range_are_not_wrapped(hashed):
    low, high = packed.LOWEST, packed.HIGHEST
    coords = torch.tensor([[0, low, 0, 0], [0, high, 0, 0], [4094, high, high, high], [1, low, low, low]])
    level = reference.sorted_level(coords.to(torch.int32).to(DEVICE))[0]
    made = hashed.kernel_map(level, level, (5, 5, 5), (1, 1, 1), (1, 1, 1))
    assert int((made.neighbours >= 0).sum()) == len(coords)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(2, 2, 1), (3, 3, 1), (3, 2, 1), (5, 2, 1), (3, 2, 2)])
@pytest.mark.parametrize("count", [0, 1, 120])
def test_padded_levels_hold_the_voxels_of_exact_ones(kernel, stride, dilation, count):
    kernel, stride, dilation = (kernel,) * 3, (stride,) * 3, (dilation,) * 3
    exact = level_of(7, count)
    wanted = outputs_of(exact, kernel, stride, dilation)
    made = outputs_of(with_room(exact, 200), kernel, stride, dilation)
    used = int(made.count)
    assert (used, made.stride, made.exact) == (int(wanted.count), wanted.stride, False)
    assert torch.equal(made.keys[:used], wanted.keys) and torch.equal(made.coords[:used], wanted.coords)


def test_windows_beyond_the_range_are_left_out_of_padded_levels():
    coords = torch.tensor([[0, packed.LOWEST, 0, 0]], dtype=torch.int32, device=DEVICE)
    level = reference.sorted_level(coords)[0]
    made = padded.reached(with_room(level, 4), (3, 3, 3), (2, 2, 2), (1, 1, 1))
    assert made.coords[: int(made.count)].tolist() == [[0, packed.LOWEST, 0, 0]]
