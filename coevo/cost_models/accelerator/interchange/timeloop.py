"""Timeloop's YAML, version 0.4: the words, the problem and the mapping.

Timeloop (Parashar et al. 2019) calls output channels M, output rows and columns P and Q; P slides with R, Q with S. A
mapping has one entry a target; in its permutations the innermost loop comes first, and every loop is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from coevo.cost_models.accelerator.assumptions import Assumptions
from coevo.cost_models.accelerator.interchange.components import axis_names, components
from coevo.cost_models.accelerator.interchange.yaml_text import dump, load
from coevo.cost_models.accelerator.layer import Layer
from coevo.cost_models.accelerator.mapping import Loops, Mapping
from coevo.errors import InputError
from coevo.hardware.accelerators import DIMENSIONS, Accelerator

ASSUMPTIONS = Assumptions()
"""What Timeloop's published reference outputs assume, in our switches."""

ENGINE = "Timeloop"
LETTERS = {"N": "N", "G": "G", "K": "M", "C": "C", "Y": "P", "X": "Q", "R": "R", "S": "S"}
LOOPS = {**{letter: name for name, letter in LETTERS.items()}, "K": "K"}
SPACES = {"weights": "Weights", "inputs": "Inputs", "outputs": "Outputs"}
COEFFICIENTS = (("Pstride", "Rdilation"), ("Qstride", "Sdilation"))
PADDED = frozenset({"H", "W", "Hpad", "Wpad"})
"""Of an instance: the input's size and padding, which follow from the loops and which Timeloop does not read."""

FACTOR = re.compile(r"([A-Z])\s*=?\s*(-?[0-9]+)")


def problem(layer: Layer) -> str:
    """The layer as a shape of eight dimensions and its instance."""

    def window(axis: int) -> list[list[str]]:
        stride, dilation = COEFFICIENTS[axis]
        return [["RS"[axis], dilation], ["PQ"[axis], stride]]

    def single(letters: str) -> list[list[list[str]]]:
        return [[[letter]] for letter in letters]

    shape = {
        "name": "layer",
        "dimensions": list(LETTERS.values()),
        "coefficients": [{"name": name, "default": 1} for pair in COEFFICIENTS for name in pair],
        "data_spaces": [
            {"name": "Weights", "projection": single("GMCRS")},
            {"name": "Inputs", "projection": [*single("NGC"), window(0), window(1)]},
            {"name": "Outputs", "projection": single("NGMPQ"), "read_write": True},
        ],
    }
    instance = {LETTERS[name]: size for name, size in layer.sizes.items()}
    for axis, (stride, dilation) in enumerate(COEFFICIENTS):
        instance |= {stride: layer.stride[axis], dilation: layer.dilation[axis]}
    return dump({"problem": {"version": "0.4", "shape": shape, "instance": instance}})


def read_problem(text: str, name: str, source: str = "Timeloop's problem") -> Layer:
    """The layer that `text` describes. Dimensions are Timeloop's (N, G, M or K, C, P, Q, R, S); one that is absent has
    size 1. Raises InputError for other tensors or projections, for densities, and for sizes that are missing."""
    content = load(text, source)
    try:
        part = content["problem"]
        shape, instance = part["shape"], dict(part["instance"])
        dimensions = [str(letter) for letter in shape["dimensions"]]
        spaces = {space["name"]: space for space in shape["data_spaces"]}
        defaults = {each["name"]: each.get("default", 1) for each in shape.get("coefficients") or ()}
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{source}: expected problem: shape and instance with their parts; {error!r}") from error
    unknown = [letter for letter in dimensions if letter not in LOOPS]
    if unknown or set(spaces) != set(SPACES.values()):
        raise InputError(
            f"{source}: expected data spaces {', '.join(SPACES.values())} over dimensions {', '.join(LOOPS)}, got "
            f"{', '.join(map(str, spaces))} over {', '.join(dimensions)}"
        )
    if instance.pop("densities", None):
        raise InputError(f"{source}: densities (sparse tensors) have no counterpart here")
    values = defaults | {key: value for key, value in instance.items() if key in defaults}
    stray = [key for key in instance if key not in dimensions and key not in defaults and key not in PADDED]
    missing = [letter for letter in dimensions if letter not in instance]
    if stray or missing:
        raise InputError(
            f"{source}: the instance {'lacks ' + ', '.join(missing) if missing else 'has unknown ' + ', '.join(stray)}"
        )
    steps = _steps(spaces, dimensions, values, source)
    sizes = {LOOPS[letter]: instance[letter] for letter in dimensions}
    return Layer(name, sizes, (steps[0][0], steps[1][0]), (steps[0][1], steps[1][1]))


def _steps(
    spaces: dict[str, Any], dimensions: Sequence[str], values: dict[str, int], source: str
) -> list[tuple[int, int]]:
    """(stride, dilation) of rows and columns, after every projection was found to be the one of a layer."""
    wanted = {
        "Weights": [letter for letter in dimensions if LOOPS[letter] in "GKCRS"],
        "Outputs": [letter for letter in dimensions if LOOPS[letter] in "NGKYX"],
        "Inputs": [letter for letter in dimensions if LOOPS[letter] in "NGCYXRS"],
    }
    steps = [(1, 1), (1, 1)]
    for space, letters in wanted.items():
        seen = []
        for rank in spaces[space]["projection"]:
            terms = {str(term[0]): values.get(term[1], term[1]) if len(term) > 1 else 1 for term in rank}
            seen += list(terms)
            pair = next((axis for axis in (0, 1) if set(terms) <= {"PQ"[axis], "RS"[axis]}), None)
            if space == "Inputs" and pair is not None and not all(isinstance(v, int) for v in terms.values()):
                raise InputError(f"{source}: a coefficient of {', '.join(terms)} has no number")
            if space == "Inputs" and pair is not None:
                steps[pair] = (terms.get("PQ"[pair], 1), terms.get("RS"[pair], 1))
            elif len(terms) != 1 or set(terms.values()) != {1}:
                raise InputError(
                    f"{source}: {space} index {' + '.join(terms)} together; only inputs do, by P with R and Q with S"
                )
        if sorted(seen) != sorted(letters):
            raise InputError(
                f"{source}: {space} of a layer are indexed by {', '.join(letters)}, here by {', '.join(seen)}"
            )
    return steps


def mapping_entries(layer: Layer, accelerator: Accelerator, mapping: Mapping, native: bool = False) -> list[Any]:
    """The entries of a mapping. `native`: for timeloop-model itself, where an axis is a dummy storage; otherwise for
    version 0.4 as people write it, where an axis is a container."""
    mapping.arrays(accelerator)  # its shape
    entries: list[dict[str, Any]] = []
    parts = components(accelerator, ENGINE)
    axes = axis_names(accelerator)
    bypass = list(SPACES.values())
    for level in range(len(accelerator.memories)):
        here = [part for part in parts if part.level == level]
        for part in here:
            keep = [SPACES[tensor] for tensor in part.tensors]
            entries.append({"target": part.name, "type": "datatype", "keep": keep,
                            "bypass": [space for space in bypass if space not in keep]})  # fmt: skip
            entries.append(_entry(part.name, "temporal", mapping.temporal[level] if part is here[-1] else ()))
        for position, (at, _) in enumerate(accelerator.axes):
            if at != level:
                continue
            target = f"inter_{axes[position]}_spatial" if native else axes[position]
            # `split` is how many of the loops, from the innermost, run along X; the others run along Y.
            split = 0 if position % 2 else len(DIMENSIONS)
            entries.append({**_entry(target, "spatial", mapping.spatial[position]), "split": split})
            if native:
                entries.append({"target": target, "type": "datatype", "keep": [], "bypass": bypass})
                entries.append(_entry(target, "temporal", ()))
    return entries


def mapping_text(layer: Layer, accelerator: Accelerator, mapping: Mapping) -> str:
    """Bounds must multiply to the sizes of `layer`; Timeloop takes no others."""
    for name, size in layer.sizes.items():
        total = 1
        for loops in (*mapping.temporal, *mapping.spatial):
            for loop, bound in loops:
                total *= bound if loop == name else 1
        if total != size:
            raise InputError(
                f"{ENGINE}: the bounds of loop {name} multiply to {total}, its size is {size}; pad the layer to the "
                "product of its bounds and exchange that"
            )
    return dump({"mapping": mapping_entries(layer, accelerator, mapping)})


def _entry(target: str, kind: str, loops: Loops) -> dict[str, Any]:
    bounds = dict(loops)
    order = [name for name, _ in reversed(loops)]
    order += [name for name in DIMENSIONS if name not in bounds]
    return {
        "target": target,
        "type": kind,
        "factors": " ".join(f"{LETTERS[name]}{bounds.get(name, 1)}" for name in DIMENSIONS),
        "permutation": "".join(LETTERS[name] for name in order),
    }


def read_mapping(text: str, layer: Layer, accelerator: Accelerator, source: str = "Timeloop's mapping") -> Mapping:
    """The mapping in `text`, in the names of `accelerator` (`components.py`; an axis may stand as
    `inter_<axis>_spatial`, as Timeloop's front end calls it). A factor of 0 takes what is left of its size. Raises
    InputError for targets, factors, keeps and orders that have no counterpart."""
    content = load(text, source)
    if not isinstance(content, dict) or not isinstance(content.get("mapping"), list):
        raise InputError(f"{source}: expected mapping: [entries], got {content!r:.80}")
    parts = components(accelerator, ENGINE)
    places = {part.name: part for part in parts}
    axes = {alias: place for place, name in enumerate(axis_names(accelerator))
            for alias in (name, f"inter_{name}_spatial")}  # fmt: skip
    temporal: list[Loops] = [() for _ in accelerator.memories]
    spatial: list[Loops] = [() for _ in accelerator.axes]
    filled: set[tuple[str, str]] = set()
    left = dict(layer.sizes)
    for place, entry in enumerate(content["mapping"]):
        where = f"{source}: entry {place}"
        target, kind = (entry.get("target"), entry.get("type")) if isinstance(entry, dict) else (None, None)
        if kind not in ("temporal", "spatial", "datatype", "dataspace", "bypass"):
            raise InputError(f"{where}: expected a target and a type temporal, spatial or datatype, got {entry!r:.80}")
        if target not in places and target not in axes:
            known = ", ".join([*places, *axis_names(accelerator)])
            raise InputError(f"{where}: no target {target!r}; {accelerator.name} has {known}")
        if kind in ("datatype", "dataspace", "bypass"):
            _check_keeps(entry, places.get(target), where)
            continue
        if (target, kind) in filled:
            raise InputError(f"{where}: {target} has its {kind} loops twice")
        filled.add((target, kind))
        loops = _loops(entry, left, where)
        if kind == "spatial" and target in axes:
            spatial[axes[target]] = loops
        elif kind == "temporal" and target in places:
            part = places[target]
            innermost = [each for each in parts if each.level == part.level][-1]
            if loops and part is not innermost:
                raise InputError(
                    f"{where}: loops at {target}, but {accelerator.memories[part.level].name} is one memory, whose "
                    f"loops are common to its tensors; they go to {innermost.name}"
                )
            if part is innermost:
                temporal[part.level] = loops
        elif loops:
            raise InputError(f"{where}: {target} takes no {kind} loops, got {' '.join(f'{n}{b}' for n, b in loops)}")
    short = [f"{name} {rest}" for name, rest in left.items() if rest != 1]
    if short:
        raise InputError(f"{source}: factors leave {', '.join(short)} of layer {layer.name!r}")
    return Mapping(tuple(temporal), tuple(spatial))


def _loops(entry: dict[str, Any], left: dict[str, int], where: str) -> Loops:
    factors = entry.get("factors", "")
    text = factors if isinstance(factors, str) else ",".join(map(str, factors))
    found = FACTOR.findall(text)
    if FACTOR.sub("", text).strip(" ,"):
        raise InputError(f"{where}: factors are letters with numbers (C3 M8, or C=3,M=8), got {factors!r}")
    bounds: dict[str, int] = {}
    for letter, digits in found:
        name, bound = LOOPS.get(letter), int(digits)
        if name is None or name in bounds:
            raise InputError(
                f"{where}: factors name {letter!r}{' twice' if name else ''}; loops are {', '.join(LOOPS)}"
            )
        bound = bound or left[name]
        if bound < 1 or left[name] % bound:
            raise InputError(f"{where}: factor {letter}{digits} does not divide the {left[name]} that are left")
        left[name] //= bound
        bounds[name] = bound
    given = entry.get("permutation", "")
    letters = [LOOPS.get(letter, letter) for letter in given if letter not in " ,"]
    if len(set(letters)) != len(letters) or not set(letters) <= set(DIMENSIONS):
        raise InputError(f"{where}: a permutation names loops of {', '.join(LOOPS)} once each, got {given!r}")
    moving = [name for name, bound in bounds.items() if bound > 1]
    unplaced = [name for name in moving if name not in letters]
    if len(unplaced) > 1 or (unplaced and len(moving) > 1):
        raise InputError(f"{where}: the permutation {given!r} does not place {', '.join(unplaced)}")
    return tuple((name, bounds[name]) for name in reversed([*letters, *unplaced]) if name in moving)


def _check_keeps(entry: dict[str, Any], part: Any, where: str) -> None:
    kept = {SPACES[tensor] for tensor in part.tensors} if part else set()
    wrong = [space for space in entry.get("keep") or () if space not in kept]
    wrong += [space for space in entry.get("bypass") or () if space in kept]
    if wrong:
        raise InputError(
            f"{where}: {', '.join(map(str, wrong))} otherwise than the accelerator: {entry['target']} keeps "
            f"{', '.join(sorted(kept)) or 'nothing'}"
        )
