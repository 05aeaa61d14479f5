"""`problem(**options)`: what the entry point offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coevo.search.design import Design
from coevo.search.problem import Problem, Stage, WorkContext
from coevo.spaces.sana.design import SanaDesign
from coevo.spaces.sana.judging.stages import LADDER
from coevo.spaces.sana.options import Options
from coevo.spaces.sana.setting import Setting


def problem(**options: Any) -> Problem:
    """The search of a diffusion transformer and of how it samples; keywords are the fields of `Options`.

    Raises pydantic's ValidationError, and InputError for options that do not fit together.
    """
    return problem_of(Setting.make(Options(**options)))


def problem_of(setting: Setting) -> Problem:
    """The search of a setting."""
    options, space = setting.options, setting.space
    shares = (*options.shares[: len(options.ladder) - 1], 1.0)
    stages = tuple(
        Stage(name, LADDER[name](setting), share) for name, share in zip(options.ladder, shares, strict=True)
    )

    def prepare(context: WorkContext) -> Mapping[str, Path]:
        from coevo.spaces.sana.preparing import prepare

        return prepare(setting, context)

    def export(design: Design, context: WorkContext) -> dict[str, float]:
        from coevo.spaces.sana.export.design import export_design

        return export_design(setting, space.build(design), context)

    def verify(folder: Path) -> list[str]:
        from coevo.spaces.sana.export.design import verify_folder

        return verify_folder(setting, space, folder)

    def draw(value: SanaDesign) -> str:
        from coevo.spaces.sana.drawing.network import draw_design

        return draw_design(value, setting.source)

    def measure(target: Path | None, progress: Callable[[float, float, str], None]) -> Mapping[str, Any]:
        from coevo.spaces.sana.preparing import measure

        return measure(setting, target, progress)

    return Problem(
        name="sana",
        space=space,
        stages=stages,
        objectives={"quality": "max", "latency_ms": "min", "mparams": "min"},
        options=options.model_dump(),
        prepare=prepare,
        export=export,
        verify=verify,
        draw=draw,
        measure=measure,
        description=_description(setting),
    )


def _description(setting: Setting) -> str:
    options = setting.options
    drawn = (
        "pixels" if options.data.autoencoder is None else f"latents of the autoencoder in {options.data.autoencoder}"
    )
    return (
        f"Which of {options.model.depth} blocks of a linear diffusion transformer (Sana, arXiv 2410.10629) stay, their "
        f"Mix-FFNs and attention, and how images are sampled: {drawn} of {options.data.size_px} px, procedural scenes "
        f"made by coevo, no published weights. Weights come from a supernet of {options.training.steps} updates; an "
        f"exact oracle judges {6 * options.judging.prompts_per_category} prompts of GenEval's categories, and others "
        "what is exported; latency from a table of this device, verification included."
    )


problem.options_model = Options  # type: ignore[attr-defined]  # what the configuration reads and explains
