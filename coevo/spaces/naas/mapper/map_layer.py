"""The mapper's door: the best mapping found for a layer on an accelerator, with lower bounds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from coevo.cost_models.accelerator import Assumptions, Layer, tables_of, unstack
from coevo.cost_models.accelerator.bounds import compulsory_bounds
from coevo.errors import ConfigError
from coevo.hardware.accelerators import Accelerator
from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.spaces.naas.mapper import evolution, sampling
from coevo.spaces.naas.mapper.feasible import refuse_what_never_fits
from coevo.spaces.naas.mapper.goals import GOALS, judge
from coevo.spaces.naas.mapper.mapped_layer import MappedLayer

METHODS = ("evolution", "random")


def map_layer(
    layer: Layer,
    accelerator: Accelerator,
    assumptions: Assumptions | None = None,
    goal: str = "edp",
    method: str = "evolution",
    evaluations: int = 3000,
    seed: int = 0,
    certify: bool = True,
    encoding: str = "importance",
) -> MappedLayer:
    """Search for the mapping of `layer` with the least `goal` ("edp", "energy", "cycles").

    The answer follows from the arguments: the random numbers come from `seed` and the layer's shape. A layer of which
    nothing fits is an `InputError` that names the memory and the bytes.
    """
    for label, value, offered in (("goal", goal, GOALS), ("method", method, METHODS)):
        if value not in offered:
            raise ConfigError(f"{label}: expected one of {', '.join(offered)}, got {value!r}")
    tables = tables_of(layer, accelerator, assumptions or Assumptions())
    refuse_what_never_fits(layer, accelerator, tables)
    generator = np.random.Generator(np.random.Philox(_seed_of(seed, layer)))
    if method == "evolution":
        found = evolution.evolve(tables, generator, evaluations, goal, encoding)
        best, used = found.best, found.evaluations
    else:
        best, used = sampling.best_of(tables, generator, evaluations, goal), evaluations
    return _answer(accelerator, tables, best, used, goal, certify)


def map_layers(
    layers: Sequence[Layer],
    accelerator: Accelerator,
    assumptions: Assumptions | None = None,
    goal: str = "edp",
    method: str = "evolution",
    evaluations: int = 3000,
    seed: int = 0,
    certify: bool = True,
    encoding: str = "importance",
) -> list[MappedLayer]:
    """`map_layer` for many; layers of one shape are searched once."""
    known: dict[tuple[object, ...], MappedLayer] = {}
    for layer in layers:
        if layer.shape not in known:
            known[layer.shape] = map_layer(
                layer, accelerator, assumptions, goal, method, evaluations, seed, certify, encoding
            )
    return [known[layer.shape] for layer in layers]


def _seed_of(seed: int, layer: Layer) -> int:
    return int.from_bytes(hashlib.blake2b(repr((seed, layer.shape)).encode(), digest_size=16).digest(), "little")


def _answer(
    accelerator: Accelerator, tables: Tables, best: MappingArrays, evaluations: int, goal: str, certify: bool
) -> MappedLayer:
    judged = judge(tables, best, goal)
    energy_pj, cycles = float(judged.energy_pj[0]), float(judged.cycles[0])
    seconds = cycles / (accelerator.clock_mhz * 1e6)
    bounds = compulsory_bounds(tables, accelerator.clock_mhz) if certify else None
    return MappedLayer(
        unstack(best, 0), energy_pj, cycles, seconds * 1e3, energy_pj * 1e-12 * seconds, evaluations, goal, bounds
    )
