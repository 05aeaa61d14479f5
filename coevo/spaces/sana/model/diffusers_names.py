"""What diffusers calls a Sana transformer's configuration and weights.

Ours joins maps of one input into one matrix (query, key and value of the self-attention; key and value of the text) and
has 1x1 convolutions as linear layers; everything else differs in name alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coevo.errors import ConfigError, InputError
from coevo.spaces.sana.model.config import BlockConfig, SanaConfig

CLASS = "SanaTransformer2DModel"
OWN_CLASS = "CoevoSanaTransformer"
"""Class name in configurations of transformers that diffusers cannot run: their blocks differ, or have softmax
attention."""
_QK_NORM = "rms_norm_across_heads"
_FIXED = {
    "dropout": 0.0, "attention_bias": False, "norm_elementwise_affine": False, "norm_eps": 1e-6,
    "guidance_embeds": False, "timestep_scale": 1.0,
}  # fmt: skip

_OUTER = {
    "patches.projection": ("patch_embed.proj",),
    "time.first": ("time_embed.emb.timestep_embedder.linear_1",),
    "time.second": ("time_embed.emb.timestep_embedder.linear_2",),
    "time.rows": ("time_embed.linear",),
    "text.first": ("caption_projection.linear_1",),
    "text.second": ("caption_projection.linear_2",),
    "text.norm": ("caption_norm",),
    "out": ("proj_out",),
}
_INNER = {
    "attention.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
    "attention.query_norm": ("attn1.norm_q",),
    "attention.key_norm": ("attn1.norm_k",),
    "attention.out": ("attn1.to_out.0",),
    "cross_attention.query": ("attn2.to_q",),
    "cross_attention.key_value": ("attn2.to_k", "attn2.to_v"),
    "cross_attention.query_norm": ("attn2.norm_q",),
    "cross_attention.key_norm": ("attn2.norm_k",),
    "cross_attention.out": ("attn2.to_out.0",),
    "ffn.expand": ("ff.conv_inverted",),
    "ffn.depthwise": ("ff.conv_depth",),
    "ffn.project": ("ff.conv_point",),
}
_AS_CONVOLUTION = ("ffn.expand.weight", "ffn.project.weight")


def names_of(name: str) -> tuple[str, ...]:
    """diffusers' names of one of our tensors: several where ours is their concatenation along the first dimension."""
    if name == "table":
        return ("scale_shift_table",)
    if not name.startswith("blocks."):
        layer, _, kind = name.rpartition(".")
        return tuple(f"{each}.{kind}" for each in _OUTER[layer])
    _, index, inside = name.split(".", 2)
    if inside == "table":
        return (f"transformer_blocks.{index}.scale_shift_table",)
    layer, _, kind = inside.rpartition(".")
    return tuple(f"transformer_blocks.{index}.{each}.{kind}" for each in _INNER[layer])


def is_convolution(name: str) -> bool:
    """Whether diffusers has one of our matrices [rows, columns] as a 1x1 convolution's weight [rows, columns, 1, 1]."""
    return name.endswith(_AS_CONVOLUTION)


def to_diffusers_config(config: SanaConfig) -> dict[str, Any]:
    """The content of config.json. A transformer that diffusers cannot run has another class name, and its blocks."""
    document: dict[str, Any] = {
        "_class_name": CLASS if config.is_uniform else OWN_CLASS,
        "attention_head_dim": config.head_dim,
        "caption_channels": config.caption_channels,
        "cross_attention_dim": config.width,
        "cross_attention_head_dim": config.cross_head_dim,
        "in_channels": config.in_channels,
        "interpolation_scale": config.interpolation_scale,
        "num_attention_heads": config.heads,
        "num_cross_attention_heads": config.cross_heads,
        "num_layers": config.depth,
        "out_channels": config.out_channels,
        "patch_size": config.patch_size,
        "qk_norm": _QK_NORM if config.qk_norm else None,
        "sample_size": config.sample_size,
        **_FIXED,
    }
    if config.is_uniform:
        return {**document, "mlp_ratio": config.blocks[0].ffn_ratio}
    return {**document, "blocks": config.to_json()["blocks"]}


def from_diffusers_config(document: Mapping[str, Any], where: str) -> SanaConfig:
    """What config.json says.

    Args:
        document: its content.
        where: the file, for messages.

    Raises:
        InputError: it is of another model, lacks a number, or asks for what Sana's text-to-image models do not have.
    """
    name = document.get("_class_name")
    if name not in (CLASS, OWN_CLASS):
        raise InputError(
            f"{where} is of the class {name!r}: expected a {CLASS}, Sana's transformer in diffusers' layout"
        )
    for key, value in _FIXED.items():
        if document.get(key, value) != value:
            raise InputError(
                f"{where} has {key} = {document[key]!r}; the transformer here has {value!r}, as the released Sana and "
                "Sana-1.5 models have (Sana-Sprint and other descendants are other models)"
            )
    qk_norm = document.get("qk_norm")
    if qk_norm not in (None, _QK_NORM):
        raise InputError(f"{where} has qk_norm = {qk_norm!r}: expected null or {_QK_NORM!r}")
    try:
        depth, heads, head_dim = (document[e] for e in ("num_layers", "num_attention_heads", "attention_head_dim"))
        config = SanaConfig(
            width=heads * head_dim, depth=depth, heads=heads, head_dim=head_dim,
            cross_heads=document["num_cross_attention_heads"], cross_head_dim=document["cross_attention_head_dim"],
            in_channels=document["in_channels"], out_channels=document.get("out_channels") or document["in_channels"],
            patch_size=document["patch_size"], sample_size=document["sample_size"],
            caption_channels=document["caption_channels"],
            blocks=_blocks(document, depth), qk_norm=qk_norm is not None,
            interpolation_scale=document.get("interpolation_scale"),
        )  # fmt: skip
    except KeyError as error:
        raise InputError(f"{where} does not say {error.args[0]}: it is damaged, or of another model") from None
    except (ConfigError, TypeError, ValueError) as error:
        raise InputError(f"{where} makes no transformer: {error}") from None
    if document.get("cross_attention_dim", config.width) != config.width:
        raise InputError(
            f"{where} has cross_attention_dim = {document['cross_attention_dim']}: expected the width {config.width}, "
            "to which the text is projected"
        )
    return config


def _blocks(document: Mapping[str, Any], depth: int) -> tuple[BlockConfig, ...]:
    if document["_class_name"] == OWN_CLASS:
        return tuple(BlockConfig(**each) for each in document["blocks"])
    return (BlockConfig("linear", document["mlp_ratio"]),) * depth
