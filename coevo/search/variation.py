"""How a child is made: the space is replayed, some answers kept, some mixed, some drawn anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coevo.errors import ConfigError, unknown_name
from coevo.search.canonical import Stream
from coevo.search.questions import MISSING, Question


@dataclass(frozen=True, slots=True)
class Variation:
    """The settings of crossover and mutation.

    `mutation` is the chance of each answer to be varied; None means one over the number of answers. `eta` is the
    distribution index of polynomial mutation. `real_crossover` is "uniform" (take either parent's number) or "sbx".
    """

    crossover: float = 0.9
    mutation: float | None = None
    real_crossover: str = "uniform"
    eta: float = 20.0

    def __post_init__(self) -> None:
        for name, rate in (("crossover", self.crossover), ("mutation", self.mutation)):
            if rate is not None and not 0.0 <= rate <= 1.0:
                raise ConfigError(f"{name} is a probability, expected 0..1, got {rate!r}")
        if self.real_crossover not in ("uniform", "sbx"):
            raise unknown_name("real_crossover", self.real_crossover, ("uniform", "sbx"))
        if self.eta < 0:
            raise ConfigError(f"eta must not be negative, got {self.eta!r}")


class Draw:
    """Chooses every answer anew."""

    __slots__ = ("rng",)

    def __init__(self, rng: Stream):
        self.rng = rng

    def __call__(self, name: str, question: Question) -> Any:
        return question.draw(self.rng)


class Breed:
    """Chooses each answer from one or two parents; varies some; draws what no parent can answer.

    Which answers vary is settled on the mother's before the replay, so that one at least does where there is no father.
    """

    __slots__ = ("changed", "father", "mother", "rng", "variation", "varied")

    def __init__(
        self,
        mother: Sequence[tuple[str, Any]],
        father: Sequence[tuple[str, Any]] | None,
        rng: Stream,
        variation: Variation,
    ):
        self.mother = dict(mother)
        self.father: Mapping[str, Any] = dict(father) if father is not None else {}
        self.rng = rng
        self.variation = variation
        names = list(self.mother)
        rate = variation.mutation if variation.mutation is not None else 1.0 / max(len(names), 1)
        random = rng.random
        self.varied = {name for name in names if random() < rate}
        if not self.varied and father is None and names:
            self.varied.add(names[rng.below(len(names))])

    def __call__(self, name: str, question: Question) -> Any:
        mother, father = self.mother.get(name, MISSING), self.father.get(name, MISSING)
        if father is MISSING or father == mother:
            answer = question.fits(mother)
        elif question.blends:
            answer, other = question.fits(mother), question.fits(father)
            if answer is MISSING:
                answer = other
            elif other is not MISSING:
                answer = question.mix(answer, other, self.rng, self.variation.real_crossover)
        else:  # either parent's, and the other's where that one does not fit
            first, second = (mother, father) if self.rng.random() < 0.5 else (father, mother)
            answer = question.fits(first)
            if answer is MISSING:
                answer = question.fits(second)
        if answer is MISSING:
            return question.draw(self.rng)
        if name in self.varied:
            return question.vary(answer, self.rng, self.variation.eta)
        return answer
