"""Two questions to AccelForge in its own environment: the best mapping, within a limit of time; what mappings cost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import _bench

from coevo.cost_models.accelerator import Layer, Mapping
from coevo.cost_models.accelerator.interchange import accelforge_mapper
from coevo.cost_models.accelerator.interchange.case import case
from coevo.errors import InputError
from coevo.hardware.accelerators import Accelerator

SCRIPTS = _bench.ROOT / "tests" / "cost_models" / "accelerator" / "oracles"


@dataclass(frozen=True)
class Mapped:
    """What AccelForge's mapper said of one layer. `outcome`: "finished", "not finished" (it was stopped at the limit)
    or "failed". `answers`: of each order of the storages that it got to, the best first where it finished."""

    outcome: str
    reason: str
    wall_s: float
    orders: int
    answers: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        kept = [{key: value for key, value in answer.items() if key != "nodes"} for answer in self.answers]
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "wall_s": round(self.wall_s, 1),
            "cpu_s": round(sum(answer["cpu_s"] for answer in self.answers), 1),
            "orders_of_storages": self.orders,
            "by_order": kept,
        }


def interpreter(environments: Path) -> Path:
    """AccelForge's Python in the folder that `make oracles` filled."""
    python = (environments / "accelforge" / "bin" / "python").absolute()
    if not python.exists():
        raise InputError(f"{python} is not there: run `make oracles`, and give its folder with --oracles")
    return python


def best_mapping(
    python: Path, layer: Layer, accelerator: Accelerator, limit_s: float, imperfect: bool = False
) -> Mapped:
    """AccelForge's optimum by EDP over every order of the storages; stopped, with all that it started, after `limit_s`.
    `imperfect`: bounds need not divide the sizes."""
    question = {**accelforge_mapper.question(layer, accelerator), "imperfect": imperfect}
    orders = len(question["architectures"])
    with tempfile.TemporaryDirectory() as folder:
        path, errors = Path(folder) / "question.json", Path(folder) / "errors.txt"
        path.write_text(json.dumps(question), encoding="utf-8")
        began = time.perf_counter()
        with errors.open("w") as stream:
            process = subprocess.Popen(
                ["nice", "-n", "5", python, "-P", SCRIPTS / "map_accelforge.py", path],
                stdout=subprocess.PIPE, stderr=stream, text=True, cwd=folder, start_new_session=True,
            )  # fmt: skip
            stopped = False
            try:
                text, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                stopped = True
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
            if stopped:
                text, _ = process.communicate()
        wall_s = time.perf_counter() - began
        last = (errors.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""])[-1]
    answers = tuple(json.loads(line) for line in text.splitlines()[1:] if line.endswith("}"))
    if stopped:
        return Mapped("not finished", f"stopped after {limit_s:g} s", wall_s, orders, answers)
    if process.returncode or len(answers) != orders:
        return Mapped("failed", last, wall_s, orders, answers)
    return Mapped("finished", "", wall_s, orders, answers)


def evaluate(python: Path, cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """AccelForge's answers {version, answers: {name: {energy_pj, cycles, counts}}}."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.json"
        path.write_text(json.dumps(cases), encoding="utf-8")
        command = [python, "-P", SCRIPTS / "ask_accelforge.py", path]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"AccelForge's evaluation failed: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def case_of(layer: Layer, accelerator: Accelerator, mapping: Mapping, text: str | None = None) -> dict[str, Any]:
    """For `evaluate`: `mapping`, or the mapping `text` of AccelForge's on the same architecture and workload."""
    content = case(layer, accelerator, mapping)
    if text is not None:
        content["accelforge"] = {**content["accelforge"], "mapping": text}
    return content
