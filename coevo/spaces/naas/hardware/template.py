"""A baseline accelerator as a template: what a design may change of it, within its resources.

The array is the network with the largest fan-out. A design has its own axes there, and its own size of every on-chip
memory; levels, what they keep, widths, clock and energy table are the baseline's. So the baseline is a design like any
other, and the same mapper judges both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from coevo.errors import InputError
from coevo.hardware.accelerators import TENSORS, Accelerator, Axis, Memory
from coevo.spaces.naas.hardware.design import HardwareDesign
from coevo.spaces.naas.hardware.resizing import exponent, factor, points


@dataclass(frozen=True, slots=True)
class Resources:
    """What a design may use at most: MAC units, on-chip bytes over all instances, bytes a cycle into the array."""

    mac_units: int
    on_chip_bytes: int
    network_bytes_per_cycle: int | None


@dataclass(frozen=True)
class Template:
    """`array_level`: the memory above the array. `energy_exponent`: see `resizing`. `parts`: (key, level, tensor or
    None) of everything that has a size."""

    baseline: Accelerator
    resources: Resources
    energy_exponent: float
    array_level: int
    parts: tuple[tuple[str, int, int | None], ...]

    @classmethod
    def of(
        cls, baseline: Accelerator, resources: Resources | None = None, energy_exponent: float | None = None
    ) -> Template:
        """The template of a baseline; its own resources unless others are given."""
        fanouts = [memory.network.fanout for memory in baseline.memories]
        level = fanouts.index(max(fanouts))
        if fanouts[level] < 2:
            raise InputError(f"{baseline.name} has no array: no network of it has two children or more")
        parts: list[tuple[str, int, int | None]] = []
        for position, memory in enumerate(baseline.memories):
            if position == 0:
                continue
            if memory.size_bytes is not None:
                parts.append((memory.name, position, None))
            for tensor, size in enumerate(memory.partition_bytes or ()):
                if size is not None:
                    parts.append((f"{memory.name}.{TENSORS[tensor]}", position, tensor))
        if not parts:
            raise InputError(f"{baseline.name} has no on-chip memory with a size: there is nothing to size")
        own = Resources(baseline.mac_units, int(baseline.on_chip_bytes), _rate(baseline.memories[level]))
        power = exponent(points(baseline)) if energy_exponent is None else energy_exponent
        return cls(baseline, resources or own, power, level, tuple(parts))

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
        return sum(self.instances(level, design.children) * design.sizes_bytes[key] for key, level, _ in self.parts)

    def own_design(self) -> HardwareDesign:
        """The baseline itself."""
        memory = self.baseline.memories[self.array_level]
        sizes = {}
        for key, level, tensor in self.parts:
            held = self.baseline.memories[level]
            size = held.size_bytes if tensor is None else (held.partition_bytes or ())[tensor]
            sizes[key] = int(size or 0)
        axes = tuple((axis.dimensions, axis.size) for axis in memory.network.axes)
        return HardwareDesign(axes, sizes, _rate(memory))

    def accelerator(self, design: HardwareDesign, name: str | None = None) -> Accelerator:
        """The chip of a design."""
        memories = [self._resized(level, memory, design) for level, memory in enumerate(self.baseline.memories)]
        array = memories[self.array_level]
        axes = tuple(Axis(f"axis{number}", size, loops) for number, (loops, size) in enumerate(design.axes))
        given = design.network_bytes_per_cycle
        rate = array.network.bytes_per_cycle if given is None else float(given)
        memories[self.array_level] = replace(array, network=replace(array.network, axes=axes, bytes_per_cycle=rate))
        return replace(self.baseline, name=name or f"design on {self.baseline.name}", memories=tuple(memories))

    def _resized(self, level: int, memory: Memory, design: HardwareDesign) -> Memory:
        mine = [(key, tensor) for key, position, tensor in self.parts if position == level]
        if not mine:
            return memory
        reads, writes = list(memory.read_pj_per_bit), list(memory.write_pj_per_bit)
        before, now = 0.0, 0.0
        partition = list(memory.partition_bytes or ())
        size = memory.size_bytes
        for key, tensor in mine:
            old = memory.size_bytes if tensor is None else partition[tensor]
            new = float(design.sizes_bytes[key])
            scale = factor(new, float(old or 0), self.energy_exponent)
            for position in range(len(TENSORS)) if tensor is None else (tensor,):
                reads[position] *= scale
                writes[position] *= scale
            before, now = before + float(old or 0), now + new
            if tensor is None:
                size = new
            else:
                partition[tensor] = new
        return replace(
            memory,
            size_bytes=size,
            partition_bytes=(partition[0], partition[1], partition[2]) if partition else None,
            read_pj_per_bit=(reads[0], reads[1], reads[2]),
            write_pj_per_bit=(writes[0], writes[1], writes[2]),
            leakage_mw=memory.leakage_mw * now / before,
        )


def _rate(memory: Memory) -> int | None:
    rate = memory.network.bytes_per_cycle
    return None if rate is None else max(math.floor(rate), 1)
