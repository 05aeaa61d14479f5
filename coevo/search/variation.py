"""How a child is made: the space is replayed, some answers kept, some mixed, some drawn anew."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coevo.errors import ConfigError, unknown_name
from coevo.search.canonical import Stream
from coevo.search.design import Design
from coevo.search.pick import Chooser
from coevo.search.questions import MISSING, Question


@dataclass(frozen=True, slots=True)
class Variation:
    """The settings of crossover and mutation.

    `mutation` is the chance of each answer to be varied; None means one over the number of answers. `eta` is the
    distribution index of polynomial mutation. `real_crossover` is "uniform" (take either parent's number) or "sbx",
    which has the distribution index `sbx_eta`.
    """

    crossover: float = 0.9
    mutation: float | None = None
    real_crossover: str = "uniform"
    eta: float = 20.0
    sbx_eta: float = 15.0

    def __post_init__(self) -> None:
        for name, rate in (("crossover", self.crossover), ("mutation", self.mutation)):
            if rate is not None and not 0.0 <= rate <= 1.0:
                raise ConfigError(f"{name} is a probability, expected 0..1, got {rate!r}")
        if self.real_crossover not in ("uniform", "sbx"):
            raise unknown_name("real_crossover", self.real_crossover, ("uniform", "sbx"))
        for name, index in (("eta", self.eta), ("sbx_eta", self.sbx_eta)):
            if index < 0:
                raise ConfigError(f"{name} must not be negative, got {index!r}")

    @property
    def index(self) -> float | None:
        """SBX's distribution index, None where numbers cross uniformly."""
        return self.sbx_eta if self.real_crossover == "sbx" else None


class Draw:
    """Chooses every answer anew."""

    __slots__ = ("rng",)

    def __init__(self, rng: Stream):
        self.rng = rng

    def __call__(self, name: str, question: Question) -> Any:
        return question.draw(self.rng)


def breed(mother: Design, father: Design | None, rng: Stream, variation: Variation) -> Chooser:
    """Chooses each answer from one or two parents; varies some; draws what no parent can answer.

    Which answers vary is settled on the mother's before the replay, so that one at least does where there is no father.
    """
    mothers = mother.mapping
    fathers: Mapping[str, Any] | None = father.mapping if father is not None else None
    varied = _varied(list(mothers), rng, variation.mutation)
    if not varied and fathers is None and mothers:
        varied = {list(mothers)[rng.below(len(mothers))]}
    random, eta = rng.random, variation.eta

    # This runs once a choice and makes up half of what an ask costs.
    def choose(name: str, question: Question) -> Any:
        lookup = question.lookup
        if fathers is None:
            first = mothers.get(name, MISSING)
            answer = question.fits(first) if lookup is None else lookup.get(first, MISSING)
        elif lookup is not None:  # either parent's, and the other's where that one does not fit
            one, other = (fathers, mothers) if random() < 0.5 else (mothers, fathers)
            answer = lookup.get(one.get(name, MISSING), MISSING)
            if answer is MISSING:
                answer = question.fits(other.get(name, MISSING))
        else:
            answer = _mixed(question, mothers.get(name, MISSING), fathers.get(name, MISSING), rng, variation)
        if answer is MISSING:
            return question.draw(rng)
        return question.vary(answer, rng, eta) if name in varied else answer

    return choose


def _mixed(question: Question, first: Any, second: Any, rng: Stream, variation: Variation) -> Any:
    if not question.blends or second == first:
        if rng.random() < 0.5:
            first, second = second, first
        answer = question.fits(first)
        return question.fits(second) if answer is MISSING else answer
    answer, other = question.fits(first), question.fits(second)
    if answer is MISSING:
        return other
    return answer if other is MISSING else question.mix(answer, other, rng, variation.index)


def _varied(names: list[str], rng: Stream, rate: float | None) -> set[str]:
    """Each name with the chance `rate` (None: one over their number), by leaping from one to the next."""
    rate = 1.0 / max(len(names), 1) if rate is None else rate
    if rate >= 1.0:
        return set(names)
    varied: set[str] = set()
    if rate > 0.0:
        scale = 1.0 / math.log1p(-rate)
        place = int(math.log(1.0 - rng.random()) * scale)
        while place < len(names):
            varied.add(names[place])
            place += 1 + int(math.log(1.0 - rng.random()) * scale)
    return varied
