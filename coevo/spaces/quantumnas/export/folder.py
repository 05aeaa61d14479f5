"""Taking a design home: every file that a user needs.

Besides what the caller adds, the folder holds
    circuit.qpy, circuit.qasm3   encoder | barrier | body | measurement on logical qubits; x[..] and theta[..] unbound
    isa.qpy, isa.qasm3           the same on the device, in its gates: theta bound, x unbound
    circuit.qasm2, isa.qasm2     the same with x bound to the first example too: OpenQASM 2 has no parameters
    estimator.qpy, pubs.json     ready PUBs for the V2 primitives; `pubs.read_pubs` reads them
    torchquantum.json            encoder and body as torchquantum's op lists
    layout.json                  where each logical qubit starts, where routing leaves it, and what was mapped how
    weights.safetensors          theta, float64 [angles of the design], in the order of its gates
    task.json                    scaler, encoder and head, or the Hamiltonian: what inputs and readout mean
    examples.json                some validation examples with the logits they must give, or the energies, noise-free
                                 and noisy
    drawing.svg, circuit.txt     for the eye: ours, and Qiskit's text drawing of circuit.qpy
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.export.documents import write_json
from coevo.spaces.quantumnas.export.drawing import draw
from coevo.spaces.quantumnas.export.examples_file import FILE as EXAMPLES
from coevo.spaces.quantumnas.export.examples_file import examples_document
from coevo.spaces.quantumnas.export.formats import write_circuit, write_weights
from coevo.spaces.quantumnas.export.layout_file import FILE as LAYOUT
from coevo.spaces.quantumnas.export.layout_file import layout_document
from coevo.spaces.quantumnas.export.op_lists import FILE as OP_LISTS
from coevo.spaces.quantumnas.export.op_lists import op_lists
from coevo.spaces.quantumnas.export.pictures import text_drawing
from coevo.spaces.quantumnas.export.pubs import write_pubs
from coevo.spaces.quantumnas.export.settle import Settled, settle
from coevo.spaces.quantumnas.export.task_file import FILE as TASK
from coevo.spaces.quantumnas.export.task_file import task_document
from coevo.spaces.quantumnas.mapping.circuits import logical_circuit
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Examples

SHOWN = 8  # examples that go along


def export_design(setting: Setting, design: CoDesign, context: WorkContext) -> dict[str, float]:
    """Settles the design, which trains and tests it, and writes the folder; returns the measurements."""
    settled = settle(setting, design, context)
    steps = setting.options.scratch_steps
    context.progress(steps + 2, steps + 3, "writing the circuits")
    write_folder(context.folder, setting, settled)
    context.progress(steps + 3, steps + 3, "exported")
    return settled.measured


def write_folder(folder: Path, setting: Setting, settled: Settled) -> None:
    """All files of a settled design."""
    template, mapped, design = setting.template, settled.mapped, settled.design
    shown = shown_examples(settled.scorer.examples)
    used = template.used_angles(design.layers)
    theta = settled.angles[used].astype(np.float64)
    logical = _logical(setting, settled)
    write_weights(folder / "weights.safetensors", theta)
    write_circuit(folder / "circuit.qpy", logical)
    write_circuit(folder / "circuit.qasm3", logical)
    isa = mapped.whole()
    write_circuit(folder / "isa.qpy", isa)
    write_circuit(folder / "isa.qasm3", isa)
    _write_bound(folder, logical, isa, theta, shown)
    write_pubs(folder, mapped.whole(measured=False), setting.task, None if shown is None else shown.inputs)
    write_json(folder / OP_LISTS, op_lists(setting, design.layers, settled.angles))
    write_json(folder / TASK, task_document(setting.task))
    write_json(
        folder / LAYOUT,
        layout_document(
            mapped.initial,
            mapped.final,
            design.layers,
            settled.scorer.mapper.device.fingerprint(),
            setting.options.device,
            None if shown is None else 0,
        ),
    )
    write_json(folder / EXAMPLES, _examples(settled, shown))
    placed = replace(design, layout=mapped.initial)
    (folder / "drawing.svg").write_text(draw(setting, placed), encoding="utf-8")
    (folder / "circuit.txt").write_text(text_drawing(logical), encoding="utf-8")


def _logical(setting: Setting, settled: Settled) -> QuantumCircuit:
    """With x and theta unbound; untrained angles are numbers."""
    used = setting.template.used_angles(settled.design.layers)
    symbols: list[Any] = list(settled.angles.tolist())
    for slot, parameter in zip(used, ParameterVector("theta", len(used)), strict=True):
        symbols[slot] = parameter
    return logical_circuit(settled.scorer.mapper.front, setting.template.gates_of(settled.design.layers), symbols)


def shown_examples(validation: Examples | None) -> Examples | None:
    """A few examples, spread over all of them."""
    if validation is None:
        return None
    rows = np.linspace(0, len(validation) - 1, min(SHOWN, len(validation))).astype(int)
    return Examples(validation.inputs[rows], validation.labels[rows])


def _write_bound(
    folder: Path, logical: QuantumCircuit, isa: QuantumCircuit, theta: Any, shown: Examples | None
) -> None:
    values = {f"theta[{index}]": value for index, value in enumerate(theta.tolist())}
    comment = "OpenQASM 2 has no parameters: the weights are bound to weights.safetensors"
    if shown is not None:
        values |= {f"x[{column}]": value for column, value in enumerate(shown.inputs[0].tolist())}
        comment += ", the\ninputs to those of examples[0] in examples.json. The .qpy and .qasm3 leave inputs open."
    for name, circuit in (("circuit", logical), ("isa", isa)):
        bound = circuit.assign_parameters({p: values[p.name] for p in circuit.parameters})
        write_circuit(folder / f"{name}.qasm2", bound, comment)


def _examples(settled: Settled, shown: Examples | None) -> dict[str, Any]:
    scorer, mapped = settled.scorer, settled.mapped
    noise_free = scorer.noise_free(settled.design, settled.angles, shown)
    noisy = scorer.outputs([mapped], shown)[0] if scorer.follows(mapped) else None
    if shown is None:
        return examples_document(None, noise_free[None], None if noisy is None else np.array([noisy]))
    return examples_document(shown, noise_free, noisy)
