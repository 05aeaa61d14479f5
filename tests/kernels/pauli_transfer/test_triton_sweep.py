"""The device kernels against the plain reference: in Triton's interpreter where there is no CUDA device."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.cost_models.circuit_noise import noisy_expectations, noisy_pauli_sums
from coevo.errors import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def sweep():
    from coevo.kernels.pauli_transfer import triton_sweep

    interpreted = triton_sweep.kernels.INTERPRETED
    assert interpreted is (DEVICE == "cpu"), "triton was imported before this folder's conftest"
    return triton_sweep


@pytest.fixture(scope="module")
def small_batch(devices, random_program):
    """(seed) -> (programs, inputs): both devices mixed, one of one qubit without gates, one of five qubits."""

    def build(seed):
        rng = np.random.default_rng(seed)
        sizes = [("quito", 2, 12), ("guadalupe", 1, 0), ("guadalupe", 5, 14)]
        programs = [random_program(devices[name], rng, active, gates, 1, 2) for name, active, gates in sizes]
        return programs, rng.uniform(-3, 3, (3, 2))

    return build


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-6)])
@pytest.mark.parametrize("whole", [4, 6])
def test_expectations_equal_the_reference(whole, dtype, tolerance, small_batch, sweep, monkeypatch):
    monkeypatch.setattr(sweep, "WHOLE", whole)  # 4: operators of five qubits in several tiles
    monkeypatch.setattr(sweep, "TILE", 4)
    programs, data = small_batch(whole)
    wanted = noisy_expectations(programs, data, engine="reference")
    found = noisy_expectations(programs, data, engine="triton", device=DEVICE, dtype=dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def test_pauli_sums_equal_the_reference(devices, random_program):
    rng = np.random.default_rng(2)
    programs = [random_program(devices["quito"], rng, active, 12, 3, 1) for active in (3, 5)]
    data = rng.uniform(-3, 3, (2, 1))
    labels, coefficients = ["XYZ", "IZX", "YII", "III"], rng.normal(size=(2, 4))
    coefficients[1, :2] = 0
    wanted = noisy_pauli_sums(programs, labels, coefficients, data, engine="reference")
    found = noisy_pauli_sums(programs, labels, coefficients, data, engine="triton", device=DEVICE)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_the_kernels_want_a_cuda_device(sweep, monkeypatch, devices, random_program):
    monkeypatch.setattr(sweep.kernels, "INTERPRETED", False)
    program = random_program(devices["quito"], np.random.default_rng(0), 2, 3, 1, 0)
    with pytest.raises(InputError, match="compiles for CUDA devices, got the device 'cpu'; expected 'cuda'"):
        noisy_expectations([program], engine="triton")
