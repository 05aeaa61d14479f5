"""`problem(**options)`: what the entry point offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coevo.search.design import Design
from coevo.search.problem import Problem, Stage, WorkContext
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.ansatz.space import make_space
from coevo.spaces.quantumnas.judging.elivagar.stage import ElivagarEstimate
from coevo.spaces.quantumnas.judging.estimate import QuickEstimate
from coevo.spaces.quantumnas.judging.evaluate import NoisyJudge
from coevo.spaces.quantumnas.judging.metrics import default_objectives
from coevo.spaces.quantumnas.judging.trained import TrainedJudge
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.threads import one_thread


def problem(**options: Any) -> Problem:
    """The co-search problem; keywords are the fields of `Options`.

    Raises pydantic's ValidationError, UnknownName for gates, data or a device that nobody offers, and InputError for
    options that do not fit together, such as a device with too few qubits.
    """
    return problem_of(Setting.make(Options(**options)))


def problem_of(setting: Setting) -> Problem:
    """The co-search problem of a setting, whose task may be one that no option names."""
    options = setting.options
    space = make_space(
        setting.template,
        setting.coupling,
        qubits=options.qubits,
        fixed_layout=options.layout,
        fixed_layers=setting.layers,
    )
    stages: tuple[Stage, ...] = (Stage("noisy", NoisyJudge(setting)),)
    if options.trained_share is not None:
        stages = (Stage("noisy", NoisyJudge(setting), options.trained_share), Stage("trained", TrainedJudge(setting)))
    if options.ladder:
        cheap = ElivagarEstimate(setting) if options.ladder_score == "elivagar" else QuickEstimate(setting)
        stages = (Stage("estimate", cheap, options.ladder_share), *stages)

    def prepare(context: WorkContext) -> Mapping[str, Path]:
        from coevo.spaces.quantumnas.training.supercircuit import train_supercircuit

        setting.check_device()
        with one_thread():
            trained = train_supercircuit(
                options, setting.task, setting.template, context.seed, context.folder, context.progress
            )
        return {"supercircuit": trained}

    def export(design: Design, context: WorkContext) -> Mapping[str, float]:
        from coevo.spaces.quantumnas.export.folder import export_design

        with one_thread():
            return export_design(setting, space.build(design), context)

    def verify(folder: Path) -> list[str]:
        from coevo.spaces.quantumnas.export.verify import verify_folder

        return verify_folder(setting, space, folder)

    def draw(value: CoDesign) -> str:
        from coevo.spaces.quantumnas.export.drawing import draw as draw_design

        return draw_design(setting, value)

    return Problem(
        name="quantumnas",
        space=space,
        stages=stages,
        objectives=default_objectives(options, setting.task),
        options=options.model_dump(),
        prepare=prepare,
        export=export,
        verify=verify,
        draw=draw,
        description=(
            f"A variational circuit of {setting.template.gate_set.title} and its qubit mapping, co-searched for "
            f"the task {setting.task.name} under the noise of {options.device} (QuantumNAS, HPCA 2022)."
        ),
    )


problem.options_model = Options  # type: ignore[attr-defined]  # what the configuration reads and explains
