"""A mapping from AccelForge's YAML: which of its storages are one boundary between two memories.

AccelForge places the storage of every tensor by itself. Here the loops of a memory are common to its tensors, and each
stays as long as the innermost of them do not index it; a placement that is no such boundary is an error that names it.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any

from coevo.cost_models.accelerator.interchange.accelforge import COMPUTE, toll_name
from coevo.cost_models.accelerator.interchange.components import axis_names, components
from coevo.cost_models.accelerator.interchange.yaml_text import Tagged, load
from coevo.cost_models.accelerator.layer import Layer
from coevo.cost_models.accelerator.mapping import Loops, Mapping
from coevo.errors import InputError
from coevo.hardware.accelerators import DIMENSIONS, RELEVANT, Accelerator

TAGS = ("Storage", "Temporal", "Spatial", "Compute", "Toll", "Reservation", "Nested", "Sequential", "Pipeline")


@dataclass
class _Nest:
    """`temporal`: loops from the outermost in. `above[level, tensor]`: how many of them stand above a storage."""

    temporal: list[tuple[str, int]] = field(default_factory=list)
    spatial: list[list[tuple[str, int]]] = field(default_factory=list)
    above: dict[tuple[int, str], int] = field(default_factory=dict)


def read_mapping(text: str, layer: Layer, accelerator: Accelerator, source: str = "AccelForge's mapping") -> Mapping:
    """The mapping of `layer` onto `accelerator` that `text` describes in the names of `accelforge.documents`. Raises
    InputError for what has no counterpart: an uneven placement, a first tile of another size, fused einsums, tolls."""
    content = load(text, source, TAGS)
    try:
        nodes = content["mapping"]["nodes"]
    except (TypeError, KeyError) as error:
        raise InputError(f"{source}: expected mapping: nodes: [...], got {content!r:.80}") from error
    nest = _read(nodes, layer, accelerator, source)
    cuts = _boundaries(nest, accelerator, source)
    temporal = tuple(
        _once(nest.temporal[begin:end], f"{source}: memory {memory.name!r}")
        for memory, begin, end in zip(accelerator.memories, cuts, [*cuts[1:], len(nest.temporal)], strict=True)
    )
    spatial = tuple(
        _once(loops, f"{source}: axis {accelerator.memories[level].name}.{axis.name}")
        for (level, axis), loops in zip(accelerator.axes, nest.spatial, strict=True)
    )
    return Mapping(temporal, spatial)


def _read(nodes: Any, layer: Layer, accelerator: Accelerator, source: str) -> _Nest:
    storages = {part.name: part for part in components(accelerator, "AccelForge", network_energy=True)}
    axes = axis_names(accelerator)
    tolls = {
        toll_name(accelerator, level) for level, each in enumerate(accelerator.memories) if each.network.pj_per_bit
    }
    nest = _Nest(spatial=[[] for _ in axes])
    left = dict(layer.sizes)
    if not isinstance(nodes, list) or not nodes:
        raise InputError(f"{source}: nodes must be a list of tagged nodes, got {nodes!r:.80}")
    for place, node in enumerate(nodes):
        where = f"{source}: node {place}"
        if isinstance(node, Tagged) and node.tag == "Toll" and node.content.get("component") in tolls:
            continue  # a network that costs energy; where it is follows from the accelerator
        if not isinstance(node, Tagged) or node.tag not in ("Storage", "Temporal", "Spatial", "Compute"):
            given = f"!{node.tag}" if isinstance(node, Tagged) else f"{node!r:.60}"
            raise InputError(
                f"{where}: a mapping of one layer has !Storage, !Temporal, !Spatial and !Compute, got {given}"
            )
        content = node.content
        if node.tag == "Storage":
            part = storages.get(str(content.get("component")))
            if part is None:
                raise InputError(
                    f"{where}: stores in {content.get('component')!r}; {accelerator.name} has {', '.join(storages)}"
                )
            for tensor in content.get("tensors") or ():
                if tensor not in part.tensors:
                    raise InputError(f"{where}: {part.name} keeps {', '.join(part.tensors)}, not {tensor!r}")
                if (part.level, tensor) in nest.above:
                    raise InputError(f"{where}: {tensor} are stored in {part.name} twice")
                nest.above[part.level, tensor] = len(nest.temporal)
        elif node.tag == "Compute":
            if content.get("component") != COMPUTE or place != len(nodes) - 1:
                raise InputError(f"{where}: one !Compute on {COMPUTE} ends the nest, got {content!r:.60} there")
        else:
            name, bound = _loop(content, left, where)
            if node.tag == "Temporal":
                nest.temporal.extend([(name, bound)] if bound > 1 else [])
                continue
            if content.get("component") not in axes:
                known = ", ".join(axes) or "no axis"
                raise InputError(f"{where}: runs along {content.get('component')!r}; {accelerator.name} has {known}")
            nest.spatial[axes.index(content["component"])].append((name, bound))
    missing = [
        f"{tensor} in {memory.name}"
        for level, memory in enumerate(accelerator.memories)
        for tensor in memory.keeps
        if (level, tensor) not in nest.above
    ]
    if missing:
        raise InputError(f"{source}: lacks the storage of {', '.join(missing)}, which {accelerator.name} keeps")
    short = [name for name, rest in left.items() if rest > 1]
    if short:
        raise InputError(f"{source}: loops {', '.join(short)} do not end at tiles of 1")
    return nest


def _loop(content: MappingType[str, Any], left: dict[str, int], where: str) -> tuple[str, int]:
    name = str(content.get("rank_variable")).upper()
    if name not in DIMENSIONS:
        names = ", ".join(loop.lower() for loop in DIMENSIONS)
        raise InputError(f"{where}: loops are {names}, got {content.get('rank_variable')!r}")
    if content.get("initial_tile_shape") is not None:
        raise InputError(f"{where}: a first tile of another size (initial_tile_shape) has no counterpart here")
    shape = content.get("tile_shape")
    if isinstance(shape, bool) or not isinstance(shape, int) or shape < 1 or left[name] % shape:
        raise InputError(f"{where}: tile_shape of {name.lower()} must divide {left[name]}, got {shape!r}")
    bound, left[name] = left[name] // shape, shape
    return name, bound


def _boundaries(nest: _Nest, accelerator: Accelerator, source: str) -> list[int]:
    """By memory, how many temporal loops stand above it. Where several do equally (the loops between index nothing that
    is kept there), the lowest that leaves no memory with one loop twice."""
    fits: list[list[int]] = [[0]]
    for level, memory in enumerate(accelerator.memories):
        if level == 0:
            moved = [tensor for tensor in memory.keeps if nest.above[0, tensor]]
            if moved:
                raise InputError(
                    f"{source}: {', '.join(moved)} stand in {memory.name} below a loop; nothing is above it"
                )
            continue
        cuts = [
            cut
            for cut in range(len(nest.temporal), -1, -1)
            if all(_stays_from(nest, cut, level, tensor) == nest.above[level, tensor] for tensor in memory.keeps)
        ]
        longer = [[*begun, cut] for begun in fits for cut in cuts if cut >= begun[-1]]
        if not longer:
            places = ", ".join(f"{tensor} below {nest.above[level, tensor]} loops" for tensor in memory.keeps)
            raise InputError(
                f"{source}: {memory.name} stores {places}; here a memory's loops are common to its tensors, and "
                "a tensor stays exactly while the innermost loops above do not index it"
            )
        fits = longer
    ends = [[*cuts[1:], len(nest.temporal)] for cuts in fits]
    for cuts, end in zip(fits, ends, strict=True):
        parts = [_joined(nest.temporal[begin:stop]) for begin, stop in zip(cuts, end, strict=True)]
        if all(len({name for name, _ in loops}) == len(loops) for loops in parts):
            return cuts
    return fits[0]


def _stays_from(nest: _Nest, cut: int, level: int, tensor: str) -> int:
    """How many loops stand above a storage of `tensor` whose memory's loops begin at `cut`."""
    outer = max(above for (at, name), above in nest.above.items() if name == tensor and at < level)
    while cut > outer and nest.temporal[cut - 1][0] not in RELEVANT[tensor]:
        cut -= 1
    return cut


def _joined(loops: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Neighbouring loops of one name as one loop."""
    joined: list[tuple[str, int]] = []
    for name, bound in loops:
        if joined and joined[-1][0] == name:
            joined[-1] = (name, joined[-1][1] * bound)
        elif bound > 1:
            joined.append((name, bound))
    return joined


def _once(loops: list[tuple[str, int]], where: str) -> Loops:
    joined = _joined(loops)
    names = [name for name, _ in joined]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"{where}: loop {', '.join(twice)} runs twice with others between, which has no counterpart here"
        )
    return tuple(joined)
