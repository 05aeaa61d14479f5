"""Training without noise: loss, gradient, optimiser and schedule."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from coevo.kernels.statevector import expectations_z, product_states, run_gates
from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.tasks.catalogue import task_of
from coevo.spaces.quantumnas.tasks.task import Examples
from coevo.spaces.quantumnas.training.adam import MaskedAdam, learning_rate_at
from coevo.spaces.quantumnas.training.circuits import fine_tune, train_from_scratch
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss, calibrated_loss

RNG = np.random.default_rng(0)
TASK = task_of("mnist4")
EXAMPLES = Examples(RNG.uniform(-0.5, 2.8, (30, 16)), RNG.integers(0, 4, 30))
TEMPLATE = Template(GATE_SETS["u3cu3"], 4, 2)
LAYERS = ((0, 1, 2, 3), (0, 1, 2), (0, 1), (0, 1, 2, 3))
ACTIVE = TEMPLATE.actives([LAYERS])
MASK = TEMPLATE.angle_mask(ACTIVE)


@pytest.mark.parametrize("name", GATE_SETS)
def test_logits_equal_the_plain_reference(name):
    template = Template(GATE_SETS[name], 4, 2)
    genes = [[int(RNG.choice(options)) for options in template.gene_choices[:-1]] + [2]]
    active = template.actives_of_genes(genes)
    angles = template.with_constants(RNG.uniform(-3, 3, (1, template.n_angles)))
    gates = [
        (gate, qubits, tuple(angles[0, list(slots)]))
        for (gate, qubits, slots), exists in zip(template.gates, active[0], strict=True)
        if exists
    ]
    wanted = expectations_z(run_gates(gates, product_states(EXAMPLES.inputs, TASK.encoder, 4))) @ TASK.head
    found = Objective(TASK, template, EXAMPLES, np.float64).logits(angles, active)[0]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_loss_and_gradient():
    objective = Objective(TASK, TEMPLATE, EXAMPLES, np.float64)
    active = TEMPLATE.actives([LAYERS, LAYERS[:2]])
    angles = RNG.uniform(-3, 3, (2, TEMPLATE.n_angles))
    loss, gradient = objective.value_and_gradient(angles, active)
    for member in range(2):
        wanted = accuracy_and_loss(objective.logits(angles, active)[member], EXAMPLES.labels)[1]
        assert loss[member] == pytest.approx(wanted)
    for place in [(0, 1), (1, 10), (0, 14), (0, 20), (0, 40)]:
        up, down = angles.copy(), angles.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        values = [objective.value_and_gradient(moved, active)[0][place[0]] for moved in (up, down)]
        assert gradient[place] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-8)
    assert not gradient[~TEMPLATE.angle_mask(active)].any()
    some = np.array([3, 3, 7])
    part = Objective(TASK, TEMPLATE, Examples(EXAMPLES.inputs[some], EXAMPLES.labels[some]), np.float64)
    np.testing.assert_allclose(
        objective.value_and_gradient(angles, active, some)[1], part.value_and_gradient(angles, active)[1], atol=1e-13
    )


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
    adam = MaskedAdam(np.array([1.0, 1.0]), 0.1)
    for _ in range(3):
        adam.step(np.array([0.5, 0.5]), np.array([True, False]), 0.1)
    assert adam.weights[1] == 1.0 and adam.weights[0] < 1.0
    assert [array[1] for array in (adam.first, adam.second, adam.counts)] == [0, 0, 0]


def test_the_schedule_warms_up_and_ends_at_nothing():
    rates = [learning_rate_at(step, 100, 0.5) for step in range(100)]
    assert rates[0] == pytest.approx(0.5 / 15) and max(rates) == pytest.approx(0.5)
    assert all(a < b for a, b in pairwise(rates[:15]))
    assert all(a > b for a, b in pairwise(rates[15:])) and rates[-1] < 1e-3
    assert learning_rate_at(0, 1, 0.5) == 0.5 * 1


def test_fine_tuning_helps_repeats_and_keeps_to_the_mask():
    objective = Objective(TASK, TEMPLATE, EXAMPLES)
    start = RNG.uniform(-1, 1, TEMPLATE.n_angles).astype(np.float32)
    tuned = [fine_tune(TEMPLATE, start, ACTIVE, objective, 20, 0.1) for _ in range(2)]
    assert np.array_equal(*tuned)
    assert not tuned[0][~MASK].any()
    before = objective.value_and_gradient((start * MASK).astype(np.float32), ACTIVE)[0][0]
    after = objective.value_and_gradient(tuned[0], ACTIVE)[0][0]
    assert after < before - 0.05
    assert np.array_equal(fine_tune(TEMPLATE, start, ACTIVE, objective, 0, 0.1), np.where(MASK, start, 0))


def test_many_circuits_are_tuned_as_if_each_were_alone():
    objective = Objective(TASK, TEMPLATE, EXAMPLES)
    start = RNG.uniform(-1, 1, TEMPLATE.n_angles).astype(np.float32)
    circuits = [LAYERS, LAYERS[:2], ((0,), (0,)), ((0, 1, 2, 3),) * 4]
    together = fine_tune(TEMPLATE, start, TEMPLATE.actives(circuits), objective, 15, 0.1)
    for row, layers in zip(together, circuits, strict=True):
        alone = fine_tune(TEMPLATE, start, TEMPLATE.actives([layers]), objective, 15, 0.1)[0]
        np.testing.assert_allclose(row, alone, atol=1e-4)


def test_constant_angles_are_never_trained():
    template = Template(GATE_SETS["rxyz"], 4, 1)
    active = template.actives([((0, 1), (0, 1), (0,), (0, 1, 2))])
    objective = Objective(TASK, template, EXAMPLES)
    tuned = fine_tune(template, np.zeros(template.n_angles, np.float32), active, objective, 5, 0.1)
    np.testing.assert_allclose(tuned[0, :4], np.pi / 4, rtol=1e-6)
    assert tuned[0, 4:].any()


def test_restarts_train_alone_as_they_train_together():
    objective, seen = Objective(TASK, TEMPLATE, EXAMPLES), []
    together = train_from_scratch(TEMPLATE, ACTIVE, objective, 60, 0.05, [1, 2], seen.append)
    alone = train_from_scratch(TEMPLATE, ACTIVE, objective, 60, 0.05, [2])
    np.testing.assert_allclose(together[1], alone[0], atol=2e-3)
    assert not np.allclose(together[0], together[1], atol=0.1)
    assert seen == [0, 50]


def test_a_ground_state_is_found():
    task = task_of("h2")
    template = Template(GATE_SETS["u3cu3"], task.n_qubits, 2)
    objective = Objective(task, template, None, np.float64)
    active = template.actives([((0, 1), (0, 1), (0, 1), (0, 1))])
    angles = train_from_scratch(template, active, objective, 400, 0.05, [0, 1, 2])
    best = objective.energies(angles, np.repeat(active, 3, axis=0)).min()
    assert best == pytest.approx(task.hamiltonian.ground_energy(), abs=1e-4)


def test_accuracy_and_loss():
    logits = np.array([[1.0, 0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 0]])
    accuracy, loss = accuracy_and_loss(logits, np.array([0, 1, 0]))
    assert accuracy == pytest.approx(2 / 3)
    assert loss == pytest.approx(-(1 - np.log(np.e + 3) + 0 - np.log(np.e**3 + 3) - np.log(4)) / 3)
    assert accuracy_and_loss(1000 * logits, np.array([0, 2, 0]))[1] == pytest.approx(np.log(4) / 3)  # no overflow


@pytest.mark.parametrize("factor", [1e-2, 0.3, 1.0, 50.0])
def test_a_calibrated_loss_does_not_see_shrinking(factor):
    labels = RNG.integers(0, 4, 200)
    logits = 0.2 * RNG.normal(size=(200, 4)) + 0.3 * np.eye(4)[labels]
    found = calibrated_loss(factor * logits, labels)
    assert found == pytest.approx(calibrated_loss(logits, labels), abs=1e-9)
    losses = [accuracy_and_loss(each * logits, labels)[1] for each in np.geomspace(1e-2, 1e2, 2001)]
    assert min(losses) - 1e-4 < found <= min(losses)


def test_calibrated_loss_of_useless_and_of_perfect_logits():
    labels = np.arange(40) % 4
    assert calibrated_loss(np.zeros((40, 4)), labels) == pytest.approx(np.log(4))
    assert calibrated_loss(-np.eye(4)[labels], labels) == pytest.approx(np.log(4), abs=1e-2)  # no factor below 0
    assert calibrated_loss(0.1 * np.eye(4)[labels], labels) < 1e-6


def test_sharpness_multiplies_the_logits_inside_the_loss_alone():
    plain = Objective(TASK, TEMPLATE, EXAMPLES, np.float64)
    sharp = Objective(TASK, TEMPLATE, EXAMPLES, np.float64, sharpness=8.0)
    angles = TEMPLATE.with_constants(RNG.uniform(-3, 3, (1, TEMPLATE.n_angles)))
    logits = plain.logits(angles, ACTIVE)
    np.testing.assert_allclose(sharp.logits(angles, ACTIVE), logits, atol=1e-12)
    value, gradient = sharp.value_and_gradient(angles, ACTIVE)
    assert value[0] == pytest.approx(accuracy_and_loss(8.0 * logits[0], EXAMPLES.labels)[1], abs=1e-12)
    slot = int(np.flatnonzero(MASK[0])[0])
    ahead, back = angles.copy(), angles.copy()
    ahead[0, slot] += 1e-5
    back[0, slot] -= 1e-5
    slope = (sharp.value_and_gradient(ahead, ACTIVE)[0] - sharp.value_and_gradient(back, ACTIVE)[0])[0] / 2e-5
    assert gradient[0, slot] == pytest.approx(slope, abs=1e-8)
