"""Encoded samples as noisy product states, and their expectation values.

An encoder of one-qubit gates leaves every sample in a product state, even when each gate is noisy: one Pauli
vector (I, X, Y, Z) a qubit is the whole state. Everything here is vectorised over samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from coevo.cost_models.circuit_noise.gates import read_gates
from coevo.cost_models.circuit_noise.observables import Observables
from coevo.errors import InputError
from coevo.hardware.quantum.pauli import ROTATIONS, ZERO_STATE, Matrix, gate_matrices, rotation_basis

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    from coevo.hardware.quantum import QuantumDevice

_CHUNK = 2**21  # float64 numbers in a temporary of `expectations`: 16 MiB


@dataclass(frozen=True)
class ProductStates:
    """Samples of a product state: `vectors` float64 [samples, n, 4] = <I>, <X>, <Y>, <Z> (I = 1) of each of
    the n physical `qubits`, in that order."""

    vectors: Matrix
    qubits: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 3 or self.vectors.shape[1:] != (len(self.qubits), 4):
            raise InputError(
                f"expected vectors [samples, {len(self.qubits)}, 4] for qubits {self.qubits}, "
                f"got shape {self.vectors.shape}"
            )


OneQubitGate = tuple[str, Any]
"""(name, angles): None for a gate without angle; a scalar or an array [samples] for one angle; a tuple of
such for a gate with several (`u3`: theta, phi, lam). Radians. ("delay", seconds) waits."""


def product_state_bloch(
    device: QuantumDevice, gates: Mapping[int, Sequence[OneQubitGate]], samples: int | None = None
) -> ProductStates:
    """Noisy one-qubit gates with an angle a sample, applied to |0> on each physical qubit.

    Args:
        device: whose gates and noise apply.
        gates: for each physical qubit its gates in order, as (name, angles); see `OneQubitGate`.
        samples: number of samples; needed only where no angle is an array.

    Returns:
        `ProductStates` over the qubits of `gates`, in its order.

    Raises:
        InputError: arrays of different lengths, a gate the device lacks, a wrong number of angles.
    """
    programs = {qubit: [(name, _angles(angles)) for name, angles in ops] for qubit, ops in gates.items()}
    lengths = {len(a) for ops in programs.values() for _, angles in ops for a in angles if a.ndim}
    if samples is not None:
        lengths.add(samples)
    if len(lengths) > 1:
        raise InputError(f"angle arrays have different numbers of samples: {sorted(lengths)}")
    count = lengths.pop() if lengths else 1
    vectors = np.empty((count, len(programs), 4))
    for column, (qubit, ops) in enumerate(programs.items()):
        # [4, samples] inside: NumPy's inner loops then run over samples, not over four numbers.
        state: Matrix = np.repeat(ZERO_STATE[:, None], count, axis=1)
        fixed: Matrix | None = None  # what gates without a sample's angle amount to since the last with one
        for name, angles in ops:
            if any(array.ndim for array in angles):
                state = state if fixed is None else fixed @ state
                state, fixed = _apply(device, name, qubit, angles, state), None
            else:
                numbers = [float(angle) for angle in angles]
                if name == "delay":
                    matrix = device.delay_matrix(qubit, numbers[0])
                else:
                    matrix = device.transfer_matrix(name, (qubit,), numbers)
                fixed = matrix if fixed is None else matrix.dot(fixed)
        vectors[:, column] = (state if fixed is None else fixed @ state).T
    return ProductStates(vectors, tuple(programs))


def encoded_states(
    circuit: QuantumCircuit, device: QuantumDevice, parameter_values: Mapping[Parameter, ArrayLike]
) -> ProductStates:
    """The samples of a transpiled encoder: one-qubit gates on physical qubits, angles unbound.

    Args:
        circuit: transpiled, one-qubit gates only; barriers are ignored, final measurements stripped. Its
            angles may be expressions of several parameters.
        device: whose gates and noise apply.
        parameter_values: for every parameter of `circuit` an array [samples], radians.

    Returns:
        `ProductStates` over the qubits that carry a gate, ascending.

    Raises:
        InputError: a two-qubit gate, a parameter without values, and whatever `product_state_bloch` refuses.
    """
    values = {parameter: np.asarray(array, dtype=float) for parameter, array in parameter_values.items()}
    missing = sorted(parameter.name for parameter in circuit.parameters if parameter not in values)
    if missing:
        raise InputError(f"the encoder's parameters {', '.join(missing)} have no values")
    shapes = {array.shape for array in values.values()}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise InputError(f"expected arrays [samples] of one length for the parameters, got shapes {sorted(shapes)}")
    programs: dict[int, list[OneQubitGate]] = {}
    for name, qubits, params in read_gates(circuit, device)[0]:
        if len(qubits) != 1:
            raise InputError(
                f"the encoder has {name!r} on qubits {qubits}; its samples are product states only with one-qubit gates"
            )
        angles = tuple(_evaluate(value, values) for value in params)
        programs.setdefault(qubits[0], []).append((name, angles))
    samples = shapes.pop()[0] if shapes else None
    return product_state_bloch(device, {qubit: programs[qubit] for qubit in sorted(programs)}, samples)


def expectations(observables: Observables, states: ProductStates) -> Matrix:
    """Expectation values [samples, n_obs]: exact, without shots.

    Qubits of the observables without an encoded state are |0>; encoded qubits outside the observables'
    light cone do not matter.
    """
    column = {qubit: position for position, qubit in enumerate(states.qubits)}
    operator = observables.coefficients.reshape(-1, *([4] * len(observables.qubits)))
    axis = 1
    for qubit in observables.qubits:  # contract the |0> qubits once, for all samples
        if qubit in column:
            axis += 1
        else:
            operator = np.tensordot(operator, ZERO_STATE, axes=(axis, 0))
    kept = [column[qubit] for qubit in observables.qubits if qubit in column]
    n_obs, samples = len(operator), len(states.vectors)
    half = len(kept) // 2
    left_size, right_size = 4**half, 4 ** (len(kept) - half)
    # [left, n_obs * right]: the left half meets the operator as one matrix product, the right half after it.
    operator = operator.reshape(n_obs, left_size, right_size).transpose(1, 0, 2).reshape(left_size, -1)
    result = np.empty((samples, n_obs))
    step = max(1, _CHUNK // (n_obs * right_size))
    for begin in range(0, samples, step):
        chunk = states.vectors[begin : begin + step][:, kept]
        partial = (_products(chunk[:, :half]) @ operator).reshape(len(chunk), n_obs, right_size)
        result[begin : begin + step] = np.einsum("sor,sr->so", partial, _products(chunk[:, half:]))
    return result


def _products(vectors: Matrix) -> Matrix:
    """[samples, n, 4] -> the Pauli vectors [samples, 4^n] of the product states."""
    product: Matrix = np.ones((len(vectors), 1))
    for position in range(vectors.shape[1]):
        product = (product[:, :, None] * vectors[:, position, None, :]).reshape(len(vectors), -1)
    return product


def _angles(angles: Any) -> tuple[Matrix, ...]:
    if angles is None:
        return ()
    parts = angles if isinstance(angles, tuple) else (angles,)
    arrays = tuple(np.asarray(part, dtype=float) for part in parts)
    for array in arrays:
        if array.ndim > 1:
            raise InputError(f"expected an angle as a number or an array [samples], got shape {array.shape}")
    return arrays


def _apply(device: QuantumDevice, name: str, qubit: int, angles: tuple[Matrix, ...], state: Matrix) -> Matrix:
    """A noisy gate with an angle a sample on Pauli vectors [4, samples]."""
    error = device.error_matrix(name, (qubit,))
    if name in ROTATIONS and len(angles) == 1:  # several times as fast as building a matrix a sample
        constant, cosine, sine = rotation_basis(name)
        state = constant @ state + np.cos(angles[0]) * (cosine @ state) + np.sin(angles[0]) * (sine @ state)
    else:
        ideal = gate_matrices(name, angles)
        if ideal is None:
            raise InputError(f"gate {name!r} with {len(angles)} angles cannot vary by sample")
        state = np.einsum("sij,js->is", ideal, state)
    return state if error is None else error @ state


def _evaluate(value: Any, values: Mapping[Parameter, Matrix]) -> Any:
    """A gate angle: a number, or an expression evaluated for all samples at once where it is linear."""
    parameters = getattr(value, "parameters", None)
    if not parameters:
        return float(value)
    total: Any = float(value.bind(dict.fromkeys(parameters, 0.0)))
    for parameter in parameters:
        slope = value.gradient(parameter)
        try:
            total = total + float(slope) * values[parameter]
        except TypeError:  # not linear: bind sample by sample
            rows = zip(*(values[p] for p in parameters), strict=True)
            return np.array([float(value.bind(dict(zip(parameters, row, strict=True)))) for row in rows])
    return total
