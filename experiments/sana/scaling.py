"""E3: many samples of a small model and a verifier, against a larger model and more steps, at equal seconds.

    python experiments/sana/scaling.py --folder runs/sana --seeds 3 [--minutes 9] [--out FILE]

Every seed trains a small and a larger transformer with equally many updates on the latents of one autoencoder; the
verifier is trained on distorted renderings. For every prompt the small one gives `--samples` images; best-of-n is
estimated without bias for every n. What chooses is the learned verifier, one that errs for a known share, or the
oracle itself (an upper bound); what counts is the oracle, which the first never saw. Seconds are those of sampling
and decoding a full batch, a sample, and of verifying, which best-of-n pays and a single sample does not. Every arm is
written when it is done.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _depth
import _generation
import numpy as np
import torch
from _depth import _bench
from _generation import Studio

from coevo.spaces.sana.data.prompts import Prompt, prompt_suite
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.macs import macs_of, parameters_of
from coevo.spaces.sana.scaling.estimators import best_of_n, top_k_of_n
from coevo.spaces.sana.scaling.verifiers import LearnedVerifier, train_verifier
from coevo.spaces.sana.training import Captioned

SIZE_PX = 64
PAPER_GAIN = 0.08
"""GenEval 0.72 to 0.80 at 2,048 samples (Sana-1.5, arXiv 2501.18427, v1)."""
TOP_K = 4
"""Sana-1.5's later choice."""


def parsed(words: list[str] | None) -> argparse.Namespace:
    options = _generation.parser(__doc__)
    options.add_argument("--per-category", type=int, default=8, help="prompts; single_object has 6")
    options.add_argument("--samples", type=int, default=1024, help="a prompt, of the small model")
    options.add_argument("--few", type=int, default=64, help="samples a prompt, of every other arm")
    options.add_argument("--sampling-batch", type=int, default=1024)
    options.add_argument("--steps", type=int, default=3000, help="updates of both transformers")
    options.add_argument("--verifier-steps", type=int, default=3000)
    options.add_argument(
        "--wrong", type=float, default=0.1, help="share of answers that the noisy verifier turns round"
    )
    options.add_argument("--small", type=int, nargs=2, default=(192, 6), metavar=("WIDTH", "DEPTH"))
    options.add_argument("--large", type=int, nargs=2, default=(512, 12), metavar=("WIDTH", "DEPTH"))
    options.add_argument("--sampling-steps", type=int, default=20)
    options.add_argument("--more-steps", type=int, nargs="+", default=(40, 80, 160))
    return options.parse_args(words)


class Seed:
    """The models of one seed and what they sample."""

    def __init__(self, arguments: argparse.Namespace, studio: Studio, seed: int) -> None:
        self.arguments, self.studio, self.seed = arguments, studio, seed
        self.prompts = prompt_suite(arguments.per_category, seed=0)
        self.autoencoder = studio.autoencoder(8, SIZE_PX, 0)
        self._verifier: LearnedVerifier | None = None
        self._models: dict[str, Captioned] = {}

    def run(self) -> None:
        """All arms that are not there yet."""
        given = self.arguments
        arms = [("small", given.sampling_steps, given.samples), ("large", given.sampling_steps, given.few)]
        arms += [("small", steps, given.few) for steps in given.more_steps]
        for model, steps, samples in arms:
            name = arm_name(model, steps)
            if self.studio.rows.find(self.seed, name) is None:
                self.arm(name, model, steps, samples)

    def model(self, name: str) -> Captioned:
        if name not in self._models:
            given = self.arguments
            width, depth = getattr(given, name)
            config = SanaConfig.small(
                width, depth, cross_heads=max(2, width // 64), sample_size=SIZE_PX // 8,
                channels=self.autoencoder.latent_channels, caption_channels=_generation.COLUMNS,
            )  # fmt: skip
            whole = self.studio.encoded(self.autoencoder, SIZE_PX, self.seed)
            batches = _generation.indexed(whole, given.batch, self.seed)
            identity = {"latents": given.latents, "autoencoder": given.autoencoder_steps, "batch": given.batch}
            net = self.studio.captioned(f"scaling-{name}", config, batches, given.steps, self.seed, identity)
            self._models = {name: self.studio.for_sampling(net)}
        return self._models[name]

    def verifier(self) -> LearnedVerifier:
        if self._verifier is None:
            given = self.arguments
            torch.manual_seed(0)
            net = LearnedVerifier().to(self.studio.device)

            def make() -> None:
                train_verifier(net, given.verifier_steps, size_px=SIZE_PX, half=self.studio.half)

            self.studio.kept("verifier", {"steps": given.verifier_steps, "size_px": SIZE_PX}, net, make)
            self._verifier = net
        return self._verifier

    def arm(self, name: str, model: str, steps: int, samples: int) -> None:
        """Samples of every prompt, their scores and the oracle's answers; the row is best-of-n by category."""
        given, studio = self.arguments, self.studio
        verifier, net = self.verifier(), self.model(model)
        studio.rows.check_time()
        asked = [prompt for prompt in self.prompts for _ in range(samples)]
        scores: list[float] = []
        right: list[bool] = []
        sampling_s = verifying_s = 0.0
        counted = 0
        for number, begin in enumerate(range(0, len(asked), given.sampling_batch)):
            part = asked[begin : begin + given.sampling_batch]
            captions = [prompt.text for prompt in part]
            noise = studio.noise(net.transformer.config, len(part), self.seed, model, steps, number)
            if number == 0:  # the first call compiles and allocates, and is not counted
                self.images(net, captions, noise, steps)
                verifier.score(torch.zeros(len(part), 3, SIZE_PX, SIZE_PX, device=studio.device), captions)
            studio.wait()
            began = time.perf_counter()
            images = self.images(net, captions, noise, steps)
            studio.wait()
            made = time.perf_counter()
            scores += verifier.score(images, captions)
            ended = time.perf_counter()
            if len(part) == given.sampling_batch or len(asked) < given.sampling_batch:
                sampling_s, verifying_s = sampling_s + made - began, verifying_s + ended - made
                counted += len(part)
            right += _generation.accepted(images, part)
        config = net.transformer.config
        found = {
            "model": model, "steps": steps, "samples": samples, "prompts": len(self.prompts),
            "sample_s": sampling_s / counted, "verify_s": verifying_s / counted,
            "mparams": parameters_of(config) / 1e6,
            "gmacs_a_sample": 2 * steps * macs_of(config, text_tokens=16) / 1e9,
            **curves(self.prompts, scores, right, samples, given.wrong, self.seed),
        }  # fmt: skip
        studio.rows.add(self.seed, name, found)

    def images(self, net: Captioned, captions: list[str], noise: torch.Tensor, steps: int) -> torch.Tensor:
        latents = self.studio.latents_for(net, captions, noise, steps=steps)
        with torch.no_grad():
            return self.autoencoder.decode(latents)


def arm_name(model: str, steps: int) -> str:
    return f"{model}, {steps} steps"


def doublings(samples: int) -> list[int]:
    """1, 2, 4 ... up to `samples`."""
    return sorted({*(2**k for k in range(samples.bit_length())), samples})


def curves(
    prompts: list[Prompt], scores: list[float], right: list[bool], samples: int, wrong: float, seed: int
) -> dict[str, Any]:
    """Best-of-n by who chooses; "held_out" is what the oracle says of the choice, "own" what the verifier says."""
    rng = np.random.default_rng([seed, samples])
    value = np.asarray(right, dtype=float).reshape(len(prompts), samples)
    score = np.asarray(scores).reshape(len(prompts), samples)
    turned = rng.random(value.shape) < wrong
    chosen_by = {"learned": score, "noisy": np.abs(value - turned), "oracle": value}
    own = 1 / (1 + np.exp(-np.clip(score, -50, 50)))
    found: dict[str, Any] = {"held_out": {}, "own": {}}
    for name, choice in chosen_by.items():
        at = {n: [best_of_n(c, v, n) for c, v in zip(choice, value, strict=True)] for n in doublings(samples)}
        found["held_out"][name] = {str(n): _generation.by_category(prompts, values) for n, values in at.items()}
    for n in doublings(samples):
        mean = statistics.fmean(best_of_n(c, o, n) for c, o in zip(score, own, strict=True))
        found["own"][str(n)] = mean
    k = min(TOP_K, samples)
    top = [top_k_of_n(c, v, samples, k) for c, v in zip(score, value, strict=True)]
    found["top_k_of_all"] = {"k": k, **_generation.by_category(prompts, top)}
    answers = (score > 0) == (value > 0.5)
    found["verifier_agrees"] = float(answers.mean())
    return found


def seed_result(rows: _depth.Rows, arguments: argparse.Namespace, seed: int) -> dict[str, Any] | None:
    """The arms at equal seconds a prompt; None where one is missing."""
    small = rows.find(seed, arm_name("small", arguments.sampling_steps))
    large = rows.find(seed, arm_name("large", arguments.sampling_steps))
    found = [rows.find(seed, arm_name("small", steps)) for steps in sorted(arguments.more_steps)]
    longer = [each for each in found if each is not None]
    if small is None or large is None or len(longer) < len(found):
        return None
    longest = longer[-1]
    counts = doublings(arguments.samples)
    budgets = []
    for n in counts:
        seconds = seconds_of(small, n)
        affordable = [row for row in longer if row["sample_s"] <= seconds]
        of_large = choices_within(large, seconds)
        budgets.append({
            "seconds": seconds, "n": n, "small": overall(small, "learned", n), "small_own": small["own"][str(n)],
            "small_noisy": overall(small, "noisy", n), "small_oracle": overall(small, "oracle", n),
            "large_n": of_large, "large": None if of_large is None else overall(large, "learned", of_large),
            "more_steps": max((overall(row, "learned", 1) for row in affordable), default=None),
        })  # fmt: skip
    last = budgets[-1]
    return {
        "budgets": budgets,
        "by_category": {str(n): small["held_out"]["learned"][str(n)] for n in (1, counts[-1])},
        "gain": last["small"] - budgets[0]["small"],
        "gain_own": last["small_own"] - budgets[0]["small_own"],
        "large_alone": overall(large, "learned", 1),
        "seconds_of_large_alone": large["sample_s"],
        "small_at_the_seconds_of_large": within(budgets, large["sample_s"]),
        "small_at_the_seconds_of_most_steps": within(budgets, longest["sample_s"]),
        "most_steps": overall(longest, "learned", 1),
        "verifying_share": small["verify_s"] / (small["sample_s"] + small["verify_s"]),
        "verifier_agrees": small["verifier_agrees"],
        "top_k": small["top_k_of_all"],
    }


def seconds_of(row: dict[str, Any], n: int) -> float:
    """Of the best of n samples; one alone is not verified."""
    return float(row["sample_s"]) if n == 1 else float(n * (row["sample_s"] + row["verify_s"]))


def overall(row: dict[str, Any], chooser: str, n: int) -> float:
    return float(row["held_out"][chooser][str(n)]["overall"])


def choices_within(row: dict[str, Any], seconds: float) -> int | None:
    """The largest n measured whose samples, with their verification, fit. None: not even one alone."""
    return max((n for n in doublings(row["samples"]) if seconds_of(row, n) <= seconds), default=None)


def within(budgets: list[dict[str, Any]], seconds: float) -> float:
    """Best-of-n of the small model for the largest n that fits; one sample where none does."""
    return max((each["n"], each["small"]) for each in budgets if each["seconds"] <= seconds or each["n"] == 1)[1]


def bars_of(found: list[dict[str, Any]], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    large = [each["small_at_the_seconds_of_large"] - each["large_alone"] for each in found]
    steps = [each["small_at_the_seconds_of_most_steps"] - each["most_steps"] for each in found]
    gains = [each["gain"] for each in found]
    most = arguments.samples
    bars = [
        _bench.above_zero(f"best of {most} over one sample, held-out oracle", gains, "share of prompts"),
        _bench.at_least("that gain beside the paper's 0.72 to 0.80", statistics.fmean(gains), "share of prompts",
                        PAPER_GAIN, "the paper's is at 2,048 samples of other images"),
        _bench.above_zero("best-of-n of the small model over one sample of the larger, equal seconds", large,
                          "share of prompts"),
        _bench.above_zero("best-of-n over more steps, equal seconds", steps, "share of prompts"),
    ]  # fmt: skip
    if len(found) < max(3, arguments.seeds) or most < 1024:
        bars = [
            _bench.not_met(each, "fewer than 3 seeds, or than were asked for, or than 1,024 samples") for each in bars
        ]
    return bars


def main(words: list[str] | None = None) -> int:
    arguments = parsed(words)
    result = _bench.Result("sana_scaling", ("torch",))
    configuration = _generation.configuration_of(arguments)
    result.settings = {**configuration, "seeds": arguments.seeds, "shared_by_seeds": "autoencoder, verifier, prompts"}
    rows = _depth.Rows(arguments.folder / "scaling.jsonl", configuration, 60 * arguments.minutes)
    studio = Studio(arguments, rows)
    try:
        for seed in range(arguments.seeds):
            if seed_result(rows, arguments, seed) is None:
                Seed(arguments, studio, seed).run()
    except _depth.OutOfTime:
        print("the minutes are over; the same command goes on", flush=True)
    found = [each for seed in range(arguments.seeds) if (each := seed_result(rows, arguments, seed)) is not None]
    result.measurements = {"seeds": len(found), "rows": rows.rows, "by_seed": found}
    if found:
        head = ("seconds", "n", "small", "small_own", "small_noisy", "small_oracle", "large_n", "large", "more_steps")
        print(_bench.table(head, [[each[key] for key in head] for each in found[0]["budgets"]]), flush=True)
        result.bars = bars_of(found, arguments)
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
