"""The weights that designs inherit: trained from the start or grown, the same whether they were interrupted or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.sana.design import Bounds
from coevo.spaces.sana.drawing.weights import draw_growth, draw_pruning
from coevo.spaces.sana.judging.codec import Pixels
from coevo.spaces.sana.judging.material import Scenes
from coevo.spaces.sana.judging.painter import Painter
from coevo.spaces.sana.judging.recovering import with_features
from coevo.spaces.sana.judging.source import Growth
from coevo.spaces.sana.judging.thinning import EVENLY, pruning_curves
from coevo.spaces.sana.judging.weights import Inherited, Trained, train_weights
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.training.held_out import HeldOutLoss
from coevo.spaces.sana.training.recipe import Recipe
from coevo.spaces.sana.training.sandwich import Plan

BOUNDS = Bounds(4, ffn_ratios=(1.0, 2.0), attention=("linear",), steps=(2,), guidance=(1.0,), samples=(1,))
SOURCE = SanaConfig.small(32, 4, cross_heads=1, channels=3, patch_size=8, sample_size=48, caption_channels=16)
HOW, PLAN = Recipe(6, 1e-3, warmup_steps=2, drop_text=0.2), Plan(0.5, between=1)


def scenes(count: int, part: str) -> Scenes:
    return Scenes(count, part, seed=0, size_px=48, codec=Pixels(), device=torch.device("cpu"))


def trained(growth: Growth | None = None, folder: Path | None = None, **more: Any) -> tuple[Inherited, Trained]:
    net = Inherited(BOUNDS, SOURCE, seed=1, encoder_layers=1)
    found = train_weights(
        net, scenes(16, "train"), HOW, PLAN, batch=4, growth=growth, held_out=scenes(8, "search"), folder=folder,
        checkpoint_every=2, **more,
    )  # fmt: skip
    return net, found


def test_a_grown_supernet_begins_where_its_source_ended() -> None:
    _, found = trained(Growth(2, steps=5, drop_last=0))
    assert found.source is not None and [step for step, _ in found.source.validations] == [0, 1, 2, 3, 4, 5]
    assert found.whole.validations[0][1] == pytest.approx(found.source.validations[-1][1], rel=1e-5)
    _, dropped = trained(Growth(2, steps=5, drop_last=1))
    assert dropped.source is not None and dropped.source.validations == found.source.validations
    assert dropped.whole.validations[0][1] != pytest.approx(found.source.validations[-1][1], rel=1e-4)
    _, alone = trained()
    assert alone.source is None and alone.whole.steps == 6
    assert json.loads(json.dumps(found.to_json()))["source"]["steps"] == 5


@pytest.mark.parametrize("killed_in", ["source of 2 blocks", "loss"])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, killed_in: str) -> None:
    growth = Growth(2, steps=4)
    whole, curves = trained(growth)

    def kill(done: float, total: float, text: str) -> None:
        if text.startswith(killed_in):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(growth, tmp_path, progress=kill)
    again, same = trained(growth, tmp_path)
    assert same.to_json()["source"] == curves.to_json()["source"]
    assert same.whole.validations == curves.whole.validations
    for name, each in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], each), name
    with pytest.raises(InputError, match="of another training: growth"):
        trained(Growth(2, steps=5), tmp_path)


def test_a_source_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="of 5 blocks does not grow to one of 4"):
        trained(Growth(5, steps=1))
    with pytest.raises(InputError, match="loses 0 to 1 of them, got 2: one at least stays"):
        trained(Growth(2, steps=1, drop_last=2))


def test_what_leaving_blocks_out_costs_and_its_pictures(tmp_path: Path) -> None:
    net, found = trained()
    painter = Painter(net.captions, Pixels(), 48)
    batches = [with_features(each, painter) for each in scenes(8, "search").all()]
    model = net.extract(BOUNDS.like_source((True,) * 4, steps=2, guidance=1.0))
    curves = pruning_curves(model, batches, least=1)
    loss = HeldOutLoss(batches)
    assert all([kept for kept, _ in points] == [1, 2, 3, 4] for points in curves.values())
    assert {points[-1][1] for points in curves.values()} == {loss(model)}
    assert curves[EVENLY][1][1] == loss(model, (True, False, False, True))
    draw_pruning(curves, tmp_path / "pruning.png")
    draw_growth(found.to_json(), 4, tmp_path / "alone.png")
    _, grown = trained(Growth(2, steps=1))
    draw_growth(grown.to_json(), 4, tmp_path / "grown.png", 2)
    for name in ("pruning", "alone", "grown"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
