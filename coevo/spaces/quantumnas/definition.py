"""`problem(**options)`: what the entry point offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coevo.search.design import Design
from coevo.search.problem import Problem, Stage, WorkContext
from coevo.spaces.quantumnas.data import N_QUBITS
from coevo.spaces.quantumnas.devices import coupling_of
from coevo.spaces.quantumnas.estimate import QuickEstimate
from coevo.spaces.quantumnas.evaluate import NoisyAccuracy
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.space import CoDesign, make_space
from coevo.spaces.quantumnas.threads import one_thread


def problem(**options: Any) -> Problem:
    """The co-search problem; keywords are the fields of `Options`.

    Raises pydantic's ValidationError, UnknownName for gates, data or a device that nobody offers, and InputError for
    a device with too few qubits.
    """
    read = Options(**options)
    coupling = coupling_of(read.device, N_QUBITS)
    space = make_space(coupling, read.max_blocks)
    stages: tuple[Stage, ...] = (Stage("noisy", NoisyAccuracy(read)),)
    if read.ladder:
        stages = (Stage("estimate", QuickEstimate(read, coupling), read.ladder_share), *stages)

    def prepare(context: WorkContext) -> Mapping[str, Path]:
        from coevo.spaces.quantumnas.supercircuit import train_supercircuit

        with one_thread():
            return {"supercircuit": train_supercircuit(read, context.seed, context.folder, context.progress)}

    def export(design: Design, context: WorkContext) -> Mapping[str, float]:
        from coevo.spaces.quantumnas.export import export_design

        with one_thread():
            return export_design(read, space.build(design), context)

    def verify(folder: Path) -> list[str]:
        from coevo.spaces.quantumnas.verify import verify_folder

        return verify_folder(read, folder)

    def draw(value: CoDesign) -> str:
        from coevo.spaces.quantumnas.drawing import draw as draw_design

        return draw_design(value)

    return Problem(
        name="quantumnas",
        space=space,
        stages=stages,
        objectives={"noisy_accuracy": "max", "two_qubit_gates": "min"},
        options=read.model_dump(),
        prepare=prepare,
        export=export,
        verify=verify,
        draw=draw,
        description=(
            f"A variational circuit of U3 and CU3 layers and its qubit mapping, co-searched for the digits 0 to 3 of "
            f"MNIST under the noise of {read.device} (QuantumNAS, HPCA 2022)."
        ),
    )


problem.options_model = Options  # type: ignore[attr-defined]  # what the configuration reads and explains
