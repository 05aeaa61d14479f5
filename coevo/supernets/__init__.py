"""Weight sharing: how subnets are drawn while one set of weights is trained for all of them."""

from coevo.supernets.sampling import PlainSampler, RestrictedSampler, Sampler, ShrinkingSampler

__all__ = ["PlainSampler", "RestrictedSampler", "Sampler", "ShrinkingSampler"]
