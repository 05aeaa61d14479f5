"""Supernets train by sandwiches; captions are dropped; encoders train along."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import pixel_unshuffle

from coevo.errors import ConfigError, InputError
from coevo.spaces.sana.data.latents import encode_scenes
from coevo.spaces.sana.depth.growth import grow
from coevo.spaces.sana.depth.supernet import DepthSupernet, Subnet, identity_supernet
from coevo.spaces.sana.flow.objective import draw_times, noisy_latents
from coevo.spaces.sana.text.attribute import AttributeEncoder
from coevo.spaces.sana.training import (
    Batch,
    Captioned,
    Drawn,
    FlowLearner,
    HeldOutLoss,
    Plan,
    Recipe,
    SandwichLearner,
    train,
)
from coevo.spaces.sana.training.captured import CapturedFlowLearner
from coevo.spaces.sana.training.learners import generator_of
from coevo.supernets.checkpoints import Checkpoints
from tests.spaces.sana.small import TEXT_COLUMNS, batch, transformer

RATIOS = (0.5, 1.0, 2.0)
DATA = batch(24, seed=5, masked=True)
NULL = (torch.full((3, TEXT_COLUMNS), 9.0), torch.tensor([True, False, False]))


def supernet(seed: int = 0) -> DepthSupernet:
    return DepthSupernet(transformer(3, seed=seed, ffn_ratio=2.0), RATIOS)


def test_a_sandwich_is_its_losses_written_out():
    how, plan = Recipe(10, 1e-3, seed=4), Plan(whole=0.2, between=1, velocity=0.25)
    net, other = supernet(), supernet()
    learner = SandwichLearner(net, how, plan, prior=(1.0, 2.0, 3.0))
    assert [len(learner.designs(step)) for step in (0, 1, 2, 9)] == [1, 1, 3, 3]
    largest, smallest, between = learner.designs(5)
    assert largest == net.largest and set(smallest.ffn_ratios) == {0.5} and sum(smallest.keep) == 1
    assert learner.designs(5) == [largest, smallest, between] != learner.designs(6)
    loss = learner(DATA, 5)
    assert not loss.requires_grad and net.design == net.largest
    generator = generator_of(how, 5, torch.device("cpu"))
    t = draw_times(24, generator=generator)
    noise = torch.randn(DATA.latents.shape, generator=generator)
    x, target = noisy_latents(DATA.latents, noise, t), noise - DATA.latents
    answers = []
    for design in (largest, smallest, between):
        other.set_design(design)
        answers.append(other(x, 1000 * t, DATA.text, DATA.text_mask))
    wanted = (answers[0] - target).square().mean()
    assert torch.allclose(loss, wanted)
    teacher = answers[0].detach()
    for each in answers[1:]:
        wanted = wanted + 0.25 * (each - target).square().mean() + 0.75 * (each - teacher).square().mean()
    wanted.backward()
    for (name, a), b in zip(net.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-6), name


def test_sandwiches_make_subnets_better_than_the_largest_alone_does():
    """A subnet of a transformer that was trained whole, and of one trained by sandwiches for as many updates."""
    small, held_out, found = Subnet((True, False, True), (0.5,) * 3, ("softmax",) * 3), HeldOutLoss([DATA]), {}
    for whole in (0.25, 1.0):
        net = identity_supernet(transformer(3, ffn_ratio=2.0).config, RATIOS, seed=2)
        how = Recipe(20, 3e-3, seed=1)
        train(SandwichLearner(net, how, Plan(whole)), Drawn(DATA, 12), how)
        net.set_design(small)
        found[whole] = held_out(net)
        assert found[whole] == held_out(net.extract(small))
    assert found[0.25] < found[1.0]


def test_a_stopped_supernet_goes_on_to_the_same_weights(tmp_path):
    pytest.importorskip("safetensors")
    how = Recipe(6, 1e-2, seed=3)

    def run(folder=None, stop=None, seed=0):
        net = supernet(seed)
        train(SandwichLearner(net, how, Plan(0.5)), Drawn(DATA, 8), how, folder and Checkpoints(folder, {}),
              checkpoint_every=2, stop_after=stop)  # fmt: skip
        return net

    whole = run()
    run(tmp_path, stop=3)  # between the training of the largest and the sorting
    resumed = run(tmp_path, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    sums = whole.transformer.blocks[0].ffn.project.weight.abs().sum(0)
    assert sums[:16].mean() > sums[-16:].mean()


def test_a_share_of_the_captions_is_dropped():
    how = Recipe(1, drop_text=0.5)
    learner = FlowLearner(transformer(1), how, NULL)
    wide = batch(400, masked=False)
    found = learner.dropped(wide, torch.Generator().manual_seed(0))
    gone = (found.text == 9).all(dim=(1, 2))
    assert 140 < gone.sum() < 260 and torch.equal(found.text[~gone], wide.text[~gone])
    assert torch.equal(found.text_mask[gone], NULL[1].expand(int(gone.sum()), -1)) and found.text_mask[~gone].all()
    assert torch.equal(found.latents, wide.latents)
    masked = learner.dropped(DATA, torch.Generator().manual_seed(0))
    assert not masked.text_mask[:, 2].any()
    with pytest.raises(InputError, match="give `null_text`"):
        FlowLearner(transformer(1), how)
    with pytest.raises(InputError, match="the empty caption is text"):
        FlowLearner(transformer(1), how, (NULL[0][:2], NULL[1])).dropped(DATA, torch.Generator())


def test_an_encoder_trains_along():
    torch.manual_seed(0)
    tokens = torch.arange(24)[:, None] % 4 + torch.zeros(1, 3, dtype=torch.int64)
    latents = 0.1 * torch.randn(24, 4, 4, 4) + tokens[:, :1, None, None] - 1.5
    data = Batch(latents, tokens, torch.ones(24, 3, dtype=torch.bool))
    net = Captioned(transformer(1, trained=False), nn.Embedding(5, TEXT_COLUMNS))
    before = net.encoder.weight.detach().clone()
    how = Recipe(40, 1e-2, drop_text=0.1)
    first = HeldOutLoss([data])(net)
    train(FlowLearner(net, how, (torch.full((3,), 4), torch.ones(3, dtype=torch.bool))), Drawn(data, 12), how)
    assert HeldOutLoss([data])(net) < 0.7 * first
    assert (net.encoder.weight != before).all(dim=1).all()  # the empty caption's too
    net.transformer = grow(net.transformer, 2, drop_last=0)
    assert HeldOutLoss([data])(net) == HeldOutLoss([data])(net, keep=(True, False))
    with pytest.raises(InputError, match="tokens"):
        Batch(latents, tokens[:, :, None])


def test_scenes_train_a_transformer_with_the_encoder_of_their_captions():
    scenes = encode_scenes(lambda images: pixel_unshuffle(images, 4), 24, torch.Generator().manual_seed(0), size_px=16)
    torch.manual_seed(0)
    encoder = AttributeEncoder(TEXT_COLUMNS, layers=1)
    net = Captioned(transformer(1, channels=48, trained=False), encoder)
    data, (tokens, mask) = Batch.of(scenes, encoder.tokens_of), encoder.tokens_of([""])
    assert data.size == 24 and data.text.shape == (24, 16) and data.text_mask.dtype == torch.bool
    first, how = HeldOutLoss([data])(net), Recipe(15, 1e-2, drop_text=0.1)
    before = encoder.words.weight.detach().clone()
    train(FlowLearner(net, how, (tokens[0], mask[0])), Drawn(data, 12), how)
    assert HeldOutLoss([data])(net) < 0.8 * first and not torch.equal(before, encoder.words.weight)


def test_bad_plans():
    for wrong in ({"whole": 1.5}, {"between": -1}, {"velocity": 2.0}):
        with pytest.raises(ConfigError, match="a plan has"):
            Plan(**wrong)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_largest_alone_is_captured_and_then_let_go() -> None:
    how, plan, weights = Recipe(402, 1e-3), Plan(whole=200 / 402, between=0), []
    for captured in (True, False):
        net = supernet().cuda()
        learner = SandwichLearner(net, how, plan)
        assert isinstance(learner._captured, CapturedFlowLearner)
        if not captured:
            learner._captured = None
        train(learner, Drawn(DATA.to("cuda"), 8), how, stop_after=201)
        assert learner._captured is None and net.design == net.largest
        weights.append(torch.cat([each.detach().flatten() for each in net.parameters()]))
    assert (weights[0] - weights[1]).norm() < 1e-2 * weights[0].norm()
