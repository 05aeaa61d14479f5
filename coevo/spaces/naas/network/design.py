"""A network that a search chose, as blocks."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.cost_models.accelerator import Layer
from coevo.spaces.naas.network.blocks import Block, layers_of


@dataclass(frozen=True, slots=True)
class NetworkDesign:
    """`family`: the elastic network that it is a part of; `input_size`: rows and columns of its images; `blocks`: what
    runs; `places`: for each block, where in the largest network it stands, which is where its weights are."""

    family: str
    input_size: int
    blocks: tuple[Block, ...]
    places: tuple[int, ...]

    def runs(self, batch: int = 1) -> tuple[tuple[Layer, int], ...]:
        """Its layers with how often each runs: layers of one shape stand together, under the name of the first."""
        merged: dict[tuple[object, ...], tuple[Layer, int]] = {}
        for layer in layers_of(self.blocks, self.input_size, batch):
            first, times = merged.get(layer.shape, (layer, 0))
            merged[layer.shape] = (first, times + 1)
        return tuple(merged.values())

    @property
    def macs(self) -> int:
        return sum(layer.macs * times for layer, times in self.runs())
