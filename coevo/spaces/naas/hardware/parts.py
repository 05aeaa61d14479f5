"""What of a chip has a size that a design may change, and which sizes its energy table reaches.

An access of a larger memory costs more, by the table that the accelerator's file names. A register, whose table knows
one size alone, becomes a register file of the same table where it grows. Where a file gives energies as quantities,
nothing says how they change: an exponent must be given then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from coevo.errors import InputError
from coevo.hardware.accelerators import TENSORS
from coevo.hardware.accelerators.resizing import Resizable

SIZE_STEP_BYTES = 16  # NAAS, section 3.1
REGISTER_FILE = "register_file"


@dataclass(frozen=True, slots=True)
class Part:
    """A memory, or one tensor's part of it. `sizes`: what a design may choose, (smallest, largest) in steps of
    16 bytes; `own_too`: the baseline's own size may be chosen beside them, its energy being that of a smaller thing.
    `component`: what energies of `sizes` are read from, None for the component that the file names."""

    key: str
    level: int
    tensor: int | None
    own_bytes: int
    sizes: tuple[int, int]
    own_too: bool
    component: str | None


def parts_of(resizable: Resizable, energy_exponent: float | None) -> tuple[Part, ...]:
    """All parts of the on-chip memories, the outermost first. InputError for energies that do not follow a size."""
    found = tuple(_parts(resizable, energy_exponent))
    if not found:
        raise InputError(f"{resizable.accelerator.name} has no on-chip memory with a size: there is nothing to size")
    return found


def _parts(resizable: Resizable, energy_exponent: float | None) -> Iterator[Part]:
    chip = resizable.accelerator
    for level, memory in enumerate(chip.memories[1:], start=1):
        pieces: list[tuple[int | None, float | None]] = [
            (None, memory.size_bytes),
            *enumerate(memory.partition_bytes or ()),
        ]
        for tensor, size in pieces:
            if size is None:
                continue
            key = memory.name if tensor is None else f"{memory.name}.{TENSORS[tensor]}"
            kept = memory.keeps if tensor is None else (TENSORS[tensor],)
            if energy_exponent is not None:
                yield Part(key, level, tensor, int(size), (SIZE_STEP_BYTES, 2**40), False, None)
                continue
            yield _by_table(resizable, key, level, tensor, int(size), kept)


def _by_table(resizable: Resizable, key: str, level: int, tensor: int | None, size: int, kept: tuple[str, ...]) -> Part:
    memory = resizable.accelerator.memories[level]
    rules = [resizable.rules.get((memory.name, name, action)) for name in kept for action in ("read", "write")]
    if any(rule is None for rule in rules):
        raise InputError(
            f"{resizable.accelerator.name}: the energies of {key} are quantities, which do not say how they change "
            "with its size; name a component of an energy table there, or give the option energy_exponent"
        )
    ranges, component = [], None
    for rule in rules:
        assert rule is not None
        reach = rule.table.components[rule.component].range_bytes
        if reach is None:
            file = rule.table.components.get(REGISTER_FILE)
            if file is None or file.range_bytes is None:
                raise InputError(
                    f"{resizable.accelerator.name}: the energy of {key} ({rule.component} of the table "
                    f"{rule.table.name}) is that of one size, and the table has no {REGISTER_FILE} that it could grow "
                    "into; name a component with points, or give the option energy_exponent"
                )
            reach, component = file.range_bytes, REGISTER_FILE
        ranges.append(reach)
    low = -(-int(max(low for low, _ in ranges)) // SIZE_STEP_BYTES) * SIZE_STEP_BYTES
    high = int(min(high for _, high in ranges)) // SIZE_STEP_BYTES * SIZE_STEP_BYTES
    return Part(key, level, tensor, size, (max(low, SIZE_STEP_BYTES), high), component is not None, component)
