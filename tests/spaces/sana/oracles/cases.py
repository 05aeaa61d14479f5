"""Small cases that diffusers and coevo both answer: weights, inputs and schedules as functions of a seed alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

SEED = 8


@dataclass(frozen=True)
class ModelCase:
    """A configuration for diffusers' SanaTransformer2DModel and the latents it is given."""

    name: str
    changes: dict[str, Any]
    height: int = 4
    width: int = 6
    masked: bool = True

    @property
    def config(self) -> dict[str, Any]:
        return {
            "in_channels": 4, "out_channels": 4, "num_attention_heads": 3, "attention_head_dim": 16, "num_layers": 2,
            "num_cross_attention_heads": 2, "cross_attention_head_dim": 24, "cross_attention_dim": 48,
            "caption_channels": 10, "mlp_ratio": 2.5, "sample_size": 4, "patch_size": 1, "qk_norm": None,
            "interpolation_scale": None, **self.changes,
        }  # fmt: skip


NORMED = {"qk_norm": "rms_norm_across_heads"}
MODELS = (
    ModelCase("sana", {}),
    ModelCase("sana-1.5", NORMED),
    ModelCase("without-mask", NORMED, masked=False),
    ModelCase("patches", {**NORMED, "patch_size": 2, "in_channels": 3, "out_channels": 5}),
    ModelCase("positions", {"interpolation_scale": 2.0}),
    ModelCase("positions-own-size", {"interpolation_scale": 1.0}, height=4, width=4),
    ModelCase("ratio", {**NORMED, "mlp_ratio": 1.7, "num_layers": 3}),
)


@dataclass(frozen=True)
class SamplerCase:
    """Sampling of a Gaussian with closed-form velocity."""

    solver: str
    steps: int
    shift: float

    @property
    def name(self) -> str:
        return f"{self.solver}-{self.steps}-{self.shift}"


SAMPLERS = (
    SamplerCase("flow_dpm", 1, 3.0),
    SamplerCase("flow_dpm", 2, 3.0),
    SamplerCase("flow_dpm", 5, 3.0),
    SamplerCase("flow_dpm", 20, 3.0),
    SamplerCase("flow_dpm", 8, 1.0),
    SamplerCase("flow_euler", 5, 3.0),
    SamplerCase("flow_euler", 20, 1.0),
)


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Standard normal float32 numbers that belong to a name. RandomState's stream is frozen by NumPy's promise."""
    seed = int.from_bytes(hashlib.blake2b(f"{SEED} {name}".encode(), digest_size=4).digest(), "big")
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """A weight by diffusers' name: norms around 1, matrices that keep the scale, everything else a tenth."""
    numbers = drawn(name, shape)
    if len(shape) > 1 and "scale_shift_table" not in name:
        return numbers / np.float32(np.prod(shape[1:]) ** 0.5)
    around = 1.0 if "norm" in name else 0.0
    return np.float32(around) + np.float32(0.1) * numbers


def inputs(case: ModelCase) -> dict[str, np.ndarray[Any, Any]]:
    """latents [2, C, H, W], text [2, 5, columns], mask [2, 5], timestep [2]."""
    config = case.config
    return {
        "latents": drawn("latents", (2, config["in_channels"], case.height, case.width)),
        "text": drawn("text", (2, 5, config["caption_channels"])),
        "mask": np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]),
        "timestep": np.array([981.0, 37.5], dtype=np.float32),
    }


def block_inputs(case: ModelCase) -> dict[str, np.ndarray[Any, Any]]:
    """tokens [2, N, D], text [2, 5, D] and the time's rows [2, 6, D] of a block."""
    width = case.config["num_attention_heads"] * case.config["attention_head_dim"]
    return {
        "tokens": drawn("tokens", (2, case.height * case.width, width)),
        "text": drawn("block text", (2, 5, width)),
        "time_table": drawn("time", (2, 6, width)),
    }


def gaussian_velocity(x: Any, t: float, mean: float = 0.7, std: float = 0.3) -> Any:
    """E[noise - data | x] for data of N(mean, std^2): arithmetic alone, so that x may be of any library."""
    signal, variance = 1 - t, (1 - t) ** 2 * std**2 + t**2
    data = mean + signal * std**2 / variance * (x - signal * mean)
    return (x - data) / t
