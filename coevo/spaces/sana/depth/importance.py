"""How much every block matters, by what it does to the tokens or by what is lost without it.

Sana-1.5 (arXiv 2501.18427, section 2.2) sorts blocks by how little they turn the tokens' vectors, averaged over prompts
and times. The cosine of a residual stream is dominated by a few channels of large values; so there are two other
measures of the same activations, and the loss without the block, which is what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coevo.errors import InputError, unknown_name
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training.batches import Batch
from coevo.supernets.reproducibility import seed_of

Floats = npt.NDArray[np.float64]
TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the flow, 0 (data) to 1 (noise)."""


def cosine(before: Tensor, after: Tensor) -> Tensor:
    """1 - the mean over tokens of the cosine between a block's input and output: Sana-1.5's block importance.

    Args:
        before, after: float64 [tokens, D].
    """
    found: Tensor = 1 - torch.nn.functional.cosine_similarity(before, after, dim=-1, eps=1e-30).mean()
    return found


def delta_norm(before: Tensor, after: Tensor) -> Tensor:
    """The mean over tokens of |output - input| / |input|."""
    change: Tensor = (after - before).norm(dim=-1) / before.norm(dim=-1).clamp(min=1e-30)
    return change.mean()


def cka(before: Tensor, after: Tensor) -> Tensor:
    """1 - linear CKA of input and output with the tokens as samples (Kornblith et al. 2019, arXiv 1905.00414,
    section 3): |Y^T X|^2 / (|X^T X| |Y^T Y|), columns centred. 0 where neither varies."""
    x, y = before - before.mean(dim=0), after - after.mean(dim=0)
    both, scale = (y.T @ x).square().sum(), (x.T @ x).norm() * (y.T @ y).norm()
    return torch.where(scale > 0, 1 - both / scale.clamp(min=1e-300), torch.zeros_like(scale))


MEASURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cosine": cosine, "delta_norm": delta_norm, "cka": cka}
"""Of a block's input and output; 0 for a block that changes nothing."""
LEAVE_ONE_OUT = "leave_one_out"
KINDS = (*MEASURES, LEAVE_ONE_OUT)


def importance(
    model: SanaTransformer,
    batches: Sequence[Batch],
    kind: str = "cosine",
    *,
    times: Sequence[float] = TIMES,
    seed: int = 0,
) -> Floats:
    """How much every block matters, [depth]; see `importances`."""
    return importances(model, batches, (kind,), times=times, seed=seed)[kind]


@torch.no_grad()
def importances(
    model: SanaTransformer,
    batches: Sequence[Batch],
    kinds: Sequence[str] = KINDS,
    *,
    times: Sequence[float] = TIMES,
    seed: int = 0,
) -> dict[str, Floats]:
    """By kind, how much every block matters, float64 [depth]; larger matters more.

    All kinds see the same noisy latents: every image of every batch at every time. Measures are computed in float64
    from what the model computes in its own precision. `leave_one_out` is the flow loss without the block, less the loss
    with it: depth + 1 passes where the others need one.

    Args:
        batches: calibration images, on the model's device.
        kinds: of `KINDS`.
        times: of the flow, over 0 and below 1.
        seed: of the noise.

    Raises:
        InputError: no batch, no time, or a time outside.
        UnknownName: no such kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise unknown_name("measure of importance", kind, KINDS)
    if not batches or not times or not all(0 < each < 1 for each in times):
        raise InputError(
            f"importance needs a batch and times between 0 (data) and 1 (noise), got {len(batches)} batches and "
            f"the times {tuple(times)}"
        )
    measured = [each for each in kinds if each in MEASURES]
    totals = {each: np.zeros(len(model.blocks)) for each in kinds}
    for number, batch in enumerate(batches):
        generator = torch.Generator().manual_seed(seed_of(seed, "importance", number))
        noise = torch.randn(batch.latents.shape, generator=generator).to(batch.latents)
        for time in times:
            noisy = (1 - time) * batch.latents + time * noise
            if measured:
                _add(totals, measured, _streams(model, noisy, time, batch), batch.size)
            if LEAVE_ONE_OUT in kinds:
                totals[LEAVE_ONE_OUT] += batch.size * _left_out(model, noisy, time, batch, noise - batch.latents)
    images = sum(each.size for each in batches) * len(times)
    return {kind: each / images for kind, each in totals.items()}


def spearman(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """The rank correlation, -1 to 1, ties at their mean rank; NaN where one of them is constant.

    Raises:
        InputError: different lengths, or fewer than two values.
    """
    a, b = _ranks(np.asarray(one, dtype=np.float64)), _ranks(np.asarray(other, dtype=np.float64))
    if len(a) != len(b) or len(a) < 2:
        raise InputError(
            f"a rank correlation needs two lists of one length from 2 up, got {len(a)} and {len(b)} values"
        )
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else float("nan")


def _ranks(values: Floats) -> Floats:
    sorted_ = np.sort(values)
    below, up_to = np.searchsorted(sorted_, values, "left"), np.searchsorted(sorted_, values, "right")
    return np.asarray((below + up_to - 1) / 2, dtype=np.float64)


def _streams(model: SanaTransformer, noisy: Tensor, time: float, batch: Batch) -> list[Tensor]:
    """The tokens before the first block and after each, [B, N, D]."""
    stem = model.embed(noisy, noisy.new_full((batch.size,), 1000 * time), batch.text, batch.text_mask)
    streams = [stem.tokens]
    for block in model.blocks:
        streams.append(block(streams[-1], stem.text, stem.text_mask, stem.time_table, stem.grid))
    return streams


def _add(totals: dict[str, Floats], kinds: Sequence[str], streams: Sequence[Tensor], weight: int) -> None:
    for kind in kinds:
        found = [
            MEASURES[kind](before.flatten(0, 1).double(), after.flatten(0, 1).double())
            for before, after in pairwise(streams)
        ]
        totals[kind] += weight * torch.stack(found).cpu().numpy()


def _left_out(model: SanaTransformer, noisy: Tensor, time: float, batch: Batch, target: Tensor) -> Floats:
    depth, timestep = len(model.blocks), noisy.new_full((batch.size,), 1000 * time)

    def loss(without: int | None) -> Tensor:
        keep = tuple(i != without for i in range(depth))
        velocity: Tensor = model(noisy, timestep, batch.text, batch.text_mask, keep=keep)
        return (velocity.double() - target.double()).square().mean()

    whole = loss(None)
    found: Floats = torch.stack([loss(i) - whole for i in range(depth)]).cpu().numpy()
    return found
