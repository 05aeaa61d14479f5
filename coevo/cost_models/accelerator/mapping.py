"""One mapping, readably: the temporal loops at each memory and the spatial loops along each axis."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.errors import InputError
from coevo.hardware.accelerators import DIMENSIONS, Accelerator
from coevo.kernels.mapping_cost import MappingArrays

Loops = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """`temporal`: by memory, outermost first, its loops (name, bound) from the outermost in. `spatial`: by axis, in the
    order of `Accelerator.axes`, its loops. Loops of bound 1 need not be named."""

    temporal: tuple[Loops, ...]
    spatial: tuple[Loops, ...] = ()

    def __post_init__(self) -> None:
        for label, groups in (("memory", self.temporal), ("axis", self.spatial)):
            for position, loops in enumerate(groups):
                names = [name for name, _ in loops]
                for name, bound in loops:
                    if name not in DIMENSIONS:
                        raise InputError(
                            f"mapping: {label} {position}: loops are {', '.join(DIMENSIONS)}, got {name!r}"
                        )
                    if isinstance(bound, bool) or not isinstance(bound, int) or bound < 1:
                        raise InputError(
                            f"mapping: {label} {position}: the bound of {name} must be a whole number of at least 1, "
                            f"got {bound!r}"
                        )
                if len(set(names)) != len(names):
                    raise InputError(
                        f"mapping: {label} {position} names a loop twice: {', '.join(names)}; give each once"
                    )

    def arrays(self, accelerator: Accelerator) -> MappingArrays:
        """As a batch of one for `accelerator`."""
        return stack([self], accelerator)

    def as_json(self, accelerator: Accelerator) -> dict[str, Any]:
        """By the names of the accelerator's memories and axes; `from_json` reads it back."""
        _check_shape(self, accelerator)
        axes = accelerator.axes
        return {
            "temporal": {
                memory.name: [list(loop) for loop in loops]
                for memory, loops in zip(accelerator.memories, self.temporal, strict=True)
            },
            "spatial": {
                f"{accelerator.memories[level].name}.{axis.name}": [list(loop) for loop in loops]
                for (level, axis), loops in zip(axes, self.spatial, strict=True)
            },
        }

    @classmethod
    def from_json(cls, content: MappingType[str, Any], accelerator: Accelerator) -> Mapping:
        """The mapping that `as_json` wrote; a memory or axis that the accelerator lacks is an error."""
        memories = [memory.name for memory in accelerator.memories]
        axes = [f"{accelerator.memories[level].name}.{axis.name}" for level, axis in accelerator.axes]
        groups = []
        for part, names in (("temporal", memories), ("spatial", axes)):
            given = content.get(part, {})
            unknown = [name for name in given if name not in names]
            if unknown:
                raise InputError(
                    f"mapping for {accelerator.name}: {part} names {', '.join(unknown)}; it has {', '.join(names)}"
                )
            groups.append(tuple(tuple((str(name), bound) for name, bound in given.get(key, ())) for key in names))
        return cls(*groups)


def _check_shape(mapping: Mapping, accelerator: Accelerator) -> None:
    have = (len(mapping.temporal), len(mapping.spatial))
    want = (len(accelerator.memories), len(accelerator.axes))
    if have != want:
        raise InputError(
            f"a mapping for {accelerator.name} has loops for {want[0]} memories and {want[1]} axes, "
            f"got {have[0]} and {have[1]}"
        )


def stack(mappings: Sequence[Mapping], accelerator: Accelerator) -> MappingArrays:
    """Several mappings as arrays."""
    levels, axes = len(accelerator.memories), len(accelerator.axes)
    temporal = np.ones((len(mappings), levels, 8), dtype=np.int64)
    rank = np.zeros((len(mappings), levels, 8), dtype=np.int64)
    spatial = np.ones((len(mappings), axes, 8), dtype=np.int64)
    for row, mapping in enumerate(mappings):
        _check_shape(mapping, accelerator)
        for level, loops in enumerate(mapping.temporal):
            named = [DIMENSIONS.index(name) for name, _ in loops]
            order = [*(loop for loop in range(8) if loop not in named), *named]  # outermost first; unnamed are bound 1
            rank[row, level, order] = np.arange(7, -1, -1)
            for loop, (_, bound) in zip(named, loops, strict=True):
                temporal[row, level, loop] = bound
        for axis, loops in enumerate(mapping.spatial):
            for name, bound in loops:
                spatial[row, axis, DIMENSIONS.index(name)] = bound
    return MappingArrays(temporal, rank, spatial)


def unstack(arrays: MappingArrays, row: int) -> Mapping:
    """Mapping `row` of a batch, without its loops of bound 1."""
    temporal = []
    for bounds, ranks in zip(arrays.temporal[row], arrays.rank[row], strict=True):
        order = np.argsort(-ranks)
        temporal.append(tuple((DIMENSIONS[loop], int(bounds[loop])) for loop in order if bounds[loop] > 1))
    spatial = [
        tuple((DIMENSIONS[loop], int(bounds[loop])) for loop in range(8) if bounds[loop] > 1)
        for bounds in arrays.spatial[row]
    ]
    return Mapping(tuple(temporal), tuple(spatial))
