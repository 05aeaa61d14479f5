"""What AccelForge and zigzag-dse say of the same mappings, kept as data: counts equal to the last word, or by a rule of
theirs that is written down (rules.py); energy and cycles follow from the counts."""

import importlib.util
import itertools
from pathlib import Path

import pytest

from coevo.cost_models.accelerator import Assumptions, evaluate_mapping
from coevo.cost_models.accelerator.interchange import accelforge
from coevo.cost_models.accelerator.interchange.components import components
from coevo.hardware.accelerators import TENSORS


def _beside(name):
    spec = importlib.util.spec_from_file_location(f"oracles_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases, rules, asking = _beside("cases"), _beside("rules"), _beside("asking")
CASES = cases.CASES
ACCELFORGE, ZIGZAG = asking.kept("accelforge"), asking.kept("zigzag")
ZIGZAG_CASES = [name for name, (_, accelerator, _) in CASES.items() if accelerator.name != "unicast"]
"""All but those on networks that do not multicast or reduce, which zigzag has no word for."""

ZIGZAG_ASSUMPTIONS = Assumptions(charge_drain=True, halo_merge=True)


def counted(evaluation):
    return {key: (access.reads, access.writes) for key, access in evaluation.accesses.items()}


def answered(engine, name):
    """The engine's counts by memory and tensor."""
    accelerator = CASES[name][1]
    found = {}
    for part in components(accelerator, engine["engine"], network_energy=True):
        for tensor in part.tensors:
            count = engine["answers"][name]["counts"][part.name][tensor]
            if "read" in count:
                both = (count["read"], count["write"])
            else:
                both = (
                    count["rd_out_to_low"] + count["rd_out_to_high"],
                    count["wr_in_by_low"] + count["wr_in_by_high"],
                )
            found[accelerator.memories[part.level].name, tensor] = both
    return found


def reduces_across_children(name):
    """Whether partial sums are added on the way between two memories, the one case that AccelForge counts otherwise."""
    _, accelerator, mapping = CASES[name]
    levels = rules.chain(accelerator, "outputs")[:-1]
    return any(
        rules.not_indexing(rules.spatial_bounds(accelerator, mapping, upper, lower), "outputs") > 1
        for upper, lower in itertools.pairwise(levels)
    )


def test_the_answers_are_of_these_cases_and_versions():
    assert (ACCELFORGE["engine"], ACCELFORGE["version"]) == ("accelforge", "1.0.467")
    assert (ZIGZAG["engine"], ZIGZAG["version"]) == ("zigzag-dse", "3.9.1")
    assert set(ACCELFORGE["answers"]) == set(ZIGZAG["answers"]) == set(CASES)


@pytest.mark.parametrize(
    ("name", "counts", "energy"),
    [
        (
            "product_64",
            {"RF": (786_432, 270_336), "GLB": (12_288, 12_288), "DRAM": (8_192, 4_096)},
            3_923_968,
        ),
        (
            "product_3136x64x256",
            {"RF": (154_140_672, 52_039_680), "GLB": (1_462_272, 1_019_904), "DRAM": (217_088, 802_816)},
            476_434_432,
        ),
    ],
)
def test_two_products_at_accelforges_own_optimum(name, counts, energy):
    layer, accelerator, mapping = CASES[name]
    evaluation = evaluate_mapping(layer, accelerator, mapping, accelforge.ASSUMPTIONS)
    for found in (counted(evaluation), answered(ACCELFORGE, name)):
        totals = {
            memory: tuple(
                sum(found[memory, tensor][way] for tensor in ("weights", "inputs", "outputs")) for way in (0, 1)
            )
            for memory in counts
        }
        assert totals == counts
    assert evaluation.energy_pj == energy
    assert ACCELFORGE["answers"][name]["energy_pj"] == pytest.approx(energy, rel=1e-6)


def test_the_published_convolution():
    """Timeloop's published mapping: AccelForge fetches the inputs of neighbouring PEs for each of them, as Timeloop's
    reference does (1,354,752 reads); zigzag reads shared columns once (935,424), as `halo_merge` does."""
    assert answered(ACCELFORGE, "published")["GLB", "inputs"] == (1_354_752, 157_296)
    assert answered(ZIGZAG, "published")["GLB", "inputs"] == (935_424, 157_296)
    evaluated = {
        merge: evaluate_mapping(*CASES["published"], Assumptions(halo_merge=merge)).accesses["GLB", "inputs"].reads
        for merge in (False, True)
    }
    assert evaluated == {False: 1_354_752, True: 935_424}


@pytest.mark.parametrize("name", CASES)
def test_accelforge(name):
    layer, accelerator, mapping = CASES[name]
    evaluation = evaluate_mapping(layer, accelerator, mapping, accelforge.ASSUMPTIONS)
    assert evaluation.valid, evaluation.misfits
    expected, found = counted(evaluation), answered(ACCELFORGE, name)
    if reduces_across_children(name):
        for memory, both in rules.accelforge_outputs(layer, accelerator, mapping, evaluation).items():
            expected[memory, "outputs"] = both
    assert found == expected
    networks = {
        (memory.name, tensor): ACCELFORGE["answers"][name]["counts"][accelforge.toll_name(accelerator, level)][tensor][
            "read"
        ]
        for level, memory in enumerate(accelerator.memories)
        if memory.network.pj_per_bit
        for tensor in TENSORS
    }
    assert networks == rules.accelforge_networks(layer, accelerator, mapping, evaluation)
    # Its sums are in single precision.
    cycles = rules.cycles_of(found, layer, accelerator, mapping, evaluation)
    assert ACCELFORGE["answers"][name]["cycles"] == pytest.approx(cycles, rel=1e-6)
    energy = rules.energy_of(found, layer, accelerator, evaluation, cycles, networks)
    assert ACCELFORGE["answers"][name]["energy_pj"] == pytest.approx(energy, rel=1e-6)
    if found == counted(evaluation):
        assert (evaluation.energy_pj, evaluation.cycles) == pytest.approx((energy, cycles), rel=1e-12)


@pytest.mark.parametrize("name", ZIGZAG_CASES)
def test_zigzag(name):
    layer, accelerator, mapping = CASES[name]
    evaluation = evaluate_mapping(layer, accelerator, mapping, ZIGZAG_ASSUMPTIONS)
    expected, found = counted(evaluation), answered(ZIGZAG, name)
    for memory, both in rules.zigzag_outputs(layer, accelerator, mapping, evaluation).items():
        expected[memory, "outputs"] = both
    for memory, both in rules.zigzag_inputs(layer, accelerator, mapping).items():
        expected[memory, "inputs"] = both
    assert found == expected
    answer = ZIGZAG["answers"][name]
    assert answer["ideal_cycles"] == evaluation.parts_cycles["compute"]
    assert answer["cycles"] >= answer["ideal_cycles"]
    energy = rules.energy_of(found, layer, accelerator, evaluation)
    assert answer["energy_pj"] == pytest.approx(energy, rel=1e-9)


def test_how_many_cases_need_no_rule():
    """Most of what is compared is equal under the switches alone; the rules are exceptions, each of which is met."""
    plain = [
        name
        for name in CASES
        if answered(ACCELFORGE, name) == counted(evaluate_mapping(*CASES[name], accelforge.ASSUMPTIONS))
    ]
    merged = [
        name
        for name in ZIGZAG_CASES
        if all(
            answered(ZIGZAG, name)[key] == both
            for key, both in counted(evaluate_mapping(*CASES[name], ZIGZAG_ASSUMPTIONS)).items()
            if key[1] != "outputs"
        )
    ]
    convolutions = [name for name in plain if CASES[name][0].sizes["R"] > 1]
    assert len(plain) >= 20 and len(convolutions) >= 8 and len(merged) >= 30
    assert len(plain) < len(CASES) and len(merged) < len(ZIGZAG_CASES)


@pytest.mark.oracle
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine", asking.ENGINES)
def test_the_engines_still_say_so(engine):
    asked, was = asking.ask(engine, CASES), asking.kept(engine)
    assert (asked["engine"], asked["version"]) == (was["engine"], was["version"])
    for name, answer in was["answers"].items():
        now = asked["answers"][name]
        assert now["counts"] == answer["counts"], name
        for figure in set(answer) - {"counts"}:
            assert now[figure] == pytest.approx(answer[figure], rel=1e-6), (name, figure)
