"""E2: which blocks of a trained transformer stay.

    python experiments/sana/pruning.py --folder runs/sana --seeds 3 [--seconds 540] [--out FILE]

Every seed trains a transformer, and prunes it to 2/3, 1/2 and 1/3 of its depth: by block importance (Sana-1.5), by
other measures of importance, evenly, at random, by the loss without each block, and by a search over masks by moves
of runs. Its score is the loss after a short recovery on images that neither train nor judge; the best few are scored
again after a whole one. All recover with the same batches and noise; losses are those before and after it. The
control is a transformer of that depth trained from scratch for as many FLOPs as the training, the recovery and, for
one more control, the search had; it ends with that recovery.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _depth
import numpy as np
from _depth import _bench

from coevo.spaces.sana.depth import (
    KINDS,
    Keep,
    importances,
    most_important,
    pruned,
    random_keep,
    search_keep,
    spearman,
    uniform_keep,
)
from coevo.spaces.sana.depth.importance import LEAVE_ONE_OUT
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training import NonFiniteLoss, in_parts, recover
from coevo.supernets.reproducibility import seed_of

TEACHER, BI, SEARCH, SCRATCH = "teacher", "cosine", "search", "scratch"
SHARES = ("2/3", "1/2", "1/3")


def parsed(words: list[str] | None) -> argparse.Namespace:
    options = _depth.parser(__doc__)
    options.add_argument("--depth", type=int, default=12)
    options.add_argument("--steps", type=int, default=2500, help="of the transformer that is pruned")
    options.add_argument("--recovery", type=int, default=100, help="updates after pruning")
    options.add_argument("--recovery-rate", type=float, default=3e-4)
    options.add_argument("--calibration", type=int, default=128, help="images that importance looks at")
    options.add_argument("--random-draws", type=int, default=5)
    options.add_argument("--search-masks", type=int, default=48, help="masks that the search scores, a size")
    options.add_argument("--search-recovery", type=int, default=20, help="updates before a mask is scored")
    options.add_argument("--finalists", type=int, default=4, help="best masks that are scored again, after --recovery")
    return options.parse_args(words)


class Seed:
    """One transformer and what is left of it."""

    def __init__(self, arguments: argparse.Namespace, rows: _depth.Rows, seed: int) -> None:
        self.arguments, self.rows, self.seed = arguments, rows, seed
        self.scenes = _depth.Scenes(arguments, seed)
        self.kept = {share: max(1, round(Fraction(share) * arguments.depth)) for share in SHARES}
        self._teacher: SanaTransformer | None = None
        self._scores: dict[str, list[float]] = {}

    def teacher(self) -> SanaTransformer:
        """Trained again where a stopped run goes on."""
        if self._teacher is not None:
            return self._teacher
        self.rows.check_time()
        began, given = time.perf_counter(), self.arguments
        model = self.scenes.transformer(given.depth, self.seed)
        curve = self.scenes.train(model, self.scenes.recipe(given.steps), max(1, given.steps // 4))
        calibration = in_parts(self.scenes.parts["search"], min(given.calibration, given.held_out))[:1]
        scores = importances(model.eval(), calibration)
        self._scores = {kind: each.tolist() for kind, each in scores.items()}
        ranks = {kind: spearman(scores[kind], scores[LEAVE_ONE_OUT]) for kind in KINDS if kind != LEAVE_ONE_OUT}
        if self.rows.find(self.seed, TEACHER) is None:
            self.rows.add(self.seed, TEACHER, {
                "loss": self.scenes.judge(model), "curve": curve.validations, "importance": self._scores,
                "spearman_to_leave_one_out": {k: None if np.isnan(v) else v for k, v in ranks.items()},
                **_depth.costs(model.config, self.scenes.parts["train"].text.shape[1]),
                "seconds": time.perf_counter() - began,
            })  # fmt: skip
        self._teacher = model
        return model

    def run(self) -> None:
        """All that is not there yet; the search last, since it begins with the others' masks."""
        for share, kept in self.kept.items():
            begin: list[Keep] = []
            for name, masks in self.methods(kept).items():
                if self.rows.find(self.seed, f"{share} {name}") is None:
                    self.teacher()
                    self.rows.check_time()
                    began = time.perf_counter()
                    found = [self.judged(keep) for keep in masks()]
                    self.add(share, name, kept, found, time.perf_counter() - began)
                if name in (*KINDS, "uniform"):
                    begin += [tuple(k) for k in self.rows.find(self.seed, f"{share} {name}")["keep"]]
            if self.rows.find(self.seed, f"{share} {SEARCH}") is None:
                self.searched(share, kept, begin)
            for name in (SCRATCH, f"{SCRATCH}, search's FLOPs too"):
                if self.rows.find(self.seed, f"{share} {name}") is None:
                    self.rows.check_time()
                    self.scratch(share, name, kept)

    def methods(self, kept: int) -> dict[str, Callable[[], list[Keep]]]:
        """Masks by method."""
        depth, rng = self.arguments.depth, np.random.default_rng(seed_of(self.seed, "random masks", kept))

        def by(kind: str) -> Callable[[], list[Keep]]:
            return lambda: [most_important(self._scores[kind], kept)]

        return {
            **{kind: by(kind) for kind in KINDS},
            "uniform": lambda: [uniform_keep(depth, kept)],
            "random": lambda: [random_keep(depth, kept, rng) for _ in range(self.arguments.random_draws)],
        }

    def recovered(self, keep: Keep, steps: int) -> SanaTransformer:
        """The pruned transformer after a recovery, which is the same batches and noise for every mask."""
        model = pruned(self.teacher(), keep)
        recover(model, self.scenes.drawn, self.recovery_recipe(steps))
        return model.eval()

    def recovery_recipe(self, steps: int) -> Any:
        return self.scenes.recipe(
            steps, learning_rate=self.arguments.recovery_rate, warmup_steps=max(1, min(10, steps // 5)),
            final_share=0.1, seed=seed_of(self.seed, "recovery"),
        )  # fmt: skip

    def judged(self, keep: Keep) -> dict[str, Any]:
        return {
            "keep": keep,
            "loss_0": self.scenes.judge(self.teacher(), keep),
            "loss_recovered": self.scenes.judge(self.recovered(keep, self.arguments.recovery)),
        }

    def add(
        self, share: str, name: str, kept: int, found: Sequence[dict[str, Any]], seconds: float, **more: Any
    ) -> None:  # fmt: skip
        self.rows.add(self.seed, f"{share} {name}", {
            "share": share, "method": name, "kept": kept,
            "loss_0": statistics.fmean(each["loss_0"] for each in found),
            "loss_recovered": statistics.fmean(each["loss_recovered"] for each in found),
            "keep": [each["keep"] for each in found], "losses_recovered": [each["loss_recovered"] for each in found],
            "seconds": seconds, **more,
        })  # fmt: skip

    def searched(self, share: str, kept: int, begin: list[Keep]) -> None:
        given, began = self.arguments, time.perf_counter()
        self.teacher()

        def score(keep: Keep, steps: int = given.search_recovery) -> float:
            self.rows.check_time()
            try:
                return self.scenes.search(self.recovered(keep, steps))
            except NonFiniteLoss:
                return float("inf")

        rng = np.random.default_rng(seed_of(self.seed, "search", kept))
        found = search_keep(given.depth, kept, score, evaluations=given.search_masks, rng=rng, begin=begin)
        last = sorted(found.history, key=lambda each: each[1])[: given.finalists]
        scored = [(keep, score(keep, given.recovery)) for keep, _ in last]
        best = min(scored, key=lambda each: each[1])[0]
        finals = [{"keep": k, "score": v if np.isfinite(v) else None} for k, v in scored]
        zero = [self.scenes.search(self.teacher(), keep) for keep, _ in found.history]
        rank = spearman(zero, [value for _, value in found.history]) if len(zero) > 1 else float("nan")
        history = [{"keep": k, "score": v if np.isfinite(v) else None} for k, v in found.history]  # None: diverged
        self.add(share, SEARCH, kept, [self.judged(best)], time.perf_counter() - began, history=history, finals=finals,
                 spearman_of_loss_0=None if np.isnan(rank) else rank)  # fmt: skip

    def scratch(self, share: str, name: str, kept: int) -> None:
        """A small transformer from scratch, by as many FLOPs as the pruned one had in all."""
        given, began = self.arguments, time.perf_counter()
        model = self.scenes.transformer(kept, self.seed)
        deep = model.config.with_depth(given.depth)
        small_step, deep_step = self.scenes.step_flops(model.config), self.scenes.step_flops(deep)
        flops = given.steps * deep_step + given.recovery * small_step
        if name != SCRATCH:
            updates = given.search_masks * given.search_recovery + given.finalists * given.recovery
            flops += updates * small_step
        steps = max(1, round(flops / small_step) - given.recovery)
        self.scenes.train(model, self.scenes.recipe(steps), steps)
        recover(model, self.scenes.drawn, self.recovery_recipe(given.recovery))  # the falling rate is worth something
        loss = self.scenes.judge(model.eval())
        self.rows.add(self.seed, f"{share} {name}", {
            "share": share, "method": name, "kept": kept, "loss_0": None, "loss_recovered": loss,
            "steps": steps + given.recovery,
            **_depth.costs(model.config, self.scenes.parts["train"].text.shape[1]),
            "seconds": time.perf_counter() - began,
        })  # fmt: skip


METHODS = (*KINDS, "uniform", "random", SEARCH, SCRATCH, f"{SCRATCH}, search's FLOPs too")


def of_seed(rows: _depth.Rows, seed: int) -> dict[str, dict[str, dict[str, Any]]] | None:
    """By share and method; None where a row is missing."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for share in SHARES:
        for method in METHODS:
            row = rows.find(seed, f"{share} {method}")
            if row is None or rows.find(seed, TEACHER) is None:
                return None
            found.setdefault(share, {})[method] = row
    return found


def bars_of(by_seed: list[dict[str, dict[str, dict[str, Any]]]]) -> list[dict[str, Any]]:
    """The search against block importance, at each size and over all; and the others beside."""

    def differences(share: str, one: str, other: str) -> list[float]:
        return [each[share][one]["loss_recovered"] - each[share][other]["loss_recovered"] for each in by_seed]

    found = [
        _bench.above_zero(f"block importance - search after recovery, {share} of the blocks",
                          differences(share, BI, SEARCH), "held-out loss")
        for share in SHARES
    ]  # fmt: skip
    means = [statistics.fmean(each) for each in zip(*(differences(s, BI, SEARCH) for s in SHARES), strict=True)]
    found.append(
        _bench.above_zero("block importance - search after recovery, mean of the sizes", means, "held-out loss")
    )
    for other in (SCRATCH, "random", LEAVE_ONE_OUT):
        means = [statistics.fmean(each) for each in zip(*(differences(s, other, SEARCH) for s in SHARES), strict=True)]
        found.append(_bench.above_zero(f"{other} - search after recovery, mean of the sizes", means, "held-out loss"))
    return found


def main(words: list[str] | None = None) -> int:
    arguments = parsed(words)
    result = _bench.Result("sana_pruning", ("torch",))
    configuration = _depth.configuration_of(arguments)
    result.settings = {**configuration, "seeds": arguments.seeds, "recovery_of_all": "same batches and noise"}
    rows = _depth.Rows(arguments.folder / "pruning.jsonl", configuration, arguments.seconds)
    try:
        for seed in range(arguments.seeds):
            if of_seed(rows, seed) is None:
                Seed(arguments, rows, seed).run()
    except _depth.OutOfTime:
        print("the seconds are over; the same command goes on", flush=True)
    whole = [(seed, found) for seed in range(arguments.seeds) if (found := of_seed(rows, seed)) is not None]
    by_seed = [found for _, found in whole]
    result.measurements = {"seeds": len(by_seed), "rows": copy.copy(rows.rows)}
    if by_seed:
        teachers = [row for seed, _ in whole if (row := rows.find(seed, TEACHER)) is not None]
        result.measurements["summary"] = table = {
            share: {
                method: {
                    key: None if None in values else statistics.fmean(values)
                    for key in ("loss_0", "loss_recovered")
                    for values in [[each[share][method][key] for each in by_seed]]
                }
                for method in METHODS
            }
            for share in SHARES
        }
        result.measurements["teacher_loss"] = statistics.fmean(each["loss"] for each in teachers)
        result.measurements["spearman_to_leave_one_out"] = {
            kind: [each["spearman_to_leave_one_out"][kind] for each in teachers] for kind in KINDS[:-1]
        }
        lines = [(s, m, *table[s][m].values()) for s in SHARES for m in METHODS]
        print(_bench.table(("share", "method", "loss at 0", "loss recovered"), lines), flush=True)
        result.bars = bars_of(by_seed)
        if len(by_seed) < max(3, arguments.seeds):
            result.bars = [_bench.not_met(each, "fewer seeds than asked for, or than 3") for each in result.bars]
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
