"""The objective, guidance and sampling with transformers."""

from __future__ import annotations

import math

import pytest
import torch

from coevo.errors import ConfigError, InputError, UnknownName
from coevo.spaces.sana.flow.guidance import Guidance, drop_text
from coevo.spaces.sana.flow.objective import draw_times, flow_loss, noisy_latents
from coevo.spaces.sana.flow.sampling import sample
from coevo.spaces.sana.flow.schedule import flow_times
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer


def model_of(seed: int = 0) -> SanaTransformer:
    torch.manual_seed(seed)
    return SanaTransformer(SanaConfig.small(32, 2, head_dim=16, caption_channels=8, sample_size=4))


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Counting(SanaTransformer):
    """Counts images that it is given, and notes the times."""

    def forward(self, latents: torch.Tensor, timestep: torch.Tensor, *args: object, **options: object) -> torch.Tensor:
        self.seen = [*getattr(self, "seen", []), (latents.shape[0], float(timestep[0]))]
        return super().forward(latents, timestep, *args, **options)  # type: ignore[arg-type]


def test_training_times_are_shifted_logit_normal() -> None:
    generator = torch.Generator().manual_seed(0)
    t = draw_times(200_000, generator=generator).double()
    assert 0 < float(t.min()) < float(t.max()) < 1
    uniform = t / (3 - 2 * t)  # the shift undone
    logits = torch.log(uniform / (1 - uniform))
    assert float(logits.mean()) == pytest.approx(0, abs=0.01)
    assert float(logits.std()) == pytest.approx(1, abs=0.01)
    assert float(t.median()) == pytest.approx(0.75, abs=0.005)  # 3 / 4, the shifted 1 / 2
    plain = draw_times(200_000, generator=generator, mean=1.0, std=0.5, shift=1.0)
    assert float(plain.median()) == pytest.approx(1 / (1 + math.exp(-1)), abs=0.005)


def test_the_loss_is_the_squared_distance_from_the_velocity() -> None:
    model, x0, noise, text = model_of(), numbers(3, 4, 4, 4), numbers(3, 4, 4, 4, seed=1), numbers(3, 5, 8)
    t = torch.tensor([0.1, 0.5, 1.0])
    loss = flow_loss(model, x0, text, noise=noise, t=t)
    images = [(1 - time) * a + time * b for time, a, b in zip(t, x0, noise, strict=True)]
    want = (model(torch.stack(images), 1000 * t, text) - (noise - x0)).square().mean()
    torch.testing.assert_close(loss, want)
    torch.testing.assert_close(noisy_latents(x0, noise, t)[2], noise[2])
    shallow = flow_loss(model, x0, text, noise=noise, t=t, keep=[True, False])
    assert not torch.allclose(shallow, loss)


def test_the_loss_belongs_to_its_generator() -> None:
    model, x0, text = model_of(), numbers(2, 4, 4, 4), numbers(2, 5, 8)
    first, again, other = (
        flow_loss(model, x0, text, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    first.backward()
    with pytest.raises(InputError, match=r"noise of that shape and times \[2\]"):
        flow_loss(model, x0, text, t=torch.ones(3))


def test_a_model_learns_one_image() -> None:
    """A constant velocity field is learnt, and sampling it gives the image back."""
    model, text = model_of(), numbers(1, 3, 8)
    image = torch.linspace(-1, 1, 64).reshape(1, 4, 4, 4)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batch, texts = image.expand(16, -1, -1, -1), text.expand(16, -1, -1)
    losses = []
    for _ in range(80):
        loss = flow_loss(model, batch, texts, generator=generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.4 * sum(losses[:10])
    found = sample(model, numbers(4, 4, 4, 4, seed=3), text.expand(4, -1, -1), steps=10, guidance=1.0)
    before = (numbers(4, 4, 4, 4, seed=3) - image).square().mean()
    assert float((found - image).square().mean()) < 0.3 * float(before)


@pytest.mark.parametrize("solver", ["flow_dpm", "flow_euler"])
def test_guidance_goes_beyond_the_text(solver: str) -> None:
    model, noise, text, null = model_of(), numbers(2, 4, 4, 4), numbers(2, 5, 8), numbers(3, 8, seed=2)
    kept = {"steps": 1, "solver": solver}
    with_text = sample(model, noise, text, guidance=1.0, **kept)  # type: ignore[arg-type]
    without = sample(model, noise, null.expand(2, -1, -1), guidance=1.0, **kept)  # type: ignore[arg-type]
    guided = sample(model, noise, text, null_text=null, guidance=3.0, **kept)  # type: ignore[arg-type]
    torch.testing.assert_close(guided, without + 3.0 * (with_text - without), rtol=1e-4, atol=1e-4)
    only = sample(model, noise, text, null_text=null, guidance=0.0, **kept)  # type: ignore[arg-type]
    torch.testing.assert_close(only, without, rtol=1e-4, atol=1e-4)


def test_guidance_within_an_interval_costs_less() -> None:
    torch.manual_seed(0)
    model = Counting(SanaConfig.small(32, 1, head_dim=16, caption_channels=8, sample_size=4))
    noise, text, null = numbers(2, 4, 4, 4), numbers(2, 5, 8), numbers(5, 8, seed=2)
    sample(model, noise, text, null_text=null, steps=6, guidance=Guidance(3.0, first=0.9, last=0.4))
    times = flow_times(6)[:-1]
    assert model.seen == [(4 if 0.4 <= time <= 0.9 else 2, pytest.approx(1000 * time)) for time in times]
    model.seen = []
    sample(model, noise, text, steps=6, guidance=1.0)
    assert {count for count, _ in model.seen} == {2}


def test_masks_hold_within_guidance() -> None:
    model, noise, text = model_of(), numbers(2, 4, 4, 4), numbers(2, 5, 8)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    null, null_mask = numbers(7, 8, seed=2), torch.tensor([1, 1, 0, 0, 0, 0, 0])
    kept = {"steps": 3, "guidance": 2.0}
    one = sample(model, noise, text, mask, null_text=null, null_mask=null_mask, **kept)  # type: ignore[arg-type]
    short = sample(model, noise[1:], text[1:, :2], null_text=null[:2], **kept)  # type: ignore[arg-type]
    torch.testing.assert_close(one[1:], short, rtol=1e-4, atol=1e-4)


def test_sampling_runs_the_kept_blocks_in_the_models_dtype() -> None:
    model, noise, text = model_of(), numbers(1, 4, 4, 4), numbers(1, 5, 8)
    kept = {"steps": 2, "guidance": 1.0}
    whole = sample(model, noise, text, **kept)  # type: ignore[arg-type]
    assert not torch.allclose(whole, sample(model, noise, text, keep=(True, False), **kept))  # type: ignore[arg-type]
    own = sample(model, noise, text, guidance=1.0, times=flow_times(2))
    assert torch.equal(own, whole)
    narrow = sample(model.to(torch.bfloat16), noise, text, **kept)  # type: ignore[arg-type]
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow, whole, rtol=0.1, atol=0.1)


def test_what_sampling_refuses() -> None:
    model, noise, text = model_of(), numbers(2, 4, 4, 4), numbers(2, 5, 8)
    with pytest.raises(ConfigError, match=r"guidance of 4\.5 needs null_text"):
        sample(model, noise, text)
    with pytest.raises(UnknownName, match=r"unknown solver 'flow_dmp'.*'flow_dpm'"):
        sample(model, noise, text, guidance=1.0, solver="flow_dmp")
    with pytest.raises(InputError, match=r"null_text is \[T, C\]"):
        sample(model, noise, text, null_text=numbers(3, 5, 8))
    with pytest.raises(InputError, match=r"null_text is \[T, C\]"):
        sample(model, noise, text, null_text=text[0], null_mask=torch.ones(4))
    with pytest.raises(ConfigError, match=r"a guidance of -1\.0"):
        sample(model, noise, text, guidance=-1.0)
    with pytest.raises(ConfigError, match=r"guidance from 0\.2 to 0\.8"):
        Guidance(2.0, first=0.2, last=0.8)
    with pytest.raises(ConfigError, match="fall strictly"):
        sample(model, noise, text, guidance=1.0, times=(0.2, 0.5))
    with pytest.raises(InputError, match=r"latents are \[B, 4, H, W\]"):
        sample(model, noise[:, :3], text, guidance=1.0)


def test_captions_are_dropped_one_by_one() -> None:
    text, null = numbers(400, 5, 8), torch.full((2, 8), 9.0)
    features, mask = drop_text(text, None, null, share=0.25, generator=torch.Generator().manual_seed(0))
    assert mask is not None
    gone = (features[:, 0] == 9).all(dim=-1)
    assert 0.18 < float(gone.float().mean()) < 0.32
    assert torch.equal(mask.sum(1), torch.where(gone, 2, 5))
    assert torch.equal(features[~gone], text[~gone])
    same, none = drop_text(text, None, null.repeat(3, 1)[:5], share=0.0)
    assert none is None
    assert torch.equal(same, text)
