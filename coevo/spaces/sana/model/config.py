"""The shape of a Sana transformer as numbers, by name or chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from coevo.errors import ConfigError, unknown_name

ATTENTION_KINDS = ("linear", "softmax")
CAPTION_CHANNELS = 2304
"""Columns of Gemma-2-2B's last hidden state, which the released models read."""


@dataclass(frozen=True)
class BlockConfig:
    """What may differ from block to block.

    attention: "linear" (ReLU linear attention, Sana 3.2) or "softmax", of the block's self-attention. Both have the
        same weights.
    ffn_ratio: the Mix-FFN's hidden channels over the width; the released models have 2.5.
    """

    attention: str = "linear"
    ffn_ratio: float = 2.5

    def __post_init__(self) -> None:
        if self.attention not in ATTENTION_KINDS:
            raise unknown_name("kind of attention", self.attention, ATTENTION_KINDS, "BlockConfig.attention")
        if not 0 < self.ffn_ratio <= 64:
            raise ConfigError(f"BlockConfig.ffn_ratio is {self.ffn_ratio}: expected a number over 0 and up to 64")


@dataclass(frozen=True)
class SanaConfig:
    """A transformer's shape. D is `width`, B the batch, N the tokens, T the tokens of text.

    width: D, channels of a token; `heads * head_dim`.
    depth: number of blocks.
    heads, head_dim: of the self-attention; the released models have heads of 32 channels.
    cross_heads, cross_head_dim: of the attention over the text.
    in_channels, out_channels: of the latent and of the velocity.
    patch_size: side of the square of latent pixels that is one token.
    sample_size: height and width of the latents that it is meant for, in latent pixels.
    caption_channels: columns of the text's features.
    blocks: one a block.
    qk_norm: RMS norms over all channels of queries and keys, in self- and cross-attention (Sana-1.5, 2.1).
    interpolation_scale: of fixed sine positions that are added to the tokens (the released models of 2048 and 4096
        pixels have 1 and 2); None, as in all others, adds no positions.
    """

    width: int
    depth: int
    heads: int
    head_dim: int
    cross_heads: int
    cross_head_dim: int
    in_channels: int
    out_channels: int
    patch_size: int
    sample_size: int
    caption_channels: int
    blocks: tuple[BlockConfig, ...]
    qk_norm: bool
    interpolation_scale: float | None = None

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"SanaConfig.{name} is {value!r}: expected a whole number from 1 up")
        if self.heads * self.head_dim != self.width:
            raise ConfigError(
                f"{self.heads} heads of {self.head_dim} channels make {self.heads * self.head_dim}, expected the width "
                f"{self.width}"
            )
        if len(self.blocks) != self.depth:
            raise ConfigError(f"SanaConfig.blocks has {len(self.blocks)} entries for a depth of {self.depth}")
        if self.sample_size % self.patch_size:
            raise ConfigError(f"latents of {self.sample_size} are no whole number of patches of {self.patch_size}")
        if self.interpolation_scale is not None and not (self.interpolation_scale > 0 and self.width % 4 == 0):
            raise ConfigError(
                f"interpolation_scale is {self.interpolation_scale} at width {self.width}: positions need a scale over "
                "0 and a width that 4 divides"
            )

    def ffn_channels(self, block: int) -> int:
        """Hidden channels of a block's Mix-FFN, after its gate."""
        return int(self.blocks[block].ffn_ratio * self.width)

    @property
    def tokens(self) -> int:
        """Tokens of a latent of `sample_size`."""
        return (self.sample_size // self.patch_size) ** 2

    @property
    def is_uniform(self) -> bool:
        """Whether all blocks are alike and linear, as the released models' are: what diffusers can open."""
        return len({each.ffn_ratio for each in self.blocks}) == 1 and all(e.attention == "linear" for e in self.blocks)

    @classmethod
    def named(cls, name: str, *, sample_size: int = 32) -> SanaConfig:
        """A released model's shape; `sample_size` is its latent's side (32 for 1024 pixels at a 32-fold autoencoder).

        Raises:
            UnknownName: no such model; the message lists them.
        """
        if name not in _NAMED:
            raise unknown_name("model", name, _NAMED, "SanaConfig.named")
        width, depth, cross_heads, qk_norm = _NAMED[name]
        return cls(
            width=width, depth=depth, heads=width // 32, head_dim=32,
            cross_heads=cross_heads, cross_head_dim=width // cross_heads,
            in_channels=32, out_channels=32, patch_size=1, sample_size=sample_size, caption_channels=CAPTION_CHANNELS,
            blocks=(BlockConfig(),) * depth, qk_norm=qk_norm,
        )  # fmt: skip

    @classmethod
    def small(
        cls,
        width: int = 64,
        depth: int = 4,
        *,
        head_dim: int = 32,
        cross_heads: int = 2,
        channels: int = 4,
        patch_size: int = 1,
        sample_size: int = 8,
        caption_channels: int = 32,
        ffn_ratio: float = 2.5,
        attention: str | Sequence[str] = "linear",
        qk_norm: bool = True,
    ) -> SanaConfig:
        """A model of any size. `attention` is one kind for all blocks, or one a block.

        Raises:
            ConfigError: heads that do not divide the width, or kinds of attention of another number than the depth.
        """
        if width % head_dim or width % cross_heads:
            raise ConfigError(
                f"a width of {width} is no whole number of heads of {head_dim} channels and of {cross_heads} heads "
                "over the text: choose the width, head_dim and cross_heads so"
            )
        kinds = (attention,) * depth if isinstance(attention, str) else tuple(attention)
        return cls(
            width=width, depth=depth, heads=width // head_dim, head_dim=head_dim,
            cross_heads=cross_heads, cross_head_dim=width // cross_heads,
            in_channels=channels, out_channels=channels, patch_size=patch_size, sample_size=sample_size,
            caption_channels=caption_channels, blocks=tuple(BlockConfig(kind, ffn_ratio) for kind in kinds),
            qk_norm=qk_norm,
        )  # fmt: skip

    def with_blocks(self, blocks: Sequence[BlockConfig]) -> SanaConfig:
        """The same with other blocks, and so perhaps of another depth."""
        return replace(self, depth=len(blocks), blocks=tuple(blocks))

    def with_depth(self, depth: int) -> SanaConfig:
        """The same with its first `depth` blocks, or with its last block repeated up to `depth`."""
        if depth < 1:
            raise ConfigError(f"a depth of {depth}: expected a whole number from 1 up")
        repeated = self.blocks[-1:] * max(0, depth - self.depth)
        return self.with_blocks((*self.blocks[:depth], *repeated))

    def to_json(self) -> dict[str, Any]:
        """The shape as plain JSON, which `from_json` reads."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "blocks"}
        return {**plain, "blocks": [{"attention": e.attention, "ffn_ratio": e.ffn_ratio} for e in self.blocks]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SanaConfig:
        """What `to_json` wrote.

        Raises:
            ConfigError: fields are missing or unknown, or their values make no model.
        """
        known = {each.name for each in fields(cls)}
        missing, unknown = known - set(document) - {"interpolation_scale"}, set(document) - known
        if missing or unknown:
            raise ConfigError(
                f"a Sana configuration has the fields {', '.join(sorted(known))}; missing: "
                f"{', '.join(sorted(missing)) or 'none'}; unknown: {', '.join(sorted(unknown)) or 'none'}"
            )
        try:
            blocks = tuple(BlockConfig(**each) for each in document["blocks"])
        except TypeError as error:
            raise ConfigError(f"a block's configuration is an attention and an ffn_ratio: {error}") from None
        return cls(**{**document, "blocks": blocks})


_COUNTS = (
    "width", "depth", "heads", "head_dim", "cross_heads", "cross_head_dim", "in_channels", "out_channels", "patch_size",
    "sample_size", "caption_channels",
)  # fmt: skip

# name: width, depth, heads over the text, query-key norm (Sana, table 1; Sana-1.5, table 1; released configurations)
_NAMED: dict[str, tuple[int, int, int, bool]] = {
    "sana-0.6b": (1152, 28, 16, False),
    "sana-1.6b": (2240, 20, 20, False),
    "sana-1.5-1.6b": (2240, 20, 20, True),
    "sana-2.4b": (2240, 30, 20, True),
    "sana-3.2b": (2240, 40, 20, True),
    "sana-4.8b": (2240, 60, 20, True),
}
