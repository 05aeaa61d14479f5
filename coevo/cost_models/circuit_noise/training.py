"""Exact noise-aware training: the full-batch loss and its gradient through the noisy channels of a transpiled template.

The template is a `Program` with weights: a transpiled circuit whose angles are affine in them. Whatever the loss is, it
sees the noisy expectation values of all samples, and its gradient by them is all that is needed back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.cost_models.circuit_noise.batch import (
    EncodedBatch,
    products,
    spread,
    too_large,
    with_own_matrices,
)
from coevo.cost_models.circuit_noise.checks import floating, real_array
from coevo.cost_models.circuit_noise.ends import End, Readouts, Sums
from coevo.cost_models.circuit_noise.pauli_sums import PauliSums
from coevo.cost_models.circuit_noise.program import Program, affine_angles
from coevo.errors import InputError
from coevo.hardware.quantum.table import DOUBLE_BASIS, SINGLE_BASIS

MAX_QUBITS = 8
"""Default limit: an operator is stored for every two-qubit block, 0.5 MiB each at 8 qubits."""

Array = NDArray[Any]
Loss = Callable[[Array], tuple[float, Array]]
"""Expectation values [samples, n_obs] -> (loss, its gradient [samples, n_obs])."""


class NoiseAwareCircuit:
    """A noisy template with its encoded data: values and gradients at any weights.

    Args:
        program: read with `weights`.
        inputs: [samples, num_inputs], radians; None for a program without inputs (one sample).
        dtype: float64 or float32.
        max_qubits: the largest light cone accepted.
        observables: Pauli sums over the program's read qubits, measured with their basis changes; None is the Z of
            every read qubit.

    Raises:
        InputError: another dtype, inputs of another shape or not finite, labels that do not fit `read`, sums that are
            multiples of the identity (no weight changes them), a light cone beyond `max_qubits`.
    """

    def __init__(
        self,
        program: Program,
        inputs: ArrayLike | None = None,
        dtype: Any = np.float64,
        max_qubits: int = MAX_QUBITS,
        *,
        observables: PauliSums | None = None,
    ):
        from coevo.kernels.pauli_transfer.plan import plan

        kind = floating(dtype)
        data = np.zeros((1, 0)) if inputs is None else real_array(inputs, "the inputs")
        if data.ndim != 2 or data.shape[1] != program.num_inputs or not np.isfinite(data).all():
            raise InputError(f"expected finite inputs [samples, {program.num_inputs}], got shape {data.shape}")
        self.program = program
        self._kind = kind
        self._end: End
        if observables is None:
            self._end = Readouts(program, kind)
        else:
            observables.check(program)
            if not observables.touched:
                raise InputError("the observables are multiples of the identity; expected one that a circuit changes")
            self._end = Sums(program, observables, kind)
        table = program.device.channels
        self._rows, singles, doubles = with_own_matrices(program, program.body.rows, table.singles, table.doubles)
        self._matrices = (singles.astype(kind), doubles.astype(kind))
        self._bases = (SINGLE_BASIS.astype(kind), DOUBLE_BASIS.astype(kind))
        self._plan = plan([self._rows], [self._end.qubits], [program.encoder.qubits])
        encoded = self._plan.encoded[0]
        if self._plan.width > max(2, max_qubits):
            raise too_large(program, self._plan.width, max_qubits)
        self._encoded = len(encoded)
        prepared = dict(zip(program.encoder.qubits, EncodedBatch([program], data, kind).vectors(0), strict=True))
        vectors = [prepared[qubit] for qubit in encoded]
        half = self._encoded // 2
        self.samples = len(data)
        self._left = np.ascontiguousarray(products(vectors[:half], self.samples), dtype=kind)
        self._right = np.ascontiguousarray(products(vectors[half:], self.samples), dtype=kind)
        self._ground = np.ones(1, kind)
        for _ in range(self._plan.width - self._encoded):
            self._ground = np.kron(self._ground, np.array([1, 0, 0, 1], kind))
        steps, width, n_obs = self._plan.blocks.shape[1], self._plan.width, self._end.n_obs
        self._used = np.ascontiguousarray(self._plan.blocks[0, ::-1])
        self._pairs = np.ascontiguousarray(self._plan.pairs[0, ::-1])
        self._segments = np.empty((self._plan.segments, 4, 4), kind)
        self._prefixes = np.empty((len(self._plan.singles), 4, 4), kind)
        self._mixed, self._cores = (np.empty((len(self._plan.doubles), 16, 16), kind) for _ in range(2))
        self._blocks = np.empty((steps + 1, 16, 16), kind)
        self._stored = np.empty((steps + 1, n_obs, 4**width), kind)
        self._orders = np.empty((steps + 1, width), np.int64)

    def values(self, weights: ArrayLike) -> Array:
        """Noisy expectation values [samples, n_obs]."""
        self._backward(self._angles(weights))
        return self._expectations()

    def value_and_gradient(self, weights: ArrayLike, loss: Loss) -> tuple[float, Array]:
        """The loss of all samples and its gradient [num_weights]."""
        angles = self._angles(weights)
        self._backward(angles)
        value, by_value = loss(self._expectations())
        if by_value.shape != (self.samples, self._end.n_obs):
            raise InputError(
                f"the loss gave a gradient of shape {by_value.shape}; expected [samples, n_obs] = "
                f"{(self.samples, self._end.n_obs)}"
            )
        return value, self._gradient(angles, self._weighted_states(by_value.astype(self._kind, copy=False)))

    def sweeps(self, weights: ArrayLike) -> Array:
        """Both sweeps without any data, the gradient of sum_o Tr(O_o) [num_weights]: what a step costs beside the two
        matrix products that meet the samples. For benchmarks."""
        angles = self._angles(weights)
        self._backward(angles)
        states = np.zeros_like(self._stored[0])
        states[:, 0] = 1
        return self._gradient(angles, states)

    def _gradient(self, angles: Array, states: Array) -> Array:
        """The gradient [num_weights] for the operators R_o, `states` [n_obs, 4^width]."""
        from coevo.kernels.pauli_transfer.training import chain, sweep_forward

        flow = np.zeros_like(self._blocks)
        sweep_forward(self._pairs, self._blocks, self._used, self._stored, self._orders, states, flow)
        by_segment = np.zeros_like(self._segments)
        self._end.flow(self._plan.starts[0], self._segments, states, by_segment)
        by_angle = np.zeros(len(angles), self._kind)
        chain(
            self._rows, angles, *self._matrices, *self._bases, self._plan.singles, self._plan.doubles, self._segments,
            self._prefixes, self._mixed, self._cores, flow, by_segment, by_angle,
        )  # fmt: skip
        body = self.program.body
        gradient = np.zeros(self.program.num_weights, self._kind)
        np.add.at(gradient, body.terms[:, 1], body.slopes.astype(self._kind) * by_angle[body.terms[:, 0]])
        return gradient

    def _angles(self, weights: ArrayLike) -> Array:
        numbers = real_array(weights, "the weights")
        if numbers.shape != (self.program.num_weights,) or not np.isfinite(numbers).all():
            raise InputError(f"expected {self.program.num_weights} finite weights, got an array of {numbers.shape}")
        return affine_angles(self.program.body, numbers)

    def _backward(self, angles: Array) -> None:
        from coevo.kernels.pauli_transfer.training import build, sweep_back

        build(
            self._rows, angles, *self._matrices, *self._bases, self._plan.singles, self._plan.doubles, self._segments,
            self._prefixes, self._mixed, self._cores, self._blocks,
        )  # fmt: skip
        self._end.fill(self._plan.starts[0], self._segments, self._stored[-1])
        self._orders[-1] = np.arange(self._plan.width)
        sweep_back(self._pairs, self._blocks, self._used, self._stored, self._orders)

    def _expectations(self) -> Array:
        n_obs, width = self._end.n_obs, self._plan.width
        where = {digit: axis for axis, digit in enumerate(self._orders[0].tolist())}
        axes = [1 + where[digit] for digit in self._plan.order[0].tolist()]
        first = self._stored[0].reshape(n_obs, *[4] * width).transpose(0, *axes)
        operators = first.reshape(n_obs * len(self._left), len(self._right), -1) @ self._ground
        partial = (operators @ self._right).reshape(n_obs, len(self._left), self.samples)
        result: Array = np.einsum("olb,lb->bo", partial, self._left)
        return result

    def _weighted_states(self, by_value: Array) -> Array:
        """R_o = sum over samples of by_value[sample, o] times the sample, [n_obs, 4^width], as orders[0] has it."""
        n_obs, width = by_value.shape[1], self._plan.width
        weighted = (by_value.T[:, None, :] * self._left[None]).reshape(-1, self.samples)
        states = (weighted @ self._right.T).reshape(n_obs, -1)
        whole = (states[:, :, None] * self._ground).reshape(n_obs, *[4] * width)
        held = self._plan.order[0].tolist()
        axes = [1 + held.index(digit) for digit in self._orders[0].tolist()]
        return np.ascontiguousarray(whole.transpose(0, *axes)).reshape(n_obs, -1)


def noise_aware_gradients(
    circuits: Sequence[NoiseAwareCircuit], weights: Sequence[ArrayLike], loss: Loss, threads: int = 1
) -> list[tuple[float, Array]]:
    """`value_and_gradient` of several candidates, spread over threads."""
    found: list[Any] = [None] * len(circuits)

    def step(index: int) -> None:
        found[index] = circuits[index].value_and_gradient(weights[index], loss)

    spread(step, len(circuits), threads)
    return found


def energy(values: Array) -> tuple[float, Array]:
    """A `Loss`: the mean of the expectation values, for one Hamiltonian its energy."""
    return float(np.mean(values)), np.full(values.shape, 1 / values.size)


def cross_entropy(labels: NDArray[np.int64]) -> Loss:
    """Mean negative log-likelihood of a softmax over the readouts, by labels [samples]."""

    def loss(values: Array) -> tuple[float, Array]:
        shifted = values - values.max(axis=1, keepdims=True)
        exponents = np.exp(shifted)
        total = exponents.sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        value = float(np.mean(np.log(total[:, 0]) - shifted[rows, labels]))
        gradient = exponents / total
        gradient[rows, labels] -= 1
        return value, gradient / len(labels)

    return loss
