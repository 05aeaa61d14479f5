"""Kernels that bring rows into another order, against plain indexing."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.kernels.sparse.inference.triton_rows import take_rows  # noqa: E402
from coevo.kernels.sparse.maps.triton_permute import permute  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def orders(splits, capacity):
    return torch.stack([torch.randperm(capacity, device=DEVICE) for _ in range(splits)]).to(torch.int32)


@pytest.mark.parametrize(("volume", "splits"), [(27, 1), (27, 2), (27, 3), (8, 1), (1, 1), (30, 4)])
@pytest.mark.parametrize("capacity", [1, 37, 1100])
def test_permuted_neighbours(volume, splits, capacity):
    torch.manual_seed(capacity)
    width = -(-volume // splits)
    neighbours = torch.randint(-1, capacity, (volume, capacity), dtype=torch.int32, device=DEVICE)
    order = orders(splits, capacity)
    wanted = torch.stack([neighbours[k, order[k // width].long()] for k in range(volume)])
    room = torch.full_like(neighbours, 7)
    assert permute(neighbours, order, width, room) is room
    torch.testing.assert_close(room, wanted, rtol=0, atol=0)
    torch.testing.assert_close(permute(neighbours, order, width), wanted, rtol=0, atol=0)


def test_no_rows_are_permuted():
    assert permute(torch.empty((27, 0), dtype=torch.int32), torch.empty((1, 0), dtype=torch.int32), 27).shape == (27, 0)


@pytest.mark.parametrize("channels", [1, 4, 16, 33])
@pytest.mark.parametrize(("rows", "used"), [(1, 1), (50, 0), (50, 31), (50, 50)])
def test_taken_rows(channels, rows, used):
    torch.manual_seed(rows)
    features = torch.randn(rows + 3, channels, device=DEVICE)
    order = torch.randint(0, rows + 3, (rows,), dtype=torch.int32, device=DEVICE)
    width = -(-channels // 16) * 16
    found = take_rows(features, order, torch.tensor([used], dtype=torch.int32, device=DEVICE), width)
    assert found.shape == (rows, width)
    torch.testing.assert_close(found[:used, :channels], features[order[:used].long()], rtol=0, atol=0)
    assert not found[:used, channels:].any()


def test_rows_of_columns_that_are_not_side_by_side():
    features = torch.randn(4, 9, device=DEVICE).T
    order = torch.arange(8, -1, -1, dtype=torch.int32, device=DEVICE)
    found = take_rows(features, order, torch.tensor([9], dtype=torch.int32, device=DEVICE), 16)
    torch.testing.assert_close(found[:, :4], features.flip(0), rtol=0, atol=0)
