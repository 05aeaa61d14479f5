"""How a transformer is trained, as numbers that name it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from coevo.errors import ConfigError, unknown_name

PRECISIONS = ("float32", "bfloat16", "float16")
OPTIMIZERS = ("adamw", "came", "came8bit")
MOST_RATE = 10.0


@dataclass(frozen=True)
class Recipe:
    """Of one training.

    Attributes:
        steps: updates in all; 0 trains nothing.
        learning_rate: the largest.
        optimizer: "adamw", or CAME with a first moment in float32 ("came") or in blocks of eight bits ("came8bit").
        warmup_steps: of a rate that grows in a line.
        final_share: of the rate at the end, which a cosine falls to after the warm-up; 1 keeps it, as Sana does.
        weight_decay: decoupled; Sana has 0.
        clip: norm of all gradients together that is not passed; None clips nothing. Sana has 0.1.
        precision: of the products; weights, sums and the loss are float32.
        drop_text: share of the images that learn the empty caption's velocity, which guidance needs; Sana has 0.1.
        ema: share of the running average of the weights that a step keeps; None keeps no average.
        seed: of noise and times.
        reproducible: torch refuses operators whose bits differ from run to run.

    Raises:
        ConfigError: a number outside its range.
        UnknownName: no such optimizer or precision.
    """

    steps: int
    learning_rate: float = 1e-4
    optimizer: str = "adamw"
    warmup_steps: int = 0
    final_share: float = 1.0
    weight_decay: float = 0.0
    clip: float | None = 1.0
    precision: str = "float32"
    drop_text: float = 0.0
    ema: float | None = None
    seed: int = 0
    reproducible: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS, "Recipe.precision")
        if self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS, "Recipe.optimizer")
        wrong = [
            text
            for text, holds in (
                (f"steps is {self.steps}: expected 0 or more", self.steps >= 0),
                (
                    f"learning_rate is {self.learning_rate}: expected more than 0, at most {MOST_RATE:g}",
                    0 < self.learning_rate <= MOST_RATE,
                ),
                (f"warmup_steps is {self.warmup_steps}: expected 0 or more", self.warmup_steps >= 0),
                (f"final_share is {self.final_share}: expected 0 to 1", 0 <= self.final_share <= 1),
                (f"weight_decay is {self.weight_decay}: expected 0 to 1", 0 <= self.weight_decay <= 1),
                (f"drop_text is {self.drop_text}: expected 0 to 1", 0 <= self.drop_text <= 1),
                (f"clip is {self.clip}: expected more than 0, or None", self.clip is None or self.clip > 0),
                (f"ema is {self.ema}: expected more than 0 and below 1, or None", self.ema is None or 0 < self.ema < 1),
            )
            if not holds
        ]
        if wrong:
            raise ConfigError("a training's recipe: " + "; ".join(wrong))

    def rate(self, step: int) -> float:
        """The learning rate of update `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        rest = max(1, self.steps - self.warmup_steps)
        fallen = 0.5 * (1 - math.cos(math.pi * min(1.0, (step - self.warmup_steps) / rest)))
        return self.learning_rate * (1 - (1 - self.final_share) * fallen)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def digest(self) -> str:
        """Of all of it."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
