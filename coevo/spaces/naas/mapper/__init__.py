"""The mapper: the best mapping of a layer onto an accelerator, and how far it can be from the best there is."""

from coevo.spaces.naas.mapper.constraints import Constraints
from coevo.spaces.naas.mapper.map_layer import map_layer, map_layers
from coevo.spaces.naas.mapper.mapped_layer import MappedLayer

__all__ = ["Constraints", "MappedLayer", "map_layer", "map_layers"]
