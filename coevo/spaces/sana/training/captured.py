"""Forward and backward of an update as one CUDA graph: a small transformer's time on a device is mostly launches."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.spaces.sana.flow.objective import draw_times, flow_loss
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training.batches import Batch
from coevo.spaces.sana.training.learners import FlowLearner, autocast, generator_of
from coevo.spaces.sana.training.recipe import Recipe

WARM_UPS = 3
"""Runs before the capture, in which libraries choose their kernels and make their workspaces."""


class CapturedFlowLearner(FlowLearner):
    """A `FlowLearner` whose operators are launched together; noise, times and dropped captions are the same ones.

    All batches have one shape. Gradients are overwritten by each update, in tensors that stay the same ones: they must
    not be set to None in between.

    Raises:
        InputError: not on a CUDA device, float16 (whose scale a graph would keep), or a batch of another shape than the
            first.
    """

    def __init__(self, net: nn.Module, recipe: Recipe, null_text: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__(net, recipe, null_text)
        if self.device.type != "cuda" or recipe.precision == "float16":
            raise InputError(
                f"captured steps need a CUDA device and float32 or bfloat16, got {self.device} and {recipe.precision}; "
                "use a FlowLearner"
            )
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Batch, step: int) -> Tensor:
        generator = generator_of(self.recipe, step, self.device)
        batch = self.dropped(batch, generator)
        times = draw_times(batch.size, generator=generator, device=self.device)
        noise = torch.randn(batch.latents.shape, generator=generator, device=self.device).to(batch.latents)
        given = [batch.latents, batch.text, times, noise]
        if batch.text_mask is not None:
            given.append(batch.text_mask)
        if self._graph is None:
            self._capture(given)
        if [each.shape for each in given] != [each.shape for each in self._given]:
            raise InputError(
                f"a captured step takes batches of one shape, {[list(each.shape) for each in self._given]}, got "
                f"{[list(each.shape) for each in given]}"
            )
        assert self._graph is not None
        for held, new in zip(self._given, given, strict=True):
            held.copy_(new)
        self._graph.replay()
        return self._loss.detach()

    def _capture(self, given: list[Tensor]) -> None:
        self._given = [each.clone() for each in given]
        side: torch.cuda.Stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self.net.zero_grad(set_to_none=True)
                self._run()
        torch.cuda.current_stream(self.device).wait_stream(side)
        self.net.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._loss = self._run()
        self._graph = graph

    def _run(self) -> Tensor:
        latents, text, times, noise, *mask = self._given
        with autocast(self.recipe.precision, self.device):
            net = cast(SanaTransformer, self.net)  # or what is called as it is
            loss = flow_loss(net, latents, text, mask[0] if mask else None, noise=noise, t=times)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss


def learner_of(
    net: nn.Module, recipe: Recipe, null_text: tuple[Tensor, Tensor] | None = None, steps_at_least: int = 200
) -> FlowLearner:
    """The captured one where the device and the precision allow it and the training is long enough to pay for it."""
    on_device = next(net.parameters()).is_cuda and recipe.precision != "float16"
    kind = CapturedFlowLearner if on_device and recipe.steps >= steps_at_least else FlowLearner
    return kind(net, recipe, null_text)
