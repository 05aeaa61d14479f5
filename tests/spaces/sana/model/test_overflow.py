"""Values that are not finite are found and named."""

from __future__ import annotations

import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.sana.flow.sampling import sample
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.overflow import refuse_overflow
from coevo.spaces.sana.model.transformer import SanaTransformer


def model_of(dtype: torch.dtype = torch.float16) -> SanaTransformer:
    torch.manual_seed(0)
    return SanaTransformer(SanaConfig.small(32, 3, head_dim=16, caption_channels=8)).to(dtype)


def inputs(dtype: torch.dtype = torch.float16) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    latents, text = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 5, 8, generator=generator)
    return latents.to(dtype), torch.tensor([900.0, 100.0]), text.to(dtype)


def spoil(model: SanaTransformer, layer: str, factor: float = 1e5) -> None:
    with torch.no_grad():
        model.get_parameter(layer).copy_((model.get_parameter(layer).float() * factor).clamp(-6e4, 6e4))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("blocks.1.attention.qkv.weight", r"block 1, self-attention \(qkv\): .*linear gave infinity in float16"),
        ("blocks.0.attention.out.weight", r"block 0, self-attention \(out\): .*linear gave"),
        ("text.norm.weight blocks.2.cross_attention.key_value.weight", r"block 2, cross-attention \(key_value\)"),
        ("blocks.1.ffn.expand.bias blocks.1.ffn.project.weight", r"block 1, Mix-FFN \(project\): .*linear gave"),
        ("blocks.1.ffn.depthwise.weight", r"block 1, Mix-FFN: .*conv2d gave"),
        ("out.weight", r"layer out: .*linear gave infinity"),
    ],
)
def test_an_overflow_in_half_precision_is_named(layers: str, message: str) -> None:
    model = model_of()
    *others, last = layers.split()
    for layer in others:
        spoil(model, layer, 1e3)
    spoil(model, last, 1e9)
    assert not bool(torch.isfinite(model(*inputs())).all())
    with pytest.raises(InputError, match=message) as caught, refuse_overflow(model):
        model(*inputs())
    assert "run this model in bfloat16, or its attention and weights in float32" in str(caught.value)


def test_the_same_weights_are_fine_in_wider_formats() -> None:
    for dtype in (torch.bfloat16, torch.float32):
        model = model_of(dtype)
        spoil(model, "blocks.1.attention.qkv.weight", 1e5)
        with refuse_overflow(model), torch.no_grad():
            assert bool(torch.isfinite(model(*inputs(dtype))).all())


def test_sums_of_attention_do_not_overflow() -> None:
    """Keys and values of a few hundred over many tokens: their sum is beyond float16."""
    model = model_of()
    with torch.no_grad():
        for name in ("query_norm", "key_norm"):
            getattr(model.blocks[0].attention, name).weight.fill_(300.0)
        with refuse_overflow(model):
            model(torch.randn(1, 4, 64, 64).half(), torch.tensor([500.0]), torch.randn(1, 2, 8).half())


def test_damaged_weights_are_told_from_overflow() -> None:
    model = model_of(torch.float32)
    with torch.no_grad():
        model.blocks[1].ffn.expand.weight[3, 4] = torch.nan
    message = r"block 1, Mix-FFN \(expand\): its weights are not finite: the checkpoint is damaged"
    with pytest.raises(InputError, match=message), refuse_overflow(model):
        model(*inputs(torch.float32))


def test_values_that_came_broken_are_told_from_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    latents, times, text = inputs()
    spoilt = torch.full_like(latents, torch.inf)
    message = r"layer patches\.projection: conv2d in float16 was given values"
    with pytest.raises(InputError, match=message), refuse_overflow(model):
        model(spoilt, times, text)

    def broken(query: torch.Tensor, *args: object, **options: object) -> torch.Tensor:
        with torch._C.DisableTorchFunction():  # as a Triton kernel, which the watch does not see
            return torch.full_like(query, torch.inf)

    from coevo.spaces.sana.model import operations

    monkeypatch.setattr(operations.attention_kernel, "relu_linear_attention", broken)
    message = r"block 0, self-attention.*in float16 was given values that are not finite.*or by a kernel just before it"
    with pytest.raises(InputError, match=message), refuse_overflow(model):
        model.use_fused()(latents, times, text)


def test_the_watch_leaves_nothing_behind() -> None:
    model = model_of(torch.float32)
    with refuse_overflow(model):
        watched = model(*inputs(torch.float32))
    assert torch.equal(model(*inputs(torch.float32)), watched)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


def test_sampling_that_fails_only_unwatched_is_no_result() -> None:
    class Fickle(SanaTransformer):
        calls = 0

        def forward(self, *args: object, **options: object) -> torch.Tensor:
            self.calls += 1
            return super().forward(*args, **options) * (torch.inf if self.calls == 1 else 1)  # type: ignore[arg-type]

    torch.manual_seed(0)
    model = Fickle(SanaConfig.small(32, 1, head_dim=16, caption_channels=8))
    noise, _, text = inputs(torch.float32)
    with pytest.raises(InputError, match="none when it ran once more"):
        sample(model, noise, text, steps=2, guidance=1.0)


def test_sampling_names_the_overflow() -> None:
    model = model_of()
    spoil(model, "blocks.2.ffn.project.weight", 1e9)
    noise, _, text = inputs()
    with pytest.raises(InputError, match=r"block 2, Mix-FFN \(project\)"):
        sample(model, noise, text, null_text=text[0], steps=2, guidance=2.0)
