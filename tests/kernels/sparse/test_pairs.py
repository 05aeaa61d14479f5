"""Compacted pairs by the kernels against plain torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.kernels.sparse.maps import reference  # noqa: E402
from coevo.kernels.sparse.maps.triton_pairs import BLOCK, compacted_pairs  # noqa: E402
from coevo.kernels.sparse.tensors import SparseTensor  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def make_map(most, kernel_size, stride):
    rng = np.random.default_rng(most)
    coords = np.unique(rng.integers(-20, 20, (most, 3)), axis=0)
    coords = torch.tensor(np.column_stack([np.zeros(len(coords)), coords]), dtype=torch.int32, device=DEVICE)
    return SparseTensor.of(torch.zeros(len(coords), 1, device=DEVICE), coords).caches.kernel_map(1, kernel_size, stride)


@pytest.mark.parametrize(("most", "kernel_size", "stride"), [(BLOCK + 900, 3, 1), (300, 2, 2), (1, 3, 1), (0, 3, 1)])
@pytest.mark.parametrize("inverse", [False, True])
def test_pairs(most, kernel_size, stride, inverse):
    kernel_map = make_map(most, kernel_size, stride)
    kernel_map = kernel_map.inverse() if inverse else kernel_map
    found, wanted = compacted_pairs(kernel_map), reference.compacted_pairs(kernel_map)
    assert found.starts.tolist() == wanted.starts.tolist()
    total = int(wanted.starts[-1])
    assert total >= (most > 0)
    assert torch.equal(found.inputs[:total], wanted.inputs[:total])
    assert torch.equal(found.outputs[:total], wanted.outputs[:total])
