"""The samplers by name, as options name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from coevo.errors import unknown_name
from coevo.supernets.sampling.gate_count import GateCountSampler, Sizes
from coevo.supernets.sampling.restricted import ExpandingSampler, RestrictedSampler, ShrinkingSampler
from coevo.supernets.sampling.sampler import PlainSampler, Sampler
from coevo.supernets.sampling.stages import Stages


@dataclass(frozen=True)
class Subnets:
    """What a sampler may need to know; each takes its part.

    Attributes:
        choices: of every position, from the smallest subnet to the largest.
        depth: the position of the number of blocks.
        sizes: the numbers of gates [genes] of genes int64 [genes, positions].
        changes: how many positions a restricted draw changes.
        stages: how the staged samplers open.
    """

    choices: Sequence[Sequence[int]]
    depth: int
    sizes: Sizes
    changes: int = 7
    stages: Stages = field(default_factory=Stages)


SAMPLERS: Mapping[str, Callable[[Subnets], Sampler]] = MappingProxyType(
    {
        "plain": lambda of: PlainSampler(of.choices),
        "restricted": lambda of: RestrictedSampler(of.choices, of.changes),
        "gate_count": lambda of: GateCountSampler(of.choices, of.sizes, of.stages),
        "expanding": lambda of: ExpandingSampler(of.choices, of.changes, of.stages),
        "shrinking": lambda of: ShrinkingSampler(of.choices, of.depth, of.changes, of.stages),
    }
)
"""Name -> constructor."""


def make_sampler(name: str, subnets: Subnets) -> Sampler:
    """The sampler of a name. Raises UnknownName for one that nobody offers, and what the sampler itself raises."""
    if name not in SAMPLERS:
        raise unknown_name("sampler", name, SAMPLERS)
    return SAMPLERS[name](subnets)
