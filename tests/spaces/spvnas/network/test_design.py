"""The space: every choice uniform over its list, conditional questions, JSON, bounds."""

from __future__ import annotations

from collections import Counter

import pytest

from coevo.errors import ConfigError, InputError
from coevo.kernels.sparse.shape import UNetShape
from coevo.search.canonical import stream
from coevo.search.space import Space
from coevo.spaces.spvnas.design import Backbone, Bounds


def sampled(bounds, count, seed=1):
    space, draw = Space(bounds.id, bounds.build), stream(seed, "tests")
    return [space.build(space.sample(draw)) for _ in range(count)]


def test_every_choice_is_drawn_as_often_as_any_other():
    """The released sampling hits the largest width once in 257 draws, and 16 middle channels of 48 in 62 %."""
    found = sampled(Bounds(), 1500)
    for stage, choices in ((1, (16, 32, 48)), (4, tuple(range(128, 385, 16))), (8, tuple(range(48, 129, 16)))):
        drawn = Counter(each.widths[stage] for each in found)
        assert set(drawn) == set(choices)
        assert all(abs(drawn[each] / 1500 - 1 / len(choices)) < 0.045 for each in choices)
    middles = Counter(each.middles[0][0] for each in found)
    assert set(middles) == {16, 32, 48} and max(middles.values()) < 570
    assert {each.widths[0] for each in found} == {32}
    assert Counter(each.depths[5] for each in found)[1] == pytest.approx(750, abs=100)
    assert {each.transitions[0] for each in found} == {16, 32}


def test_blocks_that_are_not_there_are_not_asked_about():
    bounds = Bounds()
    space = Space(bounds.id, bounds.build)
    draw = stream(3, "tests")
    for _ in range(20):
        design = space.sample(draw)
        value = space.build(design)
        asked = {name for name, _ in design.answers}
        for stage, name in enumerate(["down1", "down2", "down3", "down4", "up1", "up2", "up3", "up4"]):
            assert (f"{name}.block2.middle" in asked) == (value.depths[stage] == 2)
            assert len(value.middles[stage]) == value.depths[stage]
        assert "stem.width" not in asked  # a single choice is no question
        assert bounds.misfit(value) is None
        assert Backbone.from_json(value.to_json()) == value
    assert {tuple(bounds.build(_Largest(), least_depth=2).depths)} == {(2,) * 8}


class _Largest:
    def one(self, name, choices):
        return choices[-1]


def test_ends_of_the_space():
    bounds = Bounds()
    assert bounds.build(_Largest()) == bounds.largest
    assert bounds.largest.widths == (32, 48, 96, 192, 384, 384, 192, 128, 128)
    assert bounds.largest.transitions == (32, 48, 96, 192, 384, 192, 128, 128)
    assert bounds.smallest.widths == (32, 16, 32, 64, 128, 128, 64, 48, 48)
    assert bounds.smallest.depths == (1,) * 8 and set(bounds.smallest.transitions) == {16}
    assert bounds.id == "spvnas/voxels/v1" != Bounds.scaled(0.5).id != Bounds.scaled(0.25).id
    assert Bounds.scaled(0.25).highest == (16, 16, 16, 48, 96, 96, 48, 32, 32)


def test_uniform_networks_are_minkunet_and_spvcnn():
    assert Backbone.uniform(0.5).widths == (16, 16, 32, 64, 128, 128, 64, 48, 48)
    assert Backbone.uniform(1.0, "none").transitions == (32, 32, 64, 128, 256, 128, 96, 96)
    assert not Backbone.uniform(1.0).needs_shortcut(0, 0) and Backbone.uniform(1.0).needs_shortcut(1, 0)
    assert Bounds().largest.needs_shortcut(0, 0) and not Bounds().largest.needs_shortcut(0, 1)
    assert "identity" in Bounds().misfit(Backbone.uniform(1.0))


def test_bad_input():
    good = Bounds().smallest
    with pytest.raises(InputError, match="nine numbers"):
        Backbone(good.widths[:8], good.depths, good.middles, good.transitions)
    with pytest.raises(InputError, match="one number of middle channels a block"):
        Backbone(good.widths, (2,) * 8, good.middles, good.transitions)
    with pytest.raises(InputError, match="whole numbers, all >= 1"):
        UNetShape((0, *good.widths[1:]), good.depths, good.middles, good.transitions)
    with pytest.raises(ConfigError, match="points must be one of none, voxels, raw"):
        Backbone(good.widths, good.depths, good.middles, good.transitions, "all")
    with pytest.raises(ConfigError, match="multiples of the quantum 16"):
        Bounds(highest=(32, 50, 96, 192, 384, 384, 192, 128, 128))
    with pytest.raises(InputError, match="a Backbone in JSON has depths"):
        Backbone.from_json({"widths": [1]})
    with pytest.raises(InputError, match="lists of whole numbers"):
        Backbone.from_json({**good.to_json(), "widths": 3})
    assert "width 40 is not offered (48, .., 128 by 16)" in Bounds().misfit(
        Backbone((*good.widths[:8], 40), good.depths, good.middles, good.transitions)
    )
