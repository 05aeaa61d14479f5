"""Judging designs: mappings of every layer, costs of whole networks, accuracy."""

from coevo.spaces.naas.judging.costs import NetworkCost, total
from coevo.spaces.naas.judging.judge import BoundJudge, ChipJudge, CoJudge
from coevo.spaces.naas.judging.mapped import mapped_layers

__all__ = ["BoundJudge", "ChipJudge", "CoJudge", "NetworkCost", "mapped_layers", "total"]
