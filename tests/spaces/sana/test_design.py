"""The space of kept blocks: one sheet of answers for every mask, none refused, and moves of runs as mutations."""

from __future__ import annotations

import itertools
import json

import pytest

from coevo.errors import ConfigError, InputError
from coevo.search.canonical import stream
from coevo.search.design import Origin
from coevo.search.space import Space
from coevo.search.variation import Variation
from coevo.spaces.sana.depth.masks import removed_runs
from coevo.spaces.sana.design import Bounds, SanaDesign
from coevo.spaces.sana.model.config import SanaConfig
from coevo.testing import check_space

PLAIN = {"ffn_ratios": (2.5,), "attention": ("linear",), "steps": (4,), "guidance": (1.0,), "samples": (1,)}


def space_of(bounds: Bounds) -> Space:
    return Space(bounds.id, bounds.build)


def test_the_space_keeps_the_rules() -> None:
    for bounds in (Bounds(6), Bounds(12, least_depth=3), Bounds(1)):
        report = check_space(space_of(bounds), samples=30)
        assert report.rejection_rate == 0


@pytest.mark.parametrize(("depth", "least_depth", "most_runs"), [(1, 1, 3), (5, 1, 3), (6, 2, 2), (7, 3, 4), (4, 4, 2)])
def test_every_mask_is_told_in_exactly_one_way(depth, least_depth, most_runs) -> None:
    bounds = Bounds(depth, **PLAIN, least_depth=least_depth, most_runs=most_runs)
    space = space_of(bounds)
    found = [grown.value.keep for grown in space.enumerate()]
    wanted = {
        keep
        for keep in itertools.product((False, True), repeat=depth)
        if sum(keep) >= least_depth and len(removed_runs(keep)) <= most_runs
    }
    assert len(found) == len(set(found)) and set(found) == wanted
    for keep in wanted:
        design = bounds.like_source(keep, steps=4, guidance=1.0)
        assert space.build(space.design(bounds.answers(design))) == design


def test_a_mutation_moves_a_run() -> None:
    """Of the children whose mask differs, many have one run more or less far, none has holes all over."""
    bounds = Bounds(16, **PLAIN, most_runs=3)
    space = space_of(bounds)
    keep = tuple(not 5 <= block < 9 for block in range(16))
    mother = space.design(bounds.answers(bounds.like_source(keep, steps=4, guidance=1.0)))
    slid = resized = 0
    for number in range(200):
        child = space.child(stream(0, number), Variation(), mother, None, Origin("mutation", (0,)))
        assert child is not None
        runs = removed_runs(space.build(child).keep)
        assert len(runs) <= 3
        if len(runs) == 1 and runs[0] != (5, 9):
            length = runs[0][1] - runs[0][0]
            slid += length == 4 and abs(runs[0][0] - 5) <= 2
            resized += runs[0][0] == 5 and abs(length - 4) <= 2
    assert slid > 20 and resized > 20


def test_a_design_is_a_network_and_plain_json() -> None:
    bounds = Bounds(5)
    design = space_of(bounds).build(space_of(bounds).sample(stream(3, "json")))
    assert SanaDesign.from_json(json.loads(json.dumps(design.to_json()))) == design
    config = design.network(SanaConfig.small(64, 5))
    assert config.depth == design.depth and tuple(each.attention for each in config.blocks) == design.attention
    assert bounds.largest.passes == 16 and bounds.smallest.passes == 1
    assert bounds.uniform(3, steps=4, guidance=2.0).keep == (True, False, True, False, True)


def test_what_does_not_fit_is_refused() -> None:
    design = Bounds(5).uniform(3, steps=4, guidance=2.0)
    with pytest.raises(InputError, match=r"5 blocks, the transformer has 6"):
        design.network(SanaConfig.small(64, 6))
    with pytest.raises(InputError, match="5 blocks, the transformer has 8"):
        Bounds(8).answers(design)
    with pytest.raises(InputError, match="removes 2 runs"):
        Bounds(5, most_runs=1).answers(design)
    with pytest.raises(InputError, match="one for every kept block"):
        SanaDesign((True, False), (2.5, 2.5), ("linear",), 4, 1.0, 1)
    with pytest.raises(InputError, match="keeps none"):
        SanaDesign((False,), (), (), 4, 1.0, 1)
    with pytest.raises(InputError, match="from 1 up"):
        SanaDesign((True,), (2.5,), ("linear",), 4, 0.5, 1)
    with pytest.raises(InputError, match="a SanaDesign in JSON has"):
        SanaDesign.from_json({"keep": [True]})
    with pytest.raises(InputError, match="1 to 4 kept blocks"):
        Bounds(4, least_depth=5)
    for wrong in ({"steps": (8, 4)}, {"guidance": (0.5,)}, {"ffn_ratios": ()}, {"samples": (0,)}, {"most_runs": -1},
                  {"attention": ("cubic",)}, {"attention": ("linear", "linear")}):  # fmt: skip
        with pytest.raises((ConfigError, InputError)):
            Bounds(4, **wrong)
