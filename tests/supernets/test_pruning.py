"""Pruning: the ramp, the magnitude of an angle, and exactly the smallest ones pruned."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coevo.errors import InputError
from coevo.supernets.pruning import global_mask, polynomial_ratio, wrapped_magnitude

ratios = st.floats(0, 1)


def test_the_ramp_is_the_artifacts():
    found = [polynomial_ratio(epoch, 0, 100, 0.05, 0.1) for epoch in (-1, 0, 50, 100, 150)]
    np.testing.assert_allclose(found, [0.05, 0.05, 0.1 - 0.05 / 8, 0.1, 0.1], atol=1e-15)
    assert polynomial_ratio(3, 3, 3, 0.0, 0.5) == 0.5
    assert polynomial_ratio(2, 3, 3, 0.0, 0.5) == 0.0


@given(st.floats(-10, 110), st.floats(0, 50), st.floats(0, 50), ratios, ratios)
def test_the_ramp_stays_between_its_ends_and_never_turns(step, begin, length, start, target):
    end = begin + length
    now, later = (polynomial_ratio(at, begin, end, start, target) for at in (step, step + 1))
    low, high = min(start, target), max(start, target)
    assert low - 1e-12 <= now <= high + 1e-12
    assert (later - now) * (target - start) >= -1e-12
    assert polynomial_ratio(end, begin, end, start, target) == target


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(-100, 100)), st.integers(-5, 5))
def test_a_magnitude_is_the_distance_to_a_whole_turn(angles, turns):
    found = wrapped_magnitude(angles)
    assert found.shape == angles.shape and (found >= 0).all() and (found <= np.pi).all()
    wanted = np.abs(np.angle(np.exp(1j * angles)))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(wrapped_magnitude(-angles), found, rtol=0, atol=0)
    np.testing.assert_allclose(wrapped_magnitude(angles + 2 * np.pi * turns), found, rtol=0, atol=1e-12)


def test_magnitudes_keep_precision_and_small_angles():
    assert wrapped_magnitude([-1e-18])[0] == 1e-18
    assert wrapped_magnitude([np.pi, -np.pi, 3 * np.pi]).tolist() == [np.pi] * 3
    assert wrapped_magnitude(np.array([7.0], dtype=np.float32)).dtype == np.float32
    assert wrapped_magnitude([7]).dtype == np.float64


@st.composite
def cases(draw):
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 12)))
    # Few different magnitudes, so that ties are common.
    elements = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 3))
    magnitudes = draw(hnp.arrays(np.float64, shape, elements=elements))
    allowed = draw(hnp.arrays(bool, shape))
    share = draw(
        hnp.arrays(np.float64, shape[0], elements=st.integers(0, 100).map(lambda hundredths: hundredths / 100))
    )
    return magnitudes, share, allowed


@given(cases())
@settings(max_examples=300)
def test_exactly_the_smallest_are_pruned(case):
    magnitudes, share, allowed = case
    mask = global_mask(magnitudes, share, allowed)
    assert mask.dtype == bool and mask.shape == magnitudes.shape
    assert mask[~allowed].all()
    for row in range(len(mask)):
        places = np.flatnonzero(allowed[row])
        count = math.floor(Fraction(round(share[row] * 100), 100) * len(places))
        wanted = sorted(places.tolist(), key=lambda place: (magnitudes[row, place], place))[:count]
        assert np.flatnonzero(~mask[row]).tolist() == sorted(wanted)
        alone = global_mask(magnitudes[row], float(share[row]), allowed[row])
        np.testing.assert_array_equal(alone, mask[row])


def test_a_pruned_weight_may_come_back():
    allowed = np.ones(4, bool)
    assert global_mask(np.array([0.1, 0.2, 0.3, 0.4]), 0.5, allowed).tolist() == [False, False, True, True]
    assert global_mask(np.array([0.1, 0.5, 0.3, 0.4]), 0.5, allowed).tolist() == [False, True, False, True]


def test_what_is_not_allowed_may_be_nan():
    mask = global_mask(np.array([[np.nan, 1.0, 2.0]]), 0.5, [False, True, True])
    assert mask.tolist() == [[True, False, True]]
    assert global_mask(np.zeros((2, 3)), 1.0, False).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: polynomial_ratio(1, 5, 4, 0, 1), "begin <= end"),
        (lambda: polynomial_ratio(1, math.nan, 4, 0, 1), "begin <= end"),
        (lambda: polynomial_ratio(1, 0, 4, -0.1, 1), "start_ratio: expected 0 to 1"),
        (lambda: polynomial_ratio(1, 0, 4, 0, math.nan), "target_ratio: expected 0 to 1, got nan"),
        (lambda: global_mask(np.ones((2, 3)), 1.1, True), "ratio: expected 0 to 1, got 1.1"),
        (lambda: global_mask(np.ones((2, 3)), [0.1] * 3, True), "do not fit"),
        (lambda: global_mask(np.ones((2, 3)), 0.1, [True] * 2), "do not fit"),
        (lambda: global_mask(np.float64(1), 0.1, True), "got a single number"),
        (lambda: global_mask(np.array([1, np.nan]), 0.1, True), "finite numbers"),
        (lambda: global_mask(np.array([1, -1.0]), 0.1, True), "finite numbers of at least 0"),
    ],
)
def test_wrong_arguments_are_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()
