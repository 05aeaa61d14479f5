"""A ladder as it is climbed: counts, cost and agreement by stage, kept up from events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from coevo.search.agreement import Agreement, Pairs
from coevo.search.objectives import Goals
from coevo.search.trial import Trial

AGAIN = 1.05
"""Kendall's tau is reckoned again when there are this many times the pairs: its cost grows with their square."""


@dataclass
class Rung:
    """One stage: `ended` succeeded there and went no further."""

    name: str
    evaluated: int = 0
    failed: int = 0
    ended: int = 0
    cost_s: float = 0.0


class Rungs:
    """The stages of a study in their order."""

    def __init__(self, stages: Sequence[str], goals: Goals):
        self.rungs = [Rung(name) for name in stages]
        self._place = {name: place for place, name in enumerate(stages)}
        self._counted: dict[int, int] = {}  # of designs under way: how many of their outcomes were counted
        self._pairs = Pairs(stages, goals)
        self._known: tuple[int, list[Agreement]] = (0, [])

    @property
    def several(self) -> bool:
        return len(self.rungs) > 1

    @property
    def cost_s(self) -> float:
        """Evaluator seconds over all stages, of designs under way too."""
        return sum(rung.cost_s for rung in self.rungs)

    def take(self, trial: Trial, told: bool) -> None:
        """Counts the outcomes of a design that were not counted before; `told` says that it goes no further. What was
        evaluated elsewhere counts at no stage."""
        if trial.imported:
            return
        results = trial.reached
        for number in range(self._counted.get(trial.index, 0), len(results)):
            result = results[number]
            rung = self.rungs[self._place[result.stage]]
            rung.evaluated += 1
            rung.cost_s += result.cost_s
            if number == len(results) - 1 and trial.score is None:
                rung.failed += 1
            elif number:
                before = results[number - 1]
                self._pairs.add(before.stage, before.metrics, result.stage, result.metrics)
        if told:
            self._counted.pop(trial.index, None)
            self.rungs[self._place[trial.stage]].ended += trial.score is not None
        else:
            self._counted[trial.index] = len(results)

    def went_on(self, place: int) -> tuple[int, float | None]:
        """How many of a stage's designs were evaluated at the next one, and their share of those that are decided."""
        on = self.rungs[place + 1].evaluated
        decided = on + self.rungs[place].ended
        return on, on / decided if decided else None

    def agreements(self, exact: bool = False) -> list[Agreement]:
        """How well each stage ranks designs as the next does; up to 5 % of the pairs may be missing unless `exact`."""
        count = self._pairs.count()
        then, known = self._known
        if count != then and (exact or count >= then * AGAIN):
            known = self._pairs.agreements()
            self._known = (count, known)
        return known

    def agreements_of(self, cheaper: str) -> list[Agreement]:
        """Those of one stage with the next."""
        return [found for found in self.agreements() if found.cheaper == cheaper]

    def as_json(self) -> dict[str, Any]:
        """{"stages": [...], "agreements": [...]}."""
        return {
            "stages": [asdict(rung) for rung in self.rungs],
            "agreements": [
                {**asdict(found), "better_than_chance": found.better_than_chance}
                for found in self.agreements(exact=True)
            ],
        }
