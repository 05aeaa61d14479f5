"""Depth of Sana's transformer: grown, judged block by block, pruned, and shared by a supernet.

Everything here runs with torch and NumPy alone.
"""

from coevo.spaces.sana.depth.growth import STRATEGIES, grow, truncated
from coevo.spaces.sana.depth.importance import KINDS, importance, importances, spearman
from coevo.spaces.sana.depth.masks import Keep, check_keep, random_keep, uniform_keep
from coevo.spaces.sana.depth.pruning import Searched, most_important, pruned, search_keep
from coevo.spaces.sana.depth.supernet import DepthSupernet, Subnet, identity_supernet

__all__ = [
    "KINDS",
    "STRATEGIES",
    "DepthSupernet",
    "Keep",
    "Searched",
    "Subnet",
    "check_keep",
    "grow",
    "identity_supernet",
    "importance",
    "importances",
    "most_important",
    "pruned",
    "random_keep",
    "search_keep",
    "spearman",
    "truncated",
    "uniform_keep",
]
