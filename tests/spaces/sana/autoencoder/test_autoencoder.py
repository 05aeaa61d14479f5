"""The autoencoder against diffusers' AutoencoderDC, its shortcuts, its training and resuming, latents on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from coevo.errors import ConfigError, InputError
from coevo.spaces.sana.autoencoder.layers import Down, Up
from coevo.spaces.sana.autoencoder.network import Autoencoder, diffusers_config, psnr_db
from coevo.spaces.sana.autoencoder.training import AutoencoderRecipe, mean_psnr_db, train_autoencoder
from coevo.spaces.sana.data.drawn import draw_scenes
from coevo.spaces.sana.data.image_folder import ImageFolder
from coevo.spaces.sana.data.latents import Latents, encode_folder, encode_scenes
from coevo.spaces.sana.data.scenes import render_batch

ANSWERS = Path(__file__).with_name("diffusers_answers.json")
TINY = (8, 8, 16, 16)


def patterned(autoencoder: Autoencoder) -> Autoencoder:
    """Weights by formula, which every version of torch draws alike."""
    with torch.no_grad():
        for number, each in enumerate(autoencoder.parameters()):
            waves = torch.cos(torch.arange(each.numel(), dtype=torch.float64) * (0.7 + 0.1 * number))
            each.copy_((waves * (2 / max(1, each.numel() // max(1, each.shape[0]))) ** 0.5).view(each.shape))
    return autoencoder


def image(side: int) -> torch.Tensor:
    return torch.sin(torch.arange(3 * side * side, dtype=torch.float32) * 0.37).view(1, 3, side, side)


def small(factor: int) -> Autoencoder:
    return patterned(Autoencoder(factor, 4, widths={8: TINY, 16: (4, *TINY), 32: (4, 4, *TINY)}[factor]))


def samples(values: torch.Tensor) -> list[float]:
    """Eight values from all over a tensor."""
    flat = values.flatten()
    return [float(flat[at]) for at in torch.linspace(0, len(flat) - 1, 8).long()]


@pytest.mark.parametrize("factor", [8, 16, 32])
def test_it_answers_as_diffusers_does(factor: int) -> None:
    """Answers of diffusers 0.42.1 on the same weights, kept; `-m oracle` asks again."""
    kept = json.loads(ANSWERS.read_text(encoding="utf-8"))[str(factor)]
    ours = small(factor)
    with torch.no_grad():
        latents = ours.encode(image(64))
        back = ours.decode(latents)
    assert list(latents.shape) == [1, 4, 64 // factor, 64 // factor] and back.shape == (1, 3, 64, 64)
    assert samples(latents) == pytest.approx(kept["latents"], rel=1e-4, abs=1e-5)
    assert samples(back) == pytest.approx(kept["back"], rel=1e-4, abs=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("factor", [8, 16, 32])
def test_diffusers_is_this_network(factor: int) -> None:
    from diffusers import AutoencoderDC

    ours = small(factor)
    theirs = AutoencoderDC(**diffusers_config(ours))
    theirs.load_state_dict({name: each for name, each in ours.state_dict().items() if name != "scale"})
    with torch.no_grad():
        latents = theirs.encode(image(64), return_dict=False)[0]
        back = theirs.decode(latents, return_dict=False)[0]
        assert torch.allclose(ours.encode(image(64)), latents, atol=1e-6)
        assert torch.allclose(ours.decode(latents), back, atol=1e-6)
    kept = json.loads(ANSWERS.read_text(encoding="utf-8"))[str(factor)]
    assert samples(latents) == pytest.approx(kept["latents"], rel=1e-4, abs=1e-5)
    assert samples(back) == pytest.approx(kept["back"], rel=1e-4, abs=1e-5)


def test_shortcuts_carry_pixels_past_the_convolutions() -> None:
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    for layer in (Down(4, 8), Up(4, 4)):
        torch.nn.init.zeros_(layer.conv.weight)
        torch.nn.init.zeros_(layer.conv.bias)
        if isinstance(layer, Down):
            pairs = F.pixel_unshuffle(x, 2)
            assert torch.allclose(layer(x), (pairs[:, ::2] + pairs[:, 1::2]) / 2)
        else:
            assert torch.equal(layer(x), F.interpolate(x, scale_factor=2))


@pytest.mark.parametrize("factor", [8, 16, 32])
def test_sizes(factor: int) -> None:
    autoencoder = Autoencoder(factor)
    assert 1e6 < autoencoder.parameters_count < 3e6
    sides = torch.zeros(1, 3, 2 * factor, factor)
    assert autoencoder.encode(sides).shape == (1, autoencoder.latent_channels, 2, 1)
    assert autoencoder(sides).shape == sides.shape


def test_bad_input() -> None:
    with pytest.raises(InputError, match="factor of 8, 16, 32, got 4"):
        Autoencoder(4)
    with pytest.raises(InputError, match="does not divide 48 x 100 pixels; resize to 64 x 96"):
        Autoencoder(32).encode(torch.zeros(1, 3, 48, 100))
    with pytest.raises(InputError, match=r"expected images \[B, 3, H, W\]"):
        Autoencoder(8).encode(torch.zeros(3, 64, 64))
    with pytest.raises(InputError, match=r"expected latents \[B, 4, h, w\], got \[1, 3, 8, 8\]"):
        Autoencoder(8).decode(torch.zeros(1, 3, 8, 8))
    with pytest.raises(InputError, match="5 latent channels do not divide"):
        Autoencoder(8, 5)
    with pytest.raises(InputError, match="width 24 after 8"):
        Autoencoder(8, 4, widths=(8, 24, 24, 24))
    with pytest.raises(InputError, match="has 4 stages"):
        Autoencoder(8, 4, widths=(8, 8, 8))
    with pytest.raises(ConfigError, match="learning_rate"):
        AutoencoderRecipe(3, learning_rate=-1.0)
    with pytest.raises(InputError, match="at least one image"):
        Autoencoder(8).calibrate([])


def scenes(step: int) -> torch.Tensor:
    return render_batch(draw_scenes(8, torch.Generator().manual_seed(step))[0], 32)


def tiny() -> Autoencoder:
    torch.manual_seed(3)
    return Autoencoder(8, 4, widths=TINY)


def test_training_reconstructs_and_gives_unit_variance() -> None:
    torch.manual_seed(3)
    autoencoder = Autoencoder(8, 16, widths=(16, 16, 32, 32))
    images = render_batch(draw_scenes(8, torch.Generator().manual_seed(0), "colors")[0], 16)
    before = mean_psnr_db(autoencoder, images)
    curve = train_autoencoder(autoencoder, lambda _: images, AutoencoderRecipe(100, 3e-3), checkpoint_every=25)
    assert [step for step, _ in curve] == [25, 50, 75, 100] and curve[-1][1] < 0.5 * curve[0][1]
    grey = float(psnr_db(images, torch.zeros_like(images)).mean())
    assert mean_psnr_db(autoencoder, images) > max(before, grey) + 2
    with torch.no_grad():
        assert float(autoencoder.encode(images).std()) == pytest.approx(1, abs=0.01)


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    recipe = AutoencoderRecipe(6, 2e-3, calibration=1)
    whole, parts = tiny(), tiny()
    curve = train_autoencoder(whole, scenes, recipe, checkpoint_every=2)
    train_autoencoder(parts, scenes, recipe, folder=tmp_path / "a", checkpoint_every=2, stop_after=4)
    torch.manual_seed(99)
    resumed = Autoencoder(8, 4, widths=TINY)
    assert train_autoencoder(resumed, scenes, recipe, folder=tmp_path / "a", checkpoint_every=2) == curve
    for name, each in whole.state_dict().items():
        assert torch.equal(each, resumed.state_dict()[name]), name
    with pytest.raises(InputError, match="is of another training"):
        train_autoencoder(tiny(), scenes, AutoencoderRecipe(7), folder=tmp_path / "a")


def test_psnr() -> None:
    image = torch.zeros(2, 3, 4, 4)
    back = torch.stack([image[0] + 0.2, image[1] + 5.0])  # what leaves the range is clipped
    assert psnr_db(image, back).tolist() == pytest.approx([20.0, 20 * torch.log10(torch.tensor(2.0)).item()], abs=1e-4)


def test_latents_are_cached_whole_and_by_name(tmp_path: Path) -> None:
    autoencoder = tiny()
    made = encode_scenes(autoencoder.encode, 11, torch.Generator().manual_seed(0), 32, batch=4)
    again = encode_scenes(autoencoder.encode, 11, torch.Generator().manual_seed(0), 32, batch=4, category=None)
    assert made.latents.shape == (11, 4, 4, 4) and len(made.captions) == 11 and "procedural scenes" in made.source
    assert torch.equal(made.latents, again.latents)
    identity = {"seed": 0, "count": 11}
    made.save(tmp_path / "a" / "latents.npz", identity)
    read = Latents.load(tmp_path / "a" / "latents.npz", identity)
    assert torch.equal(read.latents, made.latents) and read.captions == made.captions and read.source == made.source
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["latents.npz"]
    with pytest.raises(InputError, match="holds latents of"):
        Latents.load(tmp_path / "a" / "latents.npz", {"seed": 1, "count": 11})
    whole = (tmp_path / "a" / "latents.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("b.npz", "none.npz"):
        with pytest.raises(InputError, match="cannot be read as latents"):
            Latents.load(tmp_path / name, identity)
    with pytest.raises(InputError, match="a caption each, got 2 and 1"):
        Latents(torch.zeros(2, 1, 1, 1), ["a ring"], "")


def test_latents_of_a_folder(tmp_path: Path) -> None:
    images = pytest.importorskip("PIL.Image")
    for name in ("a", "b", "c"):
        images.new("RGB", (40, 32), (10, 200, 30)).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(f"a ring {name}", encoding="utf-8")
    autoencoder = tiny()
    with torch.no_grad():
        made = encode_folder(autoencoder.encode, ImageFolder(tmp_path, 32, multiple_of=8), batch=2)
        whole = autoencoder.encode(ImageFolder(tmp_path, 32).batch(range(3))[0])
    assert torch.allclose(made.latents, whole, atol=1e-5) and made.captions == ["a ring a", "a ring b", "a ring c"]
