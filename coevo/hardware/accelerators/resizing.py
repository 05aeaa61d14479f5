"""An accelerator whose memories change their size: energies follow the tables that its file names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from coevo.errors import InputError, unknown_name
from coevo.hardware.accelerators.accelerator import Accelerator, Memory, PerTensor
from coevo.hardware.accelerators.energy_table import EnergyTable
from coevo.hardware.accelerators.loops import TENSORS
from coevo.hardware.accelerators.reading import read_with_rules

Sizes = float | tuple[float | None, float | None, float | None]
"""Bytes of one instance: shared, or by tensor (weights, inputs, outputs)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The component of a table that an energy came from."""

    table: EnergyTable
    component: str


@dataclass(frozen=True, eq=False, slots=True)
class Resizable:
    """`accelerator` as its file has it. `rules`: by (memory, tensor, "read" or "write"), where an energy came from;
    what stands in the file as a quantity has none and stays as it is."""

    accelerator: Accelerator
    rules: Mapping[tuple[str, str, str], Rule]

    def resized(self, sizes: Mapping[str, Sizes], components: Mapping[str, str] | None = None) -> Accelerator:
        """The accelerator with other sizes of some memories, by name, and the energies that their tables give for them.

        A memory that has one size takes a number, one that is partitioned takes three. `components` names another
        component of the same table for some memories, by name: a register that grows becomes a register file.
        InputError for another memory or form, and for a size that a table does not reach.
        """
        names = [memory.name for memory in self.accelerator.memories]
        for name in sizes:
            if name not in names:
                raise unknown_name("memory", name, names, self.accelerator.name)
        memories = tuple(
            self._memory(memory, sizes[memory.name], (components or {}).get(memory.name))
            if memory.name in sizes
            else memory
            for memory in self.accelerator.memories
        )
        return replace(self.accelerator, memories=memories)

    def _memory(self, memory: Memory, size: Sizes, component: str | None) -> Memory:
        partitioned = isinstance(size, tuple)
        if partitioned != (memory.partition_bytes is not None):
            wanted = "one size a tensor" if memory.partition_bytes is not None else "one size"
            raise InputError(f"{self.accelerator.name}: memory {memory.name!r} has {wanted}, got {size!r}")
        parts = size if isinstance(size, tuple) else (size, size, size)
        energies = {
            action: self._energies(memory, action, parts, old, component)
            for action, old in (("read", memory.read_pj_per_bit), ("write", memory.write_pj_per_bit))
        }
        return replace(
            memory,
            size_bytes=None if isinstance(size, tuple) else size,
            partition_bytes=size if isinstance(size, tuple) else None,
            read_pj_per_bit=energies["read"],
            write_pj_per_bit=energies["write"],
        )

    def _energies(
        self, memory: Memory, action: str, parts: tuple[float | None, ...], old: PerTensor, component: str | None
    ) -> PerTensor:
        found = list(old)
        for position, tensor in enumerate(TENSORS):
            rule = self.rules.get((memory.name, tensor, action))
            if rule is not None:
                where = f"{self.accelerator.name}: memory {memory.name!r}: {tensor}"
                found[position] = rule.table.pj_per_bit(
                    component or rule.component, action, parts[position], self.accelerator.mac_pj, where
                )
        return found[0], found[1], found[2]


def load_resizable(name_or_path: str | Path, energy_table: str | Path | None = None) -> Resizable:
    """`load_accelerator` for searches over sizes."""
    accelerator, named = read_with_rules(name_or_path, energy_table)
    return Resizable(accelerator, {key: Rule(table, component) for key, (table, component) in named.items()})
