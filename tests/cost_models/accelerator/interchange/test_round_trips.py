"""A saved mapping evaluates to the same numbers, whatever format it went through."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coevo.cost_models.accelerator import Assumptions, evaluate_mapping
from coevo.cost_models.accelerator.interchange import (
    Record,
    accelforge,
    read_accelforge_mapping,
    timeloop,
    timeloop_architecture,
)

_spec = importlib.util.spec_from_file_location("nests", Path(__file__).with_name("nests.py"))
nests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(nests)

SEEDS = st.integers(0, 10**6)
SWITCHES = st.builds(Assumptions, **{name: st.booleans() for name in Assumptions().as_dict()})


def figures(evaluation):
    """Everything but the sentences."""
    return {name: value for name, value in dataclasses.asdict(evaluation).items() if name != "misfits"}


@given(SEEDS, SWITCHES)
@settings(max_examples=60, deadline=None)
def test_json_of_the_whole(seed, assumptions):
    record = Record.of(*nests.random_nest(seed), assumptions)
    again = Record.read(record.write())
    assert (again.layer, again.accelerator, again.mapping) == (record.layer, record.accelerator, record.mapping)
    assert again.assumptions == assumptions
    assert again.changed() == ()
    assert figures(again.evaluate()) == figures(record.evaluate())


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_a_mapping_through_accelforge(seed):
    layer, accelerator, mapping = nests.random_nest(seed, wired=True)
    again = read_accelforge_mapping(accelforge.mapping_text(layer, accelerator, mapping), layer, accelerator)
    for assumptions in (Assumptions(), Assumptions(True, True, True, True, True)):
        before = evaluate_mapping(layer, accelerator, mapping, assumptions)
        assert figures(evaluate_mapping(layer, accelerator, again, assumptions)) == figures(before)


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_a_mapping_and_its_problem_through_timeloop(seed):
    layer, accelerator, mapping = nests.random_nest(seed)
    read = timeloop.read_problem(timeloop.problem(layer), layer.name)
    assert read == layer
    text = timeloop.mapping_text(layer, accelerator, mapping)
    assert timeloop.read_mapping(text, read, accelerator) == _without_ones(mapping)


def _without_ones(mapping):
    strip = lambda groups: tuple(tuple(loop for loop in group if loop[1] > 1) for group in groups)  # noqa: E731
    again = dataclasses.replace(mapping, temporal=strip(mapping.temporal), spatial=strip(mapping.spatial))
    return again


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_an_accelerator_through_timeloop(seed):
    """A partitioned memory comes back as one memory a tensor, so counts are compared by tensor at each of them."""
    layer, accelerator, mapping = nests.random_nest(seed)
    read = timeloop_architecture.read_architecture(timeloop_architecture.architecture(accelerator), accelerator.name)
    moved = timeloop.read_mapping(timeloop.mapping_text(layer, accelerator, mapping), layer, read)
    before, after = evaluate_mapping(layer, accelerator, mapping), evaluate_mapping(layer, read, moved)
    by_tensor = lambda evaluation: {  # noqa: E731
        (memory.split("_")[0], tensor): (access.reads, access.writes)
        for (memory, tensor), access in evaluation.accesses.items()
    }
    assert by_tensor(after) == by_tensor(before)
    assert (after.cycles, after.energy_pj) == pytest.approx((before.cycles, before.energy_pj), rel=1e-12)
    assert after.valid == before.valid, (before.misfits, after.misfits)
    assert read.on_chip_bytes == pytest.approx(accelerator.on_chip_bytes)
    assert [(axis.size, set(axis.dimensions)) for _, axis in read.axes] == [
        (axis.size, set(axis.dimensions)) for _, axis in accelerator.axes
    ]


def test_a_record_says_what_the_model_gives_otherwise():
    record = Record.of(*nests.random_nest(3))
    content = json.loads(record.write())
    content["costs"]["cycles"] += 1
    assert Record.from_json(content).changed() == (
        f"cycles: {record.costs['cycles'] + 1!r} was saved, the model gives {record.costs['cycles']!r}",
    )
