"""Elastic networks that are searched together with their hardware."""

from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.network.families import FAMILIES, family
from coevo.spaces.naas.network.scale import IMAGENET, Scale

__all__ = ["FAMILIES", "IMAGENET", "NetworkDesign", "Scale", "family"]
