"""Levels and kernel maps in plain torch against dictionaries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from coevo.errors import InputError

torch = pytest.importorskip("torch")

from coevo.kernels.sparse.coordinates import keys as packed  # noqa: E402
from coevo.kernels.sparse.maps.offsets import offsets, sort_places  # noqa: E402
from coevo.kernels.sparse.tensors import SparseTensor  # noqa: E402


def voxels(rng, count, side, batches=2, stride=1):
    """Distinct voxels [N, 4] in random order, negative ones among them."""
    drawn = rng.integers(-side, side, size=(count, 3)) * np.asarray(stride)
    rows = np.concatenate([rng.integers(0, batches, size=(count, 1)), drawn], axis=1)
    return rng.permutation(np.unique(rows, axis=0)).astype(np.int32)


def tensor_of(coords, stride=1):
    feats = torch.arange(len(coords), dtype=torch.float32)[:, None]
    return SparseTensor.of(feats, torch.from_numpy(coords), stride)


def table(coords):
    return {tuple(row): place for place, row in enumerate(coords.tolist())}


def expected_map(inputs, outputs, kernel, in_stride, dilation):
    """[K, N_out] through a dictionary."""
    rows, steps = table(inputs), offsets(kernel)
    wanted = np.full((len(steps), len(outputs)), -1, dtype=np.int32)
    for k, step in enumerate(steps):
        moved = np.asarray(step) * np.asarray(dilation) * np.asarray(in_stride)
        for place, (b, *at) in enumerate(outputs.tolist()):
            wanted[k, place] = rows.get((b, *(np.asarray(at) + moved).tolist()), -1)
    return wanted


def test_keys_go_there_and_back_and_sort_parents_beside_each_other():
    rng = np.random.default_rng(0)
    coords = rng.integers(packed.LOWEST, packed.HIGHEST + 1, size=(1000, 4))
    coords[:, 0] = rng.integers(0, packed.MOST_BATCHES, size=1000)
    coords[0] = (packed.MOST_BATCHES - 1, packed.HIGHEST, packed.HIGHEST, packed.HIGHEST)
    coords[1] = (0, packed.LOWEST, packed.LOWEST, packed.LOWEST)
    keys = packed.pack(torch.from_numpy(coords))
    assert keys.dtype == torch.int64 and int(keys.min()) == 0 and int(keys.max()) < packed.NOTHING
    np.testing.assert_array_equal(packed.unpack(keys).numpy(), coords)
    floored = np.concatenate([coords[:, :1], coords[:, 1:] // 16 * 16], axis=1)
    np.testing.assert_array_equal((keys & ~0xFFF).numpy(), packed.pack(torch.from_numpy(floored)).numpy())
    places = (keys & 7).numpy()
    np.testing.assert_array_equal(np.asarray(offsets((2, 2, 2)))[places], coords[:, 1:] % 2)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5, (3, 1, 5), (2, 1, 3)])
@pytest.mark.parametrize("stride", [1, 2, 3, (2, 1, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_maps_are_those_of_dictionaries(kernel, stride, dilation):
    rng = np.random.default_rng(hash((kernel, stride, dilation)) % 2**32)
    in_stride = int(rng.integers(1, 4))
    x = tensor_of(voxels(rng, 120, 6, stride=in_stride), in_stride)
    made = x.caches.kernel_map(in_stride, kernel, stride, dilation)
    out_stride = tuple(in_stride * each for each in (stride if isinstance(stride, tuple) else (stride,) * 3))
    out = x.caches.levels[out_stride]
    inputs, outputs = x.coords.numpy(), out.coords.numpy()
    wanted = expected_map(inputs, outputs, made.kernel_size, (in_stride,) * 3, made.dilation)
    np.testing.assert_array_equal(made.neighbours.numpy(), wanted)
    assert (int(made.count_in), int(made.count_out)) == (len(inputs), len(outputs))
    assert (outputs[:, 1:] % np.asarray(out_stride) == 0).all()

    back = made.inverse()
    assert back.inverse() is made
    wanted_back = np.full((len(wanted), len(inputs)), -1)
    for k, o in zip(*np.nonzero(wanted >= 0), strict=True):
        wanted_back[k, wanted[k, o]] = o
    np.testing.assert_array_equal(back.neighbours.numpy(), wanted_back)

    pairs = made.pairs()
    starts = pairs.starts.tolist()
    listed = [
        (k, int(pairs.inputs[p]), int(pairs.outputs[p]))
        for k in range(made.volume)
        for p in range(starts[k], starts[k + 1])
    ]
    assert listed == [
        (k, wanted[k, o], o) for k in range(made.volume) for o in range(len(outputs)) if wanted[k, o] >= 0
    ]


@pytest.mark.parametrize(("kernel", "splits"), [(3, 1), (3, 2), (3, 3), (2, 1), (5, 5), (1, 1)])
def test_sorted_rows_are_a_permutation_with_like_masks_together(kernel, splits):
    x = tensor_of(voxels(np.random.default_rng(splits), 150, 5))
    made = x.caches.kernel_map(1, kernel)
    rows, neighbours = made.sorted(splits), made.neighbours.numpy()
    for split in range(splits):
        order, masks = rows.order[split].numpy(), rows.masks[split].numpy()
        np.testing.assert_array_equal(np.sort(order), np.arange(len(order)))
        present = neighbours[split * rows.width : (split + 1) * rows.width, order] >= 0
        np.testing.assert_array_equal(masks, (present * (1 << np.arange(len(present)))[:, None]).sum(axis=0))
        for mask in set(masks.tolist()):
            here = np.nonzero(masks == mask)[0]
            assert here[-1] - here[0] + 1 == len(here) and (np.diff(order[here]) > 0).all()
        places = [place - split * rows.width for place in sort_places(made.kernel_size, splits)[split * rows.width :]]
        assert sorted(places[: rows.width]) == list(range(len(present)))
        words = [sum((mask >> k & 1) << places[k] for k in range(len(present))) for mask in masks.tolist()]
        ranks = [gray.index(word) for word in words] if (gray := gray_codes(len(present))) else []
        assert ranks == sorted(ranks, reverse=True)


def gray_codes(bits):
    """All codes of few bits in their order, mirrored and prefixed; none where they would be too many."""
    codes = [0]
    for bit in range(bits if bits <= 9 else 0):
        codes += [code | 1 << bit for code in reversed(codes)]
    return codes if bits <= 9 else []


def test_rare_offsets_stand_highest_in_sort_words():
    places = sort_places((3, 3, 3), 1)
    steps = [offsets((3, 3, 3))[places.index(bit)] for bit in range(26, -1, -1)]
    assert all(all(step) for step in steps[:8]) and steps[-1] == (0, 0, 0)
    assert all(step[2] == 0 for step in steps[-9:])


def test_a_strided_convolution_puts_out_floored_voxels_or_all_that_windows_reach():
    rng = np.random.default_rng(3)
    coords = voxels(rng, 60, 9)
    x = tensor_of(coords)
    x.caches.kernel_map(1, 2, 2)
    floored = {(b, *(np.asarray(at) // 2 * 2).tolist()) for b, *at in coords.tolist()}
    assert set(map(tuple, x.caches.levels[2, 2, 2].coords.tolist())) == floored

    x = tensor_of(coords)
    x.caches.kernel_map(1, 3, 2)
    reached = set()
    for (b, *at), step in itertools.product(coords.tolist(), offsets((3, 3, 3))):
        start = np.asarray(at) - np.asarray(step)
        if (start % 2 == 0).all():
            reached.add((b, *start.tolist()))
    assert set(map(tuple, x.caches.levels[2, 2, 2].coords.tolist())) == reached


@pytest.mark.parametrize("count", [0, 1])
def test_no_voxel_and_one_voxel(count):
    coords = np.asarray([[3, -7, 5, packed.LOWEST]], dtype=np.int32)[:count]
    x = tensor_of(coords)
    made = x.caches.kernel_map(1, 3)
    assert made.neighbours.shape == (27, count) and int((made.neighbours >= 0).sum()) == count
    down = x.caches.kernel_map(1, 2, 2)
    assert down.neighbours.shape == (8, count) and down.inverse().neighbours.shape == (8, count)
    assert x.caches.transposed_map(2, 2, 2) is down.inverse()
    assert made.sorted(3).order.shape == (3, count) and made.pairs().starts.tolist() == [0] * 14 + [count] * 14


def test_neighbours_beyond_the_range_are_absent_not_wrapped():
    low, high = packed.LOWEST, packed.HIGHEST
    coords = np.asarray([[0, low, 0, 0], [0, high, 0, 0], [0, high, high, high], [1, low, low, low]], dtype=np.int32)
    made = tensor_of(coords).caches.kernel_map(1, 3)
    assert int((made.neighbours >= 0).sum()) == len(coords)


@pytest.mark.parametrize(
    ("coords", "stride", "message"),
    [
        ([[0, 1, 2, 3], [1, 1, 2, 3], [0, 1, 2, 3]], 1, r"rows 0 and 2 have the same coordinates \(0, 1, 2, 3\)"),
        ([[0, 0, 0, 0], [0, 0, 65536, 0]], 1, r"row 1 .* must be -65536 .. 65535"),
        ([[0, -65537, 0, 0]], 1, r"must be -65536 .. 65535"),
        ([[-1, 0, 0, 0]], 1, r"batch index 0 .. 4094"),
        ([[0, 4, 2, 0], [0, 4, 3, 0]], 2, r"must be multiples of it .* row 1 is \(0, 4, 3, 0\)"),
        ([[0, 1, 2]], 1, r"int32 \[N, 4\]"),
    ],
)
def test_bad_coordinates_are_one_clear_error(coords, stride, message):
    coords = torch.tensor(coords)
    with pytest.raises(InputError, match=message):
        SparseTensor.of(torch.zeros(len(coords), 1), coords, stride)


def test_bad_tensors_and_maps_are_one_clear_error():
    coords = torch.zeros(1, 4, dtype=torch.int32)
    with pytest.raises(InputError, match=r"with one N, got \[2, 3\] and \[1, 4\]"):
        SparseTensor.of(torch.zeros(2, 3), coords)
    with pytest.raises(InputError, match="must be int32"):
        SparseTensor.of(torch.zeros(1, 3), coords.float())
    with pytest.raises(InputError, match="row 0 of the features holds NaN"):
        SparseTensor.of(torch.full((1, 3), torch.nan), coords, check_finite=True)
    x = SparseTensor.of(torch.zeros(1, 3), coords)
    with pytest.raises(InputError, match=r"no voxels of stride \(4, 4, 4\)"):
        x.caches.kernel_map(4, 3)
    with pytest.raises(InputError, match="kernel_size must be a whole number"):
        x.caches.kernel_map(1, 0)
    with pytest.raises(InputError, match="needs voxels whose stride is a multiple"):
        x.caches.transposed_map(1, 2, 2)
    with pytest.raises(InputError, match="sort with at least 5 splits"):
        x.caches.kernel_map(1, 5).sorted(1)


def test_features_come_back_in_the_given_order():
    rng = np.random.default_rng(5)
    coords = voxels(rng, 80, 5)
    x = tensor_of(coords)
    np.testing.assert_array_equal(x.coords.numpy(), coords[x.feats[:, 0].to(torch.int64).numpy()])
    np.testing.assert_array_equal(x.in_given_order()[:, 0].numpy(), np.arange(len(coords)))
