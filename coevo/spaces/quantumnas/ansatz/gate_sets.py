"""The design spaces of QuantumNAS (Wang et al., HPCA 2022, section 5) and one more: which layers a block is made of.

Gate names are those of `coevo.kernels.statevector`. A layer names its places in order: on every qubit, on the ring of
pairs (k, k + 1 mod n), on alternating pairs (even ones, then odd ones: n - 1 of them), or on all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import pi
from typing import Literal

from coevo.errors import InputError, unknown_name

Where = Literal["each", "ring", "alternating", "coupled"]
Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """Gates of one name. `angle` fixes the angle of a gate that takes one and is not trained, in radians."""

    label: str  # unique within its block
    gate: str
    where: Where
    angle: float | None = None

    def places(self, n_qubits: int) -> tuple[Place, ...]:
        """The qubits of each gate, in the order of execution and of front shares."""
        if self.where == "each":
            return tuple((qubit,) for qubit in range(n_qubits))
        if self.where == "ring":
            return tuple((qubit, (qubit + 1) % n_qubits) for qubit in range(n_qubits))
        if self.where == "alternating":
            return tuple((q, q + 1) for first in (0, 1) for q in range(first, n_qubits - 1, 2))
        return tuple(combinations(range(n_qubits), 2))


@dataclass(frozen=True, slots=True)
class GateSet:
    """`prologue` stands once at the start, whole and untrained; `block` is repeated."""

    name: str
    title: str
    block: tuple[Layer, ...]
    max_blocks: int
    prologue: tuple[Layer, ...] = ()
    max_blocks_arbitrary: int | None = None

    def blocks(self, widths: str) -> int:
        """The SuperCircuit's blocks unless a user says otherwise."""
        return self.max_blocks_arbitrary or self.max_blocks if widths == "arbitrary" else self.max_blocks

    @property
    def native(self) -> bool:
        """Whether two-qubit gates stand only where the device couples their qubits."""
        return any(layer.where == "coupled" for layer in self.block)


def _layers(*described: str) -> tuple[Layer, ...]:
    """ "gate where" or "gate where label"."""
    made = []
    for words in map(str.split, described):
        where: Where = words[1]  # type: ignore[assignment]
        made.append(Layer(words[2] if len(words) > 2 else words[0], words[0], where))
    return tuple(made)


GATE_SETS = {
    gate_set.name: gate_set
    for gate_set in (
        GateSet("u3cu3", "U3 and CU3", _layers("u3 each", "cu3 ring"), 8),
        GateSet("zzry", "ZZ and RY", _layers("rzz ring", "ry each"), 8),
        GateSet(
            "rxyz",
            "RX, RY, RZ and CZ",
            _layers("rx each", "ry each", "rz each", "cz alternating"),
            8,
            # The artifact calls it the square root of H; both its simulator and its exporter apply RY(pi/4).
            (Layer("prologue", "ry", "each", pi / 4),),
        ),
        GateSet("zxxx", "ZX and XX", _layers("rzx ring", "rxx ring"), 8),
        GateSet(
            "rxyzu1cu3",
            "RX, RY, RZ, U1 and CU3, with S, T, CX, SWAP and its root",
            _layers(
                "rx each", "s each", "cx ring", "ry each", "t each t1", "swap ring", "rz each", "t each t2",
                "sqrtswap ring", "u1 each", "cu3 ring",
            ),
            4,
        ),
        GateSet(
            "ibmq",
            "the basis RZ, X, SX and CX",
            _layers("rz each rz1", "x each", "rz each rz2", "sx each", "rz each rz3", "cx ring"),
            8,
            max_blocks_arbitrary=20,
        ),
        GateSet("native", "U3 and a CZ on the device's own couplings", _layers("u3 each", "cz coupled"), 8),
    )
}  # fmt: skip
"""By name. All but `native` are QuantumNAS's; a CZ costs one two-qubit gate of any IBM device, and no SWAP."""


def gate_set_of(name: str) -> GateSet:
    """Raises UnknownName with the nearest name."""
    if name not in GATE_SETS:
        raise unknown_name("gate set", name, GATE_SETS, "option 'gates'")
    return GATE_SETS[name]


def check_size(gate_set: GateSet, n_qubits: int) -> None:
    """InputError where a gate set makes no sense on so few qubits."""
    if n_qubits < 2:
        raise InputError(f"gate set {gate_set.name!r} entangles pairs, and the task has {n_qubits} qubit; give it 2")
