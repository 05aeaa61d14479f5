"""Exported folders: both ways, opened by diffusers, damaged, and never half written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import coevo
from coevo.errors import ConfigError, InputError
from coevo.spaces.sana.autoencoder.network import Autoencoder
from coevo.spaces.sana.export.folder import load_sampler, save_sampler
from coevo.spaces.sana.export.sampler import Sampling, SanaSampler
from coevo.spaces.sana.flow.guidance import Guidance
from coevo.spaces.sana.flow.sampling import sample
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.text.attribute import AttributeEncoder

DATA = "64 procedural scenes made by coevo, seed 0"
CAPTIONS = ["a red circle", "two blue squares"]


def sampler_of(
    *, pixels: bool = False, text: bool = True, attention: str = "linear", sampling: Sampling | None = None
) -> SanaSampler:
    torch.manual_seed(0)
    channels = 3 if pixels else 4
    config = SanaConfig.small(
        32, 2, head_dim=16, channels=channels, caption_channels=16, sample_size=4, attention=attention
    )
    autoencoder = None if pixels else Autoencoder(8, 4, widths=(8, 16, 16, 16)).eval()
    if autoencoder is not None:
        autoencoder.scale.fill_(0.6)
    return SanaSampler(
        SanaTransformer(config).eval(),
        sampling or Sampling(steps=3, guidance=Guidance(2.0)),
        AttributeEncoder(16, 1).eval() if text else None,
        autoencoder,
        0.3 if pixels else 1.0,
    )


@pytest.mark.parametrize("pixels", [True, False])
def test_what_is_saved_draws_the_same_images(pixels: bool, tmp_path: Path) -> None:
    sampler = sampler_of(pixels=pixels)
    save_sampler(sampler, tmp_path / "e", data=DATA, notes={"loss": 0.5})
    again = coevo.load(tmp_path / "e")
    assert isinstance(again, SanaSampler)
    assert again.sampling == sampler.sampling
    images = again.draw(CAPTIONS, seed=1, samples=2)
    assert images.shape == ((4, 3, 4, 4) if pixels else (4, 3, 32, 32))
    assert float(images.abs().max()) <= 1
    assert torch.equal(images, sampler.draw(CAPTIONS, seed=1, samples=2))
    assert not torch.equal(images, again.draw(CAPTIONS, seed=2, samples=2))
    assert again.card["notes"] == {"loss": 0.5}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["e"]


def test_images_of_a_caption_are_neighbours() -> None:
    sampler = sampler_of(pixels=True)
    images = sampler.draw(CAPTIONS, samples=2)
    torch.testing.assert_close(sampler.draw(CAPTIONS, samples=2, at_once=3), images, rtol=1e-4, atol=1e-4)
    noise = torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert sampler.text is not None
    tokens, mask = sampler.text.tokens_of(["two blue squares", ""])
    with torch.no_grad():
        features = sampler.text(tokens)
        latents = sample(
            sampler.transformer, noise[3:], features[:1], mask[:1],
            null_text=features[1], null_mask=mask[1], steps=3, guidance=2.0,
        )  # fmt: skip
    torch.testing.assert_close(images[3:], (0.3 * latents).clamp(-1, 1), rtol=1e-4, atol=1e-4)


def test_the_card_says_what_it_is(tmp_path: Path) -> None:
    sampler = sampler_of()
    save_sampler(sampler, tmp_path / "e", data=DATA, notes={"validation_loss": 0.25})
    page = (tmp_path / "e" / "README.md").read_text()
    parameters = sum(each.numel() for each in sampler.transformer.parameters())
    for words in (DATA, "No published weights were used", f"{parameters:,}", "2 linear", '"validation_loss": 0.25',
                  "3 steps, guidance 2", "text_encoder=None", 'coevo.load("this/folder")'):  # fmt: skip
        assert words in page
    save_sampler(sampler_of(attention="softmax"), tmp_path / "s", data=DATA, published_weights="Sana-1.5 1.6B")
    other = (tmp_path / "s" / "README.md").read_text()
    assert "Began from Sana-1.5 1.6B" in other
    assert "2 softmax" in other
    assert "there is no model_index.json" in " ".join(other.split())
    assert not (tmp_path / "s" / "model_index.json").exists()


def test_no_part_is_pretended(tmp_path: Path) -> None:
    save_sampler(sampler_of(pixels=True, text=False), tmp_path / "e", data=DATA)
    assert not (tmp_path / "e" / "vae").exists()
    assert not (tmp_path / "e" / "text").exists()
    index = json.loads((tmp_path / "e" / "model_index.json").read_text())
    assert index["vae"] == index["text_encoder"] == index["tokenizer"] == [None, None]
    with pytest.raises(InputError, match="has no text encoder"):
        load_sampler(tmp_path / "e").draw(CAPTIONS)


def test_an_export_joins_files_that_are_there_but_replaces_none(tmp_path: Path) -> None:
    folder = tmp_path / "e"
    folder.mkdir()
    (folder / "design.json").write_text("{}")
    save_sampler(sampler_of(), folder, data=DATA)
    before = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    assert load_sampler(folder).text is not None
    with pytest.raises(InputError, match=r"holds README\.md, model_index\.json, .* already"):
        save_sampler(sampler_of(pixels=True), folder, data=DATA)
    assert {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()} == before
    assert [each.name for each in tmp_path.iterdir()] == ["e"]


def test_nothing_is_left_after_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors.torch

    written: list[Path] = []
    original = safetensors.torch.save_file

    def filling(tensors: object, path: Path, metadata: object) -> None:
        if len(written) == 1:
            raise OSError(28, "No space left on device")
        written.append(path)
        original(tensors, path, metadata)  # type: ignore[arg-type]

    monkeypatch.setattr(safetensors.torch, "save_file", filling)
    with pytest.raises(OSError, match="No space left"):
        save_sampler(sampler_of(), tmp_path / "e", data=DATA)
    assert len(written) == 1
    assert list(tmp_path.iterdir()) == []


def edit(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def vocabulary(path: Path) -> None:
    document = json.loads(path.read_text())
    document["text"]["vocabulary"][0] = "azure"
    path.write_text(json.dumps(document))


WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights cut": (lambda at: (at / WEIGHTS).write_bytes(b"12345678"), "not the file that sana.json names"),
    "weights gone": (lambda at: (at / WEIGHTS).unlink(), "is missing or not the file"),
    "vae gone": (lambda at: (at / "vae/config.json").unlink(), "vae/config.json is missing or"),
    "mark cut": (lambda at: (at / "sana.json").write_text("{"), "sana.json is damaged"),
    "foreign": (lambda at: edit(at / "sana.json", format="other"), "expected the format 'coevo.sana'"),
    "newer": (lambda at: edit(at / "sana.json", version=2), "version 2, this coevo reads 1"),
    "no sampling": (lambda at: edit(at / "sana.json", sampling={}), "sana.json is damaged.*guidance"),
    "unknown solver": (
        lambda at: edit(at / "sana.json", sampling={**Sampling().to_json(), "solver": "heun"}), "unknown solver 'heun'",
    ),
    "no files": (lambda at: edit(at / "sana.json", files=None), "names no files"),
    "another shape": (lambda at: edit(at / "sana.json", autoencoder={"shape": {"factor": 8}, "scale": 1}), "damaged"),
    "vocabulary": (lambda at: vocabulary(at / "sana.json"), "another vocabulary of captions"),
}  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "e"
    save_sampler(sampler_of(), folder, data=DATA)
    return folder


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_folders_are_named(name: str, exported: Path, tmp_path: Path) -> None:
    import shutil

    damage, message = DAMAGE[name]
    folder = tmp_path / "e"
    shutil.copytree(exported, folder)
    damage(folder)
    with pytest.raises(InputError, match=message):
        coevo.load(folder)


def test_parts_that_do_not_fit_are_refused() -> None:
    whole = sampler_of()
    with pytest.raises(InputError, match="text encoder has 8 channels, the transformer reads 16"):
        SanaSampler(whole.transformer, text=AttributeEncoder(8, 0))
    with pytest.raises(InputError, match="latents have 16 channels, the transformer's 4"):
        SanaSampler(whole.transformer, autoencoder=Autoencoder(8, 16, widths=(8, 16, 16, 16)))
    with pytest.raises(InputError, match="pixel_deviation is 0"):
        SanaSampler(whole.transformer, pixel_deviation=0)
    with pytest.raises(InputError, match="latents have 4 channels and there is no autoencoder"):
        SanaSampler(whole.transformer, text=whole.text).draw(CAPTIONS)
    with pytest.raises(InputError, match="draw wants captions, samples and at_once from 1 up, got 0, 1, 256"):
        whole.draw([])
    with pytest.raises(InputError, match="purple"):
        whole.draw(["a purpel circle"])
    with pytest.raises(ConfigError, match="0 steps of sampling"):
        Sampling(steps=0)


@pytest.mark.oracle
@pytest.mark.parametrize("solver", ["flow_dpm", "flow_euler"])
def test_diffusers_pipeline_draws_the_same(solver: str, tmp_path: Path) -> None:
    import diffusers

    sampler = sampler_of(sampling=Sampling(steps=6, guidance=Guidance(3.0), solver=solver))
    save_sampler(sampler, tmp_path / "e", data=DATA)
    pipeline = diffusers.SanaPipeline.from_pretrained(tmp_path / "e", tokenizer=None, text_encoder=None)
    pipeline.set_progress_bar_config(disable=True)
    assert sampler.text is not None
    assert sampler.autoencoder is not None
    tokens, mask = sampler.text.tokens_of([*CAPTIONS, "", ""])
    with torch.no_grad():
        features = sampler.text(tokens)
    noise = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    given = {
        "prompt": None, "negative_prompt": None, "height": 32, "width": 32, "use_resolution_binning": False,
        "num_inference_steps": 6, "guidance_scale": 3.0, "latents": noise, "prompt_embeds": features[:2],
        "prompt_attention_mask": mask[:2], "negative_prompt_embeds": features[2:],
        "negative_prompt_attention_mask": mask[2:],
    }  # fmt: skip
    theirs = pipeline(**given, output_type="latent").images

    class Whole(SanaTransformer):
        """Is told whole timesteps, as diffusers tells them."""

        def forward(self, latents, timestep, *args, **options):  # type: ignore[no-untyped-def]
            return super().forward(latents, timestep.floor(), *args, **options)

    whole = Whole(sampler.transformer.config)
    whole.load_state_dict(sampler.transformer.state_dict())
    ours = sample(
        whole, noise, features[:2], mask[:2], null_text=features[2], null_mask=mask[2], steps=6, guidance=3.0,
        solver=solver,
    )  # fmt: skip
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    images = pipeline(**given, output_type="pt").images
    with torch.no_grad():
        drawn = sampler.autoencoder.decode(ours)
    torch.testing.assert_close((drawn / 2 + 0.5).clamp(0, 1), images, rtol=1e-2, atol=1e-2)
