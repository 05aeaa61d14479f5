"""The drawing of a network: every number of channels stands in it, to scale, beside MinkUNet's."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from coevo.search.canonical import stream
from coevo.search.space import Space
from coevo.spaces.spvnas.design import Backbone, Bounds
from coevo.spaces.spvnas.drawing.network import LONGEST, draw_network
from coevo.spaces.spvnas.network.macs import parameters_of, total_macs

SVG = "{http://www.w3.org/2000/svg}"


def test_every_number_of_channels_is_drawn():
    bounds = Bounds()
    space = Space(bounds.id, bounds.build)
    for seed in range(3):
        design = space.build(space.sample(stream(seed, "tests")))
        drawn = draw_network(design)
        root = ET.fromstring(drawn)
        texts = [each.text or "" for each in root.iter(f"{SVG}text")]
        told = [found.groups() for each in texts if (found := re.fullmatch(r"(\d+|none) \((\d+)\)", each))]
        assert len(told) == 2 + 8 * 5
        wanted = [design.widths[0]] * 2 + list(design.transitions)
        for stage in range(8):
            wanted += [*design.middles[stage], *[design.widths[stage + 1]] * design.depths[stage]]
        assert sorted(int(each) for each, _ in told if each != "none") == sorted(wanted)
        assert [each for each, _ in told].count("none") == 2 * (16 - sum(design.depths))
        assert f"this network: {total_macs(design) / 1e9:.1f} GMACs" in drawn
        assert f"outlines: MinkUNet: 114.3 GMACs, {parameters_of(Backbone.uniform(1.0, 'none')) / 1e6:.2f} M" in drawn
        assert texts.count("through the points") == 4 and "stride 16" in drawn
        assert drawn == draw_network(design)


def test_bars_are_to_scale_and_inside():
    root = ET.fromstring(draw_network(Bounds(points="none").largest))
    bars = [each for each in root.iter(f"{SVG}rect") if each.get("height") == "9"][4:]
    assert max(float(each.get("width")) for each in bars) == pytest.approx(LONGEST)
    assert all(float(each.get("x")) + float(each.get("width")) < 880 for each in bars)
    assert all(float(each.get("x")) < 860 for each in root.iter(f"{SVG}text"))
    assert "through the points" not in draw_network(Bounds(points="none").largest)


def test_another_network_beside_it():
    drawn = draw_network(Bounds.scaled(0.25).smallest, beside=Bounds.scaled(0.25).largest, frame="one <scene>")
    assert "outlines: the other network" in drawn and "one &lt;scene&gt;" in drawn
