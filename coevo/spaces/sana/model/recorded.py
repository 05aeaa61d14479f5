"""A transformer whose evaluations are CUDA graphs: at 1,024 tokens, launching one takes longer than computing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from coevo.errors import InputError
from coevo.spaces.sana.model.transformer import SanaTransformer

WARM_UPS = 2
"""Runs before a capture, in which kernels are compiled and libraries choose theirs."""


class RecordedTransformer:
    """Called as its transformer is, without gradients: `sample(RecordedTransformer(model), ...)`.

    The first call of every shape records a graph, which holds the memory of one evaluation. Weights that change in
    place are seen; where they were moved or replaced, graphs are recorded anew. Modules with hooks run unrecorded.

    Args:
        model: the transformer, on a CUDA device; `use_fused` first, where it is to run on the kernels.

    Raises:
        InputError: the transformer is not on a CUDA device.
    """

    def __init__(self, model: SanaTransformer) -> None:
        device = next(model.parameters()).device
        if device.type != "cuda":
            raise InputError(f"recorded evaluations need a CUDA device, the transformer is on {device}; call it itself")
        self.model = model
        self._graphs: dict[Any, tuple[torch.cuda.CUDAGraph, list[torch.Tensor], torch.Tensor]] = {}
        self._weights = self._addresses()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    @torch.no_grad()
    def __call__(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        text: torch.Tensor,
        text_mask: torch.Tensor | None = None,
        *,
        keep: Sequence[bool] | None = None,
    ) -> torch.Tensor:
        """The velocity [B, C, H, W], a tensor of its own; arguments as of the transformer."""
        if any(each._forward_hooks or each._forward_pre_hooks for each in self.model.modules()):
            return self.model(latents, timestep, text, text_mask, keep=keep)  # type: ignore[no-any-return]
        if self._weights != (addresses := self._addresses()):
            self._graphs.clear()
            self._weights = addresses
        given = [each for each in (latents, timestep, text, text_mask) if each is not None]
        kind = tuple((each.shape, each.dtype) for each in given)
        key = (kind, None if keep is None else tuple(map(bool, keep)), self.model.blocks[0].fused)
        if key not in self._graphs:
            self._graphs[key] = self._record(given, keep)
        graph, held, velocity = self._graphs[key]
        for place, value in zip(held, given, strict=True):
            place.copy_(value)
        graph.replay()
        return velocity.clone()

    def _addresses(self) -> list[int]:
        return [each.data_ptr() for each in self.model.parameters()]

    def _record(
        self, given: list[torch.Tensor], keep: Sequence[bool] | None
    ) -> tuple[torch.cuda.CUDAGraph, list[torch.Tensor], torch.Tensor]:  # fmt: skip
        held = [each.clone() for each in given]
        side: torch.cuda.Stream = torch.cuda.Stream(held[0].device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(held[0].device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self.model(*held, keep=keep)
        torch.cuda.current_stream(held[0].device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            velocity: torch.Tensor = self.model(*held, keep=keep)
        return graph, held, velocity
