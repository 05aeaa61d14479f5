"""The transformer as a `torch.export` program."""

from __future__ import annotations

import copy
from typing import Any

import torch

from coevo.errors import ConfigError
from coevo.spaces.sana.model.transformer import SanaTransformer


def export_program(
    transformer: SanaTransformer, *, text_tokens: int = 16, dynamic: bool = True, mask: bool = True
) -> Any:
    """A `torch.export.ExportedProgram` of the velocity: `program.module()(latents, timestep, text, text_mask)`.

    It is of plain operators (no kernels of coevo's), so that whatever reads such programs can run it. Keep it with
    `torch.export.save`: what that writes is torch's archive and may hold pickles, so coevo neither writes nor reads
    such files by itself.

    Args:
        transformer: in the dtype and on the device that the program shall have; it is not changed.
        text_tokens: of the text; the program takes any number where it is dynamic.
        dynamic: whether batch, height and width (of two patches and more) and tokens of text may be any; otherwise
            they are 2, twice the configuration's `sample_size`, and `text_tokens`.
        mask: whether the program takes a mask of the text.

    Raises:
        ConfigError: fewer than two tokens of text for a dynamic program.
    """
    if dynamic and text_tokens < 2:
        raise ConfigError(f"a dynamic program is traced with two tokens of text or more, got {text_tokens}")
    config = transformer.config
    plain = copy.deepcopy(transformer).use_fused(False).eval()
    weight = plain.out.weight
    place: dict[str, Any] = {"device": weight.device}
    # Two images of unlike sides: torch.export takes sizes of 1, and sizes that agree by chance, for constants.
    height, width = config.sample_size, 2 * config.sample_size
    example = {
        "latents": torch.zeros(2, config.in_channels, height if dynamic else width, width, dtype=weight.dtype, **place),
        "timestep": torch.zeros(2, **place),
        "text": torch.zeros(2, text_tokens, config.caption_channels, dtype=weight.dtype, **place),
        "text_mask": torch.ones(2, text_tokens, dtype=torch.bool, **place) if mask else None,
    }
    shapes: dict[str, Any] | None = None
    if dynamic:
        batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens")
        rows, columns = (config.patch_size * torch.export.Dim(name) for name in ("rows", "columns"))
        shapes = {
            "latents": {0: batch, 2: rows, 3: columns},
            "timestep": {0: batch},
            "text": {0: batch, 1: tokens},
            "text_mask": {0: batch, 1: tokens} if mask else None,
            "keep": None,
        }
    with torch.no_grad():
        return torch.export.export(plain, tuple(example.values()), {"keep": None}, dynamic_shapes=shapes)
