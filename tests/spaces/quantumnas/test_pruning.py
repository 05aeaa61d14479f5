"""Pruning: the shares asked for end at 0, the control is plain fine-tuning, and the transpiler drops what is empty."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.export.settle import scorer_of
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.circuits import fine_tune
from coevo.spaces.quantumnas.training.objectives import Objective
from coevo.spaces.quantumnas.training.pruning import prune

LAYERS = tuple(tuple(range(width)) for width in (4, 3, 2, 4))
DESIGN = CoDesign((4, 1, 0, 3), LAYERS)
RATIOS = (0.5, 0.1, 0.3)


@pytest.fixture(scope="module")
def objective(setting):
    return Objective(setting.task, setting.template, setting.task.read_training()[0], np.float64)


@pytest.fixture(scope="module")
def start(setting):
    return setting.template.with_constants(np.random.default_rng(5).uniform(-3, 3, setting.template.n_angles))


def test_each_ratio_ends_with_its_share_at_zero(setting, objective, start):
    template = setting.template
    used = template.used_angles(LAYERS)
    found = prune(template, DESIGN, start, objective, RATIOS, 30, 0.02)
    assert list(found) == [0.0, 0.1, 0.3, 0.5]
    for ratio, angles in found.items():
        assert (angles[used] == 0).sum() == int(ratio * len(used))
        assert angles.dtype == np.float64
        others = np.setdiff1d(np.arange(template.n_angles), used)
        assert (angles[others] == 0).all()


def test_each_ratio_is_pruned_as_if_it_were_alone(setting, objective, start):
    together = prune(setting.template, DESIGN, start, objective, RATIOS, 12, 0.02)
    for ratio in RATIOS:
        alone = prune(setting.template, DESIGN, start, objective, (ratio,), 12, 0.02)
        np.testing.assert_allclose(alone[ratio], together[ratio], atol=1e-9)


def test_the_control_is_plain_fine_tuning(setting, objective, start):
    template, active = setting.template, setting.template.actives([LAYERS])
    found = prune(template, DESIGN, start, objective, (0.3,), 20, 0.02)
    plain = fine_tune(template, start, active, objective, 20, 0.02)
    np.testing.assert_allclose(found[0.0], plain[0], atol=1e-9)


def test_fine_tuning_makes_up_for_what_was_pruned(setting, objective, start):
    """Against cutting the same share at once."""
    template, active = setting.template, setting.template.actives([LAYERS])
    trained = fine_tune(template, start, active, objective, 150, 0.05)[0]
    (cut,) = (prune(template, DESIGN, trained, objective, (0.3,), 0, 0.02)[0.3],)
    tuned = prune(template, DESIGN, trained, objective, (0.3,), 150, 0.02)[0.3]
    losses = objective.value_and_gradient(np.array([trained, cut, tuned]), np.repeat(active, 3, axis=0))[0]
    assert (cut[template.used_angles(LAYERS)] == 0).sum() == (tuned[template.used_angles(LAYERS)] == 0).sum()
    assert losses[2] < losses[1] - 0.01


def test_constants_of_the_gate_set_are_never_pruned(small_options):
    setting = Setting.make(Options(**{**small_options, "gates": "rxyz"}))
    template = setting.template
    layers = tuple(tuple(range(len(entry.places))) for entry in template.used_layers(2))
    start = template.with_constants(np.random.default_rng(0).uniform(-3, 3, template.n_angles))
    objective = Objective(setting.task, template, setting.task.read_training()[0])
    found = prune(template, CoDesign((0, 1, 2, 3), layers), start, objective, (0.9,), 6, 0.02)[0.9]
    fixed = ~template.trained
    assert fixed.any()
    np.testing.assert_allclose(found[fixed], start[fixed], rtol=1e-6)


@pytest.mark.parametrize("ratio", [-0.1, 1.01, 1.5, float("nan")])
def test_another_ratio_is_refused(setting, objective, start, ratio):
    with pytest.raises(InputError, match="expected ratios of pruned angles"):
        prune(setting.template, DESIGN, start, objective, (ratio,), 2, 0.02)
    with pytest.raises(ValueError, match="prune_ratios"):
        Options(prune_ratios=(ratio,))


def test_the_transpiler_drops_gates_without_angles_and_shortens_others(setting, start):
    template = setting.template
    scorer = scorer_of(setting, None)
    whole = scorer.map(DESIGN, start)
    empty = start.copy()
    slots = {(name, qubits): slots for name, qubits, slots in template.gates_of(LAYERS)[:7]}
    empty[list(slots["cu3", (1, 2)])] = 0
    without = CoDesign(DESIGN.layout, ((0, 1, 2, 3), (0, 2), *LAYERS[2:]))
    found, expected = scorer.map(DESIGN, empty), scorer.map(without, start)
    assert dict(found.body.count_ops()) == dict(expected.body.count_ops())
    assert found.two_qubit_gates < whole.two_qubit_gates
    one = start.copy()
    alone = CoDesign(DESIGN.layout, ((0,),))
    one[list(template.gates_of(((0,),))[0][2])] = 0
    assert not scorer.map(alone, one).body.data  # all angles 0: no gate at all
    half = start.copy()
    half[template.gates_of(((0,),))[0][2][0]] = 0  # theta alone: a change of frame, without a pulse
    assert set(scorer.map(alone, half).body.count_ops()) == {"rz"}
