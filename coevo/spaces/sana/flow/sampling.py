"""Latents from noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from coevo.errors import ConfigError, InputError, unknown_name
from coevo.spaces.sana.flow.dpm_solver import flow_dpm
from coevo.spaces.sana.flow.euler import Velocity, flow_euler
from coevo.spaces.sana.flow.guidance import Guidance, Text, joined, null_of
from coevo.spaces.sana.flow.schedule import TIMESTEPS, flow_times
from coevo.spaces.sana.model.overflow import refuse_overflow
from coevo.spaces.sana.model.transformer import SanaTransformer

SOLVERS: dict[str, Callable[[Velocity, torch.Tensor, Sequence[float]], torch.Tensor]] = {
    "flow_dpm": flow_dpm,
    "flow_euler": flow_euler,
}


@torch.no_grad()
def sample(
    model: SanaTransformer,
    noise: torch.Tensor,
    text: torch.Tensor,
    text_mask: torch.Tensor | None = None,
    *,
    null_text: torch.Tensor | None = None,
    null_mask: torch.Tensor | None = None,
    steps: int = 20,
    guidance: float | Guidance = 4.5,
    shift: float = 3.0,
    solver: str = "flow_dpm",
    times: Sequence[float] | None = None,
    keep: Sequence[bool] | None = None,
) -> torch.Tensor:
    """Latents for texts, [B, C, H, W] in float32.

    With and without text are computed as one batch where guidance acts. Steps are in float32, whatever the model's
    dtype is.

    Args:
        model: the transformer.
        noise: standard normal, [B, C, H, W].
        text, text_mask: as the transformer takes them.
        null_text, null_mask: the text of no caption: [T, C], [1, T, C] or [B, T, C]; needed where guidance acts.
        steps: evaluations of the model (twice as large where guidance acts).
        guidance: its scale, or with an interval of times.
        shift: of the times (`flow_times`).
        solver: "flow_dpm" or "flow_euler".
        times: to go through, falling, in place of those of `steps` and `shift` (`log_snr_times`, say).
        keep: the blocks to run.

    Raises:
        ConfigError: guidance without `null_text`, or a number out of range.
        InputError: a tensor of another shape; or values that are not finite, with the operation that first gave one.
    """
    if solver not in SOLVERS:
        raise unknown_name("solver", solver, SOLVERS, "sample")
    guided = guidance if isinstance(guidance, Guidance) else Guidance(guidance)
    times, batch = flow_times(steps, shift) if times is None else times, noise.shape[0]
    with_text, both = Text(text, text_mask), None
    if any(guided.acts_at(each) for each in times[:-1]):
        if null_text is None:
            raise ConfigError(f"a guidance of {guided.scale} needs null_text, the text of no caption; 1 needs none")
        both = joined(null_of(null_text, null_mask, batch), with_text)
    dtype = model.out.weight.dtype

    def predict(x: torch.Tensor, time: float, given: Text) -> torch.Tensor:
        x, features = x.to(dtype), given.features.to(dtype)
        timestep = torch.full((x.shape[0],), TIMESTEPS * time, device=x.device)
        velocity: torch.Tensor = model(x, timestep, features, given.mask, keep=keep)
        return velocity.float()

    def velocity(x: torch.Tensor, time: float) -> torch.Tensor:
        if both is None or not guided.acts_at(time):
            return predict(x, time, with_text)
        null, full = predict(torch.cat([x, x]), time, both).chunk(2)
        return null + guided.scale * (full - null)

    latents = SOLVERS[solver](velocity, noise.float(), times)
    if not bool(torch.isfinite(latents).all()):
        # Once more, watched: checking as it goes would make the device wait at every step.
        with refuse_overflow(model):
            SOLVERS[solver](velocity, noise.float(), times)
        raise InputError(
            "sampling gave values that are not finite, and none when it ran once more with every operation watched: "
            "run the model in bfloat16 or float32, or without the fused kernels (`use_fused(False)`)"
        )
    return latents
