"""One training step for many subnets: the largest learns from labels, the others from the largest.

The sandwich rule (Yu and Huang 2019, universally slimmable networks, section 3): every step trains the largest, the
smallest and some between, so that both ends of the range of accuracy are pushed up. In-place distillation (section 4
there): the others learn the largest's answers of the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from coevo.errors import InputError

D = TypeVar("D")


def sandwich(largest: D, smallest: D, between: int, draw: Callable[[], D]) -> list[D]:
    """The designs of a step: the largest first, the smallest, and `between` more that `draw` gives."""
    if between < 0:
        raise InputError(f"a step trains 0 or more designs between the largest and the smallest, got {between}")
    return [largest, smallest, *(draw() for _ in range(between))]


def soft_cross_entropy(logits: Tensor, teacher: Tensor, used: Tensor | None = None) -> Tensor:
    """Mean over the rows of the cross-entropy to the teacher's answers.

    Args:
        logits, teacher: [rows, classes]; the teacher's have no gradient.
        used: bool [rows], rows that count; all where it is None. Without any the result is 0.
    """
    soft, logits = teacher.detach().float().softmax(dim=1), logits.float()
    if used is None:
        return functional.cross_entropy(logits, soft)
    each = functional.cross_entropy(logits, soft, reduction="none")
    return torch.where(used, each, 0).sum() / used.sum().clamp(min=1)


def learn_together(
    designs: Sequence[D],
    run: Callable[[D], Tensor],
    loss: Callable[[Tensor], Tensor],
    *,
    used: Tensor | None = None,
    scale: Callable[[Tensor], Tensor] | None = None,
    distil: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """Forward and backward of every design; the gradients add up in the shared parameters.

    Args:
        designs: the first one learns from `loss` and teaches the others.
        run: a design to its answers, logits [rows, classes] unless `distil` is given.
        loss: answers to a number.
        used: as `soft_cross_entropy`.
        scale: of a GradScaler, applied before each backward.
        distil: what the others learn, of their answers and the first one's (no gradient); `soft_cross_entropy` where it
            is None.

    Returns:
        the first design's loss, not scaled, without gradient.

    Raises:
        InputError: there is no design; both `used` and `distil` are given.
    """
    if not designs:
        raise InputError("a step needs at least one design")
    if distil is not None and used is not None:
        raise InputError("`used` belongs to soft_cross_entropy; a `distil` of one's own leaves rows out itself")
    answers = run(designs[0])
    found = loss(answers)
    _backward(found, scale)
    for design in designs[1:]:
        if distil is None:
            _backward(soft_cross_entropy(run(design), answers, used), scale)
        else:
            _backward(distil(run(design), answers.detach()), scale)
    return found.detach()


def _backward(loss: Tensor, scale: Callable[[Tensor], Tensor] | None) -> None:
    (loss if scale is None else scale(loss)).backward()  # type: ignore[no-untyped-call]
