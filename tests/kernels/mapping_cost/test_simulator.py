"""The closed form against a loop nest that is walked step by step: random small layers, accelerators and mappings."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from coevo.kernels.mapping_cost import MappingArrays, count


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases, simulator = _beside("cases"), _beside("simulator")
NAMES = ("reads", "writes", "sent", "delivered", "tile_words", "instances", "steps", "macs")


def drawn(seed, macs):
    """Tables and one mapping; successive seeds go through every combination of the switches."""
    rng = np.random.default_rng(seed)
    switches = cases.ALL_SWITCHES[seed % len(cases.ALL_SWITCHES)]
    levels = int(rng.integers(1, 5))
    tables = cases.random_tables(rng, levels, int(rng.integers(0, 4)), switches)
    places = int(rng.integers(1, 9))
    return tables, cases.random_mappings(rng, 1, levels, tables, [2, 2, 3, 3, 4, 5], places, macs)


def compare(seed, macs):
    tables, mapping = drawn(seed, macs)
    found, walked = count(tables, mapping), simulator.simulate(tables, mapping)
    for name in NAMES:
        np.testing.assert_array_equal(
            getattr(found, name)[0], getattr(walked, name), err_msg=f"seed {seed}: {name} ({tables}, {mapping})"
        )


@pytest.mark.parametrize("block", range(4))
def test_closed_form_counts_what_a_walk_through_the_nest_counts(block):
    for seed in range(block * 128, (block + 1) * 128):
        compare(seed, macs=200)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(16))
def test_closed_form_counts_what_a_walk_counts_on_thousands_of_cases(block):
    for seed in range(10_000 + block * 400, 10_000 + (block + 1) * 400):
        compare(seed, macs=500)


def test_the_cases_reach_every_rule():
    """In how many of 256 of these cases each rule decides a count: none is there for show."""
    different = dict.fromkeys(
        ["halo_merge", "sliding_window", "charge_drain", "fetch_holes", "multicast", "reduction", "keeps"], 0
    )
    for seed in range(256):
        tables, mapping = drawn(seed, macs=200)
        before = count(tables, mapping)
        for name in different:
            value = getattr(tables, name)
            other = np.ones_like(value) if isinstance(value, np.ndarray) else not value
            after = count(dataclasses.replace(tables, **{name: other}), mapping)
            different[name] += any(
                (getattr(before, part) != getattr(after, part)).any() for part in ("reads", "writes", "sent")
            )
    assert min(different.values()) >= 12, different


def layer_tables(**switches):
    """Two memories that keep everything, one axis, a window of stride 1 and dilation 1."""
    rng = np.random.default_rng(0)
    tables = cases.random_tables(rng, 2, 1, (False,) * 5)
    return dataclasses.replace(
        tables,
        **{
            "step": np.array([[1, 1], [1, 1]]),
            "window": np.array([[1, 1], [1, 1]]),
            "keeps": np.ones((2, 3), dtype=bool),
            "axis_level": np.array([0]),
            "multicast": np.array([True, True]),
            "reduction": np.array([True, True]),
            **switches,
        },
    )


def mapping_of(temporal, spatial):
    """Loops (name, bound) at each of two memories from the outermost in, and along the one axis."""
    names = "NGKCYXRS"
    bounds, ranks, along = np.ones((1, 2, 8), int), np.zeros((1, 2, 8), int), np.ones((1, 1, 8), int)
    for level, loops in enumerate(temporal):
        order = [names.index(name) for name, _ in loops]
        ranks[0, level, [*(loop for loop in range(8) if loop not in order), *order]] = np.arange(7, -1, -1)
        for name, bound in loops:
            bounds[0, level, names.index(name)] = bound
    for name, bound in spatial:
        along[0, 0, names.index(name)] = bound
    return MappingArrays(bounds, ranks, along)


def test_rows_that_slide_are_fetched_once():
    """A kernel of 3 rows over 5 outputs touches 7 rows; tile by tile 5 x 3."""
    mapping = mapping_of([[("Y", 5)], [("R", 3)]], [])
    assert count(layer_tables(sliding_window=False), mapping).reads[0, 0, 1] == 15
    assert count(layer_tables(sliding_window=True), mapping).reads[0, 0, 1] == 7


def test_rows_that_children_share_are_read_once():
    """Four children, each a row of outputs and 3 of the kernel: 6 rows, not 12; all 12 are delivered."""
    mapping = mapping_of([[], [("R", 3)]], [("Y", 4)])
    apart, merged = (count(layer_tables(halo_merge=switch), mapping) for switch in (False, True))
    assert (apart.reads[0, 0, 1], merged.reads[0, 0, 1]) == (12, 6)
    assert (apart.delivered[0, 0, 1], merged.delivered[0, 0, 1]) == (12, 12)


def test_a_dilated_window_that_steps_beyond_the_next_tile_claims_no_reuse():
    """Stride 1, dilation 2: tiles {0, 2, 4} and {2, 4, 6} share two words when the step is 2 and the tile 1 output."""
    dilated = {"step": np.array([[1, 2], [1, 1]]), "window": np.array([[1, 2], [1, 1]]), "sliding_window": True}
    far = mapping_of([[("Y", 2)], [("R", 3)]], [("Y", 2)])
    assert count(layer_tables(**dilated), far).reads[0, 0, 1] == 2 * 2 * 3
    near = mapping_of([[("Y", 2)], [("Y", 2), ("R", 3)]], [])  # {0..5} and {2..7}: the next tile
    assert count(layer_tables(**dilated), near).reads[0, 0, 1] == 8
    assert simulator.simulate(layer_tables(**dilated), near).reads[0][1] == 8
