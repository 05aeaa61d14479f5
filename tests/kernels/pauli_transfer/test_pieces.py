"""Products in pieces of 64 columns: whole pieces, several, and parts of one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("numba")

from coevo.kernels.pauli_transfer.meet import meet_four
from coevo.kernels.pauli_transfer.sweep import contract

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-4}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("digits", [2, 3, 4, 5, 6])
def test_a_block_on_any_two_digits(digits, dtype):
    rng = np.random.default_rng(digits)
    block = rng.normal(size=(16, 16)).astype(dtype)
    block[rng.random((16, 16)) < 0.6] = 0
    source = rng.normal(size=4**digits).astype(dtype)
    for first, second in itertools.permutations(range(digits), 2):
        target = np.full(4**digits + 5, 7, dtype)
        contract(block, source, first, second, digits, target)
        front = np.moveaxis(source.reshape((4,) * digits), (first, second), (0, 1)).reshape(16, -1)
        np.testing.assert_allclose(target[:-5], (block.T @ front).ravel(), rtol=0, atol=TOLERANCE[dtype])
        assert (target[-5:] == 7).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("samples", [1, 63, 64, 65, 200])
def test_operators_on_four_qubits_meet_any_number_of_samples(samples, dtype):
    rng = np.random.default_rng(samples)
    operators = rng.normal(size=(3, 4, 4, 4, 4)).astype(dtype)
    vectors = [rng.uniform(-1, 1, (4, samples)).astype(dtype) for _ in range(4)]
    out = np.full((samples, 3), np.nan, dtype)
    meet_four(operators.reshape(3, 16, 16), *vectors, out)
    wanted = np.einsum("oabcd,as,bs,cs,ds->so", operators, *vectors)
    np.testing.assert_allclose(out, wanted, rtol=0, atol=TOLERANCE[dtype])
