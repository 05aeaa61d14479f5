"""The SuperCircuit as one list of gates, and designs as the part of it that exists (HPCA 2022, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.kernels.statevector import Circuit
from coevo.spaces.quantumnas.ansatz.design import Layers
from coevo.spaces.quantumnas.ansatz.gate_sets import GateSet, Layer, Place, check_size
from coevo.supernets.sampling import subsets

Widths = Literal["front", "arbitrary"]
Active = NDArray[np.uint8]
_ANGLES = {"u3": 3, "cu3": 3} | dict.fromkeys(("rx", "ry", "rz", "u1", "rzz", "rxx", "rzx"), 1)
_MAX_ARBITRARY = 12  # places of a layer whose every subset is offered: 4,095 of them


@dataclass(frozen=True)
class BlockLayer:
    """One layer of one block: its gates are `first`, `first` + 1, ... of the template."""

    block: int
    layer: Layer
    places: tuple[Place, ...]
    first: int

    @property
    def name(self) -> str:
        """As the space asks for it: "block0.u3"."""
        return f"block{self.block}.{self.layer.label}"


class Template:
    """All gates of a SuperCircuit in the order of execution, and the angles that drive them.

    Args:
        gate_set: what a block is made of.
        n_qubits: logical qubits.
        max_blocks: of the deepest SubCircuit.
        widths: "front" keeps the first gates of a layer, "arbitrary" any of them, at least one either way.
        artifact_depth: count the prologue as a layer of the first block, as the artifact does, which cuts the last
            layer of the last block (its RXYZ circuits end without their last CZ layer).
        flipped: qubits with an X before everything else: circuits start from that basis state.

    Attributes:
        gates: (name, qubits, indices of its angles) of every gate.
        n_angles: angles are a vector [n_angles] in radians, several SubCircuits' [C, n_angles].
        constants: float64 [n_angles], NaN where an angle is trained.
        block_layers: the layers that designs choose from.

    A SubCircuit is a vector `active` uint8 [gates] with 1 where a gate exists; the first `prologue_gates` (the X of
    the flipped qubits, then the gate set's prologue) always do.
    """

    def __init__(
        self,
        gate_set: GateSet,
        n_qubits: int,
        max_blocks: int,
        widths: Widths = "front",
        artifact_depth: bool = False,
        flipped: Sequence[int] = (),
    ):
        check_size(gate_set, n_qubits)
        self.gate_set = gate_set
        self.n_qubits = n_qubits
        self.max_blocks = max_blocks
        self.widths = widths
        self.cut = len(gate_set.prologue) if artifact_depth else 0
        self.flipped = tuple(flipped)
        gates: list[tuple[str, Place, tuple[int, ...]]] = [("x", (qubit,), ()) for qubit in self.flipped]
        constants: list[float] = []
        block_layers = []

        def add(layer: Layer) -> tuple[Place, ...]:
            places = layer.places(n_qubits)
            for place in places:
                count = _ANGLES.get(layer.gate, 0)
                gates.append((layer.gate, place, tuple(range(len(constants), len(constants) + count))))
                constants.extend([np.nan if layer.angle is None else layer.angle] * count)
            return places

        for layer in gate_set.prologue:
            add(layer)
        self.prologue_gates = len(gates)
        for block in range(max_blocks):
            for layer in gate_set.block:
                first = len(gates)
                block_layers.append(BlockLayer(block, layer, add(layer), first))
        self.gates = tuple(gates)
        self.constants = np.array(constants)
        self.n_angles = len(constants)
        self.block_layers = tuple(block_layers)
        largest = max((len(entry.places) for entry in block_layers if entry.layer.where != "coupled"), default=0)
        if widths == "arbitrary" and largest > _MAX_ARBITRARY:
            raise InputError(
                f"arbitrary widths offer every subset of a layer, 2^{largest} of them on {n_qubits} qubits; "
                f'expected at most {_MAX_ARBITRARY} qubits, or widths = "front"'
            )

    @cached_property
    def circuit(self) -> Circuit:
        """The kernel of all gates; SubCircuits are `active` vectors of it."""
        return Circuit(self.n_qubits, self.gates)

    @cached_property
    def trained(self) -> NDArray[np.bool_]:
        """[n_angles]: False where an angle is constant."""
        free: NDArray[np.bool_] = np.isnan(self.constants)
        return free

    @cached_property
    def _gate_of_angle(self) -> NDArray[np.int64]:
        owners = [gate for gate, (_, _, slots) in enumerate(self.gates) for _ in slots]
        return np.array(owners, dtype=np.int64)

    def used_layers(self, blocks: int) -> tuple[BlockLayer, ...]:
        """The layers of a circuit of so many blocks."""
        return self.block_layers[: blocks * len(self.gate_set.block) - self.cut]

    def active(self, layers: Layers) -> Active:
        """uint8 [gates] of a design's layers. InputError where they name gates that are not there."""
        if len(layers) > len(self.block_layers):
            raise InputError(f"expected at most {len(self.block_layers)} layers, got {len(layers)}")
        active = np.zeros(len(self.gates), np.uint8)
        active[: self.prologue_gates] = 1
        for entry, chosen in zip(self.block_layers, layers, strict=False):
            for place in chosen:
                if not 0 <= place < len(entry.places):
                    raise InputError(f"{entry.name} has places 0 to {len(entry.places) - 1}, got {place}")
                active[entry.first + place] = 1
        return active

    def actives(self, designs: Iterable[Layers]) -> Active:
        """uint8 [designs, gates]."""
        return np.array([self.active(layers) for layers in designs], np.uint8).reshape(-1, len(self.gates))

    def angle_mask(self, active: Active) -> NDArray[np.bool_]:
        """[..., n_angles]: the trained angles of gates that exist, for active [..., gates]."""
        mask: NDArray[np.bool_] = (active[..., self._gate_of_angle] != 0) & self.trained
        return mask

    def with_constants(self, angles: NDArray[Any]) -> NDArray[Any]:
        """Angles [..., n_angles] with the untrained ones at their values."""
        return np.where(self.trained, angles, np.nan_to_num(self.constants)).astype(angles.dtype)

    def gates_of(self, layers: Layers) -> list[tuple[str, Place, tuple[int, ...]]]:
        """The gates of a design in the order of execution."""
        return [gate for gate, exists in zip(self.gates, self.active(layers), strict=True) if exists]

    def used_angles(self, layers: Layers) -> NDArray[np.int64]:
        """Indices of a design's trained angles, in the order of its gates."""
        return np.flatnonzero(self.angle_mask(self.active(layers)))

    def parameters(self, layers: Layers) -> int:
        """Trained angles of a design."""
        return len(self.used_angles(layers))

    # -- genes: one integer a position, as `coevo.supernets` samples them

    @cached_property
    def gene_choices(self) -> tuple[tuple[int, ...], ...]:
        """Of every layer its width (front), its places as bits (arbitrary) or each place by itself (couplings), then
        the number of blocks."""
        choices: list[tuple[int, ...]] = []
        for entry in self.block_layers:
            count = len(entry.places)
            if entry.layer.where == "coupled":
                choices += [(0, 1)] * count
            elif self.widths == "front":
                choices.append(tuple(range(1, count + 1)))
            else:
                choices.append(subsets(count))
        return (*choices, tuple(range(1, self.max_blocks + 1)))

    def sizes_of_genes(self, genes: Sequence[Sequence[int]] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of gates [genes] of the genes' circuits."""
        sizes: NDArray[np.int64] = self.actives_of_genes(genes).sum(axis=1, dtype=np.int64)
        return sizes

    def actives_of_genes(self, genes: Sequence[Sequence[int]] | NDArray[np.int64]) -> Active:
        """uint8 [genes, gates]."""
        rows = np.asarray(genes, dtype=np.int64)
        active = np.zeros((len(rows), len(self.gates)), np.uint8)
        active[:, : self.prologue_gates] = 1
        used = rows[:, -1] * len(self.gate_set.block) - self.cut
        position = 0
        for number, entry in enumerate(self.block_layers):
            count = len(entry.places)
            place = np.arange(count)
            if entry.layer.where == "coupled":
                exists = rows[:, position : position + count] != 0
                position += count
            else:
                value = rows[:, position, None]
                exists = place < value if self.widths == "front" else (value >> place) & 1 != 0
                position += 1
            active[:, entry.first : entry.first + count] = exists & (number < used)[:, None]
        return active
