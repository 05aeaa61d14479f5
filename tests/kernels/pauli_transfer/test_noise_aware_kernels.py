"""The parts of a noise-aware step, each beside NumPy: products, planes, routes, and the blocks' matrices."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from coevo.errors import CoevoError
from coevo.hardware.quantum.pauli import ROTATIONS, rotation_basis, rotation_matrices
from coevo.kernels.pauli_transfer import blocks, products, training
from coevo.kernels.softmax import constants, cross_entropy, logarithms

DTYPES = {"float64": (np.float64, 1e-13), "float32": (np.float32, 1e-5)}


@pytest.mark.parametrize("name", DTYPES)
def test_products_are_those_of_numpy(name):
    dtype, tolerance = DTYPES[name]
    rng = np.random.default_rng(0)
    weights, small = rng.normal(size=(16, 16)).astype(dtype), rng.normal(size=(4, 4)).astype(dtype)
    left, right = (rng.normal(size=(16, products.PIECE)).astype(dtype) for _ in range(2))
    for matrix in (weights, weights.T):
        out = np.full((16, products.PIECE), 7, dtype)
        products.mix(matrix, left.ravel(), out.ravel())
        np.testing.assert_allclose(out, matrix @ left, rtol=0, atol=20 * tolerance)
    start = rng.normal(size=(16, 16)).astype(dtype)
    out = start.copy()
    products.add_outer(left.ravel(), right.ravel(), out)
    np.testing.assert_allclose(out, start + left @ right.T, rtol=0, atol=100 * tolerance)
    four = start[:4, :4].copy()
    products.add_small_outer(left[:4].ravel(), right[:4].ravel(), four)
    np.testing.assert_allclose(four, start[:4, :4] + left[:4] @ right[:4].T, rtol=0, atol=100 * tolerance)
    flat, inside = np.concatenate([[7, 7], small.ravel()]).astype(dtype), np.full(300, 7, dtype)
    at, source, four, one = np.uint64(2), np.concatenate([[7], weights.ravel()]).astype(dtype), *map(np.uint64, (4, 1))
    for factor, apart in ((small, (four, one)), (small.T, (one, four))):
        for apply, wide in ((products.left_factor, np.kron(factor, np.eye(4))),
                            (products.right_factor, np.kron(np.eye(4), factor))):  # fmt: skip
            apply(flat, at, *apart, source, one, inside, four)
            np.testing.assert_allclose(inside[4:260].reshape(16, 16), wide @ weights, rtol=0, atol=20 * tolerance)
            assert (np.delete(inside, np.arange(4, 260)) == 7).all()


@pytest.mark.parametrize("name", sorted(set(ROTATIONS) - {"p", "u1"}))
def test_a_rotation_turns_planes(name):
    rng = np.random.default_rng(1)
    basis = np.array([rotation_basis(name)])
    turned, angle = blocks.planes(basis)[0], 0.7
    before = rng.normal(size=basis.shape[-2:])
    after = before.copy()
    blocks.turn(turned, np.cos(angle), np.sin(angle), after)
    np.testing.assert_allclose(after, rotation_matrices(name, angle) @ before, rtol=0, atol=1e-13)
    flow = rng.normal(size=before.shape)
    slope = (rotation_matrices(name, angle + 1e-6) - rotation_matrices(name, angle - 1e-6)) @ before / 2e-6
    assert blocks.by_angle(turned, after, flow) == pytest.approx((flow * slope).sum(), abs=1e-8)


def test_what_turns_no_planes_is_refused():
    basis = np.array([rotation_basis("rx")])
    basis[0, 0, 0, 0] = 0.5
    with pytest.raises(CoevoError, match="does not turn planes"):
        blocks.planes(basis)


@pytest.mark.parametrize(("digits", "n_obs"), [(2, 1), (2, 70), (3, 4), (4, 1), (4, 3), (4, 4), (5, 1), (5, 6), (6, 2)])
def test_sweeps_are_dense_products_in_any_order_of_the_digits(digits, n_obs):
    """Both sweeps and the gradient by every block, beside tensordot and dense traces."""
    rng = np.random.default_rng(10 * digits + n_obs)
    steps = 7
    pairs = np.array([rng.permutation(digits)[:2] for _ in range(steps)])
    way = training.route(pairs, digits, n_obs)
    matrices, last = rng.normal(size=(steps, 16, 16)) / 4, np.arange(steps)
    end, start = rng.normal(size=(2, n_obs, 4**digits))

    def dense(step):
        first, second = pairs[step].tolist()
        rest = [digit for digit in range(digits) if digit not in (first, second)]
        whole = np.kron(matrices[step], np.eye(4 ** (digits - 2))).reshape([4] * (2 * digits))
        order = np.argsort([first, second, *rest])
        return whole.transpose(*order, *(digits + order)).reshape(4**digits, 4**digits)

    wholes = [dense(step) for step in range(steps)] if digits < 6 else None
    place = training.places(way, n_obs)
    assert len(np.unique(place)) == place.size
    operators, states = np.zeros((2, way.groups, way.lanes * 4 ** (digits - 2) // products.PIECE, 16 * products.PIECE))
    operators.reshape(-1)[place] = end
    tiles = np.empty((steps, *operators.shape))
    way_arrays = way.strides, way.runs, way.begins
    training.sweep_back(matrices, last, *way_arrays, operators, tiles)

    def in_order(tensor, order):  # from digits as `order` has them to 0, 1, ... k - 1
        axes = [1 + list(order).index(digit) for digit in range(digits)]
        return tensor.reshape(n_obs, *[4] * digits).transpose(0, *axes).reshape(n_obs, -1)

    found = in_order(operators.reshape(-1)[place], way.orders[0])
    axes = [1 + digit for digit in way.orders[0]]
    states.reshape(-1)[place] = start.reshape(n_obs, *[4] * digits).transpose(0, *axes).reshape(n_obs, -1)
    flow = np.empty_like(matrices)
    training.sweep_forward(matrices, last, *way_arrays, tiles, states, flow)
    pushed = states.reshape(-1)[place]
    assert np.einsum("oj,oj->", found, start) == pytest.approx(np.einsum("oj,oj->", end, pushed), rel=1e-10)
    if wholes is None:  # the last block's gradient beside a finite difference of the value, which is linear in it
        np.testing.assert_allclose((flow * matrices).sum(axis=(1, 2)), np.einsum("oj,oj->", found, start), rtol=1e-9)
        return
    backward = [end]
    for whole in reversed(wholes):
        backward.append(backward[-1] @ whole)
    np.testing.assert_allclose(found, backward[-1], rtol=0, atol=1e-12 * np.abs(backward[-1]).max())
    forward = start
    for step, whole in enumerate(wholes):
        change = rng.normal(size=(16, 16))
        matrices[step], kept = change, matrices[step].copy()
        slope = np.einsum("oi,ij,oj->", backward[steps - 1 - step], dense(step), forward)
        matrices[step] = kept
        assert (flow[step] * change).sum() == pytest.approx(slope, rel=1e-9)
        forward = forward @ whole.T
    np.testing.assert_allclose(pushed, forward, rtol=0, atol=1e-12 * np.abs(forward).max())


@pytest.mark.parametrize("name", DTYPES)
def test_cross_entropy_is_that_of_numpy(name):
    dtype, tolerance = DTYPES[name]
    rng = np.random.default_rng(2)
    logits = rng.normal(scale=30, size=(3, 50)).astype(dtype)
    labels = rng.integers(0, 3, 50)
    targets = np.eye(3, dtype=dtype)[labels].T.copy()
    shifted = logits - logits.max(axis=0)
    chances = np.exp(shifted) / np.exp(shifted).sum(axis=0)
    wanted = float(np.mean(np.log(np.exp(shifted).sum(axis=0)) - shifted[labels, np.arange(50)]))
    integers, limits = constants(np.dtype(dtype))
    found = logits.copy()
    value = cross_entropy(found, found.view(integers), targets, limits, 50)
    assert value == pytest.approx(wanted, rel=10 * tolerance)
    np.testing.assert_allclose(found, 2 * (chances - targets) / 50, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", DTYPES)
def test_samples_of_weight_0_change_nothing(name):
    dtype, tolerance = DTYPES[name]
    rng = np.random.default_rng(3)
    logits, targets = rng.normal(size=(4, 64)).astype(dtype), rng.dirichlet(np.ones(4), 64).astype(dtype).T.copy()
    integers, limits = constants(np.dtype(dtype))
    alone, filled = logits[:, :40].copy(), logits.copy()
    filled[:, 40:], targets[:, 40:] = 0, 0
    values = [
        cross_entropy(each, each.view(integers), targets[:, : each.shape[1]].copy(), limits, 40)
        for each in (alone, filled)
    ]
    assert values[0] == pytest.approx(values[1], rel=tolerance)
    np.testing.assert_allclose(filled[:, :40], alone, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(filled[:, 40:], 0)


@pytest.mark.parametrize("name", DTYPES)
def test_logarithms_are_the_librarys(name):
    dtype, _ = DTYPES[name]
    integers, limits = constants(np.dtype(dtype))
    rng = np.random.default_rng(4)
    x = np.concatenate([np.exp(rng.uniform(-60, 60, 500)), rng.uniform(0.5, 4, 500), [1.0, 2.0, 0.5, np.sqrt(2)]])
    x = x.astype(dtype)
    found = x.copy()
    logarithms(found, found.view(integers), limits[1], 52 if dtype == np.float64 else 23, limits[2], limits[3])
    np.testing.assert_allclose(found, np.log(x.astype(np.float64)), rtol=4 * np.finfo(dtype).eps)
