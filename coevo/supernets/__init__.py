"""Weight sharing: how subnets are drawn while one set of weights is trained for all of them."""

from coevo.supernets.sampling import (
    ExpandingSampler,
    GateCountSampler,
    PlainSampler,
    RestrictedSampler,
    Sampler,
    ShrinkingSampler,
    Stages,
    Subnets,
    make_sampler,
)

__all__ = [
    "ExpandingSampler",
    "GateCountSampler",
    "PlainSampler",
    "RestrictedSampler",
    "Sampler",
    "ShrinkingSampler",
    "Stages",
    "Subnets",
    "make_sampler",
]
