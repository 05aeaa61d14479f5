"""Training through the noise: the exact gradient of the noisy loss, and only angles that are there move."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.cost_models.circuit_noise import noisy_expectations, read_program, reference_expectations
from coevo.errors import InputError
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.export.settle import scorer_of
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.encoders import angle_encoder, grouped
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
from coevo.spaces.quantumnas.tasks.task import Classification, Examples, GroundState
from coevo.spaces.quantumnas.training.noise_aware import NoisyObjective, train_noise_aware

RNG = np.random.default_rng(7)
EXAMPLES = Examples(RNG.uniform(-1.5, 1.5, (12, 5)), np.arange(12) % 2)
CLASSES = Classification(
    "two", 3, ("a", "b"), angle_encoder(3, 5), grouped(3, 2), lambda: (EXAMPLES, EXAMPLES), lambda: EXAMPLES
)
GROUND = GroundState("sum", PauliSum(("ZZI", "XXI", "IYY", "ZIX"), np.array([0.5, -0.7, 0.3, 0.9]), "1"))
LAYOUT = (3, 1, 4)  # routed: 4 and 1 share no coupling on Quito
SETS = ("u3cu3", "zzry", "rxyz", "zxxx", "rxyzu1cu3", "ibmq", "native")


def parts(task, gates="u3cu3", device="FakeQuitoV2", factor=1.0):
    setting = Setting.make(Options(gates=gates, max_blocks=2, device=device), task)
    examples = EXAMPLES if isinstance(task, Classification) else None
    scorer = scorer_of(setting, examples)
    template = setting.template
    layers = []
    for entry in template.used_layers(2):
        count = len(entry.places)
        layers.append(tuple(range(count if entry.layer.where != "coupled" else 1))[: max(1, count - 1)])
    design = CoDesign(LAYOUT, tuple(layers))
    angles = template.with_constants(RNG.uniform(-3, 3, template.n_angles))
    return scorer, design, angles, NoisyObjective(scorer, design, examples, factor=factor)


@pytest.mark.parametrize("gates", SETS)
@pytest.mark.parametrize("task", [CLASSES, GROUND], ids=["classes", "ground"])
def test_the_gradient_is_that_of_finite_differences(task, gates):
    _, _, angles, objective = parts(task, gates, factor=3.0)
    _, gradient = objective.value_and_gradient(angles)
    step = 1e-5
    for slot in range(len(angles)):
        shift = np.zeros(len(angles))
        shift[slot] = step
        ahead, back = (objective.value_and_gradient(angles + sign * shift)[0] for sign in (1, -1))
        if objective.mask[slot]:
            assert gradient[slot] == pytest.approx((ahead - back) / (2 * step), abs=1e-8)
        else:
            assert gradient[slot] == 0 and ahead == back
    assert np.abs(gradient).max() > 1e-3


def test_the_loss_is_that_of_the_noisy_logits_through_the_head():
    _, _, angles, objective = parts(CLASSES, factor=2.5)
    logits = objective.values(angles) @ CLASSES.head * 2.5
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(chances[np.arange(12), EXAMPLES.labels]).mean()
    assert objective.value_and_gradient(angles)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("gates", "device", "layout"),
    [*((gates, "FakeQuitoV2", LAYOUT) for gates in SETS), ("u3cu3", "FakeTorino", (0, 1, 2))],
)
def test_its_outputs_are_the_reference_engines_of_the_same_circuit(gates, device, layout):
    """The open circuit, bound by Qiskit, as a density matrix gate by gate. Torino has cz in place of cx, and is too
    large for Aer's noise model to be made in a test: there the bound circuit is read anew."""
    setting = Setting.make(Options(gates=gates, max_blocks=2, device=device), CLASSES)
    template, scorer = setting.template, scorer_of(setting, EXAMPLES)
    design = CoDesign(layout, tuple(tuple(range(len(entry.places))) for entry in template.used_layers(1)))
    if gates == "native":
        design = CoDesign(layout, ((0, 1, 2), ()))
    objective = NoisyObjective(scorer, design, EXAMPLES)
    angles = template.with_constants(RNG.uniform(-3, 3, template.n_angles))
    values = objective.values(angles)
    whole, front, used = objective.mapped.whole(), scorer.mapper.front, template.used_angles(design.layers)
    bound = {p: angles[used[p.index]] for p in whole.parameters if p.name.startswith("theta")}
    row = 7
    inputs = {front.inputs[column]: EXAMPLES.inputs[row, column] for column in range(5)}
    circuit = whole.assign_parameters(bound | inputs)
    if device == "FakeTorino":
        assert "cz" in circuit.count_ops()
        expected = noisy_expectations([read_program(circuit, scorer.device)])[0, 0]
    else:
        expected = reference_expectations(circuit, scorer.device, objective.mapped.final)
    np.testing.assert_allclose(values[row], expected, atol=1e-10)


@pytest.mark.oracle
def test_its_outputs_are_aers():
    from qiskit import transpile
    from qiskit_aer import AerSimulator

    scorer, design, angles, objective = parts(CLASSES)
    whole, front = objective.mapped.whole(), scorer.mapper.front
    used = scorer.template.used_angles(design.layers)
    values = {p: angles[used[p.index]] for p in whole.parameters if p.name.startswith("theta")}
    values |= {front.inputs[column]: EXAMPLES.inputs[3, column] for column in range(5)}
    bound = whole.assign_parameters(values)
    simulator = AerSimulator(noise_model=scorer.device.noise_model, method="density_matrix", seed_simulator=1)
    shots = 40_000
    counts = simulator.run(transpile(bound, simulator, optimization_level=0), shots=shots).result().get_counts()
    for qubit in range(3):
        mean = sum((1 - 2 * int(bits[2 - qubit])) * count for bits, count in counts.items()) / shots
        assert mean == pytest.approx(objective.values(angles)[3, qubit], abs=5 / shots**0.5)


def test_the_initial_layout_is_the_designs():
    scorer, design, _, objective = parts(CLASSES)
    assert objective.mapped.initial == LAYOUT
    other = NoisyObjective(scorer, CoDesign(None, design.layers), EXAMPLES, layout=(0, 1, 2))
    assert other.mapped.initial == (0, 1, 2)


@pytest.mark.parametrize("task", [CLASSES, GROUND], ids=["classes", "ground"])
def test_training_lowers_the_noisy_loss_and_moves_only_what_is_there(task):
    _, _, angles, objective = parts(task)
    frozen = np.zeros(len(angles), bool)
    frozen[np.flatnonzero(objective.mask)[:3]] = True
    steps = []
    trained = train_noise_aware(objective, angles, 25, 0.05, frozen, steps.append)
    assert objective.value_and_gradient(trained)[0] < objective.value_and_gradient(angles)[0] - 1e-3
    still = frozen | ~objective.mask
    assert still.sum() > 3
    np.testing.assert_array_equal(trained[still], angles[still])
    _, gradient = objective.value_and_gradient(angles)
    moved = ~still & (np.abs(gradient) > 1e-6)  # a last turn about z changes no readout
    assert moved.sum() > 5 and (trained[moved] != angles[moved]).all()
    assert steps == list(range(25))
    np.testing.assert_array_equal(trained, train_noise_aware(objective, angles, 25, 0.05, frozen))


def test_a_circuit_too_large_to_differentiate_is_refused():
    task = Classification(
        "wide", 10, tuple("abcdefghij"), angle_encoder(10, 10), np.eye(10), CLASSES.read_training, CLASSES.read_test
    )
    setting = Setting.make(Options(max_blocks=1, device="FakeMelbourneV2"), task)
    examples = Examples(RNG.uniform(-1, 1, (4, 10)), np.arange(4))
    design = CoDesign(tuple(range(10)), (tuple(range(10)), tuple(range(10))))
    with pytest.raises(InputError, match="qubits"):
        NoisyObjective(scorer_of(setting, examples), design, examples)
