"""Timeloop itself, where `timeloop-model` is on the path: one mapping run there and compared with the model here."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coevo.cost_models.accelerator.evaluation import evaluate_mapping
from coevo.cost_models.accelerator.interchange.components import axis_names, components
from coevo.cost_models.accelerator.interchange.timeloop import (
    ASSUMPTIONS,
    ENGINE,
    SPACES,
    mapping_entries,
    mapping_text,
    problem,
)
from coevo.cost_models.accelerator.interchange.timeloop_architecture import MAC, attributes, energies, refuse_unicast
from coevo.cost_models.accelerator.interchange.yaml_text import dump
from coevo.cost_models.accelerator.layer import Layer
from coevo.cost_models.accelerator.mapping import Mapping
from coevo.errors import EvaluatorError
from coevo.hardware.accelerators import Accelerator

BINARY = "timeloop-model"
STATS = "timeloop-model.stats.txt"
ENERGY_TOLERANCE = 0.005
"""Relative: Timeloop prints the total with two decimals and the leakage of idle cycles apart."""

LEVEL = re.compile(r"^=== (\S+) ===\s*$", re.MULTILINE)
BLOCK = re.compile(r"^ {4}(Weights|Inputs|Outputs):\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Timeloop printed: words over all instances by (target, tensor), (reads, fills and updates); pJ; cycles."""

    words: dict[tuple[str, str], tuple[int, int]]
    energy_pj: float
    cycles: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differences`: one sentence each; empty where Timeloop and the model agree."""

    answer: Answer
    differences: tuple[str, ...]


def find_binary() -> str | None:
    """The path of timeloop-model, None where there is none."""
    return shutil.which(BINARY)


def compare(
    layer: Layer, accelerator: Accelerator, mapping: Mapping, binary: str | None = None, timeout_s: float = 300.0
) -> Comparison:
    """Runs Timeloop on `mapping` and compares counts, energy and cycles under Timeloop's assumptions. Raises InputError
    for what Timeloop cannot be told, EvaluatorError where it is not there, fails or prints something else."""
    answer = run(layer, accelerator, mapping, binary, timeout_s)
    evaluation = evaluate_mapping(layer, accelerator, mapping, ASSUMPTIONS)
    found = []
    for part in components(accelerator, ENGINE):
        for tensor in part.tensors:
            access = evaluation.accesses[accelerator.memories[part.level].name, tensor]
            theirs = answer.words.get((part.name, tensor), (0, 0))
            for label, ours, other in zip(("reads", "writes"), (access.reads, access.writes), theirs, strict=True):
                if ours != other:
                    found.append(f"{part.name}: {tensor}: {ours} {label} here, {other} in {ENGINE}")
    if evaluation.cycles != answer.cycles and math.ceil(evaluation.cycles) != answer.cycles:
        found.append(f"{evaluation.cycles:g} cycles here, {answer.cycles} in {ENGINE}")
    if abs(evaluation.energy_pj - answer.energy_pj) > ENERGY_TOLERANCE * answer.energy_pj + 0.005e6:
        found.append(f"{evaluation.energy_pj / 1e6:.4f} uJ here, {answer.energy_pj / 1e6:.4f} uJ in {ENGINE}")
    return Comparison(answer, tuple(found))


def run(
    layer: Layer, accelerator: Accelerator, mapping: Mapping, binary: str | None = None, timeout_s: float = 300.0
) -> Answer:
    """What Timeloop says; `binary` is found on the path unless given."""
    program = binary or find_binary()
    if program is None:
        raise EvaluatorError(f"{BINARY} is not on the path; build Timeloop and put its folder there")
    texts = inputs(layer, accelerator, mapping)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_text(text)
        try:
            done = subprocess.run(
                [program, *texts], cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EvaluatorError(f"{program} did not run: {error}") from error
        stats = Path(folder) / STATS
        if done.returncode or not stats.exists():
            said = (done.stderr or done.stdout).strip()[-2000:]
            raise EvaluatorError(f"{program} ended with {done.returncode} and wrote no {STATS}: {said}")
        return read_stats(stats.read_text(), str(stats.name))


def inputs(layer: Layer, accelerator: Accelerator, mapping: Mapping) -> dict[str, str]:
    """The files that timeloop-model reads, by name: version 0.4 as its front end writes it, in which every storage has
    its number of instances and every axis is a dummy storage; energies are given, so Accelergy is not asked."""
    refuse_unicast(accelerator)
    mapping_text(layer, accelerator, mapping)  # its bounds
    bits = layer.bits or accelerator.bits
    local: list[dict[str, Any]] = []
    across, along = 1, 1
    counts: dict[str, int] = {}
    axes = axis_names(accelerator)

    def place(name: str, kind: str, content: dict[str, Any]) -> None:
        counts[name] = across * along
        local.append(
            {
                "name": f"{name}[1..{across * along}]",
                "class": kind,
                "attributes": {**content, "meshX": across, "meshY": along},
            }
        )

    for level in range(len(accelerator.memories)):
        for part in (part for part in components(accelerator, ENGINE) if part.level == level):
            place(part.name, "DRAM" if level == 0 else "SRAM", attributes(part, accelerator, bits))
        for position, (at, axis) in enumerate(accelerator.axes):
            if at == level:
                place(f"inter_{axes[position]}_spatial", "dummy_storage", {"width": 1, "depth": 1, "datawidth": 1})
                across, along = (across, along * axis.size) if position % 2 else (across * axis.size, along)
    place(MAC, "intmac", {"datawidth": max(bits)})
    top = {"version": "0.4", "global_cycle_seconds": 1e-6 / accelerator.clock_mhz, "technology": "45nm"}
    tables = energies(accelerator, bits, counts)
    for name in axes:
        label = f"inter_{name}_spatial"
        still = [{"name": action, "energy": 0.0} for action in ("read", "write", "update", "leak")]
        tables.append({"name": f"system.{label}[1..{counts[label]}]", "actions": still})
    areas = [{"name": f"system.{name}[1..{count}]", "area": 0.0} for name, count in counts.items()]
    return {
        "architecture.yaml": dump(
            {
                "architecture": {
                    "version": "0.4",
                    "subtree": [{"name": "system", "attributes": top, "local": local}],
                },
                "ERT": {"version": "0.4", "tables": tables},
                "ART": {"version": "0.4", "tables": areas},
            }
        ),
        "problem.yaml": problem(layer),
        "mapping.yaml": dump({"mapping": mapping_entries(layer, accelerator, mapping, native=True)}),
    }


def read_stats(text: str, source: str) -> Answer:
    """The counts in a stats file. Raises EvaluatorError where a figure is missing."""
    words = {}
    tensors = {space: tensor for tensor, space in SPACES.items()}
    levels = LEVEL.split(text.partition("Operational Intensity Stats")[0])
    for name, body in zip(levels[1::2], levels[2::2], strict=True):
        blocks = BLOCK.split(body.partition("Networks\n")[0])
        for space, figures in zip(blocks[1::2], blocks[2::2], strict=True):
            used = _figure(figures, r"Utilized instances \(max\)", f"{source}: {name}: {space}")
            per = [
                _figure(figures, rf"Scalar {what} \(per-instance\)", f"{source}: {name}: {space}")
                for what in ("reads", "fills", "updates")
            ]
            words[name, tensors[space]] = (round(per[0] * used), round((per[1] + per[2]) * used))
    summary = text.partition("Summary Stats")[2]
    if not words or not summary:
        raise EvaluatorError(f"{source}: not the statistics of {BINARY}: {text[:80]!r}")
    return Answer(
        words, _figure(summary, "Energy", source) * 1e6, round(_figure(summary, "Cycles", f"{source}: summary"))
    )


def _figure(text: str, label: str, where: str) -> float:
    found = re.search(rf"^\s*{label}\s*:\s*([0-9.eE+-]+)", text, re.MULTILINE)
    if found is None:
        raise EvaluatorError(f"{where}: lacks {label}")
    return float(found.group(1))
