"""Flow-Euler: a step along the velocity."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch

from coevo.spaces.sana.flow.schedule import check_times

Velocity = Callable[[torch.Tensor, float], torch.Tensor]
"""(x, t) to dx/dt, of x's shape."""


def flow_euler(velocity: Velocity, x: torch.Tensor, times: Sequence[float]) -> torch.Tensor:
    """x at the last of `times`, from x at the first. First order, one call of `velocity` a step.

    Raises:
        ConfigError: times that do not fall strictly within 1 .. 0.
    """
    check_times(times)
    for now, after in itertools.pairwise(times):
        x = x + (after - now) * velocity(x, now)
    return x
