"""Pictures are whole, say what they show, and refuse numbers that do not agree."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.sana.data.drawn import draw_scenes
from coevo.spaces.sana.data.scenes import render_batch
from coevo.spaces.sana.design import Bounds, SanaDesign
from coevo.spaces.sana.drawing.curves import draw_curves, draw_front, front_of
from coevo.spaces.sana.drawing.network import draw_design
from coevo.spaces.sana.drawing.samples import draw_samples
from coevo.spaces.sana.model.config import SanaConfig

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_design_beside_its_source() -> None:
    bounds = Bounds(6)
    design = SanaDesign(
        (True, False, False, True, True, True), (1.25, 2.5, 2.5, 1.25), ("linear", "softmax") * 2, 8, 3.0, 4
    )
    drawn = draw_design(design, SanaConfig.small(64, 6))
    words = [each.text or "" for each in ElementTree.fromstring(drawn).iter() if each.tag.endswith("text")]
    assert words.count("left out") == 1 + 2 and any(each.startswith("4 of 6 blocks") for each in words)
    assert any("8 steps, guidance 3, the best of 4 samples" in each for each in words)
    assert words.count("1.25  linear") == 1 and words.count("1.25  softmax") == 1
    assert drawn == draw_design(design, SanaConfig.small(64, 6)) and "<style" not in drawn
    with pytest.raises(InputError, match="6 blocks, the transformer has 5"):
        draw_design(bounds.largest, SanaConfig.small(64, 5))


def test_a_grid_of_samples(tmp_path) -> None:
    images = render_batch(draw_scenes(4, torch.Generator().manual_seed(0))[0], 48).unflatten(0, (2, 2))
    verdicts = torch.tensor([[True, False], [True, True]])
    draw_samples(images, ["a red circle", "a blue square left of a green ring"], verdicts, tmp_path / "samples.png")
    assert (tmp_path / "samples.png").read_bytes().startswith(PNG)
    assert [each.name for each in tmp_path.iterdir()] == ["samples.png"]
    with pytest.raises(InputError, match="a verdict each"):
        draw_samples(images, ["a red circle"], verdicts, tmp_path / "other.png")


def test_curves_and_fronts(tmp_path) -> None:
    seeds = [[(10, 1.0), (20, 0.5)], [(10, 1.2), (20, 0.6)]]
    draw_curves({"scratch": seeds, "grown": [seeds[0]]}, tmp_path / "a.png", across="updates", up="flow loss", log=True)
    draw_front({"search": [(1, 0.2), (2, 0.5)], "uniform": []}, tmp_path / "b.png")
    assert all(each.read_bytes().startswith(PNG) for each in tmp_path.iterdir())
    assert front_of([(3, 0.4), (1, 0.2), (2, 0.5), (2, 0.1), (4, 0.5)]) == [(1, 0.2), (2, 0.5)]
    with pytest.raises(InputError, match="same places"):
        draw_curves({"a": [[(1, 2.0)], [(2, 2.0)]]}, tmp_path / "c.png", across="x", up="y")
    for draw in (
        lambda: draw_curves({}, tmp_path / "c.png", across="x", up="y"),
        lambda: draw_front({}, tmp_path / "c.png"),
    ):
        with pytest.raises(InputError, match="needs"):
            draw()
    assert not (tmp_path / "c.png").exists()
