"""Transformers in folders, in diffusers' layout.

config.json                                         the shape (diffusers_names.py)
diffusion_pytorch_model.safetensors                 the weights by diffusers' names, in one file,
diffusion_pytorch_model-00001-of-00002.safetensors  or in several, with the index
diffusion_pytorch_model.safetensors.index.json      that says which file holds what

A transformer whose blocks differ, or have softmax attention, has the class name CoevoSanaTransformer and files called
coevo_sana_transformer: diffusers, which would run it as something else, finds no weights and says so.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from coevo.errors import InputError, missing_extra
from coevo.spaces.sana.files import whole_folder
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.diffusers_names import (
    from_diffusers_config,
    is_convolution,
    names_of,
    to_diffusers_config,
)
from coevo.spaces.sana.model.transformer import SanaTransformer

CONFIG = "config.json"
WEIGHTS, OWN_WEIGHTS = "diffusion_pytorch_model", "coevo_sana_transformer"
SHARD_BYTES = 5_000_000_000
_SHOWN = 3


def to_diffusers(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our state dict by diffusers' names and shapes; the tensors share memory with ours."""
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        names = names_of(name)
        tensor = tensor[:, :, None, None] if is_convolution(name) else tensor
        renamed.update(zip(names, tensor.chunk(len(names)), strict=True))
    return renamed


def from_diffusers(weights: Mapping[str, torch.Tensor], config: SanaConfig) -> dict[str, torch.Tensor]:
    """diffusers' state dict by our names and shapes.

    Raises:
        InputError: tensors are missing, left over or of another shape than the configuration's.
    """
    with torch.device("meta"):
        expected = SanaTransformer(config).state_dict()
    theirs = to_diffusers(expected)
    wrong = [f"{name} is missing" for name in theirs if name not in weights]
    wrong += [f"{name} is not in the transformer" for name in weights if name not in theirs]
    wrong += [
        f"{name} is {list(weights[name].shape)}, expected {list(each.shape)}"
        for name, each in theirs.items()
        if name in weights and weights[name].shape != each.shape
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InputError(
            f"the weights are not those of a Sana transformer of width {config.width} and depth {config.depth}: "
            f"{'; '.join(wrong[:_SHOWN])}{more}"
        )
    return {
        name: torch.cat([weights[each] for each in names_of(name)]).reshape(tensor.shape)
        if len(names_of(name)) > 1
        else weights[names_of(name)[0]].reshape(tensor.shape)
        for name, tensor in expected.items()
    }


def save_transformer(model: SanaTransformer, folder: Path | str, *, shard_bytes: int = SHARD_BYTES) -> None:
    """Writes config.json and the weights, in the dtype they have; the folder appears whole or not at all.

    Args:
        model: of whatever device.
        folder: where to; it must not hold anything.
        shard_bytes: the most that a file of weights holds; a tensor is never split.

    Raises:
        InputError: the folder holds something.
        MissingExtra: safetensors is not installed.
    """
    weights = to_diffusers(model.state_dict())
    shards = _shards(weights, shard_bytes)
    stem = WEIGHTS if model.config.is_uniform else OWN_WEIGHTS
    with whole_folder(folder) as part:
        files = [f"{stem}-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
        if len(shards) == 1:
            files = [f"{stem}.safetensors"]
        for file, names in zip(files, shards, strict=True):
            write_tensors(part / file, {name: weights[name] for name in names})
        if len(shards) > 1:
            index = {
                "metadata": {"total_size": sum(each.nbytes for each in weights.values())},
                "weight_map": {name: file for file, names in zip(files, shards, strict=True) for name in names},
            }
            write_json(part / f"{stem}.safetensors.index.json", index)
        write_json(part / CONFIG, to_diffusers_config(model.config))


def load_transformer(
    folder: Path | str,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    variant: str | None = None,
) -> SanaTransformer:
    """The transformer of a folder in diffusers' layout, in evaluation mode.

    Args:
        folder: where from: the folder with config.json (a pipeline's `transformer`).
        device: where to.
        dtype: None keeps the files' own.
        variant: of the files, where they are named by one (diffusion_pytorch_model.fp16.safetensors has "fp16").

    Raises:
        InputError: a file is missing, damaged or truncated, or the weights are not the configuration's.
        MissingExtra: safetensors is not installed.
    """
    config = read_config(folder)
    state = from_diffusers(_read_weights(Path(folder), config, variant), config)
    with torch.device("meta"):
        model = SanaTransformer(config)
    model.load_state_dict(state, assign=True)
    return model.to(device=device, dtype=dtype).eval()


def load_weights(model: SanaTransformer, folder: Path | str) -> None:
    """Puts a folder's weights into a transformer that is there, in the transformer's dtype and on its device.

    Raises:
        InputError: as `load_transformer`, or the checkpoint is of another shape; the transformer stays as it was.
    """
    config, own = read_config(folder).to_json(), model.config.to_json()
    own.pop("sample_size")  # no weight depends on it
    differing = [f"{name} {config[name]} instead of {own[name]}" for name in own if config[name] != own[name]]
    if differing:
        raise InputError(f"{folder} holds another transformer than the one to fill: {'; '.join(differing[:_SHOWN])}")
    model.load_state_dict(from_diffusers(_read_weights(Path(folder), model.config), model.config))


def read_config(folder: Path | str) -> SanaConfig:
    """The shape that a folder's config.json says.

    Raises:
        InputError: it is missing, damaged, or of another model.
    """
    path = Path(folder) / CONFIG
    return from_diffusers_config(read_json(path), str(path))


def _shards(weights: Mapping[str, torch.Tensor], shard_bytes: int) -> list[list[str]]:
    """Names by file, in order, each file full before the next."""
    shards: list[list[str]] = [[]]
    held = 0
    for name, tensor in weights.items():
        if shards[-1] and held + tensor.nbytes > shard_bytes:
            shards.append([])
            held = 0
        shards[-1].append(name)
        held += tensor.nbytes
    return shards


def _read_weights(folder: Path, config: SanaConfig, variant: str | None = None) -> dict[str, torch.Tensor]:
    stem = WEIGHTS if config.is_uniform else OWN_WEIGHTS
    middle = "" if variant is None else f".{variant}"
    index = folder / f"{stem}.safetensors.index{middle}.json"
    files: Sequence[str] = (f"{stem}{middle}.safetensors",)
    if index.is_file():
        named = read_json(index).get("weight_map")
        if not isinstance(named, dict) or not all(isinstance(each, str) for each in named.values()):
            raise InputError(f"{index} is damaged: it has no weight_map from tensors to files")
        files = sorted(set(named.values()))
        outside = [each for each in files if Path(each).name != each]
        if outside:
            raise InputError(f"{index} names {outside[0]!r}, which is not a file of its own folder")
    weights: dict[str, torch.Tensor] = {}
    for file in files:
        weights.update(read_tensors(folder / file))
    return weights


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """A safetensors file as diffusers writes them. MissingExtra where safetensors is not installed."""
    held = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    _safetensors().save_file(held, path, {"format": "pt"})


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """A safetensors file's tensors. InputError where it is missing or truncated."""
    library = _safetensors()
    if not path.is_file():
        others = sorted(each.name for each in path.parent.glob("*.safetensors"))
        there = f" (there: {', '.join(others[:_SHOWN])}; name a variant with variant=...)" if others else ""
        raise InputError(f"{path.parent} lacks {path.name}: copy the checkpoint whole, in diffusers' layout{there}")
    try:
        read: dict[str, torch.Tensor] = library.load_file(path)
    except Exception as error:  # SafetensorError, which is no class of this module's imports
        raise InputError(
            f"{path} is truncated or no safetensors file ({os.path.getsize(path)} bytes: {error}); copy it again"
        ) from None
    return read


def read_json(path: Path) -> dict[str, Any]:
    """A file's object of JSON. InputError where it is missing or damaged."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): expected a folder in diffusers' layout") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path} is damaged: expected an object of JSON, got {type(document).__name__}")
    return document


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Indented, with sorted keys, as diffusers writes them."""
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _safetensors() -> Any:
    with contextlib.suppress(ImportError):
        import safetensors.torch

        return safetensors.torch
    raise missing_extra("safetensors", "sana")
