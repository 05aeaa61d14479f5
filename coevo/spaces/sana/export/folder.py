"""A transformer with its sampler in a folder.

sana.json              coevo's own: format, sampling, the parts' shapes, the files' digests, the card
transformer/           config.json and weights, in diffusers' layout
scheduler/             scheduler_config.json, in diffusers' layout
model_index.json       diffusers' SanaPipeline over what is there; none for transformers that diffusers cannot run
vae/                   diffusers' AutoencoderDC, where there is an autoencoder
text/                  coevo's encoder of captions, where there is one; diffusers has no such part
README.md              the card

The folder appears whole: parts are written beside it, and sana.json, without which nothing opens, is put there last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from coevo.errors import ConfigError, InputError
from coevo.spaces.sana.autoencoder.network import Autoencoder, diffusers_config
from coevo.spaces.sana.data.prompts import VOCABULARY
from coevo.spaces.sana.export.card import card_of, readme_of
from coevo.spaces.sana.export.sampler import Sampling, SanaSampler
from coevo.spaces.sana.files import whole_parts
from coevo.spaces.sana.model.checkpoint import (
    CONFIG,
    WEIGHTS,
    load_transformer,
    read_json,
    read_tensors,
    save_transformer,
    write_json,
    write_tensors,
)
from coevo.spaces.sana.text.attribute import AttributeEncoder

FORMAT, VERSION = "coevo.sana", 1
MARK, INDEX, CARD = "sana.json", "model_index.json", "README.md"
TRANSFORMER, SCHEDULER, VAE, TEXT = "transformer", "scheduler", "vae", "text"
DIFFUSERS_VERSION = "0.42.1"
"""The version that folders were opened with."""


def save_sampler(
    sampler: SanaSampler,
    folder: Path | str,
    *,
    data: str,
    notes: Mapping[str, Any] | None = None,
    published_weights: str | None = None,
) -> None:
    """Writes the folder; one that is there already may hold other files, none of these.

    Args:
        sampler: what to write; its card is made anew.
        folder: where to.
        data: what it was trained on, in words, for whoever reads the card.
        notes: measurements and the like, as JSON, for the card.
        published_weights: whose published weights it began from; None says that there were none.

    Raises:
        InputError: one of the files is there already.
        MissingExtra: safetensors is not installed.
    """
    card = card_of(sampler, data, notes or {}, published_weights=published_weights)
    with whole_parts(folder, last=MARK) as part:
        _write_parts(sampler, part)
        part.joinpath(CARD).write_text(readme_of(card, sampler), encoding="utf-8")
        write_json(part / MARK, _mark(sampler, card, _digests(part)))


def load_sampler(folder: Path | str, device: torch.device | str = "cpu") -> SanaSampler:
    """What `save_sampler` wrote, in evaluation mode.

    Raises:
        InputError: a file is missing, damaged or replaced, or of another version.
        MissingExtra: safetensors is not installed.
    """
    folder = Path(folder)
    mark = _read_mark(folder)
    changed = [name for name, digest in mark["files"].items() if _digest(folder / name) != digest]
    if changed:
        raise InputError(
            f"{folder / changed[0]} is missing or not the file that {MARK} names: it was replaced, or copied in part"
        )
    transformer = load_transformer(folder / TRANSFORMER, device=device)
    try:
        text = None if mark["text"] is None else _text(mark["text"], folder / TEXT)
        autoencoder = None if mark["autoencoder"] is None else _autoencoder(mark["autoencoder"], folder / VAE)
        return SanaSampler(
            transformer,
            Sampling.from_json(mark["sampling"]),
            None if text is None else text.to(device).eval(),
            None if autoencoder is None else autoencoder.to(device).eval(),
            mark["pixel_deviation"],
            mark["card"],
        )
    except (ConfigError, KeyError, RuntimeError, TypeError) as error:
        raise InputError(f"{folder / MARK} is damaged, or of another coevo: {error}") from None


def _write_parts(sampler: SanaSampler, part: Path) -> None:
    save_transformer(sampler.transformer, part / TRANSFORMER)
    part.joinpath(SCHEDULER).mkdir()
    write_json(part / SCHEDULER / "scheduler_config.json", sampler.sampling.scheduler_config())
    if sampler.autoencoder is not None:
        part.joinpath(VAE).mkdir()
        described = {"_class_name": "AutoencoderDC", "_diffusers_version": DIFFUSERS_VERSION}
        write_json(part / VAE / CONFIG, {**described, **diffusers_config(sampler.autoencoder)})
        weights = {name: each for name, each in sampler.autoencoder.state_dict().items() if name != "scale"}
        write_tensors(part / VAE / f"{WEIGHTS}.safetensors", weights)
    if sampler.text is not None:
        part.joinpath(TEXT).mkdir()
        write_tensors(part / TEXT / "model.safetensors", sampler.text.state_dict())
    if sampler.transformer.config.is_uniform:
        vae = [None, None] if sampler.autoencoder is None else ["diffusers", "AutoencoderDC"]
        index = {
            "_class_name": "SanaPipeline",
            "_diffusers_version": DIFFUSERS_VERSION,
            "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
            "text_encoder": [None, None],
            "tokenizer": [None, None],
            "transformer": ["diffusers", "SanaTransformer2DModel"],
            "vae": vae,
        }
        write_json(part / INDEX, index)


def _mark(sampler: SanaSampler, card: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    autoencoder, text = sampler.autoencoder, sampler.text
    return {
        "format": FORMAT,
        "version": VERSION,
        "sampling": sampler.sampling.to_json(),
        "pixel_deviation": sampler.pixel_deviation,
        "autoencoder": None
        if autoencoder is None
        else {"shape": autoencoder.to_json(), "scale": float(autoencoder.scale)},
        "text": None if text is None else {"shape": text.to_json(), "vocabulary": list(VOCABULARY)},
        "card": dict(card),
        "files": dict(digests),
    }


def _text(document: Mapping[str, Any], folder: Path) -> AttributeEncoder:
    if document["vocabulary"] != list(VOCABULARY):
        raise InputError(
            f"{folder.parent / MARK} was written with another vocabulary of captions than this coevo's "
            f"({len(document['vocabulary'])} words, here {len(VOCABULARY)}): open it with the coevo that wrote it"
        )
    text = AttributeEncoder(**document["shape"])
    text.load_state_dict(read_tensors(folder / "model.safetensors"))
    return text


def _autoencoder(document: Mapping[str, Any], folder: Path) -> Autoencoder:
    autoencoder = Autoencoder(**document["shape"])
    scale = torch.tensor(document["scale"])
    autoencoder.load_state_dict({**read_tensors(folder / f"{WEIGHTS}.safetensors"), "scale": scale})
    return autoencoder


def _read_mark(folder: Path) -> dict[str, Any]:
    path = folder / MARK
    mark = read_json(path)
    if mark.get("format") != FORMAT:
        raise InputError(f"{path} is no export of Sana's space: expected the format {FORMAT!r}")
    if mark.get("version") != VERSION:
        raise InputError(f"{path} has version {mark.get('version')}, this coevo reads {VERSION}; export it again")
    if not isinstance(mark.get("files"), dict):
        raise InputError(f"{path} is damaged: it names no files")
    return mark


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(each for each in folder.rglob("*") if each.is_file() and each.name != CARD)
    return {each.relative_to(folder).as_posix(): _digest(each) for each in files}


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
