"""`problem(**options)`: what the entry point offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coevo.search.design import Design
from coevo.search.problem import Problem, Stage, WorkContext
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.judging.stages import LADDER
from coevo.spaces.spvnas.options import Options
from coevo.spaces.spvnas.setting import Setting


def problem(**options: Any) -> Problem:
    """The search of a network over LiDAR scans; keywords are the fields of `Options`.

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
        from coevo.spaces.spvnas.preparing import prepare

        return prepare(setting, context)

    def export(design: Design, context: WorkContext) -> dict[str, float]:
        from coevo.spaces.spvnas.export.folder import export_design

        return export_design(setting, space.build(design), context)

    def verify(folder: Path) -> list[str]:
        from coevo.spaces.spvnas.export.folder import verify_folder

        return verify_folder(setting, space, folder)

    def draw(value: Backbone) -> str:
        from coevo.spaces.spvnas.drawing.network import draw_network

        return draw_network(value)

    def measure(target: Path | None, progress: Callable[[float, float, str], None]) -> Mapping[str, Any]:
        from coevo.spaces.spvnas.preparing import measure

        return measure(setting, target, progress)

    return Problem(
        name="spvnas",
        space=space,
        stages=stages,
        objectives={"miou": "max", "latency_p50_ms": "min"},
        options=options.model_dump(),
        prepare=prepare,
        export=export if {"part", "whole"} & set(options.ladder) else None,
        verify=verify,
        draw=draw,
        measure=measure,
        description=_description(setting),
    )


def _description(setting: Setting) -> str:
    options, data = setting.options, setting.options.data
    scans = (
        f"SemanticKITTI's files in {data.folder}" if data.folder else f"{data.train_scenes} generated HDL-64E scenes"
    )
    branch = {
        "none": "without a point branch (MinkUNet's kind)",
        "voxels": "with the released point branch",
        "raw": "with a point branch of every point",
    }[options.points]
    judged = {
        "held-out": f"a held-out {100 * data.search_share:g} % of the training scans judges, validation stays unseen",
        "validation": "the validation scans judge: their mIoU is no estimate for other scans",
    }[data.protocol]
    return (
        f"A sparse U-Net {branch} for semantic segmentation (SPVNAS, ECCV 2020), on {scans}; {judged}. "
        f"Weights come from a supernet of {options.training.steps} updates; latency from a table of this device, "
        "and at the last stage from a clock."
    )


problem.options_model = Options  # type: ignore[attr-defined]  # what the configuration reads and explains
