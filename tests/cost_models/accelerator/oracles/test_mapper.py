"""AccelForge's own mapper on small layers, its answers kept as data (`accelforge_mapper.json`; written anew by `python
test_mapper.py`): our mapper is not beaten on the same accelerator, and AccelForge's mappings cost by our model what
AccelForge says."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest

from coevo.cost_models.accelerator import convolution, evaluate_mapping, matrix_product
from coevo.cost_models.accelerator.interchange import accelforge, accelforge_mapper, read_accelforge_mapping
from coevo.errors import InputError
from coevo.spaces.naas.mapper import Constraints, map_layer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[3] / "experiments" / "naas"))

import _accelforge  # noqa: E402


def _beside(name):
    spec = importlib.util.spec_from_file_location(f"oracles_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases, asking, rules = _beside("cases"), _beside("asking"), _beside("rules")
PRODUCT, CONVOLUTION = matrix_product("product", 24, 20, 18), convolution("conv1x1", (12, 8), 16, 20, 1, stride=2)
LAYERS = {
    "product_bypass": (PRODUCT, cases.BYPASS),
    "product_grid": (PRODUCT, cases.GRID),
    "conv1x1_bypass": (CONVOLUTION, cases.BYPASS),
}
READABLE = (2, 11)
"""How many of the answers are of our space, and how many are uneven."""

DATA = HERE / "accelforge_mapper.json"
KEPT = json.loads(DATA.read_text()) if DATA.exists() else None


def ask():
    """{engine, version, answers: by layer, for each order of the storages}."""
    python = asking.interpreter("accelforge")
    answers = {}
    for name, (layer, accelerator) in LAYERS.items():
        found = _accelforge.best_mapping(python, layer, accelerator, limit_s=300)
        assert found.outcome == "finished", (name, found.outcome, found.reason)
        answers[name] = [
            {key: answer[key] for key in ("nodes", "energy_pj", "latency_ms")} if answer["nodes"] else None
            for answer in found.answers
        ]
    return {"engine": "accelforge", "version": asking.kept("accelforge")["version"], "answers": answers}


def edp_js(answer):
    return answer["energy_pj"] * 1e-12 * answer["latency_ms"] * 1e-3


@pytest.mark.parametrize(("name", "orders"), [("product_bypass", 6), ("product_grid", 1), ("conv1x1_bypass", 6)])
def test_it_is_asked_once_for_each_order_of_storages_in_one_place(name, orders):
    question = accelforge_mapper.question(*LAYERS[name])
    texts = question["architectures"]
    assert len(set(texts)) == len(texts) == len(KEPT["answers"][name]) == orders
    assert len({"".join(sorted(text)) for text in texts}) == 1
    assert texts[0].index("PE_weights") < texts[0].index("PE_inputs") if orders == 6 else True
    sizes = LAYERS[name][0].sizes
    space = question["workload"].split("bits_per_value")[0]
    assert all((f"{loop.lower()}: 0 <=" in space) == (size > 1) for loop, size in sizes.items())


@pytest.mark.parametrize("name", LAYERS)
def test_our_mapping_is_not_beaten(name):
    layer, accelerator = LAYERS[name]
    theirs = min(edp_js(answer) for answer in KEPT["answers"][name] if answer)
    even = map_layer(layer, accelerator, accelforge.ASSUMPTIONS, certify=False, constraints=Constraints(padding=False))
    assert even.edp_js <= 1.01 * theirs
    assert map_layer(layer, accelerator, accelforge.ASSUMPTIONS, certify=False).edp_js <= even.edp_js * (1 + 1e-9)


def test_its_mappings_cost_by_our_model_what_it_says():
    """Those that are of our space; outputs by AccelForge's rule for partial sums (rules.py)."""
    compared = uneven = 0
    for name, (layer, accelerator) in LAYERS.items():
        for answer in filter(None, KEPT["answers"][name]):
            try:
                mapping = read_accelforge_mapping(accelforge_mapper.mapping_text(answer["nodes"]), layer, accelerator)
            except InputError:
                uneven += 1
                continue
            evaluation = evaluate_mapping(layer, accelerator, mapping, accelforge.ASSUMPTIONS)
            assert evaluation.valid
            counts = {key: (access.reads, access.writes) for key, access in evaluation.accesses.items()}
            for memory, both in rules.accelforge_outputs(layer, accelerator, mapping, evaluation).items():
                counts[memory, "outputs"] = both
            cycles = rules.cycles_of(counts, layer, accelerator, mapping, evaluation)
            energy_pj = rules.energy_of(counts, layer, accelerator, evaluation, cycles)
            assert energy_pj == pytest.approx(answer["energy_pj"], rel=1e-5)
            assert cycles / (accelerator.clock_mhz * 1e3) == pytest.approx(answer["latency_ms"], rel=1e-5)
            compared += 1
    assert (compared, uneven) == READABLE


@pytest.mark.parametrize("node", [{"kind": "Loop"}, {"kind": "Storage", "tensors": ["weights"]}, {}])
def test_an_answer_of_another_shape_is_refused(node):
    with pytest.raises(InputError, match="expected nodes with the fields of Storage, Toll"):
        accelforge_mapper.mapping_text([node])


@pytest.mark.oracle
@pytest.mark.timeout(1200)
def test_the_mapper_still_says_so():
    asked = ask()
    for name, was in KEPT["answers"].items():
        for before, now in zip(was, asked["answers"][name], strict=True):
            assert (before is None) == (now is None), name
            if before:
                assert math.isclose(edp_js(before), edp_js(now), rel_tol=1e-5), name


if __name__ == "__main__":
    DATA.write_text(json.dumps(ask(), indent=1, sort_keys=True) + "\n")
