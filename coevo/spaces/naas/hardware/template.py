"""A baseline accelerator as a template: what a design may change of it, within its resources.

The array is the network with the largest fan-out. A design has its own axes there, and its own size of every on-chip
memory; levels, what they keep, widths, clock and energy table are the baseline's. So the baseline is a design like any
other, and the same mapper judges both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from coevo.errors import InputError
from coevo.hardware.accelerators import TENSORS, Accelerator, Axis, Memory
from coevo.hardware.accelerators.resizing import Resizable, Sizes
from coevo.spaces.naas.hardware.design import HardwareDesign
from coevo.spaces.naas.hardware.parts import Part, parts_of


@dataclass(frozen=True, slots=True)
class Resources:
    """What a design may use at most: MAC units, on-chip bytes over all instances, bytes a cycle into the array."""

    mac_units: int
    on_chip_bytes: int
    network_bytes_per_cycle: float | None


@dataclass(frozen=True)
class Template:
    """`array_level`: the memory above the array. `parts`: everything that has a size. `energy_exponent`: where it is
    given, energies and leakage grow with that power of a size, instead of by the tables."""

    resizable: Resizable
    resources: Resources
    array_level: int
    parts: tuple[Part, ...]
    energy_exponent: float | None

    @classmethod
    def of(
        cls, resizable: Resizable, resources: Resources | None = None, energy_exponent: float | None = None
    ) -> Template:
        """The template of a baseline; its own resources unless others are given."""
        baseline = resizable.accelerator
        fanouts = [memory.network.fanout for memory in baseline.memories]
        level = fanouts.index(max(fanouts))
        if fanouts[level] < 2:
            raise InputError(f"{baseline.name} has no array: no network of it has two children or more")
        own = Resources(baseline.mac_units, int(baseline.on_chip_bytes), _rate(baseline.memories[level]))
        return cls(resizable, resources or own, level, parts_of(resizable, energy_exponent), energy_exponent)

    @property
    def baseline(self) -> Accelerator:
        return self.resizable.accelerator

    @property
    def largest_array(self) -> int:
        """Children of the array that the MAC units of the resources allow."""
        others = self.baseline.mac_units // self.baseline.memories[self.array_level].network.fanout
        return max(self.resources.mac_units // others, 1)

    def instances(self, level: int, children: int) -> int:
        """Instances of a memory where the array has `children`."""
        array = self.baseline.memories[self.array_level].network.fanout
        whole = self.baseline.instances(level)
        return whole // array * children if level > self.array_level else whole

    def on_chip_bytes(self, design: HardwareDesign) -> int:
        return sum(self.instances(part.level, design.children) * design.sizes_bytes[part.key] for part in self.parts)

    def own_design(self) -> HardwareDesign:
        """The baseline itself."""
        memory = self.baseline.memories[self.array_level]
        axes = tuple((axis.dimensions, axis.size) for axis in memory.network.axes)
        return HardwareDesign(axes, {part.key: part.own_bytes for part in self.parts}, _rate(memory))

    def accelerator(self, design: HardwareDesign, name: str | None = None) -> Accelerator:
        """The chip of a design."""
        resized = self._resized(design)
        memories = list(resized.memories)
        array = memories[self.array_level]
        axes = tuple(Axis(f"axis{number}", size, loops) for number, (loops, size) in enumerate(design.axes))
        given = design.network_bytes_per_cycle
        network = replace(array.network, axes=axes)
        if given is not None and network.bytes_per_cycle is not None:
            network = replace(network, bytes_per_cycle=float(given))
        elif given is not None and array.read_bytes_per_cycle is not None:
            scale = given / array.read_bytes_per_cycle
            writes = None if array.write_bytes_per_cycle is None else array.write_bytes_per_cycle * scale
            array = replace(array, read_bytes_per_cycle=float(given), write_bytes_per_cycle=writes)
        memories[self.array_level] = replace(array, network=network)
        return replace(resized, name=name or f"design on {self.baseline.name}", memories=tuple(memories))

    def _resized(self, design: HardwareDesign) -> Accelerator:
        sizes: dict[str, Sizes] = {}
        components: dict[str, str] = {}
        for level, memory in enumerate(self.baseline.memories):
            mine = [part for part in self.parts if part.level == level]
            changed = [part for part in mine if design.sizes_bytes[part.key] != part.own_bytes]
            if not changed:
                continue
            sizes[memory.name] = _sizes(memory, mine, design)
            for part in changed:
                if part.component is not None:
                    components[memory.name] = part.component
        if self.energy_exponent is not None:
            memories = tuple(
                _by_exponent(memory, sizes[memory.name], self.energy_exponent) if memory.name in sizes else memory
                for memory in self.baseline.memories
            )
            return replace(self.baseline, memories=memories)
        return _with_leakage(self.resizable.resized(sizes, components), self.baseline)


def _sizes(memory: Memory, parts: list[Part], design: HardwareDesign) -> Sizes:
    if memory.partition_bytes is None:
        return float(design.sizes_bytes[parts[0].key])
    found = list(memory.partition_bytes)
    for part in parts:
        assert part.tensor is not None
        found[part.tensor] = float(design.sizes_bytes[part.key])
    return found[0], found[1], found[2]


def _by_exponent(memory: Memory, size: Sizes, power: float) -> Memory:
    before = memory.partition_bytes or (memory.size_bytes,) * len(TENSORS)
    after = size if isinstance(size, tuple) else (size,) * len(TENSORS)
    scale = [1.0 if not a or not b else (b / a) ** power for a, b in zip(before, after, strict=True)]
    reads = [energy * factor for energy, factor in zip(memory.read_pj_per_bit, scale, strict=True)]
    writes = [energy * factor for energy, factor in zip(memory.write_pj_per_bit, scale, strict=True)]
    return replace(
        memory,
        size_bytes=None if isinstance(size, tuple) else size,
        partition_bytes=size if isinstance(size, tuple) else None,
        read_pj_per_bit=(reads[0], reads[1], reads[2]),
        write_pj_per_bit=(writes[0], writes[1], writes[2]),
        leakage_mw=memory.leakage_mw * _bytes(size) / _bytes(memory.partition_bytes or memory.size_bytes),
    )


def _with_leakage(resized: Accelerator, baseline: Accelerator) -> Accelerator:
    """Leakage grows with the size."""
    memories = tuple(
        after
        if before.leakage_mw == 0 or (after.size_bytes is None and after.partition_bytes is None)
        else replace(
            after,
            leakage_mw=before.leakage_mw
            * _bytes(after.partition_bytes or after.size_bytes)
            / _bytes(before.partition_bytes or before.size_bytes),
        )
        for before, after in zip(baseline.memories, resized.memories, strict=True)
    )
    return replace(resized, memories=memories)


def _bytes(size: Sizes | None) -> float:
    parts = size if isinstance(size, tuple) else (size,)
    return sum(part or 0.0 for part in parts)


def _rate(memory: Memory) -> float | None:
    """What feeds the array: its network, or the memory above it where the network has no limit of its own."""
    rate = memory.network.bytes_per_cycle
    return memory.read_bytes_per_cycle if rate is None else rate
