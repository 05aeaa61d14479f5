"""Exact noise-aware training: the full-batch loss and its gradient through the noisy channels of a transpiled template.

The template is a `Program` with weights: a transpiled circuit whose angles are affine in them. Whatever the loss is, it
sees the noisy expectation values of all samples, and its gradient by them is all that is needed back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.cost_models.circuit_noise.batch import (
    EncodedBatch,
    spread,
    too_large,
    with_own_matrices,
)
from coevo.cost_models.circuit_noise.checks import floating, real_array
from coevo.cost_models.circuit_noise.ends import End, Readouts, Sums
from coevo.cost_models.circuit_noise.meeting import products
from coevo.cost_models.circuit_noise.pauli_sums import PauliSums
from coevo.cost_models.circuit_noise.program import Program
from coevo.errors import InputError
from coevo.hardware.quantum.table import DOUBLE_BASIS, SINGLE_BASIS

if TYPE_CHECKING:
    from coevo.kernels.pauli_transfer.training import Route

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
        from coevo.kernels.pauli_transfer.blocks import recipe
        from coevo.kernels.pauli_transfer.plan import plan
        from coevo.kernels.pauli_transfer.products import PIECE
        from coevo.kernels.pauli_transfer.training import places, route

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
        rows, singles, doubles = with_own_matrices(program, program.body.rows, table.singles, table.doubles)
        made = plan([rows], [self._end.qubits], [program.encoder.qubits])
        encoded = made.encoded[0]
        if made.width > max(2, max_qubits):
            raise too_large(program, made.width, max_qubits)
        n_obs, width = self._end.n_obs, made.width
        opened = np.zeros(len(rows), bool)
        opened[program.body.terms[:, 0]] = True
        self._recipe = recipe(
            made, rows, program.body.angles, opened, singles, doubles, SINGLE_BASIS, DOUBLE_BASIS, kind
        )
        self._route = route(made.pairs[0, ::-1], width, n_obs)
        self._starts = made.starts[0]
        self._samples(program, data, encoded)
        self._ends = np.take_along_axis(places(self._route, n_obs), self._end.places(self._starts, width), axis=1)
        self._encoded = _where_encoded(self._route, made.order[0].tolist(), len(encoded), n_obs)
        place_of = {row: place for place, row in enumerate(self._recipe.angles.tolist()) if row >= 0}
        kept = np.isin(program.body.terms[:, 0], list(place_of))  # rows outside the light cone turn nothing
        self._terms = program.body.terms[kept].astype(np.int64)
        self._terms[:, 0] = [place_of[row] for row in self._terms[:, 0].tolist()]
        self._slopes = program.body.slopes[kept]
        self._offsets = np.where(self._recipe.angles < 0, 0.0, program.body.angles[self._recipe.angles])
        steps, twos, angles = len(self._recipe.last), len(self._recipe.twos), len(self._recipe.angles)
        self._cosines, self._sines = np.empty(angles, kind), np.empty(angles, kind)
        self._segments = np.tile(np.eye(4, dtype=kind), (made.segments, 1, 1))
        self._turned = np.empty(len(self._recipe.segments.matrices), kind)
        self._wide, self._blocks, self._flow = (np.empty((twos, 16, 16), kind) for _ in range(3))
        pieces = self._route.lanes * 4 ** (width - 2) // PIECE
        self._tiles = np.empty((steps, self._route.groups, pieces, 16 * PIECE), kind)

    def values(self, weights: ArrayLike) -> Array:
        """Noisy expectation values [samples, n_obs]."""
        return self._expectations(self._backward(self._checked(weights)))

    def value_and_gradient(self, weights: ArrayLike, loss: Loss) -> tuple[float, Array]:
        """The loss of all samples and its gradient [num_weights]."""
        value, by_value = loss(self._expectations(self._backward(self._checked(weights))))
        if by_value.shape != (self.samples, self._end.n_obs):
            raise InputError(
                f"the loss gave a gradient of shape {by_value.shape}; expected [samples, n_obs] = "
                f"{(self.samples, self._end.n_obs)}"
            )
        return value, self._gradient(self._weighted_states(by_value))

    def sweeps(self, weights: ArrayLike) -> Array:
        """Both sweeps without any data, the gradient of sum_o Tr(O_o) [num_weights]: what a step costs beside the two
        matrix products that meet the samples. For benchmarks."""
        states = np.zeros_like(self._backward(self._checked(weights)))
        states.reshape(-1)[self._encoded[:, 0, 0]] = 1
        return self._gradient(states)

    def _samples(self, program: Program, data: Array, encoded: list[int]) -> None:
        """Encoded samples as two factors, [L, samples] of the first qubits and [R, samples] of the others. One matrix
        product meets the second, sums a sample the first; so the first is kept small."""
        vectors = dict(zip(program.encoder.qubits, EncodedBatch([program], data, self._kind).vectors(0), strict=True))
        ordered = [vectors[qubit] for qubit in encoded]
        split = min(len(ordered) // 2, max(0, len(ordered) - 3))
        self.samples = len(data)
        self._left = np.ascontiguousarray(products(ordered[:split], self.samples), dtype=self._kind)
        self._right = np.ascontiguousarray(products(ordered[split:], self.samples), dtype=self._kind)

    def _checked(self, weights: ArrayLike) -> Array:
        numbers = real_array(weights, "the weights")
        if numbers.shape != (self.program.num_weights,) or not np.isfinite(numbers).all():
            raise InputError(f"expected {self.program.num_weights} finite weights, got an array of {numbers.shape}")
        return numbers

    def _backward(self, weights: Array) -> Array:
        """The operators before the first block, as the sweeps have them."""
        from coevo.kernels.pauli_transfer.blocks import build
        from coevo.kernels.pauli_transfer.training import sweep_back

        made, lanes, way = self._recipe, self._recipe.segments, self._route
        build(
            self._offsets, self._terms, self._slopes, weights, lanes.members, lanes.begins, lanes.steps,
            lanes.matrices, lanes.turns, made.twos, made.pair_turns, made.begins, made.columns, made.entries,
            self._cosines, self._sines, self._segments.reshape(-1), self._turned, self._wide.reshape(-1),
            self._blocks.reshape(-1),
        )  # fmt: skip
        operators: Array = np.zeros(self._tiles.shape[1:], self._kind)
        operators.reshape(-1)[self._ends] = self._end.fill(self._starts, self._segments)
        sweep_back(self._blocks, made.last, way.strides, way.runs, way.begins, operators, self._tiles)
        return operators

    def _gradient(self, states: Array) -> Array:
        """The gradient [num_weights] for the operators R_o before the first block, as the sweeps have them; used up."""
        from coevo.kernels.pauli_transfer.blocks import chain
        from coevo.kernels.pauli_transfer.training import by_weight, sweep_forward

        made, lanes, way = self._recipe, self._recipe.segments, self._route
        sweep_forward(self._blocks, made.last, way.strides, way.runs, way.begins, self._tiles, states, self._flow)
        by_segment, by_place = np.zeros_like(self._segments), np.zeros_like(self._cosines)
        self._end.flow(self._starts, self._segments, states.reshape(-1)[self._ends], by_segment)
        chain(
            lanes.members, lanes.begins, lanes.steps, lanes.matrices, lanes.turns, made.twos, made.pair_turns,
            made.begins, made.columns, made.entries, self._cosines, self._sines, self._segments.reshape(-1),
            self._turned, self._wide.reshape(-1), self._blocks.reshape(-1), self._flow.reshape(-1),
            by_segment.reshape(-1), by_place,
        )  # fmt: skip
        gradient = np.zeros(self.program.num_weights, self._kind)
        by_weight(self._terms, self._slopes, by_place, gradient)
        return gradient

    def _expectations(self, operators: Array) -> Array:
        from coevo.kernels.pauli_transfer.training import meet_left

        n_obs = self._end.n_obs
        met = operators.reshape(-1).take(self._encoded)
        met = met[..., 0] if met.shape[2] == 1 else met.sum(axis=2)  # [n_obs, L R]
        partial: Array = met.reshape(n_obs * len(self._left), -1) @ self._right
        if len(self._left) == 1:
            return partial.T
        values = np.empty((n_obs, self.samples), self._kind)
        meet_left(partial.reshape(n_obs, len(self._left), -1), self._left, values)
        return values.T

    def _weighted_states(self, by_value: Array) -> Array:
        """R_o = sum over samples of by_value[sample, o] times the sample, as the sweeps begin with it."""
        from coevo.kernels.pauli_transfer.training import weigh_left

        n_obs = self._end.n_obs
        factors = np.ascontiguousarray(by_value.T, dtype=self._kind)
        weighted = factors[:, None]
        if len(self._left) > 1:
            weighted = np.empty((n_obs, *self._left.shape), self._kind)
            weigh_left(factors, self._left, weighted)
        met = weighted.reshape(-1, self.samples) @ self._right.T
        states = np.zeros(self._tiles.shape[1:], self._kind)
        states.reshape(-1)[self._encoded] = met.reshape(n_obs, -1, 1)
        return states


def _where_encoded(way: Route, digits: list[int], encoded: int, n_obs: int) -> NDArray[np.int64]:
    """[n_obs, 4^encoded, 2^others]: where the operators before the first block have what a sample meets. `digits` are
    the encoded qubits' digits, then the others'; a qubit in |0> meets I and Z alone."""
    from coevo.kernels.pauli_transfer.training import places

    order = way.orders[0].tolist()
    width = len(order)
    place = places(way, n_obs).reshape(n_obs, *[4] * width)
    axes = [1 + order.index(digit) for digit in digits]
    found = place.transpose(0, *axes).reshape(n_obs, 4**encoded, *[4] * (width - encoded))
    for axis in range(2, found.ndim):
        found = found.take([0, 3], axis=axis)
    return np.ascontiguousarray(found.reshape(n_obs, 4**encoded, -1))


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
    from coevo.kernels.softmax import constants
    from coevo.kernels.softmax import cross_entropy as compiled_cross_entropy

    targets: dict[tuple[int, np.dtype[Any]], Array] = {}

    def loss(values: Array) -> tuple[float, Array]:
        key = (values.shape[1], values.dtype)
        if key not in targets:
            targets[key] = np.ascontiguousarray(np.eye(values.shape[1], dtype=values.dtype)[labels].T)
        integers, limits = constants(values.dtype)
        logits = np.array(values.T, order="C")
        value = compiled_cross_entropy(logits, logits.view(integers), targets[key], limits, len(values))
        logits *= 0.5  # it gives twice the gradient
        return float(value), logits.T

    return loss
