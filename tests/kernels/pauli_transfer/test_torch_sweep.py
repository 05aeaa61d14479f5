"""Batches as tensors on the CPU against the plain reference."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.cost_models.circuit_noise import noisy_expectations, noisy_pauli_sums

pytest.importorskip("torch")


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 5e-6)])
@pytest.mark.parametrize("seed", range(8))
def test_expectations_equal_the_reference(seed, dtype, tolerance, random_batch):
    programs, data = random_batch(seed)
    wanted = noisy_expectations(programs, data, engine="reference")
    found = noisy_expectations(programs, data, engine="torch", dtype=dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def test_a_batch_too_large_for_one_sweep_is_swept_in_parts(random_batch, monkeypatch):
    from coevo.cost_models.circuit_noise import torch_batch

    programs, data = next(batch for batch in map(random_batch, range(50)) if len(batch[0]) > 4)
    labels, coefficients = ["X" * len(programs[0].read), "Z" * len(programs[0].read)], np.eye(2)
    whole = noisy_expectations(programs, data, engine="torch")
    sums = noisy_pauli_sums(programs, labels, coefficients, data, engine="torch")
    swept = []
    common = torch_batch._common
    monkeypatch.setattr(torch_batch, "_common", lambda part: swept.append(len(part)) or common(part))
    monkeypatch.setattr(torch_batch, "_MOST_BYTES", 1)
    np.testing.assert_allclose(noisy_expectations(programs, data, engine="torch"), whole, rtol=0, atol=1e-14)
    assert swept == [1] * len(programs)
    again = noisy_pauli_sums(programs, labels, coefficients, data, engine="torch")
    np.testing.assert_allclose(again, sums, rtol=0, atol=1e-14)
