"""Which subnet a training step of a supernet uses: the five samplers of QuantumNAS (HPCA 2022, section 4).

A sampler draws the next gene from the one before it and keeps nothing itself, so a training that stores its last genes
resumes exactly.
"""

from coevo.supernets.sampling.catalogue import Subnets, make_sampler
from coevo.supernets.sampling.gate_count import GateCountSampler
from coevo.supernets.sampling.restricted import ExpandingSampler, RestrictedSampler, ShrinkingSampler
from coevo.supernets.sampling.sampler import Gene, PlainSampler, Sampler, subsets
from coevo.supernets.sampling.stages import Stages

__all__ = [
    "ExpandingSampler",
    "GateCountSampler",
    "Gene",
    "PlainSampler",
    "RestrictedSampler",
    "Sampler",
    "ShrinkingSampler",
    "Stages",
    "Subnets",
    "make_sampler",
    "subsets",
]
