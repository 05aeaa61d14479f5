"""What a circuit is trained for: classifying examples, or the ground state of a Hamiltonian.

Both are plain descriptions. A classification reads its data only when it is asked to, and its test part only by
`read_test`, which an export calls once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError

if TYPE_CHECKING:
    from coevo.kernels.statevector import Rotation
    from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
    from coevo.spaces.quantumnas.tasks.scaling import AngleScaler


@dataclass(frozen=True, eq=False)
class Examples:
    """`inputs` float64 [examples, columns], angles in radians; `labels` int64 [examples], 0 to classes - 1.

    InputError for other shapes and for an angle that is not finite.
    """

    inputs: NDArray[np.float64]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.inputs.ndim != 2 or self.labels.shape != self.inputs.shape[:1]:
            raise InputError(
                f"expected angles [examples, columns] and a label an example, got angles {list(self.inputs.shape)} and "
                f"labels {list(self.labels.shape)}"
            )
        bad = np.argwhere(~np.isfinite(self.inputs))
        if len(bad):
            row, column = bad[0]
            raise InputError(f"the angle of example {row}, column {column} is {self.inputs[row, column]}, not finite")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Classification:
    """Classes told apart by the readout: logits = <Z> @ head, then log-softmax and negative log-likelihood.

    `encoder` turns the columns of an example into rotations, in order, on |0...0> (see
    `coevo.kernels.statevector.product_states`); `head` is float64 [n_qubits, classes]. `read_training` gives the
    training and the validation examples. `read_test` is called once, after everything is settled: nothing may be
    chosen by it. `read_scaler` gives what makes angles of raw rows, where raw rows are columns of numbers; images have
    none.
    """

    name: str
    n_qubits: int
    classes: tuple[str, ...]
    encoder: tuple[Rotation, ...]
    head: NDArray[np.float64]
    read_training: Callable[[], tuple[Examples, Examples]]
    read_test: Callable[[], Examples]
    read_scaler: Callable[[], AngleScaler] | None = None

    def __post_init__(self) -> None:
        if self.head.shape != (self.n_qubits, len(self.classes)):
            raise InputError(
                f"task {self.name}: expected a head of [{self.n_qubits} qubits, {len(self.classes)} classes], got "
                f"{list(self.head.shape)}"
            )
        for gate, qubit, column in self.encoder:
            if gate not in {"rx", "ry", "rz"} or not 0 <= qubit < self.n_qubits or column < 0:
                raise InputError(
                    f"task {self.name}: the encoder's ({gate!r}, {qubit}, {column}) is no rx, ry or rz of a column on "
                    f"one of {self.n_qubits} qubits"
                )

    @property
    def columns(self) -> int:
        """Columns that an example has: the encoder's highest and one."""
        return 1 + max(column for _, _, column in self.encoder)

    def without_data(self) -> Classification:
        """The same task, whose readers of examples raise InputError: what an export and a fitted estimator keep of it.
        Its scaler, which is read now, stays."""
        scaler = None if self.read_scaler is None else Held(self.read_scaler())
        return replace(self, read_training=no_data, read_test=no_data, read_scaler=scaler)


@dataclass(frozen=True, eq=False)
class Held:
    """A reader of what is in memory already; it can travel to another process, as a function of a function cannot."""

    value: Any

    def __call__(self) -> Any:
        return self.value


def no_data() -> Any:
    """The reader of a task without its data: InputError."""
    raise InputError("this task is without its data; an export and a fitted estimator hold a few examples alone")


@dataclass(frozen=True, eq=False)
class GroundState:
    """The state of lowest energy of a Hamiltonian, searched without an encoder.

    Circuits start from |0...0>, or from the basis state `start` (leftmost character: the highest qubit), such as a
    molecule's Hartree-Fock state, which X gates before every body prepare. InputError for a state of another size.
    """

    name: str
    hamiltonian: PauliSum
    start: str | None = None

    def __post_init__(self) -> None:
        if self.start is not None and (len(self.start) != self.n_qubits or set(self.start) - set("01")):
            raise InputError(
                f"task {self.name}: expected a start of {self.n_qubits} characters 0 or 1, got {self.start!r}"
            )

    @property
    def n_qubits(self) -> int:
        return self.hamiltonian.n_qubits

    @property
    def flipped(self) -> tuple[int, ...]:
        """The qubits that are 1 at the start, ascending."""
        return tuple(qubit for qubit, bit in enumerate(reversed(self.start or "")) if bit == "1")
