"""The mapper's door: the best mapping found for a layer on an accelerator, with lower bounds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from coevo.cost_models.accelerator import Assumptions, Layer, tables_of, unstack
from coevo.cost_models.accelerator.bounds import Certificate
from coevo.errors import ConfigError, InputError
from coevo.hardware.accelerators import Accelerator
from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.kernels.mapping_cost.sampling import search
from coevo.spaces.naas.mapper import evolution, sampling
from coevo.spaces.naas.mapper.branch_and_bound import Tree
from coevo.spaces.naas.mapper.certify import certificate
from coevo.spaces.naas.mapper.constraints import FREE, Constraints
from coevo.spaces.naas.mapper.encoding import ENCODINGS
from coevo.spaces.naas.mapper.feasible import refuse_what_never_fits
from coevo.spaces.naas.mapper.goals import GOALS, judge, nothing_fits
from coevo.spaces.naas.mapper.mapped_layer import MappedLayer

METHODS = ("exact", "sampling", "evolution", "naas", "random")
START = 2000
"""Mappings that the sampler draws before a tree begins, so that it has something to compare with."""
EVALUATIONS = 3000
NODES = 20_000
BOUND_NODES = 60


def map_layer(
    layer: Layer,
    accelerator: Accelerator,
    assumptions: Assumptions | None = None,
    goal: str = "edp",
    method: str = "exact",
    evaluations: int = EVALUATIONS,
    seconds: float | None = None,
    seed: int = 0,
    certify: bool = True,
    nodes: int = NODES,
    bound_nodes: int = BOUND_NODES,
    encoding: str = "importance",
    constraints: Constraints | None = None,
) -> MappedLayer:
    """Search for the mapping of `layer` with the least `goal` ("edp", "energy", "cycles").

    - "exact": a tree over the whole declared mapping space, of at most `nodes` nodes or `seconds`. When it ends by
      itself, the answer is the optimum and says so; otherwise it is the best mapping found.
    - "sampling": the best of `evaluations` mappings that the compiled sampler draws, tiles as large as fit among them:
      about 1 us each, and hard to beat in a few milliseconds.
    - "evolution": NAAS's evolution in `encoding` ("importance", or "index", the control), and a search near the best;
      `evaluations` mappings together. "naas": the evolution alone, as in the paper.
    - "random": the best of `evaluations` random vectors of the importance encoding, the control of the evolution.

    With `certify` the answer carries lower bounds, which come from the tree whatever the method is; the mapping is the
    method's own. The two goals that were not asked for get `bound_nodes` nodes each for their bounds. Without `seconds`
    the answer follows from the arguments; random numbers come from `seed` and the layer's shape. A layer of which
    nothing fits, or nothing obeys `constraints` (method "exact" only), is an `InputError`.
    """
    for label, value, offered in (
        ("goal", goal, GOALS),
        ("method", method, METHODS),
        ("encoding", encoding, ENCODINGS),
    ):
        if value not in offered:
            raise ConfigError(f"{label}: expected one of {', '.join(offered)}, got {value!r}")
    for label, number in (("evaluations", evaluations), ("nodes", nodes), ("bound_nodes", bound_nodes)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ConfigError(f"{label}: expected a whole number of at least 1, got {number!r}")
    if constraints is not None and method != "exact":
        raise ConfigError(f"constraints are kept by the method 'exact', not by {method!r}; leave one of them out")
    tables = tables_of(layer, accelerator, assumptions or Assumptions())
    bound = FREE if constraints is None else constraints.bind(layer, accelerator)
    refuse_what_never_fits(layer, accelerator, tables)
    tree: Tree | None = None
    if method == "exact":
        start = search(tables, START, 0, goal).mappings if constraints is None else None
        tree = Tree(tables, goal, start if start is not None and len(start) else None, bound)
        tree.run(nodes, seconds=seconds)
        if tree.best is None:
            raise InputError(
                f"layer {layer.name!r} on {accelerator.name}: no mapping "
                + ("was found" if tree.heap else "obeys the constraints and fits")
                + f" after {tree.nodes} nodes; loosen the constraints or allow more nodes"
            )
        best, used = tree.best, tree.judged + (START if constraints is None else 0)
    else:
        generator, used = np.random.Generator(np.random.Philox(_seed_of(seed, layer))), evaluations
        if method in ("evolution", "naas"):
            settings = evolution.PAPER if method == "naas" else None
            best = evolution.evolve(tables, generator, evaluations, goal, encoding, settings).best
        elif method == "random":
            best = sampling.best_of(tables, generator, evaluations, goal)
        else:
            best = search(tables, evaluations, _seed_of(seed, layer) % 2**62, goal).mappings
            if not len(best):
                raise nothing_fits(evaluations)
        if certify:
            tree = Tree(tables, goal, best)
            tree.run(nodes, seconds=seconds)
    return _answer(accelerator, tables, best, used, goal, tree if certify else None, bound_nodes)


def map_layers(
    layers: Sequence[Layer],
    accelerator: Accelerator,
    assumptions: Assumptions | None = None,
    goal: str = "edp",
    method: str = "exact",
    evaluations: int = EVALUATIONS,
    seconds: float | None = None,
    seed: int = 0,
    certify: bool = True,
    nodes: int = NODES,
    bound_nodes: int = BOUND_NODES,
    encoding: str = "importance",
) -> list[MappedLayer]:
    """`map_layer` for many, each with the same arguments; layers of one shape are searched once."""
    known: dict[tuple[object, ...], MappedLayer] = {}
    for layer in layers:
        if layer.shape not in known:
            known[layer.shape] = map_layer(
                layer,
                accelerator,
                assumptions,
                goal,
                method,
                evaluations,
                seconds,
                seed,
                certify,
                nodes,
                bound_nodes,
                encoding,
            )
    return [known[layer.shape] for layer in layers]


def _seed_of(seed: int, layer: Layer) -> int:
    return int.from_bytes(hashlib.blake2b(repr((seed, layer.shape)).encode(), digest_size=16).digest(), "little")


def _answer(
    accelerator: Accelerator,
    tables: Tables,
    best: MappingArrays,
    evaluations: int,
    goal: str,
    tree: Tree | None,
    bound_nodes: int,
) -> MappedLayer:
    judged = judge(tables, best, goal)
    energy_pj, cycles = float(judged.energy_pj[0]), float(judged.cycles[0])
    seconds = cycles / (accelerator.clock_mhz * 1e6)
    bounds: Certificate | None = None
    if tree is not None:
        bounds = certificate(tables, accelerator.clock_mhz, tree, bound_nodes)
    return MappedLayer(
        unstack(best, 0), energy_pj, cycles, seconds * 1e3, energy_pj * 1e-12 * seconds, evaluations, goal, bounds
    )
