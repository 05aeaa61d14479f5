"""What the options say, read once: task, SuperCircuit and device couplings. Cheap: no data, no Qiskit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from coevo.errors import InputError, MissingExtra
from coevo.spaces.quantumnas.ansatz.design import Layers
from coevo.spaces.quantumnas.ansatz.gate_sets import gate_set_of
from coevo.spaces.quantumnas.ansatz.human import full_width
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.mapping.couplings import Coupling, coupling_of
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.tasks.catalogue import task_of
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState

Task = Classification | GroundState


@contextmanager
def _naming(option: str) -> Iterator[None]:
    """An error that names no option gets this one's name: the command finds its line by it."""
    try:
        yield
    except MissingExtra:
        raise
    except InputError as error:
        if f"'{option}" in str(error):
            raise
        raise type(error)(f"{error} (option {option!r})") from error


@dataclass(frozen=True, eq=False)
class Setting:
    """A problem's parts. `make` raises InputError and UnknownName for options that do not fit together."""

    options: Options
    task: Task
    template: Template
    coupling: Coupling

    @classmethod
    def make(cls, options: Options, task: Task | None = None) -> Setting:
        """Of the task that the options name, or of a task at hand."""
        if task is None:
            with _naming("data"):
                task = task_of(
                    options.data,
                    options.data_path,
                    options.data_seed,
                    options.train_examples,
                    options.validation_examples,
                    options.test_examples,
                    options.start,
                )
        with _naming("device"):
            coupling = coupling_of(options.device, task.n_qubits)
        template = Template(
            gate_set_of(options.gates),
            task.n_qubits,
            options.blocks,
            options.widths,
            options.artifact_depth,
            task.flipped if isinstance(task, GroundState) else (),
        )
        if options.qubits is not None and isinstance(options.layout, tuple):
            raise InputError("options 'qubits' and 'layout' exclude each other: a given layout names its qubits")
        if options.human_parameters is not None and template.gate_set.native:
            raise InputError(
                "option 'human_parameters' stacks full layers, and the pairs of gate set 'native' are the layout's; "
                "give another gate set, or the circuit by 'layers'"
            )
        return cls(options, task, template, coupling)

    @property
    def n_qubits(self) -> int:
        """Logical qubits."""
        return self.task.n_qubits

    @property
    def layers(self) -> Layers | None:
        """The circuit of a search for mappings alone, given or the human design; None where circuits are searched."""
        if self.options.human_parameters is None:
            return self.options.layers
        return full_width(self.template, self.options.human_parameters)

    def check_device(self) -> None:
        """InputError that names what the device lacks on the qubits that a layout may use: a calibrated number, or the
        gates to write any circuit in. It opens the device, so it is asked for when work begins, before anything is
        trained."""
        from coevo.spaces.quantumnas.mapping.couplings import open_device
        from coevo.spaces.quantumnas.mapping.expressible import check_expressible

        device = open_device(self.options.device)
        chosen = self.options.layout if isinstance(self.options.layout, tuple) else self.options.qubits
        try:
            device.require_calibration(chosen)
            check_expressible(device, chosen)
        except InputError as error:
            raise InputError(f"{error} (option 'qubits' names the physical qubits that a search may use)") from error
