"""Milliseconds of a network's evaluations and of what stands around it, on this device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from coevo.cost_models.timing import device_ms
from coevo.spaces.sana.data.scenes import render_batch
from coevo.spaces.sana.flow.dpm_solver import flow_dpm
from coevo.spaces.sana.flow.schedule import flow_times
from coevo.spaces.sana.judging.codec import Codec
from coevo.spaces.sana.judging.material import drawn_scenes
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.text.attribute import AttributeEncoder

SOLVER_STEPS = 4
CAPTION = "a red circle and a blue square"
Verifier = Callable[[Tensor, Sequence[str]], Sequence[float]]
"""Images [B, 3, S, S] in [-1, 1] and a caption each to numbers: the larger, the better the image fits."""


class Clock:
    """Times one prompt's parts. On a CUDA device evaluations are replayed as a captured graph, and what waits for the
    host (the solver, the text, decoding, verification) is timed with it; on a CPU everything is.

    Args:
        encoder, codec, verifier: around the network, on the device.
        size_px: of images.
        dtype: of the network whose latency counts.
        repeats: timings of each, of which the median counts.
    """

    def __init__(
        self, encoder: AttributeEncoder, codec: Codec, verifier: Verifier, *, size_px: int, dtype: torch.dtype,
        repeats: int,
    ) -> None:  # fmt: skip
        self.encoder, self.codec, self.verifier = encoder, codec, verifier
        self.device = next(encoder.parameters()).device
        self.size_px, self.dtype, self.repeats = size_px, dtype, repeats
        self.side = size_px // codec.factor
        self.text_tokens = 1 + encoder.most_words

    def inputs(self, config: SanaConfig, images: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents, timesteps, text and mask of an evaluation."""
        generator = torch.Generator().manual_seed(0)
        latents = torch.randn(images, config.in_channels, self.side, self.side, generator=generator)
        text = torch.randn(images, self.text_tokens, config.caption_channels, generator=generator)
        mask = torch.ones(images, self.text_tokens, dtype=torch.bool, device=self.device)
        timestep = torch.full((images,), 500.0, device=self.device)
        return latents.to(self.device, self.dtype), timestep, text.to(self.device, self.dtype), mask

    @torch.no_grad()
    def evaluation_ms(self, model: SanaTransformer, images: int) -> float:
        """One evaluation of a network, in the clock's dtype and on its device."""
        given = self.inputs(model.config, images)
        return self.work_ms(lambda: model(*given))

    def work_ms(self, work: Callable[[], Any]) -> float:
        """Of work that nothing waits for within."""
        return device_ms(work, self.device, self.repeats)

    @torch.no_grad()
    def solver_ms(self, channels: int, samples: int) -> float:
        """One step's update of the latents."""
        latents = torch.randn(samples, channels, self.side, self.side, device=self.device)
        velocity, times = torch.randn_like(latents), flow_times(SOLVER_STEPS)
        return self._wall_ms(lambda: flow_dpm(lambda x, t: velocity, latents, times)) / SOLVER_STEPS

    @torch.no_grad()
    def text_ms(self) -> float:
        """Words to features, of one prompt and of none."""
        return self._wall_ms(lambda: self.encoder(self.encoder.tokens_of([CAPTION, ""])[0]))

    @torch.no_grad()
    def decode_ms(self, samples: int) -> float:
        """Images from latents."""
        latents = torch.randn(samples, self.codec.channels, self.side, self.side, device=self.device)
        return self._wall_ms(lambda: self.codec.decode(latents))

    def verify_ms(self, samples: int) -> float:
        """A verdict on every sample."""
        images = render_batch(drawn_scenes(samples, 0, "clock")[0].to(self.device), self.size_px)
        return self._wall_ms(lambda: self.verifier(images, [CAPTION] * samples))

    def _wall_ms(self, work: Callable[[], Any]) -> float:
        """The median of calls after a first one, the device waited for."""
        work()
        times = []
        for _ in range(self.repeats):
            self._wait()
            began = time.perf_counter()
            work()
            self._wait()
            times.append(1e3 * (time.perf_counter() - began))
        return statistics.median(times)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
