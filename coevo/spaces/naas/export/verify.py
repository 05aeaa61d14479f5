"""Reading an exported chip back: it is the design's, and every mapping costs what the folder says."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coevo.cost_models.accelerator import Evaluation
from coevo.cost_models.accelerator.interchange import Record, timeloop_model
from coevo.errors import CoevoError, InputError
from coevo.hardware.accelerators import load_accelerator
from coevo.search.design import Design
from coevo.search.space import Space
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.export.folder import ACCELERATOR, LAYERS, MAPPINGS
from coevo.spaces.naas.setting import Setting

TOLERANCE = 1e-12  # sums of the same numbers


def verify_folder(setting: Setting, space: Space, folder: Path) -> list[str]:
    """What is wrong with an exported folder, one sentence a fault; an empty list is good. Where a `timeloop-model` is
    on the path, it evaluates every mapping too."""
    try:
        design = Design.from_json(json.loads(folder.joinpath("design.json").read_text(encoding="utf-8")))
        value: CoDesign = space.build(design)
        chip = load_accelerator(str(folder / ACCELERATOR))
        rows = json.loads(folder.joinpath(LAYERS).read_text(encoding="utf-8"))
    except (OSError, ValueError, CoevoError) as error:
        return [f"cannot be read back: {error}"]
    faults = []
    if chip != setting.template.accelerator(value.hardware, name=chip.name):
        faults.append(f"{ACCELERATOR} is not the chip of design.json")
    expected = [(layer, repeats) for runs in setting.runs(value).values() for layer, repeats in runs]
    if len(rows) != len(expected):
        return [*faults, f"{LAYERS} has {len(rows)} layers, the design runs {len(expected)}"]
    for number, (row, (layer, repeats)) in enumerate(zip(rows, expected, strict=True)):
        where = f"{MAPPINGS}/{number:03d}.json"
        try:
            record = Record.read(folder.joinpath(where).read_text(encoding="utf-8"), where)
            if record.layer.shape != layer.shape or row["repeats"] != repeats:
                faults.append(f"{where}: is of another layer than the design's {layer.name}")
            if record.accelerator != chip:
                faults.append(f"{where}: is of another chip than {ACCELERATOR}")
            faults += [f"{where}: {change}" for change in record.changed()]
            faults += [f"{where}: {fault}" for fault in _row_faults(row, record.evaluate())]
            faults += [f"{where}: timeloop-model: {fault}" for fault in _timeloop_faults(record)]
        except (OSError, KeyError, TypeError, CoevoError) as error:
            faults.append(f"{where}: {error}")
    return faults


def _timeloop_faults(record: Record) -> tuple[str, ...]:
    """Under Timeloop's own assumptions; nothing where there is no timeloop-model, or where it cannot be told the chip
    (the export's refused.txt says why)."""
    if timeloop_model.find_binary() is None:
        return ()
    try:
        return timeloop_model.compare(record.layer, record.accelerator, record.mapping).differences
    except InputError:
        return ()


def _row_faults(row: Mapping[str, Any], found: Evaluation) -> list[str]:
    faults = list(found.misfits)
    for name, now in (("energy_pj", found.energy_pj), ("cycles", found.cycles)):
        if not math.isclose(now, row[name], rel_tol=TOLERANCE):
            faults.append(f"{name} is {row[name]!r} in {LAYERS} and {now!r} when the mapping is evaluated")
    return faults
