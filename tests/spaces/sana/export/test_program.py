"""The transformer through `torch.export`, saved and read again."""

from __future__ import annotations

import io

import pytest
import torch

from coevo.errors import ConfigError
from coevo.spaces.sana.export.program import export_program
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer


def model_of(**options: object) -> SanaTransformer:
    torch.manual_seed(0)
    chosen = {"width": 32, "depth": 2, "head_dim": 16, "caption_channels": 8, "sample_size": 4, **options}
    return SanaTransformer(SanaConfig.small(**chosen)).eval()  # type: ignore[arg-type]


def inputs(model: SanaTransformer, batch: int, height: int, width: int, tokens: int) -> tuple[torch.Tensor, ...]:
    mask = torch.arange(tokens)[None] < torch.arange(1, batch + 1)[:, None]
    text = torch.randn(batch, tokens, model.config.caption_channels)
    return torch.randn(batch, model.config.in_channels, height, width), torch.linspace(1, 999, batch), text, mask


def test_a_program_of_any_size_is_the_transformer() -> None:
    model = model_of(depth=1)
    program = export_program(model.use_fused())
    assert all(block.fused for block in model.blocks)  # type: ignore[union-attr]
    kept = io.BytesIO()
    torch.export.save(program, kept)
    kept.seek(0)
    run = torch.export.load(kept).module()
    model.use_fused(False)
    for sizes in ((1, 4, 4, 3), (2, 4, 8, 16), (3, 6, 4, 5), (5, 10, 10, 1)):
        given = inputs(model, *sizes)
        with torch.no_grad():
            torch.testing.assert_close(run(*given, keep=None), model(*given), rtol=1e-4, atol=1e-5)


def test_a_program_of_one_size_without_a_mask() -> None:
    model = model_of(depth=1, attention="softmax", patch_size=2)
    run = export_program(model, text_tokens=3, dynamic=False, mask=False).module()
    latents, times, text, _ = inputs(model, 2, 8, 8, 3)
    with torch.no_grad():
        torch.testing.assert_close(run(latents, times, text, None, keep=None), model(latents, times, text))
    with pytest.raises((RuntimeError, AssertionError)):
        run(latents[:, :, :4], times, text, None, keep=None)


def test_too_little_text_to_trace_with() -> None:
    with pytest.raises(ConfigError, match="two tokens of text or more, got 1"):
        export_program(model_of(), text_tokens=1)
