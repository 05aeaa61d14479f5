"""A network as the layers that multiply and accumulate, equal shapes once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coevo.cost_models.accelerator.layer import Layer
from coevo.errors import InputError


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A layer of a network before equal ones are merged. `stored`: its weights are parameters of the network, not
    computed on the way as in attention."""

    layer: Layer
    count: int = 1
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """`layers`: every distinct shape, named after its first layer, and how often it runs. `parameters`: weights that
    the network stores, of the layers counted here alone. `left_out`: what the network does besides."""

    name: str
    layers: tuple[tuple[Layer, int], ...]
    parameters: int
    left_out: tuple[str, ...] = ()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run over the whole batch."""
        return sum(layer.macs * repeats for layer, repeats in self.layers)

    @classmethod
    def of(cls, name: str, occurrences: Iterable[Occurrence], left_out: Iterable[str] = ()) -> Workload:
        """Layers of equal shape become one, in the order of their first appearance."""
        first: dict[tuple[object, ...], Layer] = {}
        repeats: dict[tuple[object, ...], int] = {}
        parameters = 0
        for found in occurrences:
            layer = found.layer
            first.setdefault(layer.shape, layer)
            repeats[layer.shape] = repeats.get(layer.shape, 0) + found.count
            if found.stored:
                sizes = layer.sizes
                parameters += found.count * sizes["G"] * sizes["K"] * sizes["C"] * sizes["R"] * sizes["S"]
        if not first:
            raise InputError(f"workload {name!r}: no layer multiplies and accumulates; there is nothing to map")
        return cls(name, tuple((first[shape], repeats[shape]) for shape in first), parameters, tuple(left_out))
