"""An accelerator in the words that other engines share: storage components with one size and one energy an action each.

A memory that is partitioned, or whose tensors differ in energy, becomes one component a kept tensor. What cannot be
told that way is an error that names it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from coevo.errors import InputError
from coevo.hardware.accelerators import TENSORS, Accelerator, Memory

LETTERS = re.compile(r"[^0-9A-Za-z_]")


@dataclass(frozen=True, slots=True)
class Component:
    """One storage of memory `level`. `tensors` by name. `size_bits` None has no limit. Energies in pJ a bit."""

    name: str
    level: int
    tensors: tuple[str, ...]
    size_bits: float | None
    read_pj_per_bit: float
    write_pj_per_bit: float
    leakage_mw: float


def plain_name(name: str) -> str:
    """`name` with letters, digits and underscores alone."""
    plain = LETTERS.sub("_", name)
    return plain if plain[:1].isalpha() else f"m_{plain}"


def axis_names(accelerator: Accelerator) -> tuple[str, ...]:
    """A plain name for each of `accelerator.axes`: its own where nothing else has it, else with its memory's before."""
    memories = [plain_name(memory.name) for memory in accelerator.memories]
    own = [plain_name(axis.name) for _, axis in accelerator.axes]
    return tuple(
        name if own.count(name) == 1 and name not in memories else f"{memories[level]}_{name}"
        for name, (level, _) in zip(own, accelerator.axes, strict=True)
    )


def components(accelerator: Accelerator, engine: str, network_energy: bool = False) -> tuple[Component, ...]:
    """All storages, outermost first. Raises InputError for what `engine` cannot be told; `network_energy`: it can be
    told what a delivery costs."""
    refuse_networks(accelerator, engine, network_energy)
    found: list[Component] = []
    for level, memory in enumerate(accelerator.memories):
        if not memory.keeps:
            raise InputError(f"{engine}: memory {memory.name!r} keeps no tensor; leave it out of the accelerator")
        found.extend(_split(memory, level, engine))
    names = [part.name for part in found] + list(axis_names(accelerator))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"{engine}: its names have letters, digits and underscores; {', '.join(twice)} would stand for two "
            "memories or axes, rename one"
        )
    return tuple(found)


def refuse_networks(accelerator: Accelerator, engine: str, energy: bool) -> None:
    """No other engine is told the bandwidth of a network the way that this model counts it, and only some its
    `energy`."""
    for memory in accelerator.memories:
        if not energy and memory.network.pj_per_bit:
            raise InputError(
                f"{engine}: the network below {memory.name!r} costs {memory.network.pj_per_bit:g} pJ a bit, which "
                f"{engine} cannot say the way it is counted here; give the network no energy to exchange the rest"
            )
        if memory.network.bytes_per_cycle is not None:
            raise InputError(
                f"{engine}: the network below {memory.name!r} carries at most {memory.network.bytes_per_cycle:g} bytes "
                f"a cycle, which {engine} cannot say; give the limit to the memory or leave it out"
            )


def _split(memory: Memory, level: int, engine: str) -> list[Component]:
    kept = [position for position, name in enumerate(TENSORS) if name in memory.keeps]
    half = 2.0 if memory.double_buffered else 1.0
    energies = {(memory.read_pj_per_bit[position], memory.write_pj_per_bit[position]) for position in kept}
    if memory.partition_bytes is None and len(energies) == 1:
        read, write = energies.pop()
        size = None if memory.size_bytes is None else memory.size_bytes * 8 / half
        tensors = tuple(TENSORS[position] for position in kept)
        return [Component(plain_name(memory.name), level, tensors, size, read, write, memory.leakage_mw)]
    why = "is partitioned" if memory.partition_bytes is not None else "has another energy for each tensor"
    if memory.size_bytes is not None:
        raise InputError(
            f"{engine}: memory {memory.name!r} {why} but its tensors share {memory.size_bytes:g} bytes, which {engine} "
            "cannot say: it has one energy an action for each storage; partition the size or give one energy"
        )
    limited = memory.read_bytes_per_cycle is not None or memory.write_bytes_per_cycle is not None
    if limited and len(kept) > 1:
        raise InputError(
            f"{engine}: memory {memory.name!r} {why} but its tensors share a bandwidth, which {engine} cannot say; "
            "split it into memories of one tensor each, or leave the bandwidth out"
        )
    sizes = memory.partition_bytes or (None, None, None)
    parts = []
    for rank, position in enumerate(kept):
        size = sizes[position]
        parts.append(
            Component(
                plain_name(memory.name) + (f"_{TENSORS[position]}" if len(kept) > 1 else ""),
                level,
                (TENSORS[position],),
                None if size is None else size * 8 / half,
                memory.read_pj_per_bit[position],
                memory.write_pj_per_bit[position],
                memory.leakage_mw if rank == 0 else 0.0,
            )
        )
    return parts
