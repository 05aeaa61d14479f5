"""What a detector learns from: focal loss, smooth L1 with the sine of the yaws' difference, direction (SECOND)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from coevo.spaces.spvnas.detection.targets import Targets


@dataclass(frozen=True)
class LossWeights:
    """`alpha`, `gamma`: of the focal loss (arXiv 1708.02002); `sigma`: the smooth L1 is a parabola to 1 / sigma^2."""

    classes: float = 1.0
    boxes: float = 2.0
    directions: float = 0.2
    alpha: float = 0.25
    gamma: float = 2.0
    sigma: float = 3.0


def focal_loss(logits: torch.Tensor, truth: torch.Tensor, alpha: float = 0.25, gamma: float = 2.0) -> torch.Tensor:
    """Elementwise alpha_t (1 - p_t)^gamma (-log p_t) of logits and truth in 0 .. 1, of one shape."""
    chance = torch.sigmoid(logits)
    right = truth * chance + (1 - truth) * (1 - chance)
    weight = truth * alpha + (1 - truth) * (1 - alpha)
    plain = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return weight * (1 - right) ** gamma * plain


def smooth_l1(difference: torch.Tensor, sigma: float = 3.0) -> torch.Tensor:
    """Elementwise: a parabola up to 1 / sigma^2, and a line from there on."""
    size, bend = abs(difference), 1 / sigma**2
    return torch.where(size < bend, 0.5 * size**2 / bend, size - 0.5 * bend)


def yaw_difference(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """found - truth of residuals [..., 7], with the sine of the yaws' difference: opposite yaws are alike."""
    return torch.cat([found[..., :6] - truth[..., :6], torch.sin(found[..., 6:] - truth[..., 6:])], dim=-1)


def detection_loss(
    logits: torch.Tensor,
    residuals: torch.Tensor,
    directions: torch.Tensor,
    targets: list[Targets],
    weights: LossWeights | None = None,
) -> dict[str, torch.Tensor]:
    """ "classes", "boxes", "directions" and their weighted sum "total": means over the scans of sums over the anchors,
    each over the number of anchors that find a box (1 where none does).

    Args:
        logits: [scans, A, classes]; residuals [scans, A, 7]; directions [scans, A, 2].
        targets: of each scan.
    """
    weights = weights or LossWeights()
    labels = torch.stack([each.labels for each in targets])
    finds = labels > 0
    per_box = 1 / finds.sum(dim=1, keepdim=True).clamp(min=1).to(torch.float32)
    truth = functional.one_hot(labels.clamp(min=0), logits.shape[-1] + 1)[..., 1:].to(torch.float32)
    counted = (labels >= 0).to(torch.float32) * per_box
    classes = focal_loss(logits.float(), truth, weights.alpha, weights.gamma).sum(dim=-1) * counted
    where = finds.nonzero(as_tuple=True)
    share = per_box.expand_as(counted)[where]
    wanted = torch.stack([each.residuals for each in targets])[where]
    halves = torch.stack([each.directions for each in targets])[where]
    differences = yaw_difference(residuals[where].float(), wanted)
    boxes = smooth_l1(differences, weights.sigma).sum(dim=-1) * share
    turns = functional.cross_entropy(directions[where].float(), halves, reduction="none") * share
    scans = len(targets)
    found = {"classes": classes.sum() / scans, "boxes": boxes.sum() / scans, "directions": turns.sum() / scans}
    found["total"] = (
        weights.classes * found["classes"] + weights.boxes * found["boxes"] + weights.directions * found["directions"]
    )
    return found
