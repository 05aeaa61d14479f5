"""A transformer with what it takes to draw images: how it samples, what reads captions, what decodes latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from coevo.errors import ConfigError, InputError, unknown_name
from coevo.spaces.sana.autoencoder.network import Autoencoder
from coevo.spaces.sana.flow.guidance import Guidance
from coevo.spaces.sana.flow.sampling import SOLVERS, sample
from coevo.spaces.sana.flow.schedule import flow_times
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.text.attribute import AttributeEncoder


@dataclass(frozen=True)
class Sampling:
    """How latents are drawn: the arguments of `sample`."""

    steps: int = 20
    guidance: Guidance = field(default_factory=Guidance)
    shift: float = 3.0
    solver: str = "flow_dpm"

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise unknown_name("solver", self.solver, SOLVERS, "Sampling")
        flow_times(self.steps, self.shift)  # refuses what makes no times

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, which `from_json` reads."""
        guidance = {"scale": self.guidance.scale, "first": self.guidance.first, "last": self.guidance.last}
        return {"steps": self.steps, "guidance": guidance, "shift": self.shift, "solver": self.solver}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Sampling:
        """What `to_json` wrote. ConfigError where it is none."""
        try:
            return cls(**{**document, "guidance": Guidance(**document["guidance"])})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"sampling has steps, guidance (scale, first, last), shift and solver: {error}") from None

    def scheduler_config(self) -> dict[str, Any]:
        """diffusers' DPMSolverMultistepScheduler that takes the same steps; of order 1 it is Euler's method."""
        return {
            "_class_name": "DPMSolverMultistepScheduler",
            "algorithm_type": "dpmsolver++",
            "final_sigmas_type": "zero",
            "flow_shift": self.shift,
            "num_train_timesteps": 1000,
            "prediction_type": "flow_prediction",
            "solver_order": 1 if self.solver == "flow_euler" else 2,
            "solver_type": "midpoint",
            "use_flow_sigmas": True,
        }


@dataclass(frozen=True, eq=False)
class SanaSampler:
    """What an exported folder holds.

    transformer: in evaluation mode.
    sampling: how it was found to sample.
    text: the encoder of captions that it was trained with, or None where its text comes from elsewhere (Gemma-2).
    autoencoder: what its latents belong to, or None: then latents are images of three channels in [-1, 1] divided by
        `pixel_deviation`, or belong to an autoencoder that is not coevo's.
    pixel_deviation: see there.
    card: what is known of it (`card.py`).
    """

    transformer: SanaTransformer
    sampling: Sampling = field(default_factory=Sampling)
    text: AttributeEncoder | None = None
    autoencoder: Autoencoder | None = None
    pixel_deviation: float = 1.0
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.transformer.config
        if self.text is not None and self.text.channels != config.caption_channels:
            raise InputError(
                f"the text encoder has {self.text.channels} channels, the transformer reads {config.caption_channels}"
            )
        if self.autoencoder is not None and self.autoencoder.latent_channels != config.in_channels:
            raise InputError(
                f"the autoencoder's latents have {self.autoencoder.latent_channels} channels, the transformer's "
                f"{config.in_channels}"
            )
        if not 0 < self.pixel_deviation < float("inf"):
            raise InputError(f"pixel_deviation is {self.pixel_deviation}: expected a number over 0")

    @property
    def draws_pixels(self) -> bool:
        """Whether latents are images."""
        return self.autoencoder is None and self.transformer.config.out_channels == 3

    @torch.no_grad()
    def draw(self, captions: Sequence[str], *, seed: int = 0, samples: int = 1, at_once: int = 256) -> torch.Tensor:
        """Images for captions, float32 [captions * samples, 3, S, S] in [-1, 1]; those of a caption are neighbours.

        Args:
            captions: of the encoder's vocabulary.
            seed: of the noise.
            samples: images a caption.
            at_once: images of a batch; noise does not depend on it.

        Raises:
            InputError: a caption with an unknown word; no encoder of captions; latents that nothing here decodes.
        """
        if not captions or samples < 1 or at_once < 1:
            raise InputError(
                f"draw wants captions, samples and at_once from 1 up, got {len(captions)}, {samples}, {at_once}"
            )
        if self.text is None:
            raise InputError(
                "this export has no text encoder: sample it with features (coevo.spaces.sana.flow.sampling)"
            )
        if self.autoencoder is None and not self.draws_pixels:
            raise InputError(
                f"this export's latents have {self.transformer.config.out_channels} channels and there is no "
                "autoencoder to decode them: sample latents instead (coevo.spaces.sana.flow.sampling)"
            )
        tokens, mask = self.text.tokens_of(["", *(each for each in captions for _ in range(samples))])
        features, config = self.text(tokens), self.transformer.config
        noise = torch.randn(
            len(mask) - 1, config.in_channels, config.sample_size, config.sample_size,
            generator=torch.Generator().manual_seed(seed),
        ).to(features.device)  # fmt: skip
        drawn = []
        for first in range(0, len(noise), at_once):
            part = torch.arange(first, min(first + at_once, len(noise)))
            latents = sample(
                self.transformer, noise[part], features[1 + part], mask[1 + part],
                null_text=features[0], null_mask=mask[0],
                steps=self.sampling.steps, guidance=self.sampling.guidance, shift=self.sampling.shift,
                solver=self.sampling.solver,
            )  # fmt: skip
            images = latents * self.pixel_deviation if self.autoencoder is None else self.autoencoder.decode(latents)
            drawn.append(images.float().clamp(-1, 1))
        return torch.cat(drawn)
