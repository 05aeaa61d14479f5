"""A spatial accelerator: memories from the outermost in, the networks that fan out below them, and its MAC units."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from coevo.errors import InputError
from coevo.hardware.accelerators.loops import DIMENSIONS, TENSORS

PerTensor = tuple[float, float, float]
"""One number for weights, inputs and outputs each."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an array: how many children it has, and which loops may run along it. Several loops may share an
    axis: their factors multiply up to its size."""

    name: str
    size: int
    dimensions: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"axis {self.name!r}: its size must be at least 1, got {self.size}")
        wrong = [name for name in self.dimensions if name not in DIMENSIONS]
        if wrong or not self.dimensions:
            given = ", ".join(self.dimensions) or "none"
            raise InputError(f"axis {self.name!r}: loops along it must be some of {', '.join(DIMENSIONS)}, got {given}")


@dataclass(frozen=True, slots=True)
class Network:
    """What connects one instance of a memory to the instances below it.

    `multicast`: a word that several children need is read once (inputs, weights). `reduction`: partial sums of several
    children are added on the way, so that one word arrives. `pj_per_bit`: energy of a bit delivered to one child.
    `bytes_per_cycle`: what the memory's side of the network carries, both directions together; None has no limit.
    """

    axes: tuple[Axis, ...] = ()
    multicast: bool = True
    reduction: bool = True
    pj_per_bit: float = 0.0
    bytes_per_cycle: float | None = None

    @property
    def fanout(self) -> int:
        return math.prod(axis.size for axis in self.axes)


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory level; the figures are those of one instance.

    `keeps`: the tensors that it holds; the others pass by. `size_bytes`: shared by what it keeps, None has no limit;
    `partition_bytes`: instead, one size a tensor (None: none of its own). Energies in pJ a bit, by tensor. Bandwidths
    in bytes a cycle, None has no limit; with `shared_port` reads and writes share `read_bytes_per_cycle`.
    `double_buffered`: half of the size holds the tile in use, the other half the next one. `bits`: widths that differ
    here from those of the layer (wide partial sums), None where they do not.
    """

    name: str
    keeps: tuple[str, ...]
    size_bytes: float | None = None
    partition_bytes: tuple[float | None, float | None, float | None] | None = None
    read_pj_per_bit: PerTensor = (0.0, 0.0, 0.0)
    write_pj_per_bit: PerTensor = (0.0, 0.0, 0.0)
    read_bytes_per_cycle: float | None = None
    write_bytes_per_cycle: float | None = None
    shared_port: bool = False
    double_buffered: bool = False
    leakage_mw: float = 0.0
    bits: tuple[int | None, int | None, int | None] = (None, None, None)
    network: Network = field(default_factory=Network)

    def __post_init__(self) -> None:
        wrong = [name for name in self.keeps if name not in TENSORS]
        if wrong:
            raise InputError(
                f"memory {self.name!r}: keeps must be some of {', '.join(TENSORS)}, got {', '.join(wrong)}"
            )
        if self.size_bytes is not None and self.partition_bytes is not None:
            raise InputError(f"memory {self.name!r}: give one size or a partition of it, not both")
        for size in (self.size_bytes, *(self.partition_bytes or ())):
            if size is not None and not size > 0:
                raise InputError(f"memory {self.name!r}: its size must be positive, got {size:g} bytes")
        for label in ("read_bytes_per_cycle", "write_bytes_per_cycle"):
            rate = getattr(self, label)
            if rate is not None and not rate > 0:
                raise InputError(
                    f"memory {self.name!r}: {label} must be positive, got {rate:g}; leave it out for no limit"
                )


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A chip: `memories` from the outermost (DRAM) to the one beside the MAC unit, whose network's children are MACs.

    `bits`: the widths of weights, inputs and outputs unless a layer or a memory says otherwise. `mac_pj`: energy of one
    multiply-accumulate. `mac_leakage_mw`: leakage of one MAC unit. `provenance`: where the figures come from, by name.
    """

    name: str
    clock_mhz: float
    bits: tuple[int, int, int]
    mac_pj: float
    memories: tuple[Memory, ...]
    mac_leakage_mw: float = 0.0
    technology_nm: float | None = None
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.clock_mhz > 0:
            raise InputError(f"{self.name}: the clock must be positive, got {self.clock_mhz:g} MHz")
        if not self.memories:
            raise InputError(f"{self.name}: at least one memory is needed, got none")
        missing = [name for name in TENSORS if name not in self.memories[0].keeps]
        if missing:
            raise InputError(
                f"{self.name}: the outermost memory {self.memories[0].name!r} must keep all tensors; it lacks "
                f"{', '.join(missing)}"
            )
        names = [memory.name for memory in self.memories]
        if len(set(names)) != len(names):
            raise InputError(f"{self.name}: memories need distinct names, got {', '.join(names)}")
        if any(not 1 <= bits <= 64 for bits in self.bits):
            raise InputError(f"{self.name}: widths must lie in 1..64 bits, got {self.bits}")

    @property
    def mac_units(self) -> int:
        return math.prod(memory.network.fanout for memory in self.memories)

    @property
    def axes(self) -> tuple[tuple[int, Axis], ...]:
        """All axes with the index of the memory that they fan out from, outermost first."""
        return tuple((level, axis) for level, memory in enumerate(self.memories) for axis in memory.network.axes)

    def instances(self, level: int) -> int:
        """How many instances of memory `level` the chip has; `level` = the number of memories counts MAC units."""
        return math.prod(memory.network.fanout for memory in self.memories[:level])

    @property
    def on_chip_bytes(self) -> float:
        """All memories with a size, over all their instances; the outermost one is not on the chip."""
        return sum(
            self.instances(level) * (memory.size_bytes or sum(size or 0.0 for size in memory.partition_bytes or ()))
            for level, memory in enumerate(self.memories)
            if level > 0
        )
