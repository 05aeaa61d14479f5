"""What of a layer on an accelerator the device kernels are compiled for, and what they read when they run.

A kernel is compiled for a `Structure`: which memory keeps what, where the axes are and which loops they take, which
limits exist at all, the windows and the switches. Sizes, energies, capacities and rates are figures that it reads, so
that one kernel serves many layers and many sizings of an accelerator side by side. The functions of a structure below
are computed while a kernel is compiled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.errors import InputError, missing_extra
from coevo.kernels.mapping_cost.tables import INPUTS, LOOPS, OUTPUTS, RELEVANT, TENSORS, Tables

try:
    import triton
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

INTERPRETED = bool(triton.knobs.runtime.interpret)
"""Whether the kernels run in Triton's interpreter on the CPU (TRITON_INTERPRET=1 when this module is imported)."""

SWITCHES = ("halo_merge", "sliding_window", "charge_drain", "fetch_holes", "count_ramp")
_RELEVANT = tuple(tuple(bool(value) for value in row) for row in RELEVANT)
_RATES = ("read", "write", "port", "network")
_ORDER = (6, 7, 3, 2, 5, 4, 1, 0)  # in which loops get their bounds: R S C K X Y G N from the filter outwards
_PER_TENSOR = ("bits", "read_pj", "write_pj", "hop_pj")


@dataclass(frozen=True)
class Structure:
    """`keeps` [L][3], `axis_level` [A], `axis_allowed` [A][8], `multicast`, `reduction` [L], `step`, `window` [2][2]
    and the switches are those of `Tables`. `limited` [L][4]: which capacities are finite; `rated` [4][L]: which of the
    read, write, port and network rates are; `hops` [L][3]: which networks' energies are above 0. `active` [8]: loops of
    a size above 1 in any of the layers."""

    keeps: tuple[tuple[bool, ...], ...]
    axis_level: tuple[int, ...]
    axis_allowed: tuple[tuple[bool, ...], ...]
    multicast: tuple[bool, ...]
    reduction: tuple[bool, ...]
    step: tuple[tuple[int, ...], ...]
    window: tuple[tuple[int, ...], ...]
    limited: tuple[tuple[bool, ...], ...]
    rated: tuple[tuple[bool, ...], ...]
    hops: tuple[tuple[bool, ...], ...]
    active: tuple[bool, ...]
    switches: tuple[bool, ...]

    def figure(self, name: str, index: int = 0) -> int:
        """The column of entry `index` of the figures called `name`."""
        return _offsets(len(self.keeps))[name] + index

    def next_kept(self, level: int, tensor: int) -> int:
        """The next memory further in that keeps the tensor; the number of memories where the MAC units come next."""
        levels = len(self.keeps)
        return next((inner for inner in range(level + 1, levels) if self.keeps[inner][tensor]), levels)

    def switch(self, name: str) -> bool:
        return self.switches[SWITCHES.index(name)]

    def is_rated(self, name: str, level: int) -> bool:
        return self.rated[_RATES.index(name.removesuffix("_cycles_per_bit"))][level]

    def merges(self, tensor: int, lower: int) -> bool:
        """Whether the input tiles of the children of the network right above `lower` are read as one."""
        return tensor == INPUTS and self.switch("halo_merge") and self.multicast[lower - 1]

    def slides(self, tensor: int) -> bool:
        """Whether of a tile that moves along a window only what is new is fetched."""
        return tensor == INPUTS and self.switch("sliding_window")

    def choices(self) -> tuple[tuple[int, int, int], ...]:
        """What a sampler decides, in this order: (memory, axis or -1, loop). From the innermost memory out: the bounds
        along the axes below it, then those of its own loops; at the outermost one the rest of every loop remains."""
        found = []
        for level in reversed(range(len(self.keeps))):
            for axis, below in enumerate(self.axis_level):
                if below == level:
                    found += [(level, axis, loop) for loop in _ORDER if self.axis_allowed[axis][loop]]
            found += [(level, -1, loop) for loop in _ORDER if level > 0]
        return tuple(choice for choice in found if self.active[choice[2]])

    def joint_limits(self, level: int) -> tuple[int, ...]:
        """Memories whose room for all tensors together binds a choice at `level`: its own, and those further out that
        keep a tensor which it lets pass."""
        return tuple(
            outer
            for outer in range(level + 1)
            if self.limited[outer][TENSORS]
            and (outer == level or any(a and not b for a, b in zip(self.keeps[outer], self.keeps[level], strict=True)))
        )

    def num_rooms(self) -> int:
        return self.room(len(self.keeps) - 1, TENSORS) + 1 + TENSORS * len(self.keeps)

    def num_figures(self) -> int:
        return self.figure("axis_size", len(self.axis_level))

    def room(self, level: int, which: int) -> int:
        """The column of the room of a tensor (0..2) or of all together (3), in what the sampler reads."""
        first = LOOPS + len(self.axis_level)
        return first + TENSORS * level + which if which < TENSORS else first + TENSORS * len(self.keeps) + level

    def width(self, level: int, tensor: int) -> int:
        """The column of the tensor's width at a memory."""
        return self.room(len(self.keeps) - 1, TENSORS) + 1 + TENSORS * level + tensor

    def room_limited(self, level: int, tensor: int) -> bool:
        """Whether some memory from `level` outwards keeps the tensor and has a limit of its own for it."""
        return any(self.limited[outer][tensor] and self.keeps[outer][tensor] for outer in range(level + 1))

    def words_a_mac(self) -> int:
        """At most so many words of inputs has a tile for every MAC of it."""
        return math.prod(sum(step) for step in self.step) if self.switch("fetch_holes") else 1

    def combines(self, tensor: int, network: int) -> bool:
        """Whether children of a network that share a word of the tensor move it once."""
        return self.reduction[network] if tensor == OUTPUTS else self.multicast[network]


def _rate(tables: Tables, name: str) -> np.ndarray:
    rate: np.ndarray = getattr(tables, f"{name}_bits_per_cycle")
    return rate


def _tuple(array: Any) -> Any:
    """Nested tuples of plain Python values: what a kernel's key is made of."""
    return tuple(_tuple(row) for row in array) if np.ndim(array) else array.item()


def structure_of(problems: Sequence[Tables]) -> Structure:
    """The structure that all problems share. Limits, hops and active loops are those that any of them has.

    Raises:
        InputError: they differ in something that a kernel is compiled for.
    """
    if not problems:
        raise InputError("the device kernels need at least one layer on an accelerator, got none")
    first = problems[0]
    shared = ("keeps", "axis_level", "axis_allowed", "multicast", "reduction", "step", "window", *SWITCHES)
    for number, tables in enumerate(problems[1:], 1):
        for name in shared:
            if not np.array_equal(getattr(first, name), getattr(tables, name)):
                raise InputError(
                    f"problems that are costed in one launch share {', '.join(shared)}; {name} of problem {number} "
                    "differs from that of problem 0: cost it in a launch of its own"
                )
    return Structure(
        keeps=_tuple(first.keeps),
        axis_level=_tuple(first.axis_level),
        axis_allowed=_tuple(first.axis_allowed),
        multicast=_tuple(first.multicast),
        reduction=_tuple(first.reduction),
        step=_tuple(first.step),
        window=_tuple(first.window),
        limited=_tuple(np.any([np.isfinite(tables.capacity_bits) for tables in problems], axis=0)),
        rated=tuple(_tuple(np.any([np.isfinite(_rate(one, name)) for one in problems], axis=0)) for name in _RATES),
        hops=_tuple(np.any([tables.hop_pj > 0 for tables in problems], axis=0)),
        active=_tuple(np.any([tables.sizes > 1 for tables in problems], axis=0)),
        switches=tuple(bool(getattr(first, name)) for name in SWITCHES),
    )


def figures_of(problems: Sequence[Tables]) -> np.ndarray:
    """float64 [P, F]: what a kernel reads of each problem, in the order that `figure` knows."""
    return np.stack([
        np.concatenate([
            *(getattr(tables, name).ravel() for name in (*_PER_TENSOR, "capacity_bits")),
            *(1.0 / _rate(tables, name) for name in _RATES),
            [tables.leakage_pj_per_cycle, tables.mac_pj],
            tables.sizes,
            tables.axis_size,
        ]).astype(np.float64)
        for tables in problems
    ])  # fmt: skip


def _offsets(levels: int) -> dict[str, int]:
    rates = (f"{name}_cycles_per_bit" for name in _RATES)
    names = (*_PER_TENSOR, "capacity_bits", *rates, "leakage_pj_per_cycle", "mac_pj", "sizes", "axis_size")
    lengths = [levels * TENSORS] * len(_PER_TENSOR) + [levels * 4] + [levels] * len(_RATES) + [1, 1, LOOPS]
    return dict(zip(names, [0, *np.cumsum(lengths).tolist()], strict=True))


# What kernels ask of a structure while they are compiled.


@triton.constexpr_function
def num_levels(s):
    return len(s.keeps)


@triton.constexpr_function
def num_axes(s):
    return len(s.axis_level)


@triton.constexpr_function
def figure(s, name, index=0):
    return s.figure(name, index)


@triton.constexpr_function
def axis_level(s, axis):
    return s.axis_level[axis]


@triton.constexpr_function
def axis_allows(s, axis, loop):
    return s.axis_allowed[axis][loop]


@triton.constexpr_function
def keeps(s, level, tensor):
    return s.keeps[level][tensor]


@triton.constexpr_function
def next_kept(s, level, tensor):
    return s.next_kept(level, tensor)


@triton.constexpr_function
def has_fanout_above(s, level):
    return any(above < level for above in s.axis_level)


@triton.constexpr_function
def is_relevant(tensor, loop):
    return _RELEVANT[tensor][loop]


@triton.constexpr_function
def is_sliding(loop):
    return loop >= 4  # Y, X, R, S


@triton.constexpr_function
def combines(s, tensor, network):
    return s.combines(tensor, network)


@triton.constexpr_function
def merges(s, tensor, lower):
    return s.merges(tensor, lower)


@triton.constexpr_function
def slides(s, tensor):
    return s.slides(tensor)


@triton.constexpr_function
def switch(s, name):
    return s.switch(name)


@triton.constexpr_function
def window(s, across, part):
    return s.window[across][part]


@triton.constexpr_function
def step(s, across, part):
    return s.step[across][part]


@triton.constexpr_function
def words_a_mac(s):
    return s.words_a_mac()


@triton.constexpr_function
def num_choices(s):
    return len(s.choices())


@triton.constexpr_function
def choice_level(s, number):
    return s.choices()[number][0]


@triton.constexpr_function
def choice_axis(s, number):
    return s.choices()[number][1]


@triton.constexpr_function
def choice_loop(s, number):
    return s.choices()[number][2]


@triton.constexpr_function
def binds_jointly(s, outer, level):
    return outer in s.joint_limits(level)


@triton.constexpr_function
def grows(s, level, loop):
    return any(kept and relevant[loop] for kept, relevant in zip(s.keeps[level], _RELEVANT, strict=True))


@triton.constexpr_function
def is_active(s, loop):
    return s.active[loop]


@triton.constexpr_function
def room_of(s, level, which):
    return s.room(level, which)


@triton.constexpr_function
def num_rooms(s):
    return s.num_rooms()


@triton.constexpr_function
def num_figures(s):
    return s.num_figures()


@triton.constexpr_function
def width_of(s, level, tensor):
    return s.width(level, tensor)


@triton.constexpr_function
def room_limited(s, level, tensor):
    return s.room_limited(level, tensor)


@triton.constexpr_function
def is_limited(s, level, which):
    return s.limited[level][which]


@triton.constexpr_function
def is_rated(s, name, level):
    return s.is_rated(name, level)


@triton.constexpr_function
def has_hops(s, level, tensor):
    return s.hops[level][tensor]
