"""E5: searched designs beside the hand-made family and random search, at equal latency.

    python experiments/sana/search.py --folder runs/sana --seeds 3 [--seconds 540] [--out FILE]

A latency table of the device is measured once. Every seed trains a supernet over depth on the latents of an
autoencoder and lets three arms judge as many designs each:

    search    NSGA-II over masks, FFN ratios, kinds of attention, steps, guidance and samples
    random    random designs of the same space
    uniform   the hand-made family, blocks at even distances that are all the source's, with steps, guidance and
              samples searched by NSGA-II too

Every arm begins with the ladder: uniform depths at the sampling of the other experiments (`--guidance`, most steps,
one sample). A design is judged after a short recovery by how many prompts its images satisfy, by the exact oracle of
what the verifier picks, and by the table's latency. At the latency of each rung of the ladder every arm names its best
design within it; those are trained on, judged by prompts that no search saw, and timed as whole networks.

The autoencoder and the verifier are those of `scaling.py`, taken over from the folder where it has trained them. What
was judged is kept as rows, and the same command goes on there. For an H200 about 75 s a seed are expected, of which a
fifth trains the supernet and half judges, and 60 s once for autoencoder, verifier and table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _depth
import _generation
import torch
from _depth import _bench
from _generation import Studio

from coevo.cost_models.diffusion_latency import LatencyTable, read_table, write_table
from coevo.cost_models.fingerprint import fingerprint
from coevo.errors import InputError
from coevo.search.evaluator import Outcome
from coevo.search.pick import Pick
from coevo.search.space import Space
from coevo.search.study import Study
from coevo.spaces.sana.data.scenes import SOURCE
from coevo.spaces.sana.design import Bounds, SanaDesign
from coevo.spaces.sana.drawing.curves import front_of
from coevo.spaces.sana.judging.clock import Clock
from coevo.spaces.sana.judging.codec import Latents
from coevo.spaces.sana.judging.material import Scenes, prompt_suites
from coevo.spaces.sana.judging.measuring import Effort, dtype_name, measured, space_table
from coevo.spaces.sana.judging.painter import Painter
from coevo.spaces.sana.judging.recovering import recovered, recovery_recipe
from coevo.spaces.sana.judging.scoring import Judging, Score
from coevo.spaces.sana.judging.weights import Inherited, train_weights
from coevo.spaces.sana.judging.workload import shape_of, workload_of
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.macs import macs_of, parameters_of
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.scaling.verifiers import LearnedVerifier, train_verifier
from coevo.spaces.sana.text.attribute import AttributeEncoder
from coevo.spaces.sana.training import NonFiniteLoss, Plan, Recipe
from coevo.supernets.reproducibility import seed_of

SIZE_PX, FACTOR = 64, 8
LADDER, SEARCH, RANDOM, UNIFORM = "ladder", "search", "random", "uniform"
ARMS = (SEARCH, RANDOM, UNIFORM)
OBJECTIVES = {"quality": "max", "latency_ms": "min"}
SLACK = 1.05
"""The clock's and the table's scatter: as fast means at most this factor slower."""


def parsed(words: list[str] | None) -> argparse.Namespace:
    options = _bench.parser(__doc__)
    options.add_argument("--folder", type=Path, default=Path("runs/sana"), help="rows and weights; go on there")
    options.add_argument("--seconds", type=float, default=float("inf"), help="begin no further piece after so many")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--autoencoder-steps", type=int, default=3000)
    options.add_argument("--autoencoder-batch", type=int, default=64)
    options.add_argument("--autoencoder-width", type=int, default=128, help="at most, of every stage")
    options.add_argument("--verifier-steps", type=int, default=3000)
    options.add_argument("--latents", type=int, default=65536, help="images that are encoded, and train")
    options.add_argument("--width", type=int, default=192)
    options.add_argument("--depth", type=int, default=12)
    options.add_argument("--rungs", type=int, nargs="+", default=(4, 6, 9, 12), help="depths of the hand-made ladder")
    options.add_argument("--steps", type=int, default=3400, help="updates of the supernet")
    options.add_argument("--whole", type=float, default=0.9, help="share of them that trains all of it alone")
    options.add_argument("--batch", type=int, default=128)
    options.add_argument("--learning-rate", type=float, default=7e-4)
    options.add_argument("--guidance", type=float, default=3.0, help="of the ladder")
    options.add_argument("--sampling-steps", type=int, nargs="+", default=(4, 6, 8, 12, 16, 20))
    options.add_argument("--trials", type=int, default=28, help="designs that each arm judges, the ladder included")
    options.add_argument("--recovery", type=int, default=32, help="updates before a design is judged")
    options.add_argument("--recovery-rate", type=float, default=0.5, help="factor on the learning rate")
    options.add_argument("--images", type=int, default=24, help="of a prompt that judge a design")
    options.add_argument("--final-steps", type=int, default=200, help="updates of what an arm names")
    options.add_argument("--final-images", type=int, default=64, help="of a prompt that judge it")
    options.add_argument("--calibration", type=int, default=12, help="networks that calibrate the table")
    options.add_argument("--timings", type=int, default=5)
    return options.parse_args(words)


def configuration_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that a row follows from."""
    left_out = {"folder", "seconds", "seeds", "json", "out"}
    plain = {key: value for key, value in vars(arguments).items() if key not in left_out}
    return {"data": f"{SOURCE}, {SIZE_PX} pixels", "published_weights": None, **plain}


class Lab:
    """What all seeds share: the space, the autoencoder, the verifier, prompts and the latency table."""

    def __init__(self, arguments: argparse.Namespace, studio: Studio) -> None:
        given = arguments
        self.arguments, self.studio = arguments, studio
        guidance = tuple(sorted({1.0, 2.0, 4.5, given.guidance}))
        self.bounds = Bounds(
            given.depth, steps=tuple(given.sampling_steps), guidance=guidance, samples=(1, 2, 4),
            least_depth=min(given.rungs), most_runs=(given.depth + 1) // 2,
        )  # fmt: skip
        self.autoencoder = studio.autoencoder(FACTOR, SIZE_PX, 0)
        self.codec = Latents(self.autoencoder)
        self.source = SanaConfig.small(
            given.width, given.depth, cross_heads=max(2, given.width // 64), channels=self.codec.channels,
            sample_size=SIZE_PX // FACTOR, caption_channels=_generation.COLUMNS, ffn_ratio=self.bounds.ffn_ratios[-1],
        )  # fmt: skip
        self.suites = prompt_suites(3, seed=0)
        self.ladder = [
            self.bounds.uniform(kept, steps=given.sampling_steps[-1], guidance=given.guidance) for kept in given.rungs
        ]

    @cached_property
    def verifier(self) -> LearnedVerifier:
        given, studio = self.arguments, self.studio
        torch.manual_seed(0)
        net = LearnedVerifier().to(studio.device)

        def make() -> None:
            train_verifier(net, given.verifier_steps, size_px=SIZE_PX, half=studio.half)

        studio.kept("verifier", {"steps": given.verifier_steps, "size_px": SIZE_PX}, net, make)
        return net

    @cached_property
    def clock(self) -> Clock:
        encoder = AttributeEncoder(_generation.COLUMNS).to(self.studio.device)
        dtype = torch.bfloat16 if self.studio.half else torch.float32
        return Clock(encoder, self.codec, self.verifier.score, size_px=SIZE_PX, dtype=dtype,
                     repeats=self.arguments.timings)  # fmt: skip

    @cached_property
    def table(self) -> LatencyTable:
        """This device's, kept in the folder."""
        path = self.studio.folder / "search_table.json"
        says = "learned, 96 channels"
        try:
            table = read_table(path)
            table.check_device(fingerprint(str(self.studio.device)), str(path))
            shape = shape_of(self.source, SIZE_PX, self.clock.text_tokens, says)
            table.check_shape(shape, dtype_name(self.clock.dtype), str(path))
            for design in (self.bounds.smallest, self.bounds.largest):
                table.predict(workload_of(design, self.source))
        except InputError:  # none, or another space's
            self.studio.rows.check_time()
            effort = Effort(self.arguments.calibration, self.arguments.timings)
            table = space_table(self.bounds, self.source, self.clock, says, effort)
            write_table(table, path)
        return table

    def latency_ms(self, design: SanaDesign) -> float:
        return self.table.predict(workload_of(design, self.source)).total_ms

    def costs(self, design: SanaDesign) -> dict[str, float]:
        config = design.network(self.source)
        macs = macs_of(config, text_tokens=self.clock.text_tokens) * design.passes * design.steps
        return {"mparams": parameters_of(config) / 1e6, "gmacs": macs / 1e9}

    def space_of(self, arm: str) -> tuple[Space, list[dict[str, Any]]]:
        """What an arm draws from, and the ladder's answers there."""
        if arm != UNIFORM:
            return Space(self.bounds.id, self.bounds.build), [self.bounds.answers(each) for each in self.ladder]
        family = Uniform(self.bounds)
        return Space(f"{self.bounds.id}/uniform", family.build), [family.answers(each) for each in self.ladder]


class Uniform:
    """The hand-made family as a space: how many blocks stay, and how images are sampled."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds

    def build(self, pick: Pick) -> SanaDesign:
        kept = pick.integer("kept", self.bounds.least_depth, self.bounds.depth)
        sampling = {name: pick.one(name, getattr(self.bounds, name)) for name in ("steps", "guidance", "samples")}
        return self.bounds.uniform(kept, **sampling)

    def answers(self, design: SanaDesign) -> dict[str, Any]:
        return {"kept": design.depth, **{name: getattr(design, name) for name in ("steps", "guidance", "samples")}}


class Seed:
    """One supernet and what its arms find."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.seed, self.arguments, self.rows = lab, seed, lab.arguments, lab.studio.rows
        self._recovered: dict[Any, SanaTransformer] = {}

    @cached_property
    def scenes(self) -> Scenes:
        lab = self.lab
        return Scenes(self.arguments.latents, "train", seed=self.seed, size_px=SIZE_PX, codec=lab.codec,
                      device=lab.studio.device)  # fmt: skip

    @cached_property
    def recipe(self) -> Recipe:
        given = self.arguments
        return Recipe(
            given.steps, given.learning_rate, warmup_steps=max(1, given.steps // 20), final_share=0.2,
            precision=self.lab.studio.precision, drop_text=0.1, seed=self.seed,
        )  # fmt: skip

    @cached_property
    def net(self) -> Inherited:
        """The supernet with its encoder, trained once and kept."""
        given, lab, plan = self.arguments, self.lab, Plan(self.arguments.whole)
        net = Inherited(lab.bounds, lab.source, self.seed).to(lab.studio.device)
        identity = {
            "space": lab.bounds.id, "network": net.config.to_json(), "recipe": self.recipe.to_json(),
            "plan": repr(plan), "batch": given.batch, "latents": given.latents, "autoencoder": given.autoencoder_steps,
        }  # fmt: skip

        def make() -> None:
            train_weights(net, self.scenes, self.recipe, plan, batch=given.batch)

        seconds = lab.studio.kept(f"search-supernet-{self.seed}", identity, net, make)
        if self.rows.find(self.seed, "supernet") is None:
            self.rows.add(self.seed, "supernet", {"seconds": seconds})
        return net.requires_grad_(False)

    @cached_property
    def painter(self) -> Painter:
        return Painter(self.net.captions, self.lab.codec, SIZE_PX, self.lab.studio.precision)

    def run(self) -> None:
        """All that is not there yet."""
        for arm in ARMS:
            if self.rows.find(self.seed, arm) is None:
                self.arm(arm)
        for key, design in named(self.rows, self.lab, self.seed).items():
            if self.rows.find(self.seed, f"final {key}") is None:
                self.rows.check_time()
                self.final(key, design)

    def arm(self, name: str) -> None:
        """Lets an arm judge its designs; the row names them in order."""
        began, keys, broken = time.perf_counter(), [], []
        space, first = self.lab.space_of(name)

        def judge(design: SanaDesign) -> Outcome:
            try:
                key, row = self.judged(design)
            except Exception as error:
                broken.append(error)
                raise
            keys.append(key)
            return Outcome({metric: row[metric] for metric in OBJECTIVES})

        algorithm = "random" if name == RANDOM else "nsga2"
        population = max(4, self.arguments.trials // 3)
        with Study(
            space, judge, objectives=OBJECTIVES, algorithm=algorithm, seed=self.seed, lag=0, runner="inline",
            algorithm_options={"population": population} if algorithm == "nsga2" else None, enqueue=first,
        ) as study:  # fmt: skip
            study.listen(lambda event: study.stop() if broken else None)
            study.run(trials=self.arguments.trials)
        if broken:
            raise broken[0]
        self.rows.add(self.seed, name, {"judged": keys, "seconds": time.perf_counter() - began})

    def judged(self, design: SanaDesign) -> tuple[str, dict[str, Any]]:
        """Its key and its row."""
        key = key_of(design)
        row = self.rows.find(self.seed, f"judged {key}")
        if row is None:
            self.rows.check_time()
            row = self.rows.add(self.seed, f"judged {key}", {
                "quality": self.quality(design), "latency_ms": self.lab.latency_ms(design), **self.lab.costs(design),
                "design": design.to_json(),
            })  # fmt: skip
        return key, row

    def quality(self, design: SanaDesign) -> float:
        """After a short recovery, by prompts of the search; 0 where that diverged."""
        network = (design.keep, design.ffn_ratios, design.attention)
        if network not in self._recovered:
            try:
                found = self.trained_on(design, self.arguments.recovery, "recovery")
            except NonFiniteLoss:
                return 0.0
            self._recovered = dict([*self._recovered.items()][-7:])  # of few parents most children have one network
            self._recovered[network] = found
        prompts, images = self.lab.suites.search, self.arguments.images
        return self.score(self._recovered[network], design, prompts, images, "search").oracle

    def trained_on(self, design: SanaDesign, steps: int, purpose: str) -> SanaTransformer:
        """Its network, a while further from the supernet's weights; the same batches and noise for all."""
        seed = seed_of(self.seed, purpose)
        recipe = recovery_recipe(self.recipe, steps, self.arguments.recovery_rate, seed)
        return recovered(self.net, design, self.scenes, self.painter, recipe, self.arguments.batch)

    def score(
        self, model: SanaTransformer, design: SanaDesign, prompts: Sequence[Any], images: int, purpose: str
    ) -> Score:
        """By as many images of a prompt, however many of them a design picks from."""
        rounds = max(1, images // design.samples)
        noise = seed_of(self.seed, purpose, "noise")
        judging = Judging(self.painter, prompts, self.lab.verifier.score, rounds=rounds, seed=noise)
        return judging.score(model, design)

    def final(self, key: str, design: SanaDesign) -> None:
        """Trained on and judged by prompts that no search saw."""
        began = time.perf_counter()
        model = self.trained_on(design, self.arguments.final_steps, "final")
        found = self.score(model, design, self.lab.suites.validation, self.arguments.final_images, "validation")
        self.rows.add(self.seed, f"final {key}", {
            "quality": found.oracle, "categories": dict(found.categories), "images": found.images,
            "latency_ms": self.lab.latency_ms(design), **self.lab.costs(design), "design": design.to_json(),
            "seconds": time.perf_counter() - began,
        })  # fmt: skip


def key_of(design: SanaDesign) -> str:
    return hashlib.blake2b(json.dumps(design.to_json(), sort_keys=True).encode(), digest_size=6).hexdigest()


def pool_of(rows: _depth.Rows, seed: int, arm: str) -> list[tuple[str, dict[str, Any]]]:
    """Keys and rows of what an arm judged."""
    return [(key, _row(rows, seed, f"judged {key}")) for key in _row(rows, seed, arm)["judged"]]


def picks(rows: _depth.Rows, lab: Lab, seed: int) -> list[dict[str, Any]]:
    """At the latency of every rung, what each arm judged best within it."""
    arms, found = {name: pool_of(rows, seed, name) for name in ARMS}, []
    for rung in lab.ladder:
        target = _row(rows, seed, f"judged {key_of(rung)}")
        chosen = {LADDER: key_of(rung)}
        for name, pool in arms.items():
            within = [(row["quality"], -row["latency_ms"], key) for key, row in pool
                      if row["latency_ms"] <= target["latency_ms"]]  # fmt: skip
            chosen[name] = max(within)[2]  # the ladder's own design is within
        found.append({"kept": rung.depth, "target_ms": target["latency_ms"], "chosen": chosen})
    return found


def named(rows: _depth.Rows, lab: Lab, seed: int) -> dict[str, SanaDesign]:
    """What the arms named, by key, once each."""
    keys = {key for each in picks(rows, lab, seed) for key in each["chosen"].values()}
    return {key: SanaDesign.from_json(_row(rows, seed, f"judged {key}")["design"]) for key in sorted(keys)}


def time_named(rows: _depth.Rows, lab: Lab, seed: int) -> None:
    """Whole networks on the clock, for one prompt, while nothing else runs."""
    for key, design in named(rows, lab, seed).items():
        if rows.find(seed, f"clock {key}") is None:
            rows.check_time()
            rows.add(seed, f"clock {key}", {"measured_ms": measured(design, lab.source, lab.clock).total_ms})


def seed_result(rows: _depth.Rows, lab: Lab, seed: int) -> dict[str, Any]:
    """What a seed that is through says."""
    targets = picks(rows, lab, seed)
    for target in targets:
        arms: dict[str, dict[str, Any]] = {}
        for name, key in target.pop("chosen").items():
            final, clock = _row(rows, seed, f"final {key}"), _row(rows, seed, f"clock {key}")
            arms[name] = {
                "quality": final["quality"], "searched_quality": _row(rows, seed, f"judged {key}")["quality"],
                "latency_ms": final["latency_ms"], "measured_ms": clock["measured_ms"], "mparams": final["mparams"],
                "gmacs": final["gmacs"], "design": final["design"],
            }  # fmt: skip
        slower = {name: each["measured_ms"] / arms[LADDER]["measured_ms"] for name, each in arms.items()}
        target |= {"arms": arms, "measured_over_rung": slower}
    judged = {
        name: [(row["latency_ms"], row["quality"]) for _, row in pool_of(rows, seed, name)] for name in ARMS
    }  # fmt: skip
    return {
        "targets": targets,
        "judged_ms_and_quality": judged,
        "fronts": {name: front_of(points) for name, points in judged.items()},
        **{f"{SEARCH}_minus_{other}": mean_gap(targets, SEARCH, other) for other in (LADDER, UNIFORM, RANDOM)},
    }


def mean_gap(targets: Sequence[dict[str, Any]], one: str, other: str) -> float:
    """Over the targets, in held-out quality."""
    return statistics.fmean(each["arms"][one]["quality"] - each["arms"][other]["quality"] for each in targets)


def bars_of(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    titles = {
        LADDER: "searched - uniform depth as it is sampled by hand, at its latency",
        UNIFORM: "searched - uniform depth with its sampling searched as long, at equal latency",
        RANDOM: "searched - random search of as many designs, at equal latency",
    }
    bars = [
        _bench.above_zero(title, [each[f"{SEARCH}_minus_{other}"] for each in found], "share of held-out prompts")
        for other, title in titles.items()
    ]
    slowest = max(target["measured_over_rung"][SEARCH] for each in found for target in each["targets"])
    bars.append(_bench.at_most("a searched network's measured latency over its rung's", slowest, "", SLACK))
    return bars


def table_of(found: Sequence[dict[str, Any]]) -> str:
    """Means over the seeds, a line a rung and arm."""
    lines = []
    for number, rung in enumerate(found[0]["targets"]):
        for name in (LADDER, *ARMS):
            rows = [each["targets"][number]["arms"][name] for each in found]
            means = [statistics.fmean(row[key] for row in rows)
                     for key in ("quality", "searched_quality", "measured_ms", "mparams")]  # fmt: skip
            lines.append((rung["kept"], name, *means))
    return _bench.table(("rung", "arm", "held-out", "searched", "measured ms", "M params"), lines)


def _row(rows: _depth.Rows, seed: int, name: str) -> dict[str, Any]:
    row = rows.find(seed, name)
    if row is None:
        raise InputError(f"{rows.path} lacks the row {name!r} of seed {seed}, which another names: it was edited")
    return row


def main(words: list[str] | None = None) -> int:
    arguments = parsed(words)
    result = _bench.Result("sana_search", ("torch", "triton"))
    configuration = configuration_of(arguments)
    result.settings = {**configuration, "seeds": arguments.seeds, "shared_by_seeds": "autoencoder, verifier, table"}
    rows = _depth.Rows(arguments.folder / "search.jsonl", configuration, arguments.seconds)
    found: list[dict[str, Any]] = []
    try:
        lab = Lab(arguments, Studio(arguments, rows))
        result.settings["device_fingerprint"] = dict(lab.table.device)  # measured before anything else runs
        result.settings["table_error"] = lab.table.calibration.error
        for seed in range(arguments.seeds):
            Seed(lab, seed).run()
        for seed in range(arguments.seeds):
            time_named(rows, lab, seed)
            found.append(seed_result(rows, lab, seed))
    except _depth.OutOfTime:
        print("the seconds are over; the same command goes on", flush=True)
    result.measurements = {"seeds": len(found), "by_seed": found}
    if found:
        print(table_of(found), flush=True)
        result.bars = bars_of(found)
        if len(found) < max(3, arguments.seeds):
            result.bars = [_bench.not_met(each, "fewer seeds than asked for, or than 3") for each in result.bars]
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
