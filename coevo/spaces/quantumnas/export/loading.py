"""An exported folder as an object, read with Qiskit and without the options that made it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

try:
    from qiskit import QuantumCircuit
    from qiskit.primitives.containers.estimator_pub import EstimatorPub
    from qiskit.primitives.containers.sampler_pub import SamplerPub
except ImportError as error:
    from coevo.errors import missing_extra

    raise missing_extra("qiskit", "quantum") from error

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas.export.examples_file import read_examples
from coevo.spaces.quantumnas.export.formats import read_circuit, read_weights
from coevo.spaces.quantumnas.export.layout_file import read_layout
from coevo.spaces.quantumnas.export.outputs import noisy_outputs
from coevo.spaces.quantumnas.export.pubs import PRECISION, SHOTS, read_pubs, readout_operators
from coevo.spaces.quantumnas.export.task_file import read_task
from coevo.spaces.quantumnas.mapping.couplings import open_device
from coevo.spaces.quantumnas.setting import Task
from coevo.spaces.quantumnas.tasks.scaling import AngleScaler
from coevo.spaces.quantumnas.tasks.task import Classification, Examples

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """`initial[i]` and `final[i]` are the physical qubit of logical qubit i before and after the body; `device` is the
    fingerprint of the calibration that the circuit was mapped for."""

    initial: tuple[int, ...]
    final: tuple[int, ...]
    device: dict[str, Any]


def load(folder: Path | str) -> Exported:
    """An exported folder. InputError that names the file which is missing or is not what it ought to be."""
    folder = Path(folder)
    try:
        told, task = read_layout(folder), read_task(folder)
        layout = Layout(told.initial, told.final, told.device)
        theta = read_weights(folder / "weights.safetensors")
        return Exported(folder, task, layout, theta, read_examples(folder, task).examples, told.option)
    except InputError as error:
        raise InputError(f"{folder} is no exported quantum design: {error}") from error


@dataclass(frozen=True, eq=False)
class Exported:
    """What `load` read: `task` (without its data), `layout`, `theta` (the weights, float64 [angles], radians) and
    `examples` (None for a ground state). `device` is what `[options] device` was."""

    folder: Path
    task: Task
    layout: Layout
    theta: Real
    examples: Examples | None
    device: str

    @property
    def scaler(self) -> AngleScaler:
        """What makes x of raw rows: `scaler.angles(rows)`. InputError for a task whose inputs are no columns of
        numbers, such as images."""
        if not isinstance(self.task, Classification) or self.task.read_scaler is None:
            raise InputError(f"{self.task.name} has no scaler: its inputs are not made of columns of numbers")
        return self.task.read_scaler()

    def logical(self, bind: bool = False) -> QuantumCircuit:
        """Encoder | barrier | body | measurement on logical qubits, with x[..] unbound; theta[..] too unless `bind`."""
        circuit = self._logical.copy()
        return self._bound(circuit, None, self.theta) if bind else circuit

    def bind(self, x: ArrayLike | None = None, weights: ArrayLike | None = None) -> QuantumCircuit:
        """The logical circuit with everything bound: `x` [columns] in radians (None for a ground state) and `weights`
        [angles], the exported ones unless given. InputError for other sizes and numbers that are not finite."""
        theta = self.theta if weights is None else _vector(weights, len(self.theta), "weights")
        return self._bound(self._logical, self._inputs(x), theta)

    def isa(self, x: ArrayLike | None = None) -> QuantumCircuit:
        """The circuit on the device, in its gates, weights bound; inputs are unbound unless `x` [columns] is given."""
        return self._isa.copy() if x is None else self._bound(self._isa, self._inputs(x), None)

    def pubs(
        self, *, logical: bool = False, shots: int | None = None, precision: float | None = None
    ) -> tuple[list[SamplerPub], list[EstimatorPub]]:
        """(sampler PUBs, estimator PUBs) over the examples, as `pubs.read_pubs` gives them; of the logical circuit,
        which simulators like better, if `logical`."""
        if not logical:
            return read_pubs(self.folder, shots=shots, precision=precision)
        circuit = self.logical(bind=True)
        bare = circuit.remove_final_measurements(inplace=False)
        observables: Any = readout_operators(self.task)
        bound = each = None
        if self.examples is not None:
            names = tuple(parameter.name for parameter in circuit.parameters)
            values = self.examples.inputs[:, [int(name[2:-1]) for name in names]]
            bound, each = {names: values}, {names: values[:, None]}
        else:
            observables = observables[0]
        return (
            [SamplerPub.coerce((circuit, bound, SHOTS if shots is None else shots))],
            [EstimatorPub.coerce((bare, observables, each, PRECISION if precision is None else precision))],
        )

    def noisy_outputs(self, inputs: ArrayLike | None = None, device: QuantumDevice | None = None) -> Real:
        """Exact outputs of the mapped circuit under the device's noise: logits [examples, classes] of inputs
        [examples, columns] in radians (the folder's examples unless given), or the energy [1].

        The device is the one of the export, as it is installed here; InputError where its calibration is another one
        by now, unless you give the `device` yourself.
        """
        if device is None:
            device = open_device(self.device)
            if device.fingerprint()["calibration_sha256"] != self.layout.device["calibration_sha256"]:
                raise InputError(
                    f"the calibration of {self.device} is not the one of the export; give device=QuantumDevice... to "
                    "take the new one"
                )
        rows = np.zeros((1, 0))
        if isinstance(self.task, Classification):
            assert self.examples is not None
            rows = self.examples.inputs if inputs is None else np.asarray(inputs, dtype=np.float64)
            if rows.ndim != 2 or rows.shape[1] != self.task.columns or not np.isfinite(rows).all():
                raise InputError(
                    f"expected finite inputs [examples, {self.task.columns}] in radians, got shape {list(rows.shape)}"
                )
        elif inputs is not None:
            raise InputError(f"{self.task.name} is a ground state: its circuit has no inputs")
        return noisy_outputs(self.task, self._isa, device, rows)

    @cached_property
    def _logical(self) -> QuantumCircuit:
        return read_circuit(self.folder / "circuit.qpy")

    @cached_property
    def _isa(self) -> QuantumCircuit:
        return read_circuit(self.folder / "isa.qpy")

    def _inputs(self, x: ArrayLike | None) -> Real | None:
        if not isinstance(self.task, Classification):
            if x is not None:
                raise InputError(f"{self.task.name} is a ground state: its circuit has no inputs")
            return None
        if x is None:
            raise InputError(f"expected x, the {self.task.columns} angles of an example in radians")
        return _vector(x, self.task.columns, "x")

    def _bound(self, circuit: QuantumCircuit, x: Real | None, theta: Real | None) -> QuantumCircuit:
        values: dict[str, float] = {}
        for name, numbers in (("x", x), ("theta", theta)):
            if numbers is not None:
                values |= {f"{name}[{index}]": number for index, number in enumerate(numbers.tolist())}
        return circuit.assign_parameters({p: values[p.name] for p in circuit.parameters if p.name in values})


def _vector(numbers: ArrayLike, length: int, what: str) -> Real:
    found = np.asarray(numbers, dtype=np.float64)
    if found.shape != (length,) or not np.isfinite(found).all():
        raise InputError(f"expected {length} finite angles in radians for {what}, got shape {list(found.shape)}")
    return found
