"""Does searching the network with its chip beat searching the chip alone? ResNet50's elastic family on real images.

    python experiments/naas/network_co_search.py --out experiments/results/naas_network_co_search.json

A seed trains one supernet on scikit-learn's digits (1,797 real images; widths a quarter of ImageNet's), and every arm
judges accuracy by it, at the size at which the chip runs the network:

    chip      the chip for the family's largest network: EDP alone
    both      chip and network; networks less accurate than the largest by more than `SLACK` are refused
    network   the network on Eyeriss as it is, under the same condition
    random    as `both`, by random search

Every arm begins with the design next to Eyeriss and the largest network. Equal numbers of designs and of mappings a
layer. An arm that finds no network that is accurate enough stays with the largest on Eyeriss, a ratio of 1, and
`found` is 0. At the end all are mapped again alike; the bound on accuracy is a supernet's, not that of networks
trained from scratch, and 1,797 digits are not ImageNet: the paper's 4.88 times (3.01 for the accelerator alone) are
beside, not reproduced.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from _arms import FINAL, FINAL_SEED, PACKAGES, POPULATION, ratios

import _bench  # isort: skip
from _cases import interval, over_seeds, parser, shown

from coevo.search.design import Design
from coevo.search.evaluator import Context
from coevo.search.problem import WorkContext
from coevo.search.space import Space
from coevo.search.study import Study
from coevo.spaces.naas import Options
from coevo.spaces.naas.definition import problem_of
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.hardware import answers_of
from coevo.spaces.naas.judging import ChipJudge
from coevo.spaces.naas.network.supernet import largest
from coevo.spaces.naas.setting import Setting

ELASTIC = {"family": "ofa_resnet50", "data": "digits", "input_sizes": (8, 12, 16), "width": 0.25, "stem_stride": 1,
           "supernet_steps": 600, "supernet_batch": 48}  # fmt: skip
SLACK = 0.005
TRIALS, SEEDS, EVALUATIONS = 200, 5, 2000
MAPPER = "sampling"
LOOPS = "baseline"
"""Loops that share an axis of the array: as many as on Eyeriss, which one loop an axis cannot say."""
ARMS = ("chip", "both", "network", "random")


def main() -> int:
    options = parser(__doc__, TRIALS, SEEDS)
    options.add_argument("--evaluations", type=int, default=EVALUATIONS, help="mappings judged for each layer")
    arguments = options.parse_args()
    result = _bench.Result("naas_network_co_search", packages=(*PACKAGES, "torch", "scikit-learn"))
    result.settings = {
        "trials": arguments.trials,
        "seeds": arguments.seeds,
        "evaluations": arguments.evaluations,
        "elastic": ELASTIC,
        "slack": SLACK,
        "paper": {"both": 4.88, "chip": 3.01, "unit": "EDP over NHAS, ResNet50 on ImageNet at Eyeriss's resources"},
    }
    rows = over_seeds(one_seed, arguments, arguments.trials, arguments.evaluations)
    edp = {arm: [row[arm]["ratios"]["edp"] for row in rows] for arm in ARMS}
    result.measurements = {
        "edp_over_eyeriss_with_the_largest": {arm: interval(values) for arm, values in edp.items()},
        "accuracy": {arm: interval([row[arm]["accuracy"] for row in rows]) for arm in ARMS},
        "seeds_that_found_one": {arm: sum(row[arm]["found"] for row in rows) for arm in ARMS},
        "by_seed": rows,
    }
    for arm in ("chip", "random"):
        ahead = [a / b - 1 for a, b in zip(edp["both"], edp[arm], strict=True)]
        result.bars.append(_bench.above_zero(f"EDP of both over {arm}, less 1", ahead, "1"))
    if arguments.seeds < SEEDS or arguments.trials < TRIALS:
        result.bars = [_bench.not_met(entry, "fewer seeds or trials than the claim is about") for entry in result.bars]
    for part in ("edp_over_eyeriss_with_the_largest", "accuracy"):
        found = result.measurements[part]
        print(_bench.table((part, "mean and 95 % interval"), [(name, shown(value)) for name, value in found.items()]))
    return result.finish(arguments)


def one_seed(seed: int, trials: int, evaluations: int) -> dict[str, Any]:
    options = Options(mapper=MAPPER, mapping_evaluations=evaluations, elastic=ELASTIC, loops_per_axis=LOOPS)
    setting = Setting.make(options)
    with tempfile.TemporaryDirectory(prefix="coevo-naas-") as home:
        made = problem_of(setting)
        assert made.prepare is not None and setting.scale is not None
        weights = made.prepare(WorkContext(Path(home), seed))["supernet"]
        whole = largest(ELASTIC["family"], setting.scale)
        judge = ChipJudge(setting)
        context = Context(artifacts={"supernet": weights}, seed=FINAL_SEED, label=judge.label)
        judge.setup(context)
        eyeriss = CoDesign(setting.template.own_design(), whole)
        least = judge.judge(eyeriss, context).metrics["accuracy"] - SLACK
        found = {
            "chip": searched(_fixed(setting), weights, seed, trials, None),
            "both": searched(setting, weights, seed, trials, least),
            "network": searched(_changed(setting, hardware=False), weights, seed, trials, least),
            "random": searched(setting, weights, seed, trials, least, "random"),
        }
        thorough = ChipJudge(_changed(setting, mapping_evaluations=FINAL * evaluations))
        thorough.setup(context)
        before = thorough.judge(eyeriss, context).metrics
        row: dict[str, Any] = {"seed": seed, "largest": dict(before)}
        for arm, design in found.items():
            if design is None:  # nothing is accurate enough: one stays with what one had
                row[arm] = {"ratios": ratios(before, before), "accuracy": before["accuracy"], "found": 0}
                continue
            after = thorough.judge(design, context).metrics
            row[arm] = {
                "found": 1,
                "ratios": ratios(before, after),
                "accuracy": after["accuracy"],
                "network_macs": after["network_macs"],
                "input_size": design.network.input_size if design.network else None,
                "chip": design.hardware.as_json(),
            }
    print(f"seed {seed}: " + ", ".join(f"{arm} {row[arm]['ratios']['edp']:.2f}" for arm in ARMS), flush=True)
    return row


def _changed(setting: Setting, **what: Any) -> Setting:
    return Setting.make(Options(**(setting.options.model_dump() | what)))


class _Fixed(Setting):
    """Chips alone, for one network of the family."""

    def build(self, pick: Any) -> CoDesign:
        from coevo.spaces.naas.hardware import build_hardware

        whole = largest(ELASTIC["family"], self.scale) if self.scale else None
        options = self.options
        return CoDesign(
            build_hardware(pick, self.template, options.encoding, options.connectivity, options.loops_per_axis), whole
        )


def _fixed(setting: Setting) -> Setting:
    return _Fixed(**{field.name: getattr(setting, field.name) for field in dataclasses.fields(setting)})


def _known(setting: Setting, space: Space) -> Design:
    """Next to Eyeriss, and the largest network: what one has before a search."""
    options = setting.options
    chip = answers_of(setting.template, options.encoding, options.connectivity, options.loops_per_axis)
    return space.grow(
        lambda name, question: question.fits(chip[name]) if name in chip else max(question.answers)
    ).design


def searched(
    setting: Setting, weights: Path, seed: int, trials: int, least: float | None, algorithm: str = "nsga2"
) -> CoDesign | None:
    """The design of the least EDP among those that are accurate enough; None where none is."""
    made = problem_of(setting)

    def share(context: WorkContext) -> dict[str, Path]:
        return {"supernet": Path(shutil.copy(weights, context.folder))}

    with Study(
        dataclasses.replace(made, prepare=share),
        objectives={"edp_js": "min"},
        constraints={} if least is None else {"accuracy": f">= {least!r}"},
        algorithm=algorithm,
        algorithm_options={"population": POPULATION} if algorithm == "nsga2" else {},
        seed=seed,
        runner="inline",
    ) as study:
        study.enqueue(_known(setting, made.space))
        study.run(trials=trials)
        good = [
            trial
            for trial in study.trials()
            if trial.outcome.ok and (least is None or trial.outcome.metrics["accuracy"] >= least)
        ]
        if not good:
            return None
        best = min(good, key=lambda trial: (trial.outcome.metrics["edp_js"], trial.index))
        value: CoDesign = made.space.build(best.design)
        return value


if __name__ == "__main__":
    sys.exit(main())
