"""What a user fixes is kept, and what binds to nothing is refused."""

import pytest

from coevo.cost_models.accelerator import convolution, evaluate_mapping
from coevo.errors import ConfigError, InputError
from coevo.spaces.naas.mapper import Constraints, map_layer

LAYER = convolution("conv", (14, 14), 32, 48, 3, 1, 1)


def test_fixed_bounds_are_kept_and_the_answer_is_the_best_that_keeps_them(row_stationary):
    free = map_layer(LAYER, row_stationary)
    kept = Constraints(temporal={"PE": {"K": 5, "S": 1}, "GLB": {"C": 3}}, spatial={"GLB.rows": {"R": 3}})
    found = map_layer(LAYER, row_stationary, constraints=kept)
    temporal, spatial = (dict(loops) for loops in found.mapping.temporal[2:]), dict(found.mapping.spatial[1])
    inner = next(iter(temporal))
    assert (inner["K"], inner.get("S", 1), dict(found.mapping.temporal[1])["C"], spatial["R"]) == (5, 1, 3, 3)
    assert evaluate_mapping(LAYER, row_stationary, found.mapping).valid
    assert found.optimal and free.optimal
    assert found.edp_js > free.edp_js


def test_what_the_optimum_does_anyway_costs_nothing(row_stationary):
    free = map_layer(LAYER, row_stationary)
    fixed = Constraints(spatial={"GLB.columns": dict(free.mapping.spatial[0])})
    assert map_layer(LAYER, row_stationary, constraints=fixed).edp_js == pytest.approx(free.edp_js, rel=1e-12)


@pytest.mark.parametrize("tensor", ["weights", "inputs", "outputs"])
def test_the_tensor_that_stays_can_be_fixed(vector_array, tensor):
    found = map_layer(LAYER, vector_array, constraints=Constraints(stays={"DRAM": tensor}))
    assert found.edp_js >= map_layer(LAYER, vector_array).edp_js * (1 - 1e-12)
    assert found.optimal


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (Constraints(temporal={"L2": {"K": 2}}), "has no memory 'L2'; it has DRAM, GLB, PE"),
        (Constraints(spatial={"rows": {"K": 2}}), "has no axis 'rows'; it has GLB.columns, GLB.rows"),
        (Constraints(temporal={"GLB": {}}), "memory 'GLB' names no loop"),
        (Constraints(temporal={"GLB": {"Q": 2}}), "loops are N, G, K, C, Y, X, R, S, got 'Q'"),
        (Constraints(temporal={"GLB": {"K": 0}}), "must be a whole number of at least 1, got 0"),
        (Constraints(temporal={"GLB": {"K": 49}}), "bound 49 of K binds to nothing in layer 'conv', whose size is 48"),
        (Constraints(spatial={"GLB.columns": {"C": 2}}), "has 14 children and takes Y, X, K, got C with bound 2"),
        (Constraints(spatial={"GLB.columns": {"K": 15}}), "has 14 children and takes Y, X, K, got K with bound 15"),
        (
            Constraints(stays={"PE": "weights"}),
            "stays of 'PE' binds to nothing; the order of loops counts at DRAM, GLB",
        ),
        (Constraints(stays={"GLB": "sums"}), "expected weights, inputs, outputs, got 'sums'"),
        (Constraints(temporal={"PE": {"C": 32}}), "no mapping obeys the constraints and fits"),
    ],
)
def test_what_binds_to_nothing_is_refused(row_stationary, constraints, message):
    with pytest.raises(InputError, match=message):
        map_layer(LAYER, row_stationary, constraints=constraints)


def test_searches_that_cannot_keep_constraints_refuse_them(row_stationary):
    with pytest.raises(ConfigError, match="kept by the method 'exact', not by 'evolution'"):
        map_layer(LAYER, row_stationary, method="evolution", constraints=Constraints(temporal={"PE": {"K": 2}}))
