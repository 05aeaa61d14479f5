"""The cheap scores that were weighed for the first stage of the ladder, and how each ranks designs."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import _bench
from coevo.spaces.quantumnas.circuits import Mapper
from coevo.spaces.quantumnas.classifier import EncodedImages, accuracy_and_loss, fine_tune
from coevo.spaces.quantumnas.data import read_training_images
from coevo.spaces.quantumnas.devices import coupling_of
from coevo.spaces.quantumnas.estimate import equally_many
from coevo.spaces.quantumnas.evaluate import NoisyScorer
from coevo.spaces.quantumnas.routing import RoutingEstimate
from coevo.spaces.quantumnas.supercircuit import load_supercircuit
from coevo.spaces.quantumnas.threads import one_thread

from coevo.hardware.quantum import QuantumDevice
from coevo.search.agreement import kendall
from coevo.search.canonical import stream
from coevo.search.evaluator import Candidate, Context, Evaluator
from coevo.spaces.quantumnas import CoDesign, Options, problem

STRATA = 8


def estimates(supercircuit: Path, count: int) -> dict[str, Any]:
    """Kendall's tau of every score with the exact stage's metrics over `count` random designs, and the CPU time."""
    options = Options(ladder=True)
    made = problem(**options.model_dump())
    quick, exact = (stage.evaluator for stage in made.stages)
    context = Context(artifacts={"supercircuit": supercircuit})
    quick.setup(context)
    exact.setup(context)
    designs = [made.space.build(made.space.sample(stream(0, "ladder_claim", index))) for index in range(count)]
    columns: dict[str, dict[str, list[float]]] = {}
    spent: dict[str, float] = {}

    def scored(name: str, judge: Callable[[Sequence[CoDesign]], list[dict[str, float]]], batch: int = 1) -> None:
        with one_thread():
            judge(designs[:batch])  # imports and caches
            began = time.process_time()
            metrics = [row for first in range(0, count, batch) for row in judge(designs[first : first + batch])]
            spent[name] = 1e3 * (time.process_time() - began) / count
        columns[name] = {key: [row[key] for row in metrics] for key in metrics[0]}

    def stage(judge: Evaluator) -> Callable[[Sequence[CoDesign]], list[dict[str, float]]]:
        def run(some: Sequence[CoDesign]) -> list[dict[str, float]]:
            candidates = [Candidate(index, "", value, 0, Path()) for index, value in enumerate(some)]
            return [dict(outcome.metrics) for outcome in judge.evaluate(candidates, context)]

        return run

    other = Others(options, supercircuit)
    rng = np.random.default_rng(0)
    scored("exact stage", stage(exact))
    scored("the ladder's estimate", stage(quick), quick.batch)
    scored("fine-tuned fully, no noise", other.tuned(options.fine_tune_steps, whole=True))
    scored("fine-tuned shortly, exact noise, level 1", other.tuned(options.ladder_steps, level=1))
    scored("inherited, no noise", other.tuned(0))
    scored("inherited, no noise, times the success rate", other.tuned(0, level=1, success=True))
    scored("inherited, exact noise, level 1", other.tuned(0, level=1))
    scored("inherited, exact noise, level 2", other.tuned(0, level=2))
    scored("control: number of parameters", lambda some: [{"noisy_accuracy": d.parameters} for d in some])
    scored("control: number of CU3 gates", lambda some: [{"noisy_accuracy": sum(w[1] for w in d.widths)} for d in some])
    scored("control: chance", lambda some: [{"noisy_accuracy": float(rng.random())} for _ in some])
    truth = {name: np.array(column) for name, column in columns["exact stage"].items()}
    strata = np.array_split(np.argsort(truth["two_qubit_gates"], kind="stable"), STRATA)
    scores: dict[str, Any] = {}
    for name, column in columns.items():
        scores[name] = {"cpu_ms": spent[name], "times_cheaper": spent["exact stage"] / max(spent[name], 1e-6)}
        for metric in ("noisy_accuracy", "two_qubit_gates", "depth"):
            if metric in column:
                scores[name][metric] = list(kendall(column[metric], truth[metric]))
        score = np.array(column["noisy_accuracy"])
        within = [kendall(score[part], truth["noisy_accuracy"][part])[0] for part in strata]
        kept = [tau for tau in within if not math.isnan(tau)]
        scores[name]["noisy_accuracy_within_strata"] = float(np.mean(kept)) if kept else 0.0
    shown = [
        (name, found["cpu_ms"], found["noisy_accuracy"][0], found["noisy_accuracy_within_strata"])
        for name, found in scores.items()
    ]
    print(_bench.table(("score", "CPU ms", "tau", "tau within strata of gates"), shown), flush=True)
    return {"designs": count, "meaning": "[tau, low, high] with the exact stage's metric", "scores": scores}


class Others:
    """Scores that were weighed for the cheap stage."""

    def __init__(self, options: Options, supercircuit: Path):
        self.options = options
        self.device = QuantumDevice.from_name(options.device)
        self.training, self.validation = read_training_images(options)
        self.few = EncodedImages(equally_many(self.training, options.ladder_images))
        self.weights = load_supercircuit(supercircuit)
        self.free = EncodedImages(self.validation)
        self.route = RoutingEstimate(coupling_of(options.device))

    def tuned(self, steps: int, level: int | None = None, whole: bool = False, success: bool = False) -> Any:
        """A score of angles tuned for so many steps, mapped at a level, or without noise where that is None."""
        images = EncodedImages(self.training) if whole else self.few
        scorer = None if level is None else NoisyScorer(Mapper(self.device, level, 42), self.validation)

        def judge(some: Sequence[CoDesign]) -> list[dict[str, float]]:
            rows = []
            for design in some:
                start, mask = self.weights[: design.blocks], design.mask()[None]
                angles = fine_tune(start, mask, images, steps, self.options.fine_tune_learning_rate)
                logits = self.free.logits(angles)[0]
                gates, depth = self.route(design)
                factor = 1.0
                if scorer is not None:
                    mapped = scorer.map(design, angles[0], design.layout)
                    gates, depth = mapped.two_qubit_gates, mapped.depth
                    if success:
                        factor = self.success_rate(mapped)
                    else:
                        logits = scorer.logits(mapped)
                accuracy = factor * accuracy_and_loss(logits, self.validation.labels)[0]
                rows.append({"noisy_accuracy": accuracy, "two_qubit_gates": gates, "depth": depth})
            return rows

        return judge

    def success_rate(self, mapped: Any) -> float:
        """The product of the fidelities of the body's gates and of the readout (QuantumNAS's estimate for large
        devices, with the readout added)."""
        target, rate = self.device.target, 1.0
        for instruction in mapped.body.data:
            if instruction.operation.name in target.operation_names:
                qubits = tuple(mapped.body.find_bit(qubit).index for qubit in instruction.qubits)
                rate *= 1 - (target[instruction.operation.name][qubits].error or 0.0)
        for qubit in mapped.final:
            rate *= 1 - target["measure"][(qubit,)].error
        return rate
