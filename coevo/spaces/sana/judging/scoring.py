"""How many prompts a design's images satisfy, by the exact oracle, and what steps, guidance and samples give.

Of several samples a verifier picks one; it has never seen the oracle, which says what that one is worth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from coevo.errors import InputError
from coevo.spaces.sana.data.drawn import CATEGORIES
from coevo.spaces.sana.data.prompts import Prompt
from coevo.spaces.sana.data.satisfaction import satisfied
from coevo.spaces.sana.design import Bounds, SanaDesign
from coevo.spaces.sana.judging.clock import Verifier
from coevo.spaces.sana.judging.painter import Painter
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.scaling.estimators import best_of_n
from coevo.supernets.checkpoints import write_text

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """Expected shares of prompts that the picked image satisfies.

    Attributes:
        oracle: the mean over the categories, as GenEval's.
        categories: by name; those that have prompts.
        images: that were drawn.
    """

    oracle: float
    categories: Mapping[str, float]
    images: int


class Judging:
    """Prompts, noise and judges that stay the same for every design.

    Args:
        prompts: each of one of GenEval's categories.
        verifier: never asked where a design draws one sample.
        rounds: for every prompt so many times a design's samples are drawn; what the favourite of its samples is worth
            is estimated from all of them, without bias (`scaling.best_of_n`).
        seed: of the noise.
    """

    def __init__(
        self, painter: Painter, prompts: Sequence[Prompt], verifier: Verifier, *, rounds: int, seed: int
    ) -> None:
        if rounds < 1 or not prompts:
            raise InputError(f"a score needs prompts and one image of each at least, got {len(prompts)} and {rounds}")
        self.painter, self.prompts, self.verifier, self.rounds, self.seed = painter, prompts, verifier, rounds, seed

    def score(self, model: SanaTransformer, design: SanaDesign) -> Score:
        """Of a design's network, drawn and picked as the design says."""
        return self.scores(model, design.steps, design.guidance, (design.samples,))[0]

    def scores(self, model: SanaTransformer, steps: int, guidance: float, samples: Sequence[int]) -> list[Score]:
        """Of one network, for several numbers of samples, from one pool of images."""
        images = self.rounds * max(samples)
        pool = self.painter.draw(model, self.prompts, images, steps=steps, guidance=guidance, seed=self.seed)
        flat = pool.flatten(0, 1)
        right = satisfied(flat, list(self.prompts) * images).float().view(images, -1).numpy()
        liked = right
        if max(samples) > 1:
            given = self.verifier(flat, [each.text for each in self.prompts] * images)
            liked = np.asarray(given, dtype=np.float64).reshape(images, -1)
        return [self._mean(liked, right, each) for each in samples]

    def _mean(self, liked: Floats, right: Floats, samples: int) -> Score:
        """Over prompts of what the verifier's favourite of so many samples is worth; [images, prompts] each."""
        found: dict[str, list[float]] = {}
        for place, prompt in enumerate(self.prompts):
            share = (
                best_of_n(liked[:, place], right[:, place], samples) if samples > 1 else float(right[:, place].mean())
            )
            found.setdefault(str(prompt.category), []).append(share)
        means = {name: sum(found[name]) / len(found[name]) for name in CATEGORIES if name in found}
        return Score(sum(means.values()) / len(means), means, right.size)


@dataclass(frozen=True)
class Responses:
    """What steps, guidance and samples give the whole supernet: the score of each, by (steps, guidance, samples).

    What a design's network inherits says nothing about how it is sampled; until images are drawn, this does. Shares are
    (right + 1) / (images + 2): where nothing was right yet, losses still rank designs.
    """

    scores: Mapping[tuple[int, float, int], float]
    flow_loss: float
    """Of the whole supernet, held out."""

    def at(self, design: SanaDesign) -> float:
        """InputError for what was not drawn."""
        key = (design.steps, design.guidance, design.samples)
        if key not in self.scores:
            raise InputError(f"no images were drawn at {key[0]} steps, guidance {key[1]:g} and {key[2]} samples")
        return self.scores[key]

    def write(self, path: Path) -> None:
        rows = [[*key, value] for key, value in sorted(self.scores.items())]
        write_text(path, json.dumps({"flow_loss": self.flow_loss, "scores": rows}, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Responses:
        """InputError where it is none."""
        try:
            document: Any = json.loads(path.read_text(encoding="utf-8"))
            rows = {(int(s), float(g), int(n)): float(value) for s, g, n, value in document["scores"]}
            return cls(rows, float(document["flow_loss"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} does not say what sampling gives ({error}); prepare again") from None


@torch.no_grad()
def measure_responses(model: SanaTransformer, bounds: Bounds, judging: Judging, flow_loss: float) -> Responses:
    """Of the whole supernet, for every way of sampling that the space has."""
    found: dict[tuple[int, float, int], float] = {}
    for steps in bounds.steps:
        for guidance in bounds.guidance:
            scores = judging.scores(model, steps, guidance, bounds.samples)
            found |= {
                (steps, guidance, n): (each.oracle * each.images + 1) / (each.images + 2)
                for n, each in zip(bounds.samples, scores, strict=True)
            }
    return Responses(found, flow_loss)
