"""The search algorithms, by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from coevo.errors import unknown_name
from coevo.search.algorithms.base import Algorithm as Algorithm
from coevo.search.algorithms.base import Exhausted as Exhausted
from coevo.search.algorithms.cmaes import CMAES as CMAES
from coevo.search.algorithms.exhaustive import Exhaustive as Exhaustive
from coevo.search.algorithms.islands import Islands as Islands
from coevo.search.algorithms.local import LocalSearch as LocalSearch
from coevo.search.algorithms.nsga2 import NSGA2 as NSGA2
from coevo.search.algorithms.nsga3 import NSGA3 as NSGA3
from coevo.search.algorithms.random import RandomSearch as RandomSearch
from coevo.search.algorithms.regularized import RegularizedEvolution as RegularizedEvolution

_KINDS = (NSGA2, NSGA3, CMAES, RegularizedEvolution, LocalSearch, Islands, RandomSearch, Exhaustive)
ALGORITHMS: dict[str, type[Algorithm]] = {kind.name: kind for kind in _KINDS}


def make_algorithm(algorithm: str | Algorithm, options: Mapping[str, Any] | None = None) -> Algorithm:
    """The algorithm of this name with these options; unknown names and options are refused with the nearest one."""
    if isinstance(algorithm, Algorithm):
        if options:
            raise unknown_name(
                "option", next(iter(options)), (), f"an algorithm that is already made ({algorithm.name})"
            )
        return algorithm
    if algorithm not in ALGORITHMS:
        raise unknown_name("algorithm", algorithm, ALGORITHMS)
    kind = ALGORITHMS[algorithm]
    known = inspect.signature(kind).parameters
    for name in options or {}:
        if name not in known:
            raise unknown_name("option", name, known, f"algorithm {algorithm!r}")
    return kind(**(options or {}))
