"""Exact noisy expectation values of many programs over one data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.cost_models.circuit_noise.checks import floating, real_array, whole_number
from coevo.cost_models.circuit_noise.meeting import meet
from coevo.cost_models.circuit_noise.program import Encoder, Program, Rows
from coevo.errors import InputError
from coevo.hardware.quantum.table import DOUBLE_BASIS, SINGLE_BASIS

MAX_QUBITS = 10
"""Default limit on the light cone: 4^10 coefficients are 8 MiB an operator."""

Array = NDArray[Any]
Engine = Literal["compiled", "reference", "torch", "triton"]
ENGINES = ("compiled", "reference", "torch", "triton")


def noisy_expectations(
    programs: Sequence[Program],
    inputs: ArrayLike | None = None,
    *,
    dtype: Any = np.float64,
    engine: Engine = "compiled",
    threads: int = 1,
    device: str = "cpu",
    max_qubits: int = MAX_QUBITS,
) -> Array:
    """Measured <Z> [programs, samples, n_obs]: exact, without shots, readout error included.

    Args:
        programs: of one or several devices, all with equally many readouts and inputs.
        inputs: [samples, num_inputs], radians; None for programs without inputs, which gives one sample.
        dtype: float64 or float32, of the sweep, the states and the result.
        engine: "compiled" (numba, one program after the other), "torch" (all programs of the batch as tensors on
            `device`), "triton" (the same as kernels for a CUDA device, with "cuda" as `device`), or "reference" (NumPy,
            gate by gate; slow and obvious).
        threads: of the compiled engine: programs are spread over them, or readouts where there is one program.
            BLAS has its own setting.
        device: of the engines torch and triton.
        max_qubits: the largest light cone accepted.

    Raises:
        InputError: no agreement between the programs, inputs of another shape or not finite, a light cone of more than
            `max_qubits` qubits (see `success_rate` and `trajectory_expectations` for larger circuits).
    """
    kind = check_options(dtype, engine, threads)
    data = check_inputs(programs, inputs)
    if not programs:
        return np.empty((0, len(data), 0), kind)
    if engine == "reference":
        from coevo.cost_models.circuit_noise.plain import plain_expectations

        return np.array([plain_expectations(program, data, max_qubits) for program in programs], kind)
    if engine in ("torch", "triton"):
        from coevo.cost_models.circuit_noise.torch_batch import torch_expectations

        return torch_expectations(programs, data, kind, engine, device, max_qubits)
    states = EncodedBatch(programs, data, kind)
    tables = Tables(programs, kind)
    return judged(
        states, len(programs), lambda index, inner: swept(programs[index], tables, max_qubits, inner), threads
    )


def check_options(dtype: Any, engine: str, threads: int) -> Any:
    """The dtype; InputError for what no engine takes."""
    kind = floating(dtype)
    if engine not in ENGINES:
        raise InputError(f"expected an engine of {', '.join(ENGINES)}, got {engine!r}")
    if whole_number(threads, "threads") < 1:
        raise InputError(f"expected 1 thread or more, got {threads}")
    return kind


Swept = tuple[Array, list[int], NDArray[np.uint8]]
"""Operators [n_obs, 4^m] over m of a program's encoded qubits, which of them (places in `encoder.qubits`), and which of
those m each operator reaches [n_obs, m]."""


def judged(states: EncodedBatch, count: int, sweep: Callable[[int, int], Swept], threads: int) -> Array:
    """Expectation values [programs, samples, n_obs]. `sweep` (program's index, threads for it) gives its operators.
    Programs are spread over the threads, and a single one has them all."""
    found: list[Any] = [None] * count
    inner = threads if count == 1 else 1

    def judge(index: int) -> None:
        found[index] = states.meet(index, *sweep(index, inner))

    spread(judge, count, 1 if count == 1 else threads)
    return np.array(found, states.kind)


def check_inputs(programs: Sequence[Program], inputs: ArrayLike | None) -> Array:
    """The inputs as float64 [samples, num_inputs], contiguous."""
    if isinstance(programs, Program):
        raise InputError("expected a sequence of programs, got one program; give [program]")
    counts = {program.num_inputs for program in programs}
    reads = {len(program.read) for program in programs}
    if len(counts) > 1 or len(reads) > 1:
        raise InputError(
            f"expected programs with one number of inputs and readouts, got {sorted(counts)} and {sorted(reads)}"
        )
    if any(program.num_weights for program in programs):
        raise InputError("a program has unbound weights; bind them with `bind_weights`")
    wanted = counts.pop() if counts else 0
    data = np.zeros((1, 0)) if inputs is None else real_array(inputs, "the inputs")
    if data.ndim != 2 or (programs and data.shape[1] != wanted):
        raise InputError(f"expected inputs [samples, {wanted}], got shape {data.shape}")
    if not np.isfinite(data).all():
        raise InputError("the inputs hold angles that are NaN or infinite; expected finite radians")
    return np.ascontiguousarray(data)


class Tables:
    """The channel tables of the programs' devices in one precision, program-own matrices appended."""

    def __init__(self, programs: Sequence[Program], kind: Any):
        self.bases = (SINGLE_BASIS.astype(kind), DOUBLE_BASIS.astype(kind))
        self._kind = kind
        self._stacks: dict[int, tuple[Array, Array]] = {}
        for program in programs:
            if id(program.device) not in self._stacks:
                table = program.device.channels
                self._stacks[id(program.device)] = (table.singles.astype(kind), table.doubles.astype(kind))

    def of(self, program: Program) -> tuple[Array, Array, Array]:
        """(rows, singles, doubles) of a program, its own matrices numbered behind those of its device."""
        return with_own_matrices(program, program.body.rows, *self._stacks[id(program.device)])


def with_own_matrices(
    program: Program | Encoder, rows: Array, singles: Array, doubles: Array
) -> tuple[Array, Array, Array]:
    """Rows whose codes -2 - i name matrices of the program, as rows whose codes name appended matrices."""
    if not program.matrices:
        return rows, singles, doubles
    stacks = [list(singles), list(doubles)]
    number = []
    for matrix in program.matrices:
        stack = stacks[int(len(matrix) == 16)]
        number.append(len(stack))
        stack.append(matrix.astype(singles.dtype))
    rows = rows.copy()
    own = rows[:, 3] < -1
    rows[own, 3] = np.array(number, np.int32)[-2 - rows[own, 3]]
    return rows, np.array(stacks[0]).reshape(-1, 4, 4), np.array(stacks[1]).reshape(-1, 16, 16)


def swept(program: Program, tables: Tables, max_qubits: int, threads: int = 1) -> Swept:
    """A program's readouts over its encoded qubits; other qubits are |0>."""
    read = np.array(program.read)

    def starts(position: Array, tails: Array) -> tuple[Array, Array]:
        places = position[read]
        kept = tails[places]
        return places[:, None], program.readout[:, :1] * kept[:, 0] + program.readout[:, 1:] * kept[:, 3]

    return swept_operators(program, read, starts, tables, max_qubits, threads)


def swept_operators(
    program: Program,
    touched: Array,
    starts: Callable[[Array, Array], tuple[Array, Array]],
    tables: Tables,
    max_qubits: int,
    threads: int = 1,
) -> Swept:
    """Operators on the `touched` physical qubits, over the encoded qubits inside their light cone.

    `starts` is given where each physical qubit stands in the light cone, and the matrices of the rows after each cone
    qubit's last block; it gives the operators as the kernel `pull_back` takes them: (supports, starts).
    """
    from coevo.kernels.pauli_transfer.sweep import assemble, pull_back

    rows, singles, doubles = tables.of(program)
    count = program.device.num_qubits
    pairs, blocks, tails, position, size = assemble(
        rows, program.body.angles, singles, doubles, *tables.bases, touched, count, max_qubits
    )
    if size > max_qubits:
        raise too_large(program, size, max_qubits)
    columns = np.full(size, -1, np.int32)
    inside = [place for place, qubit in enumerate(program.encoder.qubits) if position[qubit] >= 0]
    for digit, place in enumerate(inside):
        columns[position[program.encoder.qubits[place]]] = digit
    encoded = len(inside)
    supports, begin = starts(position, tails)
    supports, begin = supports.astype(np.int32), begin.astype(singles.dtype)
    out = np.empty((len(supports), 4**encoded), singles.dtype)
    reached = np.zeros((len(supports), encoded), np.uint8)
    threads = min(threads, len(supports))

    def pull(part: int) -> None:
        chosen = slice(part, None, threads)
        some, ours = np.empty((len(supports[chosen]), out.shape[1]), out.dtype), reached[chosen].copy()
        pull_back(pairs, blocks, supports[chosen].copy(), begin[chosen].copy(), columns, encoded, some, ours)
        out[chosen] = some
        reached[chosen] = ours

    if threads <= 1:
        pull_back(pairs, blocks, supports, begin, columns, encoded, out, reached)
    else:
        spread(pull, threads, threads)
    return out, inside, reached


def too_large(program: Program, size: int, max_qubits: int) -> InputError:
    """The error for a light cone beyond the limit."""
    mib = 4**size * 8 / 2**20
    return InputError(
        f"the light cone of the readout has {size} qubits of {program.device.name}, more than max_qubits={max_qubits}: "
        f"each readout would take 4^{size} coefficients, {mib:,.0f} MiB. For larger circuits there are "
        "success-rate estimates (success_rate) and sampled trajectories (trajectory_expectations)"
    )


class EncodedBatch:
    """The encoded samples of several programs; equal encoders of a qubit are prepared once."""

    def __init__(self, programs: Sequence[Program], data: Array, kind: Any, with_numba: bool = True):
        self._with_numba = with_numba
        self.samples = len(data)
        self.kind = kind
        self._vectors: dict[Any, Array] = {}
        self._names: list[list[Any]] = []
        self._inputs = np.ascontiguousarray(data.T, dtype=kind)
        self._turns: Array | None = None
        for program in programs:
            names = []
            for part, key in zip(program.encoder.parts, program.encoder.keys, strict=True):
                name = (id(program.device), key)
                if name not in self._vectors:
                    self._vectors[name] = self._encode(program.encoder, part)
                names.append(name)
            self._names.append(names)

    def vectors(self, index: int) -> list[Array]:
        """For each encoded qubit of a program its Pauli vectors [4, samples]."""
        return [self._vectors[name] for name in self._names[index]]

    def meet(self, index: int, coefficients: Array, places: Sequence[int], reached: NDArray[np.uint8]) -> Array:
        """Expectation values [samples, n_obs] of operators [n_obs, 4^m] on m encoded qubits in a program's samples."""
        vectors = self.vectors(index)
        return meet(coefficients, reached, [vectors[place] for place in places], self.samples)

    def _encode(self, encoder: Encoder, part: Rows) -> Array:
        first, steps, offsets, terms = merged_steps(encoder, part)
        if not self._with_numba:
            from coevo.kernels.pauli_transfer import encode_states

            angles = np.zeros((len(steps), self.samples)) + offsets[:, None]
            np.add.at(angles, terms[:, 0], part.slopes[:, None] * self._inputs[terms[:, 1]])
            return encode_states(steps, first, angles).astype(self.kind)
        from coevo.kernels.pauli_transfer.encode import encode

        if self._turns is None:
            self._turns = np.ascontiguousarray(
                np.stack([np.cos(self._inputs), np.sin(self._inputs)], axis=1), dtype=self.kind
            )
        out = np.empty((4, self.samples), self.kind)
        encode(
            steps.astype(self.kind), first.astype(self.kind), offsets.astype(self.kind), terms,
            part.slopes.astype(self.kind), self._inputs, self._turns, out,
        )  # fmt: skip
        return out


def merged_steps(encoder: Encoder, part: Rows) -> tuple[Array, Array, Array, NDArray[np.int32]]:
    """One qubit's encoder as (vector before the first data-dependent rotation, steps [K, 3, 4, 4], offsets [K], terms
    by rotation): constant rows are multiplied into the rotation before them."""
    table = encoder.device.channels
    rows, singles, _ = with_own_matrices(encoder, part.rows, table.singles, table.doubles)
    moving = sorted(set(part.terms[:, 0].tolist()))
    number = {row: step for step, row in enumerate(moving)}
    vector, steps = np.array([1.0, 0, 0, 1]), []
    for position, (_, _, rotation, after) in enumerate(rows.tolist()):
        if position in number:
            parts = SINGLE_BASIS[rotation].copy()
            steps.append(parts if after < 0 else singles[after] @ parts)
            continue
        matrix = np.eye(4)
        if rotation >= 0:
            constant, cosine, sine = SINGLE_BASIS[rotation]
            matrix = constant + np.cos(part.angles[position]) * cosine + np.sin(part.angles[position]) * sine
        if after >= 0:
            matrix = singles[after] @ matrix
        if steps:
            steps[-1] = matrix @ steps[-1]
        else:
            vector = matrix @ vector
    terms = np.array([(number[row], index) for row, index in part.terms.tolist()], np.int32).reshape(-1, 2)
    return vector, np.array(steps).reshape(-1, 3, 4, 4), part.angles[moving], terms


def spread(task: Callable[[int], None], count: int, threads: int) -> None:
    """task(0), ... task(count - 1), on several threads; the first error is raised."""
    if threads == 1 or count == 1:
        for index in range(count):
            task(index)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(task, range(count)):
            pass
