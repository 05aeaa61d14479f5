"""Recorded evaluations give what the transformer gives, after its weights changed too."""

from __future__ import annotations

import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.recorded import RecordedTransformer
from coevo.spaces.sana.model.transformer import SanaTransformer


def small() -> SanaTransformer:
    torch.manual_seed(0)
    return SanaTransformer(SanaConfig.small(64, 2)).eval()


def test_a_processor_records_nothing() -> None:
    with pytest.raises(InputError, match="need a CUDA device"):
        RecordedTransformer(small().cpu())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_recorded_is_what_the_transformer_gives() -> None:
    model = small().cuda().bfloat16().use_fused()
    recorded = RecordedTransformer(model)
    for batch, changed in ((1, False), (2, False), (1, True)):
        latents = torch.randn(batch, 4, 8, 8, device="cuda", dtype=torch.bfloat16)
        text = torch.randn(batch, 5, 32, device="cuda", dtype=torch.bfloat16)
        times = torch.full((batch,), 300.0, device="cuda")
        if changed:
            with torch.no_grad():
                model.out.weight.mul_(2)
        with torch.no_grad():
            assert torch.equal(recorded(latents, times, text), model(latents, times, text))
            first = recorded(latents, times, text)
            recorded(latents + 1, times, text)
            assert torch.equal(first, model(latents, times, text))
            kept = recorded(latents, times, text, keep=[True, False])
            assert torch.equal(kept, model(latents, times, text, keep=[True, False]))
