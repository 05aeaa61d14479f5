"""Latents of images that are encoded once: what a transformer trains on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from coevo.errors import InputError
from coevo.spaces.sana.data.drawn import draw_scenes
from coevo.spaces.sana.data.image_folder import ImageFolder
from coevo.spaces.sana.data.prompts import captions_of
from coevo.spaces.sana.data.scenes import SOURCE, render_batch

Encode = Callable[[Tensor], Tensor]
"""Images [B, 3, S, S] to latents [B, C, h, w], as `Autoencoder.encode`."""


@dataclass(frozen=True, eq=False)
class Latents:
    """Encoded images with their captions.

    Args:
        latents: float32 [N, C, h, w].
        captions: N of them.
        source: what they came from, for results to say.

    Raises:
        InputError: another number of captions than of latents.
    """

    latents: Tensor
    captions: list[str]
    source: str

    def __post_init__(self) -> None:
        if len(self.latents) != len(self.captions):
            raise InputError(f"latents: expected a caption each, got {len(self.latents)} and {len(self.captions)}")

    def __len__(self) -> int:
        return len(self.latents)

    def save(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Into an .npz, whole or not at all; `identity` is what they follow from, as plain JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        note = json.dumps({"identity": identity, "source": self.source}, sort_keys=True)
        with part.open("wb") as file:
            np.savez(file, latents=self.latents.cpu().numpy(), captions=np.array(self.captions), note=np.array(note))
        os.replace(part, path)

    @staticmethod
    def load(path: Path, identity: Mapping[str, Any]) -> Latents:
        """InputError where the file is absent, damaged or of something else."""
        try:
            with np.load(path) as file:
                note = json.loads(str(file["note"]))
                latents, captions = torch.from_numpy(file["latents"]), [str(each) for each in file["captions"]]
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise InputError(f"{path} cannot be read as latents ({error}); encode the images again") from None
        if note["identity"] != json.loads(json.dumps(identity)):
            raise InputError(f"{path} holds latents of {note['identity']}, expected {dict(identity)}; encode again, or "
                             "name another file")  # fmt: skip
        return Latents(latents, captions, str(note["source"]))


@torch.no_grad()
def encode_scenes(
    encode: Encode,
    count: int,
    generator: torch.Generator,
    size_px: int,
    *,
    batch: int = 512,
    category: str | None = None,
) -> Latents:
    """Latents of drawn scenes, on the generator's device."""
    latents, captions = [], []
    for begin in range(0, count, batch):
        scenes, categories = draw_scenes(min(batch, count - begin), generator, category)
        latents.append(encode(render_batch(scenes, size_px)).float())
        captions += captions_of(scenes, categories)
    return Latents(torch.cat(latents), captions, f"{count} {SOURCE}, {size_px} pixels a side")


@torch.no_grad()
def encode_folder(
    encode: Encode, folder: ImageFolder, device: torch.device | str = "cpu", *, batch: int = 64
) -> Latents:
    """Latents of a folder's images."""
    latents, captions = [], []
    for begin in range(0, len(folder), batch):
        images, texts = folder.batch(range(begin, min(begin + batch, len(folder))))
        latents.append(encode(images.to(device)).float())
        captions += texts
    return Latents(torch.cat(latents), captions, folder.source)
