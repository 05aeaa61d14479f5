"""What a user fixes of a mapping: bounds of loops, and which tensor stays in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.accelerator import Layer
from coevo.errors import InputError
from coevo.hardware.accelerators import DIMENSIONS, TENSORS, Accelerator


@dataclass(frozen=True, slots=True)
class Constraints:
    """`temporal`: by memory, bounds of loops there; `spatial`: by axis ("memory.axis"), bounds along it; `stays`: by
    memory, the tensor over whose reuse the innermost loops there run ("weights": N, Y, X; "inputs": K; "outputs": C, R,
    S); `padding` False: the bounds of every loop multiply to its size. What is not named is free. A name that nothing
    has, or a bound that cannot be, is an error."""

    temporal: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    spatial: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    stays: Mapping[str, str] = field(default_factory=dict)
    padding: bool = True

    def bind(self, layer: Layer, accelerator: Accelerator) -> Bound:
        """As arrays for one layer; refuses what binds to nothing."""
        memories = [memory.name for memory in accelerator.memories]
        axes = [f"{memories[level]}.{axis.name}" for level, axis in accelerator.axes]
        bounds = np.zeros((len(DIMENSIONS), len(memories) + len(axes)), dtype=np.int64)
        for kind, given, names, start in (
            ("memory", self.temporal, memories, 0),
            ("axis", self.spatial, axes, len(memories)),
        ):
            for name, loops in given.items():
                if name not in names:
                    raise InputError(
                        f"constraints: {accelerator.name} has no {kind} {name!r}; it has {', '.join(names) or 'none'}"
                    )
                if not loops:
                    raise InputError(f"constraints: {kind} {name!r} names no loop; leave it out")
                for loop, bound in loops.items():
                    self._check(layer, accelerator, kind, names.index(name), name, loop, bound)
                    bounds[DIMENSIONS.index(loop), start + names.index(name)] = bound
        stays = {}
        for name, tensor in self.stays.items():
            if name not in memories[:-1]:
                raise InputError(
                    f"constraints: stays of {name!r} binds to nothing; the order of loops counts at "
                    f"{', '.join(memories[:-1])}"
                )
            if tensor not in TENSORS:
                raise InputError(f"constraints: stays of {name!r}: expected {', '.join(TENSORS)}, got {tensor!r}")
            stays[memories.index(name)] = TENSORS.index(tensor)
        return Bound(bounds if bounds.any() else None, stays, self.padding)

    @staticmethod
    def _check(
        layer: Layer, accelerator: Accelerator, kind: str, place: int, name: str, loop: str, bound: object
    ) -> None:
        if loop not in DIMENSIONS:
            raise InputError(f"constraints: {kind} {name!r}: loops are {', '.join(DIMENSIONS)}, got {loop!r}")
        if isinstance(bound, bool) or not isinstance(bound, int) or bound < 1:
            raise InputError(
                f"constraints: {kind} {name!r}: the bound of {loop} must be a whole number of at least 1, got {bound!r}"
            )
        if bound > layer.sizes[loop]:
            raise InputError(
                f"constraints: {kind} {name!r}: bound {bound} of {loop} binds to nothing in layer {layer.name!r}, "
                f"whose size is {layer.sizes[loop]}"
            )
        if kind == "axis":
            axis = accelerator.axes[place][1]
            if loop not in axis.dimensions or bound > axis.size:
                raise InputError(
                    f"constraints: axis {name!r} has {axis.size} children and takes {', '.join(axis.dimensions)}, "
                    f"got {loop} with bound {bound}"
                )


@dataclass(frozen=True, eq=False, slots=True)
class Bound:
    """Constraints on one layer: `bounds` int64 [8, L + A], 0 where free (None where all are); `stays` by memory;
    `padding` as given."""

    bounds: NDArray[np.int64] | None
    stays: Mapping[int, int]
    padding: bool = True


FREE = Bound(None, {})
