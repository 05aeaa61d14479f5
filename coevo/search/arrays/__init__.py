"""Evolution over arrays: inner searches of a fixed shape, a microsecond a candidate instead of a design each."""

from __future__ import annotations

from coevo.search.arrays.columns import Choices as Choices
from coevo.search.arrays.columns import Integers as Integers
from coevo.search.arrays.columns import Orders as Orders
from coevo.search.arrays.columns import Reals as Reals
from coevo.search.arrays.evolution import Evolved as Evolved
from coevo.search.arrays.evolution import Settings as Settings
from coevo.search.arrays.evolution import evolve as evolve
