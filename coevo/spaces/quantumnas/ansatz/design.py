"""A design: a circuit and where it sits."""

from __future__ import annotations

from dataclasses import dataclass

Layers = tuple[tuple[int, ...], ...]
"""For every used layer of the blocks, in order, which of its places have a gate (ascending)."""


@dataclass(frozen=True, slots=True)
class CoDesign:
    """`layout[i]` is the physical qubit of logical qubit i; None leaves the mapping to Qiskit.

    `layers` names the gates that exist; `Template` knows what they are. Two designs with equal layers are one circuit.
    """

    layout: tuple[int, ...] | None
    layers: Layers
