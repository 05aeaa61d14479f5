"""The transformer: its sizes, its depth masks, what it refuses."""

from __future__ import annotations

import pytest
import torch

from coevo.errors import ConfigError, InputError, UnknownName
from coevo.spaces.sana.model import operations
from coevo.spaces.sana.model.config import BlockConfig, SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer

# Parameters of diffusers' SanaTransformer2DModel of the same configuration, by its own count on the meta device.
PARAMETERS = {
    "sana-0.6b": 591_747_872,
    "sana-1.6b": 1_604_462_752,
    "sana-1.5-1.6b": 1_604_641_952,
    "sana-2.4b": 2_383_937_952,
    "sana-3.2b": 3_163_233_952,
    "sana-4.8b": 4_721_825_952,
}


def small(seed: int = 0, **options: object) -> SanaTransformer:
    torch.manual_seed(seed)
    return SanaTransformer(SanaConfig.small(**{"width": 32, "depth": 3, "head_dim": 16, **options}))  # type: ignore[arg-type]


def inputs(model: SanaTransformer, batch: int = 2, text_tokens: int = 5) -> tuple[torch.Tensor, ...]:
    config, generator = model.config, torch.Generator().manual_seed(1)
    side = config.sample_size
    latents = torch.randn(batch, config.in_channels, side, side, generator=generator)
    text = torch.randn(batch, text_tokens, config.caption_channels, generator=generator)
    mask = torch.arange(text_tokens)[None] < torch.tensor([[text_tokens], [2]])[:batch]
    return latents, torch.tensor([999.0, 12.5])[:batch], text, mask


@pytest.mark.parametrize("name", PARAMETERS)
def test_named_models_have_their_parameters(name: str) -> None:
    with torch.device("meta"):
        model = SanaTransformer(SanaConfig.named(name))
    assert sum(each.numel() for each in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("kind", ["linear", "softmax"])
@pytest.mark.parametrize("patch_size", [1, 2])
def test_velocities_have_the_latents_shape(kind: str, patch_size: int) -> None:
    model = small(attention=kind, patch_size=patch_size)
    latents, times, text, mask = inputs(model)
    assert model(latents, times, text, mask).shape == latents.shape
    wide = torch.randn(2, 4, 4, 12)
    assert model(wide, times, text).shape == wide.shape


def test_masked_text_is_not_read() -> None:
    model = small()
    latents, times, text, mask = inputs(model)
    other = torch.where(mask[..., None], text, torch.randn_like(text))
    torch.testing.assert_close(model(latents, times, text, mask), model(latents, times, other, mask))
    assert not torch.allclose(model(latents, times, text), model(latents, times, other))


def test_a_masked_text_equals_the_shorter_one() -> None:
    model = small()
    latents, times, text, mask = (each[1:] for each in inputs(model))
    torch.testing.assert_close(model(latents, times, text, mask), model(latents, times, text[:, :2]))


def test_a_depth_mask_runs_the_blocks_it_keeps() -> None:
    model = small()
    latents, times, text, mask = inputs(model)
    whole = model(latents, times, text, mask)
    assert torch.equal(model(latents, times, text, mask, keep=[True] * 3), whole)
    shallow = SanaTransformer(model.config.with_depth(2))
    kept = {name.replace("blocks.2.", "blocks.1."): each for name, each in model.state_dict().items()
            if not name.startswith("blocks.1.")}  # fmt: skip
    shallow.load_state_dict(kept)
    masked = model(latents, times, text, mask, keep=(True, False, True))
    assert torch.equal(masked, shallow(latents, times, text, mask))
    assert not torch.allclose(masked, whole)


def test_blocks_may_differ() -> None:
    config = SanaConfig.small(32, 2, head_dim=16).with_blocks((BlockConfig("softmax", 1.0), BlockConfig("linear", 3.0)))
    model = SanaTransformer(config)
    assert [each.ffn.project.in_features for each in model.blocks] == [32, 96]
    assert not config.is_uniform
    assert SanaConfig.from_json(config.to_json()) == config
    model(*inputs(model))


def test_every_parameter_learns() -> None:
    model = small(attention=("linear", "softmax", "linear"))
    latents, times, text, mask = inputs(model)
    model(latents, times, text, mask).square().mean().backward()
    assert all(each.grad is not None and bool(each.grad.any()) for each in model.parameters())


@pytest.mark.parametrize(
    ("index", "shape", "message"),
    [
        (0, (2, 3, 8, 8), r"latents are \[B, 4, H, W\], got \[2, 3, 8, 8\]"),
        (0, (2, 4, 8, 7), "latents of 8 x 7 are no whole number of patches of 2 x 2"),
        (1, (2, 1), r"timestep is \[B\] with B = 2"),
        (1, (3,), r"timestep is \[B\] with B = 2 as of the latents, got \[3\]"),
        (2, (2, 5, 31), r"text is \[2, T, 32\], got \[2, 5, 31\]"),
        (3, (2, 4), r"text_mask is \[2, 5\] as the text is, got \[2, 4\]"),
    ],
)
def test_other_shapes_are_refused(index: int, shape: tuple[int, ...], message: str) -> None:
    model = small(patch_size=2)
    given = list(inputs(model))
    given[index] = torch.ones(shape)
    with pytest.raises(InputError, match=message):
        model(*given)


def test_a_depth_mask_of_another_length_is_refused() -> None:
    model = small()
    with pytest.raises(InputError, match="keep says yes or no to 2 blocks, the transformer has 3"):
        model(*inputs(model), keep=[True, False])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 48, "head_dim": 32}, "no whole number of heads of 32 channels"),
        ({"depth": 0}, r"SanaConfig.depth is 0: expected a whole number from 1 up"),
        ({"attention": ("linear",)}, "blocks has 1 entries for a depth of 3"),
        ({"sample_size": 7, "patch_size": 2}, "latents of 7 are no whole number of patches of 2"),
        ({"ffn_ratio": 0.0}, "ffn_ratio is 0.0: expected a number over 0"),
    ],
)
def test_configurations_that_make_no_model(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SanaConfig.small(**{"width": 32, "depth": 3, "head_dim": 16, **change})  # type: ignore[arg-type]


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown model 'sana-1\.6'.*Did you mean 'sana-1\.6b'\?"):
        SanaConfig.named("sana-1.6")
    with pytest.raises(UnknownName, match="unknown kind of attention 'liner'"):
        BlockConfig("liner")
    with pytest.raises(ConfigError, match="missing: width; unknown: widht"):
        document = SanaConfig.small().to_json()
        SanaConfig.from_json({**{key: each for key, each in document.items() if key != "width"}, "widht": 64})


def test_depths_by_number() -> None:
    config = SanaConfig.small(32, 3, head_dim=16, attention=("linear", "softmax", "softmax"))
    assert [each.attention for each in config.with_depth(2).blocks] == ["linear", "softmax"]
    assert [each.attention for each in config.with_depth(5).blocks] == ["linear"] + ["softmax"] * 4
    with pytest.raises(ConfigError, match="a depth of 0"):
        config.with_depth(0)


@pytest.mark.parametrize("kind", ["linear", "softmax"])
@pytest.mark.parametrize("qk_norm", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernels_and_plain_torch_agree(kind: str, qk_norm: bool, dtype: torch.dtype) -> None:
    model = small(attention=kind, qk_norm=qk_norm).to(dtype)
    latents, times, text, mask = inputs(model)
    latents, text = latents.to(dtype), text.to(dtype)
    tolerance = 1e-4 if dtype == torch.float32 else 0.1
    gradients = []
    for fused in (False, True):
        model.use_fused(fused).zero_grad()
        velocity = model(latents, times, text, mask)
        assert velocity.dtype == dtype
        velocity.square().mean().backward()
        gradients.append([velocity, *(each.grad.clone() for each in model.parameters() if each.grad is not None)])
    for plain, fused in zip(*gradients, strict=True):
        torch.testing.assert_close(fused, plain, rtol=tolerance, atol=tolerance)


def test_fused_blocks_call_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def counting(module: object, name: str) -> None:
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, **b: called.append(name) or original(*a, **b))

    counting(operations.attention_kernel, "relu_linear_attention")
    counting(operations.glu_kernel, "glu_convolution")
    for name in ("modulated_norm", "rms_norm", "gated_residual", "gated_residual_norm"):
        counting(operations.norm_kernel, name)
    model = small(depth=1)
    model(*inputs(model))
    assert called == []
    model.use_fused()(*inputs(model))
    assert called == [
        "modulated_norm", "relu_linear_attention", "gated_residual", "rms_norm", "rms_norm", "gated_residual_norm",
        "glu_convolution", "gated_residual",
    ]  # fmt: skip


@pytest.mark.parametrize("fused", [False, True])
def test_autocast_keeps_sums_wide(fused: bool) -> None:
    model = small(qk_norm=False).use_fused(fused)
    latents, times, text, mask = inputs(model)
    whole = model(latents, times, text, mask)
    seen: list[torch.dtype] = []
    hook = model.blocks[1].register_forward_hook(lambda module, given, out: seen.extend((given[0].dtype, out.dtype)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        watched = model(latents, times, text, mask)
        hook.remove()
        narrow = model(latents, times, text, mask)
        # The keys' sum over 4,096 tokens would stop growing at 256 times a key in bfloat16.
        rows = torch.ones(1, 4096, 32, dtype=torch.bfloat16)
        mean = operations.linear_attention(rows, rows, rows, 2, None, fused=fused)
    assert seen == [torch.float32, torch.float32]
    for each in (watched, narrow):
        torch.testing.assert_close(each.float(), whole, rtol=0.1, atol=0.1)
    torch.testing.assert_close(mean, rows)


@pytest.mark.parametrize("keep", [(False, False, False), (True, False, False), (True, False, True)])
def test_fused_blocks_agree_under_a_depth_mask(keep: tuple[bool, ...]) -> None:
    model = small()
    given = inputs(model)
    plain = model(*given, keep=keep)
    torch.testing.assert_close(model.use_fused()(*given, keep=keep), plain, rtol=1e-4, atol=1e-4)


def test_the_whole_model_compiles_without_breaks() -> None:
    model = small(depth=1)
    given = inputs(model)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*given), model(*given))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("qk_norm", [True, False])
def test_the_kernels_agree_on_a_device(dtype: torch.dtype, qk_norm: bool) -> None:
    torch.manual_seed(0)
    config = SanaConfig.small(256, 3, cross_heads=4, qk_norm=qk_norm, attention=("linear", "softmax", "linear"))
    model = SanaTransformer(config).to("cuda", dtype)
    latents, times, text, mask = (each.to("cuda") for each in inputs(model))
    latents, text = latents.to(dtype), text.to(dtype)
    results = []
    for fused in (False, True):
        model.use_fused(fused).zero_grad()
        velocity = model(latents, times, text, mask)
        velocity.float().square().mean().backward()
        results.append([velocity, *(each.grad.clone() for each in model.parameters() if each.grad is not None)])
    for plain, fused in zip(*results, strict=True):
        wrong = float((fused - plain).float().norm() / plain.float().norm())
        assert wrong < (1e-3 if dtype == torch.float32 else 5e-2)
