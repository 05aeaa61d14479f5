"""Transformers to folders and back, and folders that are damaged or foreign."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.sana.model.checkpoint import load_transformer, load_weights, read_config, save_transformer
from coevo.spaces.sana.model.config import BlockConfig, SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer

CONFIG = SanaConfig.small(32, 2, head_dim=16, caption_channels=8)
MIXED = CONFIG.with_blocks((BlockConfig("softmax", 1.0), BlockConfig("linear", 2.0)))
SOFTMAX = CONFIG.with_blocks((BlockConfig("softmax"),) * 2)


def model_of(config: SanaConfig = CONFIG, seed: int = 0) -> SanaTransformer:
    torch.manual_seed(seed)
    return SanaTransformer(config)


def same(one: SanaTransformer, other: SanaTransformer) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize("config", [CONFIG, MIXED, SOFTMAX], ids=["uniform", "mixed", "softmax"])
@pytest.mark.parametrize("shard_bytes", [10**9, 30_000, 1])
def test_what_is_saved_is_loaded(config: SanaConfig, shard_bytes: int, tmp_path: Path) -> None:
    model = model_of(config)
    save_transformer(model, tmp_path / "t", shard_bytes=shard_bytes)
    loaded = load_transformer(tmp_path / "t")
    assert loaded.config == config
    assert same(loaded, model)
    assert not loaded.training
    shards = len(list(tmp_path.joinpath("t").glob("*.safetensors")))
    assert shards == 1 if shard_bytes == 10**9 else shards > 1
    assert [each.name for each in tmp_path.iterdir()] == ["t"]


def test_dtypes_are_kept_or_changed(tmp_path: Path) -> None:
    model = model_of().to(torch.bfloat16)
    save_transformer(model, tmp_path / "t")
    assert same(load_transformer(tmp_path / "t"), model)
    assert load_transformer(tmp_path / "t", dtype=torch.float16).table.dtype == torch.float16


@pytest.mark.parametrize("shard_bytes", [10**9, 30_000])
def test_variants_are_read_by_name(shard_bytes: int, tmp_path: Path) -> None:
    """diffusers' names of variants: the word stands before the shard's number and before the index's ending."""
    model = model_of().half()
    save_transformer(model, tmp_path / "t", shard_bytes=shard_bytes)
    for file in sorted(tmp_path.joinpath("t").glob("diffusion*")):
        renamed = file.name.replace("pytorch_model", "pytorch_model.fp16")
        if file.suffix == ".json":
            file.write_text(file.read_text().replace("pytorch_model", "pytorch_model.fp16"))
            renamed = file.name.replace("index", "index.fp16")
        file.rename(file.with_name(renamed))
    assert same(load_transformer(tmp_path / "t", variant="fp16"), model)
    with pytest.raises(InputError, match=r"lacks .*there: diffusion_pytorch_model\.fp16.*variant="):
        load_transformer(tmp_path / "t")


def test_weights_into_a_transformer_that_is_there(tmp_path: Path) -> None:
    model, other = model_of(), model_of(seed=1)
    save_transformer(model, tmp_path / "t")
    assert not same(model, other)
    load_weights(other, tmp_path / "t")
    assert same(model, other)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SanaConfig.small(48, 2, head_dim=16, caption_channels=8), "width 32 instead of 48"),
        (CONFIG.with_depth(3), "depth 2 instead of 3"),
        (MIXED, "blocks .* instead of"),
    ],
)
def test_a_checkpoint_of_another_shape_is_refused(config: SanaConfig, message: str, tmp_path: Path) -> None:
    save_transformer(model_of(), tmp_path / "t")
    other = model_of(config)
    before = {name: each.clone() for name, each in other.state_dict().items()}
    with pytest.raises(InputError, match=message):
        load_weights(other, tmp_path / "t")
    assert all(torch.equal(each, before[name]) for name, each in other.state_dict().items())


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def change(path: Path, **fields: object) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **fields}))


def drop(path: Path, field: str) -> None:
    document = json.loads(path.read_text())
    del document[field]
    path.write_text(json.dumps(document))


def rename_tensor(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    weights["proj_out.other"] = weights.pop("proj_out.bias")
    save_file(weights, path)


WEIGHTS = "diffusion_pytorch_model.safetensors"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda at: [each.unlink() for each in at.iterdir()], r"config.json cannot be read"),
    "no weights": (lambda at: (at / WEIGHTS).unlink(), f"lacks {WEIGHTS}"),
    "weights cut": (lambda at: cut(at / WEIGHTS, 5000), r"truncated or no safetensors file \(5000 bytes"),
    "header cut": (lambda at: cut(at / WEIGHTS, 3), "truncated or no safetensors file"),
    "empty": (lambda at: cut(at / WEIGHTS, 0), "truncated or no safetensors file"),
    "config cut": (lambda at: cut(at / "config.json", 40), "config.json is damaged"),
    "config no object": (lambda at: (at / "config.json").write_text("[]"), "expected an object of JSON, got list"),
    "foreign class": (
        lambda at: change(at / "config.json", _class_name="FluxTransformer2DModel"),
        "of the class 'Flux",
    ),
    "no class": (lambda at: drop(at / "config.json", "_class_name"), "of the class None"),
    "field gone": (lambda at: drop(at / "config.json", "patch_size"), "does not say patch_size"),
    "ratio gone": (lambda at: drop(at / "config.json", "mlp_ratio"), "does not say mlp_ratio"),
    "sprint": (lambda at: change(at / "config.json", guidance_embeds=True), "guidance_embeds = True"),
    "bias": (lambda at: change(at / "config.json", attention_bias=True), "attention_bias = True; .* has False"),
    "other norm": (lambda at: change(at / "config.json", qk_norm="layer_norm"), "qk_norm = 'layer_norm'"),
    "cross width": (lambda at: change(at / "config.json", cross_attention_dim=16), "cross_attention_dim = 16"),
    "heads": (lambda at: change(at / "config.json", num_attention_heads=0), "makes no transformer"),
    "text": (lambda at: change(at / "config.json", num_layers="two"), "makes no transformer"),
    "another width": (
        lambda at: change(at / "config.json", num_attention_heads=3, cross_attention_dim=48),
        r"not those of a Sana transformer of width 48 and depth 2: .* expected \[",
    ),
    "deeper": (
        lambda at: change(at / "config.json", num_layers=3),
        r"transformer_blocks.2.scale_shift_table is missing",
    ),
    "shallower": (
        lambda at: change(at / "config.json", num_layers=1),
        "transformer_blocks.1.*is not in the transformer",
    ),
    "tensor renamed": (lambda at: rename_tensor(at / WEIGHTS), "proj_out.bias is missing; proj_out.other is not in"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_and_foreign_folders_are_named(name: str, tmp_path: Path) -> None:
    damage, message = DAMAGE[name]
    folder = tmp_path / "t"
    save_transformer(model_of(), folder)
    damage(folder)
    with pytest.raises(InputError, match=message):
        load_transformer(folder)


def test_damaged_indices_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    save_transformer(model_of(), folder, shard_bytes=30_000)
    index = folder / f"{WEIGHTS}.index.json"
    whole = index.read_text()
    sorted(folder.glob("*.safetensors"))[1].rename(tmp_path / "gone")
    with pytest.raises(InputError, match="lacks diffusion_pytorch_model-00002-of"):
        load_transformer(folder)
    index.write_text("{}")
    with pytest.raises(InputError, match="has no weight_map"):
        load_transformer(folder)
    index.write_text(whole.replace("diffusion_pytorch_model-00001", "../diffusion_pytorch_model-00001"))
    with pytest.raises(InputError, match="not a file of its own folder"):
        load_transformer(folder)


def test_nothing_is_overwritten_and_nothing_is_left_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_transformer(model_of(), tmp_path / "t")
    with pytest.raises(InputError, match="t is there already"):
        save_transformer(model_of(seed=1), tmp_path / "t")
    assert same(load_transformer(tmp_path / "t"), model_of())

    import safetensors.torch

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_transformer(model_of(), tmp_path / "u")
    assert [each.name for each in tmp_path.iterdir()] == ["t"]


def test_a_released_configuration_is_read(tmp_path: Path) -> None:
    """The fields of the released 1.6B model's file, which lacks those that came later."""
    document = {
        "_class_name": "SanaTransformer2DModel", "_diffusers_version": "0.32.0.dev0", "attention_bias": False,
        "attention_head_dim": 32, "caption_channels": 2304, "cross_attention_dim": 2240,
        "cross_attention_head_dim": 112, "dropout": 0.0,
        "in_channels": 32, "mlp_ratio": 2.5, "norm_elementwise_affine": False, "norm_eps": 1e-06,
        "num_attention_heads": 70, "num_cross_attention_heads": 20, "num_layers": 20, "out_channels": 32,
        "patch_size": 1, "sample_size": 32,
    }  # fmt: skip
    tmp_path.joinpath("config.json").write_text(json.dumps(document))
    assert read_config(tmp_path) == SanaConfig.named("sana-1.6b")
