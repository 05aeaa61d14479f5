"""Exact measured Pauli sums and bit strings of many noisy programs over one data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from coevo.cost_models.circuit_noise.batch import (
    MAX_QUBITS,
    Array,
    EncodedBatch,
    Engine,
    Swept,
    Tables,
    check_inputs,
    check_options,
    judged,
    swept_operators,
)
from coevo.cost_models.circuit_noise.pauli_sums import PauliSums, transformed
from coevo.cost_models.circuit_noise.program import Program
from coevo.errors import InputError

MAX_READ = 8
"""Limit of `outcome_probabilities`: 8 qubits are 255 products of Z, each swept by itself."""


def noisy_pauli_sums(
    programs: Sequence[Program],
    labels: Sequence[str],
    coefficients: ArrayLike,
    inputs: ArrayLike | None = None,
    *,
    dtype: Any = np.float64,
    engine: Engine = "compiled",
    threads: int = 1,
    device: str = "cpu",
    max_qubits: int = MAX_QUBITS,
    readout_error: bool = True,
    basis_change_noise: bool = True,
) -> Array:
    """Measured expectation values [programs, samples, n_obs] of Hermitian Pauli sums: exact, without shots.

    How a string is measured, and what `labels` and `coefficients` [n_obs, K] are: `coevo.cost_models.circuit_noise.
    pauli_sums`. A whole sum is swept back through the circuit at once, so a Hamiltonian of a thousand strings costs
    what one string on as many qubits does.

    Args:
        readout_error: False leaves out the readout's confusion.
        basis_change_noise: False makes the basis changes for X and Y ideal.
        others: as `noisy_expectations` has them. The labels are over each program's own `read`.

    Raises:
        InputError: as `noisy_expectations` and `PauliSums` do; labels of another length than `read`; a device without
            the gates to measure X or Y on a qubit that needs them.
    """
    kind = check_options(dtype, engine, threads)
    sums = PauliSums(labels, coefficients, readout_error=readout_error, basis_change_noise=basis_change_noise)
    data = check_inputs(programs, inputs)
    for program in programs:
        sums.check(program)
    n_obs = len(sums.coefficients)
    if not programs or not sums.touched:  # multiples of the identity, whatever the circuit
        constants = np.array([sums.operator(observable, ()) for observable in range(n_obs)], kind)
        return np.broadcast_to(constants, (len(programs), len(data), n_obs)).copy()
    if engine == "reference":
        from coevo.cost_models.circuit_noise.plain import plain_pauli_sums

        return np.array([plain_pauli_sums(program, sums, data, max_qubits) for program in programs], kind)
    if engine in ("torch", "triton"):
        from coevo.cost_models.circuit_noise.torch_batch import torch_pauli_sums

        return torch_pauli_sums(programs, sums, data, kind, engine, device, max_qubits)
    states = EncodedBatch(programs, data, kind)
    tables = Tables(programs, kind)
    operators = [sums.operator(observable, places) for observable, places in enumerate(sums.supports)]
    return judged(
        states,
        len(programs),
        lambda index, inner: swept_sums(programs[index], sums, operators, tables, max_qubits, inner),
        threads,
    )


def outcome_probabilities(programs: Sequence[Program], inputs: ArrayLike | None = None, **options: Any) -> Array:
    """Probabilities [programs, samples, 2^n_read] of the read bit strings: exact, readout error included.

    Bit t of an outcome's index is what the qubit read[t] gives. They come from all 2^n_read products of Z by a
    Walsh-Hadamard transform; what rounding leaves below 0 is set to 0. `options` are those of `noisy_pauli_sums`.

    Raises InputError as `noisy_pauli_sums` does, and beyond 8 read qubits.
    """
    check_inputs(programs, inputs)
    count = len(programs[0].read) if programs else 0
    if count > MAX_READ:
        raise InputError(
            f"the programs read {count} qubits, which have {2**count} outcomes; expected {MAX_READ} qubits or fewer"
        )
    labels = ["".join("Z" if mask >> t & 1 else "I" for t in reversed(range(count))) for mask in range(2**count)]
    if not programs:
        return np.empty((0, len(check_inputs(programs, inputs)), 1))
    table = noisy_pauli_sums(programs, labels, np.eye(2**count), inputs, **options)
    shape = table.shape
    for bit in range(count):
        pairs = table.reshape(-1, 2 ** (count - 1 - bit), 2, 2**bit)
        table = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2)
    result: Array = np.clip(table.reshape(shape) / table.dtype.type(2**count), 0, None)
    return result


def swept_sums(
    program: Program, sums: PauliSums, operators: Sequence[Array], tables: Tables, max_qubits: int, threads: int = 1
) -> Swept:
    """A program's Pauli sums, given as tensors over their own supports."""
    touched = sums.touched
    read = np.array(program.read)
    measured = dict(zip(touched, sums.measured(program, touched), strict=True))
    most = max(map(len, sums.supports))

    def starts(position: Array, tails: Array) -> tuple[Array, Array]:
        supports = np.full((len(operators), most), -1, np.int32)
        begin = np.zeros((len(operators), 4**most))
        after = {place: measured[place] @ tails[position[read[place]]] for place in touched}
        for observable, (places, tensor) in enumerate(zip(sums.supports, operators, strict=True)):
            supports[observable, : len(places)] = position[read[list(places)]] if places else 0
            begin[observable, : tensor.size] = transformed(tensor, [after[place] for place in places]).ravel()
        return supports, begin

    return swept_operators(program, read[list(touched)], starts, tables, max_qubits, threads)
