"""Training without noise: loss, gradient, optimiser and schedule."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from coevo.kernels.statevector import expectations_z, product_states, run_gates
from coevo.spaces.quantumnas import CoDesign
from coevo.spaces.quantumnas.classifier import (
    EncodedImages,
    MaskedAdam,
    accuracy_and_loss,
    fine_tune,
    learning_rate_at,
    train_from_scratch,
)
from coevo.spaces.quantumnas.data import ENCODER, Images

RNG = np.random.default_rng(0)
IMAGES = Images(RNG.uniform(-0.5, 2.8, (30, 16)), RNG.integers(0, 4, 30))
DESIGN = CoDesign((0, 1, 2, 3), ((4, 3), (2, 4)))


def test_logits_equal_the_plain_reference():
    angles = RNG.uniform(-3, 3, (2, 2, 4, 3)) * DESIGN.mask()
    gates = [(name, qubits, tuple(angles[place])) for name, qubits, place in DESIGN.gates]
    wanted = expectations_z(run_gates(gates, product_states(IMAGES.inputs, ENCODER, 4)))
    np.testing.assert_allclose(EncodedImages(IMAGES, np.float64).logits(angles[None])[0], wanted, atol=1e-12)


def test_loss_and_gradient():
    images = EncodedImages(IMAGES, np.float64)
    angles = RNG.uniform(-3, 3, (2, 2, 2, 4, 3))
    loss, gradient = images.gradient(angles)
    for member in range(2):
        assert loss[member] == pytest.approx(accuracy_and_loss(images.logits(angles)[member], IMAGES.labels)[1])
    for place in [(0, 0, 0, 1, 2), (1, 1, 1, 3, 0), (1, 0, 1, 0, 1), (0, 1, 0, 2, 1)]:
        up, down = angles.copy(), angles.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        numeric = (images.gradient(up)[0] - images.gradient(down)[0])[place[0]] / 2e-6
        assert gradient[place] == pytest.approx(numeric, abs=1e-8)
    some = np.array([3, 3, 7])
    part = EncodedImages(Images(IMAGES.inputs[some], IMAGES.labels[some]), np.float64)
    np.testing.assert_allclose(images.gradient(angles, some)[1], part.gradient(angles)[1], atol=1e-14)


def test_adam_is_pytorchs_where_nothing_is_masked():
    torch = pytest.importorskip("torch")
    start = RNG.normal(size=(3, 4))
    ours, theirs = MaskedAdam(start.copy(), 1e-2), torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.Adam([theirs], lr=0.05, weight_decay=1e-2)
    for _ in range(20):
        gradient = RNG.normal(size=(3, 4))
        ours.step(gradient, np.ones((3, 4)), 0.05)
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(ours.weights, theirs.detach().numpy(), atol=1e-7)


def test_adam_leaves_masked_parameters_and_their_moments_alone():
    mask = np.array([1.0, 0.0])
    adam = MaskedAdam(np.array([1.0, 1.0]), 0.1)
    for _ in range(3):
        adam.step(np.array([0.5, 0.5]), mask, 0.1)
    assert adam.weights[1] == 1.0 and adam.weights[0] < 1.0
    assert [array[1] for array in (adam.first, adam.second, adam.counts)] == [0, 0, 0]


def test_the_schedule_warms_up_and_ends_at_nothing():
    rates = [learning_rate_at(step, 100, 0.5) for step in range(100)]
    assert rates[0] == pytest.approx(0.5 / 15) and max(rates) == pytest.approx(0.5)
    assert all(a < b for a, b in pairwise(rates[:15]))
    assert all(a > b for a, b in pairwise(rates[15:])) and rates[-1] < 1e-3
    assert learning_rate_at(0, 1, 0.5) == 0.5 * 1


def test_fine_tuning_helps_repeats_and_keeps_to_the_mask():
    images = EncodedImages(IMAGES)
    start = RNG.uniform(-1, 1, (2, 2, 4, 3)).astype(np.float32)
    tuned = [fine_tune(start, DESIGN.mask()[None], images, 20, 0.1)[0] for _ in range(2)]
    assert np.array_equal(*tuned)
    assert not (tuned[0] * (1 - DESIGN.mask())).any()
    before, after = (images.gradient((angles * DESIGN.mask())[None])[0][0] for angles in (start, tuned[0]))
    assert after < before - 0.05
    assert np.array_equal(fine_tune(start, DESIGN.mask()[None], images, 0, 0.1)[0], start * DESIGN.mask())


def test_restarts_train_alone_as_they_train_together():
    images, seen = EncodedImages(IMAGES), []
    together = train_from_scratch(DESIGN.mask(), images, 60, 0.05, [1, 2], seen.append)
    alone = train_from_scratch(DESIGN.mask(), images, 60, 0.05, [2])
    np.testing.assert_allclose(together[1], alone[0], atol=2e-3)
    assert not np.allclose(together[0], together[1], atol=0.1)
    assert seen == [0, 50]


def test_accuracy_and_loss():
    logits = np.array([[1.0, 0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 0]])
    accuracy, loss = accuracy_and_loss(logits, np.array([0, 1, 0]))
    assert accuracy == pytest.approx(2 / 3)
    assert loss == pytest.approx(-(1 - np.log(np.e + 3) + 0 - np.log(np.e**3 + 3) - np.log(4)) / 3)
    assert accuracy_and_loss(1000 * logits, np.array([0, 2, 0]))[1] == pytest.approx(np.log(4) / 3)  # no overflow
