"""The gradients of an update: what a training loop calls, whatever it trains."""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.spaces.sana.flow.objective import flow_loss
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training.batches import Batch
from coevo.spaces.sana.training.recipe import Recipe
from coevo.supernets.reproducibility import seed_of

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Learner(Protocol):
    """Leaves the gradients of an update in the parameters.

    Attributes:
        net: what is trained and kept in checkpoints.
        scaler: of float16, a GradScaler that the gradients are multiplied by; None otherwise.
    """

    net: nn.Module
    scaler: Any

    def begin(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Before an update, counted from 0; may rearrange parameters with their momenta."""
        ...

    def __call__(self, batch: Batch, step: int) -> Tensor:
        """The loss, a scalar without gradient, which nobody has waited for."""
        ...


class FlowLearner:
    """Rectified flow of one network, launched operator by operator.

    Args:
        net: a transformer, or what is called as one is (`Captioned`), on its device.
        recipe: its precision, seed and drop_text count.
        null_text: text and mask of the empty caption, as of one image of a batch, [T, channels] or [T], and [T].

    Raises:
        InputError: a recipe with drop_text, and no `null_text`.
    """

    def __init__(self, net: nn.Module, recipe: Recipe, null_text: tuple[Tensor, Tensor] | None = None) -> None:
        if recipe.drop_text and null_text is None:
            raise InputError(
                f"recipe.drop_text is {recipe.drop_text}: give `null_text`, the empty caption's text and mask"
            )
        self.net, self.recipe, self.null_text = net, recipe, null_text
        self.device = next(net.parameters()).device
        self.scaler = make_scaler(recipe.precision, self.device)

    def begin(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Nothing."""

    def __call__(self, batch: Batch, step: int) -> Tensor:
        self.net.zero_grad(set_to_none=True)
        generator = generator_of(self.recipe, step, self.device)
        batch = self.dropped(batch, generator)
        with autocast(self.recipe.precision, self.device):
            net = cast(SanaTransformer, self.net)  # or what is called as it is
            loss = flow_loss(net, batch.latents, batch.text, batch.text_mask, generator=generator)
        scaled(loss, self.scaler).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def dropped(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch with the empty caption in place of a share of its captions. InputError where shapes differ."""
        if not self.recipe.drop_text or self.null_text is None:
            return batch
        text, mask = (each.to(self.device) for each in self.null_text)
        if text.shape != batch.text.shape[1:] or mask.shape != batch.text.shape[1:2]:
            raise InputError(
                f"the empty caption is text {list(batch.text.shape[1:])} and mask {list(batch.text.shape[1:2])} as an "
                f"image's are, got {list(text.shape)} and {list(mask.shape)}"
            )
        drop = torch.rand(batch.size, generator=generator, device=self.device) < self.recipe.drop_text
        held = torch.ones_like(batch.text[..., 0] if batch.text.ndim == 3 else batch.text, dtype=torch.bool)
        held = held if batch.text_mask is None else batch.text_mask
        places = drop.view(-1, *[1] * (batch.text.ndim - 1))
        return Batch(batch.latents, torch.where(places, text, batch.text), torch.where(drop[:, None], mask, held))


def generator_of(recipe: Recipe, step: int, device: torch.device) -> torch.Generator:
    """Of the noise and times of an update, which so follow from (seed, step)."""
    return torch.Generator(device).manual_seed(seed_of(recipe.seed, "step", step))


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Where the products of a step are computed in half precision, unless it is float32."""
    return torch.autocast(device.type, DTYPES.get(precision, torch.bfloat16), enabled=precision in DTYPES)


def make_scaler(precision: str, device: torch.device) -> Any:
    """What float16 needs: its smallest gradients would vanish. None for the others."""
    return torch.amp.GradScaler(device.type) if precision == "float16" else None


def scaled(loss: Tensor, scaler: Any) -> Tensor:
    """The loss to differentiate."""
    found: Tensor = loss if scaler is None else scaler.scale(loss)
    return found
