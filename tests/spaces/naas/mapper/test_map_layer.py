"""The mapper's door: valid answers, bounds below them, the same answer for the same arguments, clear refusals."""

import dataclasses

import pytest

from coevo.cost_models.accelerator import Layer, convolution, evaluate_mapping
from coevo.errors import ConfigError, InputError
from coevo.spaces.naas.mapper import map_layer, map_layers

LAYER = convolution("conv", (14, 14), 32, 48, 3, 1, 1)


@pytest.mark.parametrize("method", ["exact", "sampling", "evolution", "naas", "random"])
def test_the_answer_is_valid_and_costs_what_is_said(accelerator, method):
    found = map_layer(LAYER, accelerator, method=method, evaluations=500)
    evaluation = evaluate_mapping(LAYER, accelerator, found.mapping)
    assert evaluation.valid, evaluation.misfits
    assert (found.energy_pj, found.cycles, found.edp_js) == pytest.approx(
        (evaluation.energy_pj, evaluation.cycles, evaluation.edp_js), rel=1e-12
    )
    assert found.bounds.how["edp"] == "exhaustive"
    assert all(gap >= 0.0 for gap in found.gaps.values())
    assert found.optimal == (method == "exact")


@pytest.mark.parametrize("goal", ["energy", "cycles"])
def test_other_goals_have_their_own_optimum(accelerator, goal):
    found, product = map_layer(LAYER, accelerator, goal=goal), map_layer(LAYER, accelerator)
    assert found.optimal and found.gaps[goal] == 0.0
    assert getattr(found, {"energy": "energy_pj"}.get(goal, goal)) <= getattr(
        product, {"energy": "energy_pj"}.get(goal, goal)
    )
    assert product.edp_js <= found.edp_js * (1 + 1e-12)
    assert found.bounds.edp_js <= product.edp_js


def test_optimal_is_said_at_a_gap_of_zero_alone(row_stationary):
    early = map_layer(LAYER, row_stationary, nodes=3)
    assert early.gaps["edp"] > 0.0 and not early.optimal
    assert early.bounds.how["edp"] != "exhaustive"
    assert map_layer(LAYER, row_stationary, certify=False).gaps is None
    assert not map_layer(LAYER, row_stationary, certify=False).optimal


def test_evolution_beats_random_search_at_equal_evaluations(accelerator):
    evolved, drawn = (
        sum(
            map_layer(LAYER, accelerator, method=method, evaluations=1500, seed=seed, certify=False).edp_js
            for seed in range(5)
        )
        for method in ("evolution", "random")
    )
    assert evolved < drawn


def test_a_result_does_not_depend_on_what_it_is_searched_beside(accelerator):
    other = convolution("other", (7, 7), 16, 16, 1)
    settings = {"method": "evolution", "evaluations": 300, "certify": False}
    alone = map_layer(LAYER, accelerator, seed=3, **settings)
    beside = map_layers([other, LAYER, dataclasses.replace(LAYER, name="again")], accelerator, seed=3, **settings)
    assert beside[1] == beside[2] == alone
    assert map_layer(LAYER, accelerator, seed=4, **settings) != alone
    assert map_layers([other, LAYER], accelerator)[1] == map_layer(LAYER, accelerator)


def test_what_never_fits_is_refused_with_the_memory_and_the_bytes(row_stationary):
    memories = list(row_stationary.memories)
    memories[2] = dataclasses.replace(memories[2], partition_bytes=(448, 0.5, 48))
    tiny = dataclasses.replace(row_stationary, memories=tuple(memories))
    with pytest.raises(InputError, match=r"nothing fits PE: inputs at the smallest tile need 1 bytes, 0\.5 bytes more"):
        map_layer(LAYER, tiny)
    memories[2] = dataclasses.replace(row_stationary.memories[2], partition_bytes=None, size_bytes=2)
    tiny = dataclasses.replace(row_stationary, memories=tuple(memories))
    with pytest.raises(InputError, match="one word of each tensor at the smallest tile need 3 bytes, 1 bytes more"):
        map_layer(LAYER, tiny)
    memories = [dataclasses.replace(row_stationary.memories[0], size_bytes=100), *row_stationary.memories[1:]]
    with pytest.raises(InputError, match="its tensors exceed DRAM, the outermost memory, by"):
        map_layer(LAYER, dataclasses.replace(row_stationary, memories=tuple(memories)))


@pytest.mark.parametrize(("argument", "value"), [("goal", "speed"), ("method", "magic"), ("encoding", "gray")])
def test_unknown_names_are_refused(row_stationary, argument, value):
    with pytest.raises(ConfigError, match=f"{argument}: expected one of"):
        map_layer(Layer("l", {}), row_stationary, **{argument: value})
