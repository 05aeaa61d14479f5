"""Weight sharing: how subnets are drawn while one set of weights is trained for all of them."""

from coevo.supernets.sampling import PlainSampler, ProgressiveSampler, RestrictedSampler, Sampler

__all__ = ["PlainSampler", "ProgressiveSampler", "RestrictedSampler", "Sampler"]
