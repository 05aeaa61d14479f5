"""Flow-DPM-Solver (Sana, algorithm 1): DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2) along a rectified flow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from coevo.spaces.sana.flow.euler import Velocity
from coevo.spaces.sana.flow.schedule import check_times, log_snr


def flow_dpm(velocity: Velocity, x: torch.Tensor, times: Sequence[float], order: int = 2) -> torch.Tensor:
    """x at the last of `times`, from x at the first. One call of `velocity` a step.

    The model's prediction of the data, d = x - t v, is followed in log-SNR: by its last two values, extrapolated half
    a step, or in the first step, and in one that ends at the data, by the last value alone. With alpha = 1 - t and
    sigma = t, DPM-Solver++'s coefficient alpha' (1 - exp(-h)) is 1 - t'/t, so that a step of first order is Euler's.

    Args:
        velocity: (x, t) to dx/dt.
        x: of any shape.
        times: falling strictly.
        order: 2, or 1 for Euler's steps in this form.

    Raises:
        ConfigError: times that do not fall strictly within 1 .. 0.
    """
    check_times(times)
    before: torch.Tensor | None = None
    for step, (now, after) in enumerate(itertools.pairwise(times)):
        data = x - now * velocity(x, now)
        target = data
        if order == 2 and before is not None and after > 0:
            ratio = (log_snr(after) - log_snr(now)) / (log_snr(now) - log_snr(times[step - 1]))
            target = data + 0.5 * ratio * (data - before)
        x = (after / now) * x + (1 - after / now) * target
        before = data
    return x
