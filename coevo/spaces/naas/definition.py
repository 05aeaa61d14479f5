"""`problem(**options)`: what the entry point offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coevo.search.design import Design
from coevo.search.problem import Problem, Stage, WorkContext
from coevo.search.space import Space
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.judging import BoundJudge, ChipJudge
from coevo.spaces.naas.options import Options
from coevo.spaces.naas.setting import Setting


def problem(**options: Any) -> Problem:
    """The search of an accelerator with the mappings of its networks; keywords are the fields of `Options`.

    Raises pydantic's ValidationError, UnknownName for a baseline or a network that nobody offers, and InputError for
    options that do not fit together.
    """
    return problem_of(Setting.make(Options(**options)))


def problem_of(setting: Setting) -> Problem:
    """The search of a setting."""
    options, elastic = setting.options, setting.options.elastic
    space = Space(_space_id(setting), setting.build)
    stages: tuple[Stage, ...] = (Stage("chip", ChipJudge(setting)),)
    if elastic is not None and elastic.accuracy_share < 1:
        stages = (Stage("accuracy", BoundJudge(setting), elastic.accuracy_share), *stages)

    def prepare(context: WorkContext) -> Mapping[str, Path]:
        assert elastic is not None and setting.scale is not None
        from coevo.spaces.naas.network.training import Plan, train_supernet

        plan = Plan(elastic.supernet_steps, elastic.supernet_batch, elastic.supernet_learning_rate)
        trained = train_supernet(
            elastic.family, setting.scale, setting.images, plan, context.seed, context.folder, context.progress
        )
        return {"supernet": trained}

    def export(design: Design, context: WorkContext) -> dict[str, float]:
        from coevo.spaces.naas.export.folder import export_design

        return export_design(setting, space.build(design), context)

    def verify(folder: Path) -> list[str]:
        from coevo.spaces.naas.export.verify import verify_folder

        return verify_folder(setting, space, folder)

    def draw(value: CoDesign) -> str:
        from coevo.spaces.naas.drawing.design import draw_design

        return draw_design(setting, value)

    return Problem(
        name="naas",
        space=space,
        stages=stages,
        objectives={"edp_js": "min"} | ({} if elastic is None else {"accuracy": "max"}),
        options=options.model_dump(),
        prepare=prepare if elastic is not None and elastic.data is not None else None,
        export=export,
        verify=verify,
        draw=draw,
        description=_description(setting),
    )


def _space_id(setting: Setting) -> str:
    options = setting.options
    encoding = options.encoding + (f"-{options.loops_per_axis}-loops" if options.loops_per_axis != 1 else "")
    chip = (encoding if options.connectivity else "sizing") if options.hardware else "baseline"
    network = "" if options.elastic is None else f"+{'table' if setting.table is not None else options.elastic.family}"
    return f"naas/{chip}{network}/v1"


def _description(setting: Setting) -> str:
    options, template = setting.options, setting.template
    limits = template.resources
    chip = (
        f"An accelerator within {limits.mac_units} MAC units and {limits.on_chip_bytes / 1024:g} KiB on the chip "
        f"(those of {template.baseline.name} unless set)"
        if options.hardware
        else f"{template.baseline.name} as it is"
    )
    energies = "Energies follow a memory's size by the baseline's energy table."
    if template.energy_exponent is not None:
        energies = f"Energy of an access grows with a memory's size to the power {template.energy_exponent:g}."
    runs = ", ".join(options.fixed_networks)
    if options.elastic is not None:
        runs = f"{options.elastic.family}, searched too; accuracy from {setting.accuracy_source}"
    return (
        f"{chip}, with a mapping of every layer of {runs}; each is found by {options.mapping_evaluations} evaluations "
        f"for {options.goal} (NAAS, DAC 2021). {energies}"
    )


problem.options_model = Options  # type: ignore[attr-defined]  # what the configuration reads and explains
