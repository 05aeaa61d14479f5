"""What the experiments on depth share: scenes as latents, trainings, and rows that a stopped run goes on from.

They run with torch, Triton and NumPy alone, from a copy of the tree. No autoencoder and no published weights: the
latents are procedural scenes whose squares of `fold` pixels are folded into channels (a fixed map without loss), at
unit variance. Captions are read by an encoder with random weights that stay as they are: the transformer alone learns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import _bench
import torch
import torch.nn.functional as F

from coevo.spaces.sana.data.drawn import draw_scenes
from coevo.spaces.sana.data.prompts import captions_of
from coevo.spaces.sana.data.scenes import SOURCE, render_batch
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.macs import macs_of, parameters_of
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.text.attribute import AttributeEncoder
from coevo.spaces.sana.training import Batch, Curve, Drawn, FlowLearner, HeldOutLoss, Recipe, in_parts, train
from coevo.spaces.sana.training.captured import learner_of
from coevo.supernets.reproducibility import seed_of

LATENT_STD = 0.247
"""Of the scenes' pixels, so that latents have unit variance at 32 pixels (a test holds it)."""
BACKWARD = 2
"""A backward pass computes two products for each of the forward pass."""


class OutOfTime(Exception):
    """The seconds that the run was given are over."""


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The arguments that both experiments have."""
    options = _bench.parser(doc)
    options.add_argument("--folder", type=Path, default=Path("runs/sana"), help="rows; go on there")
    options.add_argument("--seconds", type=float, default=float("inf"), help="begin no further training after so many")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--width", type=int, default=256)
    options.add_argument("--size-px", type=int, default=32)
    options.add_argument("--fold", type=int, default=4, help="side of the squares of pixels that become one token")
    options.add_argument("--images", type=int, default=16384, help="that train")
    options.add_argument("--held-out", type=int, default=1024, help="that judge")
    options.add_argument("--batch", type=int, default=128)
    options.add_argument("--learning-rate", type=float, default=6e-4)
    options.add_argument("--fused", action="store_true", help="blocks on coevo's kernels")
    options.add_argument("--eager", action="store_true", help="no CUDA graphs")
    return options


class Scenes:
    """Images of one seed: those that train, those that a search may look at, and those that judge."""

    def __init__(self, arguments: argparse.Namespace, seed: int) -> None:
        self.arguments, self.seed = arguments, seed
        self.device = torch.device(arguments.device)
        counts = {"train": arguments.images, "search": arguments.held_out, "judge": arguments.held_out}
        torch.manual_seed(0)
        encoder = AttributeEncoder(_columns(arguments), layers=0).to(self.device).requires_grad_(False)
        self.parts = {name: self._draw(name, count, encoder) for name, count in counts.items()}
        self.drawn = Drawn(self.parts["train"], arguments.batch, seed)
        self.precision = "bfloat16" if self.device.type == "cuda" else "float32"
        size = min(512, arguments.held_out)
        self.judge = HeldOutLoss(in_parts(self.parts["judge"], size), draws=4, precision=self.precision)
        self.search = HeldOutLoss(in_parts(self.parts["search"], size), draws=2, precision=self.precision)

    def _draw(self, name: str, count: int, encoder: AttributeEncoder) -> Batch:
        generator = torch.Generator(self.device).manual_seed(seed_of(self.seed, "scenes", name))
        scenes, categories = draw_scenes(count, generator)
        images = render_batch(scenes, size_px=self.arguments.size_px)
        latents = F.pixel_unshuffle(images, self.arguments.fold)
        tokens, mask = encoder.tokens_of(captions_of(scenes, categories))
        return Batch(latents / LATENT_STD, encoder(tokens), mask)

    def transformer(self, depth: int, seed: int) -> SanaTransformer:
        """A new one."""
        given = self.arguments
        torch.manual_seed(seed_of(seed, "weights", depth))
        config = SanaConfig.small(
            given.width, depth, cross_heads=given.width // 32, channels=3 * given.fold**2,
            sample_size=given.size_px // given.fold, caption_channels=_columns(given),
        )  # fmt: skip
        return SanaTransformer(config).to(self.device).use_fused(given.fused)

    def recipe(self, steps: int, **changes: Any) -> Recipe:
        """One rate after a short warm-up, as Sana's: no schedule whose end would favour one length."""
        rate, warmup = self.arguments.learning_rate, min(100, max(1, steps // 10))
        return Recipe(steps, **{"learning_rate": rate, "warmup_steps": warmup, "precision": self.precision,
                                "seed": self.seed, **changes})  # fmt: skip

    def train(self, model: SanaTransformer, recipe: Recipe, validate_every: int) -> Curve:
        """In place; validated by the images that judge."""
        at = range(0, recipe.steps + 1, validate_every)
        learner = FlowLearner(model, recipe) if self.arguments.eager else learner_of(model, recipe)
        return train(
            learner, self.drawn, recipe, checkpoint_every=max(1, validate_every),
            validate=lambda: self.judge(model), validate_at=at,
        )  # fmt: skip

    def step_flops(self, config: SanaConfig) -> float:
        """Floating-point operations of an update: two a multiply-accumulate, forward and backward."""
        text = self.parts["train"].text.shape[1]
        return 2.0 * (1 + BACKWARD) * macs_of(config, text_tokens=text) * self.arguments.batch


def _columns(arguments: argparse.Namespace) -> int:
    return min(128, arguments.width)


def costs(config: SanaConfig, text_tokens: int) -> dict[str, float]:
    return {
        "mparams": parameters_of(config) / 1e6,
        "gmacs_per_image": macs_of(config, text_tokens=text_tokens) / 1e9,
    }  # fmt: skip


class Rows:
    """One JSON object a line, by seed and name, of one configuration; what is there is not computed again."""

    def __init__(self, path: Path, configuration: Mapping[str, Any], seconds: float) -> None:
        self.path, self.configuration = path, json.loads(json.dumps(configuration))
        self._end = time.perf_counter() + seconds
        self.rows: list[dict[str, Any]] = []
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # a line that a killed run did not finish
            if row.get("configuration") == self.configuration:
                self.rows.append(row)

    def find(self, seed: int, name: str) -> dict[str, Any] | None:
        """The row, or None."""
        return next((each for each in self.rows if (each["seed"], each["name"]) == (seed, name)), None)

    def add(self, seed: int, name: str, found: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the row and gives it back."""
        row = {"seed": seed, "name": name, **found}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = self.path.read_bytes() if self.path.is_file() else b""
        with self.path.open("a", encoding="utf-8") as lines:
            whole = "" if not kept or kept.endswith(b"\n") else "\n"
            lines.write(whole + json.dumps({**row, "configuration": self.configuration}, allow_nan=False) + "\n")
        self.rows.append(row)
        print(f"seed {seed}  {name}: " + "  ".join(_shown(found)), flush=True)
        return row

    def check_time(self) -> None:
        """OutOfTime where the seconds are over."""
        if time.perf_counter() >= self._end:
            raise OutOfTime


def _shown(found: Mapping[str, Any]) -> Iterable[str]:
    for key, value in found.items():
        if isinstance(value, int | float):
            yield f"{key} {value:.4g}"


def configuration_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that a row follows from."""
    left_out = {"folder", "seconds", "seeds", "json", "out"}
    plain = {key: value for key, value in vars(arguments).items() if key not in left_out}
    return {"data": f"{SOURCE}, {arguments.size_px} pixels, folded", "published_weights": None, **plain}
