"""The design space U3+CU3 (QuantumNAS, HPCA 2022, section 4): layout, depth and the front share of every layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.search.pick import Pick
from coevo.search.space import Space, Violation
from coevo.spaces.quantumnas.data import N_QUBITS
from coevo.spaces.quantumnas.devices import Coupling

RING = tuple((qubit, (qubit + 1) % N_QUBITS) for qubit in range(N_QUBITS))
"""(control, target) of a CU3 layer's gates, in order."""

MAX_RING_LENGTH = 3 * N_QUBITS


@dataclass(frozen=True, slots=True)
class CoDesign:
    """A circuit and where it sits.

    `layout[i]` is the physical qubit of logical qubit i. `widths` holds (U3, CU3) of every block: the first so many
    gates of the layer exist (front share), U3s on qubits 0, 1, ..., CU3s on the ring's pairs.
    """

    layout: tuple[int, ...]
    widths: tuple[tuple[int, int], ...]

    @property
    def blocks(self) -> int:
        return len(self.widths)

    @property
    def gates(self) -> list[tuple[str, tuple[int, ...], tuple[int, int, int]]]:
        """(name, logical qubits, (block, layer, place) of its angles) in the order of execution."""
        found: list[tuple[str, tuple[int, ...], tuple[int, int, int]]] = []
        for block, (singles, pairs) in enumerate(self.widths):
            found += [("u3", (qubit,), (block, 0, qubit)) for qubit in range(singles)]
            found += [("cu3", RING[place], (block, 1, place)) for place in range(pairs)]
        return found

    @property
    def parameters(self) -> int:
        """Trainable angles: three a gate."""
        return 3 * sum(singles + pairs for singles, pairs in self.widths)

    def mask(self) -> NDArray[np.float32]:
        """[blocks, 2, 4, 1]: 1 where a gate exists."""
        exists = np.arange(N_QUBITS) < np.array(self.widths)[:, :, None]
        return exists[..., None].astype(np.float32)


def full_width(parameters: int, layout: tuple[int, ...]) -> CoDesign:
    """The human design of QuantumNAS: full-width layers stacked from the front until the budget is met.

    The last layer is cut where the budget of `parameters` (a multiple of three) ends, so that the count is equal.
    A CU3 layer that the budget does not reach has width 0.
    """
    gates, widths = parameters // 3, []
    while gates > 0:
        singles = min(gates, N_QUBITS)
        pairs = min(gates - singles, N_QUBITS)
        widths.append((singles, pairs))
        gates -= singles + pairs
    return CoDesign(layout, tuple(widths))


def make_space(coupling: Coupling, max_blocks: int) -> Space:
    """The space over a device: ordered layouts x depth x front shares of the used blocks, unused ones not asked."""
    physical = range(coupling.num_qubits)

    def build(pick: Pick) -> CoDesign:
        layout = pick.order("layout", physical, k=N_QUBITS)
        blocks = pick.integer("blocks", 1, max_blocks)
        widths = [
            (pick.integer(f"block{block}.u3", 1, N_QUBITS), pick.integer(f"block{block}.cu3", 1, N_QUBITS))
            for block in range(blocks)
        ]
        return CoDesign(layout, tuple(widths))

    return Space("quantumnas/u3cu3/v1", build, _layout_check(coupling))


def _layout_check(coupling: Coupling) -> Callable[[CoDesign], Any]:
    """Refuses layouts so scattered that routing would drown the circuit (no layout of a 5-qubit device is)."""
    distances = coupling.distances()

    def check(design: CoDesign) -> Violation | None:
        length = sum(distances[design.layout[a]][design.layout[b]] for a, b in RING)
        if length <= MAX_RING_LENGTH:
            return None
        return Violation(
            f"the ring of pairs is {length} couplings long on the device, more than {MAX_RING_LENGTH}",
            float(length - MAX_RING_LENGTH),
        )

    return check
