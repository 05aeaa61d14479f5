"""The supernet's training: its phases, going on after a stop, and what is refused."""

from __future__ import annotations

import json

import pytest
import torch

from coevo.errors import ConfigError, InputError
from coevo.spaces.spvnas.design import Bounds
from coevo.spaces.spvnas.judging.inherited import InheritedScores
from coevo.spaces.spvnas.network.supernet import Supernet
from coevo.spaces.spvnas.training import Batches, Recipe, Validation
from coevo.spaces.spvnas.training.supernet import Plan, SandwichLearner, deepened, load_supernet, train_supernet
from tests.spaces.spvnas.scans import Slopes

BOUNDS = Bounds.scaled(0.125, "none", 4)
HOW = Recipe(4, 1, voxel_m=0.3, precision="float32")
PLAN = Plan(whole=0.5, full_depth=0.75, between=1)


def test_phases() -> None:
    learner = SandwichLearner(Supernet(BOUNDS), Recipe(100, 1), Plan(0.25, 0.5, 2), torch.device("cpu"))
    assert learner.designs(0) == learner.designs(24) == [BOUNDS.largest]
    for step, depths in ((30, {2}), (49, {2}), (60, {1, 2})):
        designs = learner.designs(step)
        assert len(designs) == 4 and designs == learner.designs(step) and designs[0] == BOUNDS.largest
        assert BOUNDS.misfit(designs[1]) is None and set(designs[1].widths) <= set(BOUNDS.smallest.widths)
        assert {depth for each in designs for depth in each.depths} == depths
    assert learner.designs(60)[2:] != learner.designs(61)[2:]
    assert deepened(BOUNDS.smallest, 2).depths == (2,) * 8 and deepened(BOUNDS.smallest, 1) == BOUNDS.smallest
    with pytest.raises(ConfigError):
        Plan(0.6, 0.5)


def test_a_stopped_training_goes_on_to_the_same_bytes(tmp_path) -> None:
    source = Slopes(3, 80)
    whole, curve = train_supernet(BOUNDS, source, HOW, PLAN, tmp_path / "a", checkpoint_every=2)
    train_supernet(BOUNDS, source, HOW, PLAN, tmp_path / "b", checkpoint_every=2, stop_after=2)  # before the sorting
    assert not (tmp_path / "b" / "supernet.safetensors").exists()
    resumed, again = train_supernet(BOUNDS, source, HOW, PLAN, tmp_path / "b", checkpoint_every=2)
    assert whole.read_bytes() == resumed.read_bytes() and curve.losses == again.losses
    told = json.loads((tmp_path / "b" / "supernet.json").read_text())
    assert told["data"] == source.source and told["curve"]["steps"] == 4
    with pytest.raises(InputError, match="of another training: space is"):
        train_supernet(Bounds.scaled(0.25, "none", 4), source, HOW, PLAN, tmp_path / "b")

    net = load_supernet(resumed, BOUNDS)
    for wrong in (Bounds.scaled(0.25, "none", 4), Bounds.scaled(0.125, "voxels", 4)):
        with pytest.raises(InputError, match="is a supernet with space"):
            load_supernet(resumed, wrong)
    with pytest.raises(InputError, match="with classes '19', expected '3'"):
        load_supernet(resumed, BOUNDS, num_classes=3)
    bare = tmp_path / "bare.safetensors"
    bare.write_bytes(b"\x00" * 4)
    with pytest.raises(InputError, match="holds no supernet"):
        load_supernet(bare, BOUNDS)

    kept = {"voxel_m": 0.3, "points": "none"}
    judge = InheritedScores(net, Validation(source, [0], **kept))
    validation = Validation(source, [1, 2], **kept)
    found = judge.of(BOUNDS.smallest, validation)
    extracted = judge.extract(BOUNDS.smallest)
    assert (validation.score(extracted).confusion == found.confusion).all()
    assert (judge.of(BOUNDS.smallest, validation).confusion == found.confusion).all()


def test_padded_batches_have_the_same_gradients() -> None:
    how = Recipe(100, 2, voxel_m=0.4, most_voxels=400, precision="float32")
    sample = Batches(Slopes(), how).at(0)
    found = []
    for padded in (False, True):
        torch.manual_seed(0)
        learner = SandwichLearner(Supernet(BOUNDS).train(), how, Plan(0.0, 0.0, 1), torch.device("cpu"), padded)
        loss = float(learner(sample, 3))
        again = float(learner(sample, 3)) if padded else loss  # the buffers are used again
        assert again == pytest.approx(loss, rel=1e-5)
        found.append((loss, dict(learner.net.named_parameters())))
    (plain_loss, plain), (padded_loss, padded) = found
    assert padded_loss == pytest.approx(plain_loss, rel=1e-5)
    for name, each in plain.items():
        if each.grad is not None:
            assert (each.grad - padded[name].grad).norm() <= 1e-3 * each.grad.norm(), name
