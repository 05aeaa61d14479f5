"""Do inherited angles rank designs as training each of them from scratch would (QuantumNAS's assumption)?

For every seed 60 random designs are trained from scratch (two trainings each, averaged) and ranked by their accuracy on
the 500 validation images under exact noise, each on its random layout. The same designs are ranked by cheaper scores:

    inherited            angles of the SuperCircuit, as QuantumNAS searches, for each of three samplers
    fine-tuned           the same after `fine_tune_steps` full-batch steps, as the quickstart searches
    no SuperCircuit      as many steps from one random start that all designs share
    parameters           the trivial score: more parameters are better

Spearman's and Kendall's rank correlations with the trained ranking, over all designs and within eight strata of equally
many parameters, where the trivial score cannot help. Takes about eight minutes on two cores for three seeds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import _bench
from coevo.spaces.quantumnas.circuits import Mapper
from coevo.spaces.quantumnas.classifier import (
    ANGLES,
    EncodedImages,
    MaskedAdam,
    accuracy_and_loss,
    fine_tune,
    learning_rate_at,
)
from coevo.spaces.quantumnas.data import read_training_images
from coevo.spaces.quantumnas.evaluate import NoisyScorer
from coevo.spaces.quantumnas.supercircuit import load_supercircuit, train_supercircuit
from coevo.spaces.quantumnas.threads import one_thread

from coevo.hardware.quantum import QuantumDevice
from coevo.search.canonical import stream
from coevo.spaces.quantumnas import CoDesign, Options, problem

SEEDS, DESIGNS, STRATA = 3, 60, 8
SAMPLERS = ("plain", "restricted", "shrinking")
Array = NDArray[Any]


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--designs", type=int, default=DESIGNS)
    arguments = options.parse_args()
    result = _bench.Result("inherited_ranking", packages=("qiskit", "qiskit-ibm-runtime", "mlxtend"))
    result.settings = {
        "seeds": arguments.seeds,
        "designs": arguments.designs,
        "strata": STRATA,
        "options": Options().model_dump() | {"data_seed": "1 + seed", "sampler": list(SAMPLERS)},
    }
    with one_thread():
        seeds = [one_seed(seed, arguments.designs) for seed in range(arguments.seeds)]
    scores = list(seeds[0]["scores"])
    measures = ("spearman", "kendall", "spearman_within_strata", "top_5_accuracy")
    result.measurements["by_seed"] = seeds
    result.measurements["mean"] = {
        score: {name: float(np.mean([seed["scores"][score][name] for seed in seeds])) for name in measures}
        for score in scores
    }
    print(_bench.table(("score", *measures), [(s, *result.measurements["mean"][s].values()) for s in scores]))
    tuned = [seed["scores"]["fine-tuned (shrinking)"] for seed in seeds]
    trivial = [seed["scores"]["parameters"] for seed in seeds]
    over = [
        ours["spearman_within_strata"] - theirs["spearman_within_strata"]
        for ours, theirs in zip(tuned, trivial, strict=True)
    ]
    result.bars = [
        _bench.at_least(
            "Spearman of the quickstart's score", min(t["spearman"] for t in tuned), "1", 0.6, "worst seed"
        ),
        _bench.above_zero("its Spearman within strata over the trivial score's", over, "1"),
    ]
    if arguments.seeds < SEEDS or arguments.designs < DESIGNS:
        result.bars = [_bench.not_met(entry, "fewer seeds or designs than the bar asks for") for entry in result.bars]
    return result.finish(arguments)


def one_seed(seed: int, count: int) -> dict[str, Any]:
    began = time.perf_counter()
    options = Options(data_seed=1 + seed)
    training, validation = read_training_images(options)
    images = EncodedImages(training)
    space = problem(**options.model_dump()).space
    designs = [space.build(space.sample(stream(seed, "ranking", index))) for index in range(count)]
    scorer = NoisyScorer(Mapper(QuantumDevice.from_name(options.device), 2, 42), validation)

    def accuracies(angles: list[Array]) -> Array:
        found = []
        for design, own in zip(designs, angles, strict=True):
            logits = scorer.logits(scorer.map(design, own, design.layout))
            found.append(accuracy_and_loss(logits, validation.labels)[0])
        return np.array(found)

    trained = [accuracies(train_all(designs, images, options, 2 * seed + again)) for again in range(2)]
    truth = (trained[0] + trained[1]) / 2
    print(f"seed {seed}: trained from scratch after {time.perf_counter() - began:.0f} s", flush=True)
    parameters = np.array([design.parameters for design in designs], dtype=float)
    strata = np.array_split(np.argsort(parameters, kind="stable"), STRATA)
    scores = {"parameters": parameters, "one training of the two": trained[0]}
    starts = {"no SuperCircuit": np.random.default_rng(seed).uniform(-np.pi, np.pi, (options.max_blocks, *ANGLES))}
    for sampler in SAMPLERS:
        with tempfile.TemporaryDirectory(prefix="coevo-ranking-") as folder:
            made = train_supercircuit(options.model_copy(update={"sampler": sampler}), seed, Path(folder))
            starts[sampler] = load_supercircuit(made)
    for name, start in starts.items():
        for steps in (0, options.fine_tune_steps):
            tuned = [
                fine_tune(
                    start[: design.blocks].astype(np.float32),
                    design.mask()[None],
                    images,
                    steps,
                    options.fine_tune_learning_rate,
                )[0]
                for design in designs
            ]
            scores[f"{'fine-tuned' if steps else 'inherited'} ({name})"] = accuracies(tuned)
    print(f"seed {seed}: done after {time.perf_counter() - began:.0f} s", flush=True)
    return {
        "seed": seed,
        "trained_accuracy": {"mean": float(truth.mean()), "best": float(truth.max())},
        "best_5_accuracy": float(np.sort(truth)[-5:].mean()),
        "scores": {name: agreement(score, truth, strata) for name, score in scores.items()},
    }


def train_all(designs: list[CoDesign], images: EncodedImages, options: Options, seed: int) -> list[Array]:
    """Every design's own fresh angles, all trained at once as masks of one array."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((len(designs), options.max_blocks, *ANGLES), dtype=np.float32)
    for mask, design in zip(masks, designs, strict=True):
        mask[: design.blocks] = design.mask()
    optimizer = MaskedAdam(rng.uniform(-np.pi, np.pi, masks.shape).astype(np.float32) * masks, 1e-4)
    for step in range(options.scratch_steps):
        batch = rng.integers(0, len(images.states), options.supercircuit_batch_images)
        _, gradient = images.gradient(optimizer.weights, batch)
        optimizer.step(
            gradient * masks, masks, learning_rate_at(step, options.scratch_steps, options.scratch_learning_rate)
        )
    return [angles[: design.blocks] for angles, design in zip(optimizer.weights, designs, strict=True)]


def agreement(score: Array, truth: Array, strata: list[Array]) -> dict[str, float]:
    """Rank correlations, and the trained accuracy of the five designs that the score puts first."""
    within = [float(spearmanr(score[part], truth[part]).statistic) for part in strata if np.ptp(score[part]) > 0]
    return {
        "spearman": float(spearmanr(score, truth).statistic),
        "kendall": float(kendalltau(score, truth).statistic),
        "spearman_within_strata": float(np.mean(within)) if within else 0.0,
        "top_5_accuracy": float(truth[np.argsort(-score, kind="stable")[:5]].mean()),
    }


if __name__ == "__main__":
    sys.exit(main())
