"""A training follows from its seed, goes on after a kill to the same weights, learns, and says when it cannot."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from coevo.errors import ConfigError, InputError, UnknownName
from coevo.spaces.sana.depth.growth import grow
from coevo.spaces.sana.training import (
    Average,
    Batch,
    Curve,
    Drawn,
    FlowLearner,
    HeldOutLoss,
    NonFiniteLoss,
    Recipe,
    in_parts,
    recover,
    train,
)
from coevo.spaces.sana.training.captured import CapturedFlowLearner, learner_of
from coevo.supernets.checkpoints import Checkpoints
from tests.spaces.sana.small import batch, transformer

ROOT = Path(__file__).resolve().parents[4]
DATA = batch(24, seed=5, masked=True)
HOW = Recipe(8, 3e-3, warmup_steps=2, final_share=0.1, ema=0.9, seed=3)


def run(how: Recipe = HOW, folder: Path | None = None, stop_after=None, seed=0, every=3):
    net = transformer(2, seed=seed, trained=False)
    average = None if how.ema is None else Average(net, how.ema)
    checkpoints = None if folder is None else Checkpoints(folder, {"recipe": how.digest})
    curve = train(
        FlowLearner(net, how), Drawn(DATA, 8), how, checkpoints, checkpoint_every=every, average=average,
        stop_after=stop_after,
    )  # fmt: skip
    return net, average, curve


def equal(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_training_follows_from_its_seed():
    (one, _, curve), (again, _, same) = run(), run()
    assert equal(one, again) and curve.losses == same.losses and [step for step, _ in curve.losses] == [3, 6, 8]
    other, _, _ = run(replace(HOW, seed=4))
    assert not equal(one, other)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path, stop, precision):
    pytest.importorskip("safetensors")
    how = replace(HOW, precision=precision)
    whole, average, curve = run(how)
    run(how, tmp_path, stop_after=stop)
    resumed, average_2, _ = run(how, tmp_path, seed=1)  # what it begins with does not matter: it is read back
    assert equal(whole, resumed)
    assert all(torch.equal(each, average_2.tensors[name]) for name, each in average.tensors.items())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["checkpoint-8.safetensors", "checkpoint.json"]
    finished, _, kept = run(how, tmp_path)
    assert equal(finished, whole) and kept.losses[-1][0] == curve.losses[-1][0] == 8


@pytest.mark.parametrize("optimizer", ["came", "came8bit"])
def test_came_learns_and_goes_on_to_the_same_weights(tmp_path, optimizer):
    pytest.importorskip("safetensors")
    how = replace(HOW, optimizer=optimizer, learning_rate=1e-3, steps=12)
    whole, _, curve = run(how)
    assert curve.losses[-1][1] < curve.losses[0][1]
    run(how, tmp_path, stop_after=4)
    resumed, _, _ = run(how, tmp_path, seed=1)
    assert equal(whole, resumed)


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path):
    """SIGKILL while it trains, between any two operations."""
    pytest.importorskip("safetensors")
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from tests.spaces.sana.training import test_training as t
        t.run(t.replace(t.HOW, steps=400), Path(sys.argv[1]), every=1)
    """)
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT,
                             env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    while not (tmp_path / "checkpoint.json").exists():
        assert child.poll() is None
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    step = json.loads((tmp_path / "checkpoint.json").read_text())["step"]
    assert 1 <= step < 400
    how = replace(HOW, steps=400)
    resumed, _, _ = run(how, tmp_path, every=9, stop_after=step + 2)
    whole, _, _ = run(how, every=9, stop_after=step + 2)
    assert equal(whole, resumed)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    pytest.importorskip("safetensors")
    run(HOW, tmp_path, stop_after=3)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(InputError, match="is of another training: recipe is"):
        run(replace(HOW, seed=9), tmp_path)
    wide = transformer(2, width=64, trained=False)
    with pytest.raises(InputError, match="does not fit the network"):
        train(FlowLearner(wide, HOW), Drawn(DATA, 8), HOW, Checkpoints(tmp_path, {"recipe": HOW.digest}),
              average=Average(wide, 0.9))  # fmt: skip
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_it_learns_and_its_average_is_smoother():
    how = Recipe(40, 3e-3, warmup_steps=5, ema=0.9)
    held_out = HeldOutLoss([batch(16, 77)], draws=2)
    net = transformer(2, trained=False)
    average, first = Average(net, 0.9), held_out(net)
    curve = train(FlowLearner(net, how), Drawn(DATA, 12), how, average=average, checkpoint_every=10,
                  validate=lambda: held_out(net), validate_at=(0, 20, 40))  # fmt: skip
    assert [step for step, _ in curve.validations] == [0, 20, 40]
    assert curve.validations[0][1] == first and curve.validations[2][1] < 0.9 * first
    assert curve.losses[-1][1] < curve.losses[0][1]
    smooth = transformer(2, trained=False)
    average.copy_to(smooth)
    assert held_out(smooth) < 0.95 * first and not equal(smooth, net)


def test_an_average_is_its_definition():
    net = torch.nn.Linear(2, 1)
    average = Average(net, 0.5)
    wanted = {name: each.detach().clone() for name, each in net.named_parameters()}
    for done in range(1, 12):
        with torch.no_grad():
            for each in net.parameters():
                each.add_(1.0)
        average.update(net, done)
        share = min(0.5, (1 + done) / (10 + done))
        wanted = {name: share * wanted[name] + (1 - share) * each for name, each in net.named_parameters()}
    assert all(torch.allclose(wanted[name], each) for name, each in average.tensors.items())


class Breaks(FlowLearner):
    """Its loss is no number from an update on."""

    at = 6

    def __call__(self, given, step):
        loss = super().__call__(given, step)
        return loss * math.nan if step + 1 >= self.at else loss


@pytest.mark.parametrize(("precision", "says"), [("bfloat16", "lower learning_rate"), ("float32", "warmup_steps")])
def test_a_loss_that_is_no_number_is_named_and_leaves_the_checkpoint(tmp_path, precision, says):
    pytest.importorskip("safetensors")
    how = replace(HOW, precision=precision, ema=None)
    net = transformer(2, trained=False)
    with pytest.raises(NonFiniteLoss, match=rf"nan at update 6 in {precision}: .*{says}") as raised:
        train(Breaks(net, how), Drawn(DATA, 8), how, Checkpoints(tmp_path, {}), checkpoint_every=4)
    assert raised.value.update == 6
    assert json.loads((tmp_path / "checkpoint.json").read_text())["step"] == 4
    assert sorted(each.name for each in tmp_path.iterdir()) == ["checkpoint-4.safetensors", "checkpoint.json"]


def test_float16_overflow_is_named():
    how = Recipe(6, 1e-3, precision="float16")
    net = transformer(2, trained=False)
    with torch.no_grad():
        net.blocks[0].ffn.expand.weight.mul_(1e5)  # activations beyond 65504
    with pytest.raises(NonFiniteLoss, match=r"in float16: float16 overflows at 65504.*precision='bfloat16'") as raised:
        train(FlowLearner(net, how), Drawn(DATA, 8), how, checkpoint_every=6)
    assert raised.value.update == 1
    with torch.no_grad():
        net = transformer(2, trained=False)
    assert math.isfinite(train(FlowLearner(net, how), Drawn(DATA, 8), how).losses[-1][1])


def test_an_identity_block_recovers():
    model = grow(transformer(2), 3, drop_last=0)
    before = HeldOutLoss([DATA])(model)
    curve = recover(model, Drawn(DATA, 12), Recipe(10, 1e-3, ema=0.5))
    assert HeldOutLoss([DATA])(model) < before and len(curve.losses) == 1
    assert HeldOutLoss([DATA])(model, keep=(True, True, False)) != HeldOutLoss([DATA])(model)


def test_batches_show_every_image_once_before_any_comes_again():
    latents = torch.arange(10.0).reshape(10, 1, 1, 1)
    whole = Batch(latents, torch.zeros(10, 1, 1), torch.ones(10, 1, dtype=torch.bool))
    drawn = Drawn(whole, 3, seed=2)
    epochs = [torch.cat([drawn(3 * e + i).latents.flatten() for i in range(3)]).tolist() for e in range(3)]
    assert all(len(set(each)) == 9 for each in epochs) and epochs[0] != epochs[1]
    assert torch.equal(drawn(4).latents, Drawn(whole, 3, seed=2)(4).latents)
    assert [each.size for each in in_parts(whole, 4)] == [4, 4, 2]
    for size in (0, 11):
        with pytest.raises(InputError, match="1 to 10 images"):
            Drawn(whole, size)
    with pytest.raises(InputError, match="a batch is latents"):
        Batch(latents, torch.zeros(9, 1, 1))
    with pytest.raises(InputError, match="mask is"):
        Batch(latents, torch.zeros(10, 2, 1), torch.ones(10, 3))


def test_rates_and_curves():
    how = Recipe(100, 1.0, warmup_steps=10, final_share=0.1)
    assert [how.rate(each) for each in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert how.rate(55) == pytest.approx(0.55) and how.rate(99) == pytest.approx(0.1, abs=1e-3)
    assert {Recipe(100, 0.5).rate(each) for each in (0, 50, 99)} == {0.5}
    curve = Curve(40, validations=[(0, 4.0), (10, 2.0), (20, 2.5), (30, 1.0)])
    assert [curve.reached(each) for each in (5.0, 3.0, 2.0, 1.75, 0.9)] == [0, 5, 10, 25, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -1}, "steps is -1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"final_share": 1.5}, "final_share is 1.5"),
        ({"ema": 1.0, "clip": 0.0}, "clip is 0.0.*; ema is 1.0"),
    ],
)
def test_bad_recipes(changes, message):
    with pytest.raises(ConfigError, match=message):
        Recipe(**{"steps": 4, **changes})


def test_names_and_pairs_that_do_not_exist():
    with pytest.raises(UnknownName, match="Did you mean 'adamw'"):
        Recipe(4, optimizer="adam")
    with pytest.raises(UnknownName, match="float16"):
        Recipe(4, precision="fp16")
    net = transformer(1)
    with pytest.raises(InputError, match="give `average`"):
        train(FlowLearner(net, HOW), Drawn(DATA, 8), HOW)
    with pytest.raises(InputError, match="images and draws"):
        HeldOutLoss([])
    for each in net.parameters():
        each.requires_grad_(False)
    how = Recipe(1)
    with pytest.raises(InputError, match="nothing to train"):
        train(FlowLearner(net, how), Drawn(DATA, 8), how)


def test_captured_steps_need_a_device_and_a_precision_that_a_graph_can_keep():
    with pytest.raises(InputError, match="captured steps need a CUDA device"):
        CapturedFlowLearner(transformer(1), Recipe(300))
    assert type(learner_of(transformer(1), Recipe(300))) is FlowLearner


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_captured_step_is_the_step(precision):
    how, weights = Recipe(12, 1e-3, precision=precision, drop_text=0.3), []
    null = (torch.zeros(3, 8), torch.tensor([True, False, False]))
    for kind in (FlowLearner, CapturedFlowLearner):
        net = transformer(2, trained=False).cuda()
        curve = train(kind(net, how, null), Drawn(DATA.to("cuda"), 8), how)
        weights.append((curve.losses[-1][1], torch.cat([each.detach().flatten() for each in net.parameters()])))
    (loss, one), (captured, other) = weights
    assert captured == pytest.approx(loss, rel=1e-3) and (one - other).norm() < 1e-2 * one.norm()
    with pytest.raises(InputError, match="batches of one shape"):
        learner = CapturedFlowLearner(transformer(2).cuda(), replace(how, drop_text=0.0))
        learner(Drawn(DATA.to("cuda"), 8)(0), 0)
        learner(Drawn(DATA.to("cuda"), 4)(0), 0)
