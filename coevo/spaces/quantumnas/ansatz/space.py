"""The design space: layout, depth and the gates of every layer (HPCA 2022, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from typing import Any

from coevo.errors import InputError
from coevo.search.pick import Pick
from coevo.search.space import Space, Violation
from coevo.spaces.quantumnas.ansatz.design import CoDesign, Layers
from coevo.spaces.quantumnas.ansatz.template import BlockLayer, Template
from coevo.spaces.quantumnas.mapping.couplings import Coupling

LENGTH_PER_QUBIT = 3
"""A ring may be so many couplings long a qubit: beyond that routing drowns the circuit."""

LARGE_DEVICE = 32
"""Qubits beyond which a layout is asked for around a centre: one drawn from the whole device is never connected."""

GROWN_LAYOUT = 16
"""Qubits beyond which a native layout grows along couplings: of ten qubits drawn among 27 none were ever connected."""


def make_space(
    template: Template,
    coupling: Coupling,
    *,
    qubits: Sequence[int] | None = None,
    fixed_layout: tuple[int, ...] | str | None = None,
    fixed_layers: Layers | None = None,
) -> Space:
    """The space over a device.

    Args:
        template: the SuperCircuit.
        coupling: of the device.
        qubits: physical qubits that a layout may use; None takes all.
        fixed_layout: search circuits alone, on these physical qubits; "qiskit" lets the transpiler choose.
        fixed_layers: search mappings alone, of this circuit.

    A circuit has 1 block or more, or 0 or more where the template has flipped qubits.
    A layout is an order over physical qubits, on a large device over those around a centre. For native gates on more
    than `GROWN_LAYOUT` qubits it grows: each qubit is a neighbour of one before it, so no layout has to be refused, and
    those orders are left out in which a qubit comes before all its neighbours. Layers that are not used are not asked
    about, so equal circuits are equal designs. InputError where the qubits cannot hold the circuit.
    """
    n_qubits, gate_set = template.n_qubits, template.gate_set
    physical = tuple(range(coupling.num_qubits)) if qubits is None else tuple(qubits)
    _check_qubits(physical, n_qubits, coupling, "qubits")
    if isinstance(fixed_layout, tuple):
        _check_qubits(fixed_layout, n_qubits, coupling, "layout", exactly=True)
        _check_reachable(fixed_layout, coupling)
    elif fixed_layout is None:
        _check_connected(physical, n_qubits, coupling)
    if gate_set.native and fixed_layout == "qiskit":
        raise InputError('gate set "native" takes its pairs from the layout; search the layout or give one')
    if fixed_layers is not None:
        template.active(fixed_layers)
    coupled = {frozenset(edge) for edge in coupling.edges}
    around = _neighbourhoods(physical, n_qubits, coupling)
    grown = gate_set.native and fixed_layout is None and len(physical) > GROWN_LAYOUT
    parts = [part for part in coupling.parts(physical) if len(part) >= n_qubits]
    starts = tuple(sorted(qubit for part in parts for qubit in part))
    near = coupling.neighbours(physical)

    def ask_layout(pick: Pick) -> tuple[int, ...] | None:
        if fixed_layout == "qiskit":
            return None
        if isinstance(fixed_layout, tuple):
            return fixed_layout
        if grown:
            chosen = [pick.one("layout0", starts)]
            for place in range(1, n_qubits):
                border = {there for here in chosen for there in near[here]}
                chosen.append(pick.one(f"layout{place}", tuple(sorted(border.difference(chosen)))))
            return tuple(chosen)
        if len(physical) <= LARGE_DEVICE:
            return pick.order("layout", physical, k=n_qubits)
        return pick.order("layout", around[pick.one("centre", tuple(around))], k=n_qubits)

    def ask_layer(pick: Pick, entry: BlockLayer, layout: tuple[int, ...] | None) -> tuple[int, ...]:
        if entry.layer.where == "coupled":
            assert layout is not None
            return tuple(
                place
                for place, (a, b) in enumerate(entry.places)
                if frozenset((layout[a], layout[b])) in coupled and pick.one(f"{entry.name}.{a}-{b}", (False, True))
            )
        if template.widths == "front":
            return tuple(range(pick.integer(entry.name, 1, len(entry.places))))
        return pick.one(entry.name, _subsets(len(entry.places)))

    def build(pick: Pick) -> CoDesign:
        layout = ask_layout(pick)
        if fixed_layers is not None:
            return CoDesign(layout, fixed_layers)
        # Behind a start of its own a circuit without blocks is a design: under noise it may be the best one.
        blocks = pick.integer("blocks", 0 if template.flipped else 1, template.max_blocks)
        return CoDesign(layout, tuple(ask_layer(pick, entry, layout) for entry in template.used_layers(blocks)))

    suffix = "" if template.widths == "front" else f"-{template.widths}"
    suffix += "-start" if template.flipped else ""
    suffix += "-grown" if grown else ""
    check = None if fixed_layout is not None or grown else _layout_check(template, coupling)
    return Space(f"quantumnas/{gate_set.name}{suffix}/v1", build, check)


@cache
def _subsets(count: int) -> tuple[tuple[int, ...], ...]:
    """Every non-empty subset of range(count), the small ones first."""
    return tuple(subset for size in range(1, count + 1) for subset in combinations(range(count), size))


def _layout_check(template: Template, coupling: Coupling) -> Callable[[CoDesign], Any]:
    """Refuses layouts that lie in several parts of the device, that tear the couplings a native circuit lives by, or
    that are so scattered that routing would drown the circuit."""
    distances = coupling.distances()
    n_qubits, native = template.n_qubits, template.gate_set.native
    ring = [(qubit, (qubit + 1) % n_qubits) for qubit in range(n_qubits)]
    most = LENGTH_PER_QUBIT * n_qubits
    everything = coupling.num_qubits * n_qubits

    def check(design: CoDesign) -> Violation | None:
        layout = design.layout
        assert layout is not None
        if native:
            parts = coupling.parts(layout)
            if len(parts) == 1:
                return None
            # How many couplings short of connected, and not how many parts: every step nearer counts.
            missing = _spanning_length(distances, layout, everything) - (n_qubits - 1)
            return Violation(f"the layout falls into {len(parts)} parts without a coupling", float(missing))
        length = sum(min(distances[layout[a]][layout[b]], everything) for a, b in ring)
        if length <= most:
            return None
        return Violation(
            f"the ring of pairs is {length} couplings long on the device, more than {most}", float(length - most)
        )

    return check


def _neighbourhoods(physical: tuple[int, ...], n_qubits: int, coupling: Coupling) -> dict[int, tuple[int, ...]]:
    """{centre: it and its nearest qubits, ascending}, 2 n + 2 of them or all that it reaches; without centres that
    reach too few for a layout."""
    distances, size = coupling.distances(), 2 * n_qubits + 2
    found = {}
    for centre in physical:
        reached = [qubit for qubit in physical if distances[centre][qubit] < coupling.num_qubits]
        if len(reached) >= n_qubits:
            nearest = sorted(reached, key=lambda qubit: (distances[centre][qubit], qubit))[:size]
            found[centre] = tuple(sorted(nearest))
    return found


def _spanning_length(distances: Sequence[Sequence[int]], layout: tuple[int, ...], most: int) -> int:
    """Couplings of the shortest tree of paths that joins the qubits of a layout; none counts for more than `most`."""
    near = {qubit: min(distances[layout[0]][qubit], most) for qubit in layout[1:]}
    length = 0
    while near:
        nearest = min(near, key=lambda qubit: near[qubit])
        length += near.pop(nearest)
        near = {qubit: min(far, distances[nearest][qubit]) for qubit, far in near.items()}
    return length


def _check_qubits(qubits: Sequence[int], n_qubits: int, coupling: Coupling, what: str, exactly: bool = False) -> None:
    if len(set(qubits)) != len(qubits):
        raise InputError(f"option {what!r} names a qubit twice: {list(qubits)}; expected distinct physical qubits")
    for qubit in qubits:
        if not 0 <= qubit < coupling.num_qubits:
            raise InputError(
                f"option {what!r} names qubit {qubit}; the device has qubits 0 to {coupling.num_qubits - 1}"
            )
    if len(qubits) < n_qubits or (exactly and len(qubits) != n_qubits):
        raise InputError(f"option {what!r} names {len(qubits)} qubits; the task needs {'exactly ' * exactly}{n_qubits}")


def _check_connected(physical: Sequence[int], n_qubits: int, coupling: Coupling) -> None:
    if not coupling.edges:
        raise InputError(
            f"the device has no two-qubit gate and the task needs {n_qubits} connected qubits; choose another device"
        )
    parts = coupling.parts(physical)
    largest = max(map(len, parts))
    if largest < n_qubits:
        shown = "; ".join(str(sorted(part)) for part in parts[:6])
        raise InputError(
            f"the device's coupling map is disconnected: its largest part has {largest} qubits and the task needs "
            f"{n_qubits} in one. Parts: {shown}. Choose another device or task"
        )


def _check_reachable(layout: Sequence[int], coupling: Coupling) -> None:
    row = coupling.distances()[layout[0]]
    for qubit in layout:
        if row[qubit] >= coupling.num_qubits:
            raise InputError(
                f"option 'layout' names qubits {layout[0]} and {qubit}, which no chain of the device's couplings joins"
            )
