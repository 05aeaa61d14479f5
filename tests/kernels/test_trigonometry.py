"""Cosines and sines as vector instructions: equal to the library's, at quarter turns, far away and for no angles."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from coevo.kernels.trigonometry import LARGEST, cosines_sines


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("largest", [1e-9, 0.8, 10.0, 2 * LARGEST - 1, 1e6])
@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_they_are_the_librarys(dtype, largest, factor):
    rng = np.random.default_rng(int(largest))
    quarters = (np.arange(-40, 41) * np.pi / 2).clip(-largest, largest)
    angles = np.concatenate([rng.uniform(-largest, largest, 1000), quarters, [0.0, -0.0]]).astype(dtype)
    cosines, sines = np.empty_like(angles), np.empty_like(angles)
    cosines_sines(angles, factor, cosines, sines)
    exact = angles.astype(np.float64) * factor
    tolerance = 2 * np.finfo(dtype).eps
    np.testing.assert_allclose(cosines, np.cos(exact), rtol=0, atol=tolerance)
    np.testing.assert_allclose(sines, np.sin(exact), rtol=0, atol=tolerance)


def test_small_angles_keep_their_digits():
    angles = np.geomspace(1e-300, 1e-3, 200)
    cosines, sines = np.empty_like(angles), np.empty_like(angles)
    cosines_sines(angles, 0.5, cosines, sines)
    np.testing.assert_allclose(sines, np.sin(angles / 2), rtol=1e-15)


def test_no_angles_and_what_is_no_number():
    cosines_sines(np.empty(0), 0.5, np.empty(0), np.empty(0))
    cosines, sines = np.empty(3), np.empty(3)
    cosines_sines(np.array([0.0, np.nan, np.inf]), 0.5, cosines, sines)
    assert np.isnan(cosines[1:]).all() and np.isnan(sines[1:]).all()
    assert (cosines[0], sines[0]) == (1.0, 0.0)
