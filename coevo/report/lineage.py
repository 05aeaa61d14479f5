"""Where a design came from: its line of ancestors back to a design without parents, and what changed at each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coevo.search.trial import Trial

LONGEST = 10_000  # a line is as long as there are generations; a damaged store must not make it endless


@dataclass(frozen=True)
class Change:
    """An answer that is not the parent's; None stands for a choice that was not asked. `other` is the second parent
    where the new answer is its own, None where it was drawn anew."""

    name: str
    before: Any
    after: Any
    asked_before: bool
    asked_after: bool
    other: int | None


@dataclass(frozen=True)
class Step:
    """A design of the line. `changes` are against `parent`, the one of its parents that it shares most answers with."""

    trial: Trial
    how: str
    parents: tuple[int, ...]
    parent: int | None
    changes: tuple[Change, ...]


def line_of(trial: Trial, trials: Mapping[int, Trial]) -> list[Step]:
    """The steps from the design itself back to its root; `trials` by index."""
    steps: list[Step] = []
    at: Trial | None = trial
    while at is not None and len(steps) < LONGEST:
        step = _step(at, trials)
        steps.append(step)
        # Parents were asked before their child, so the line ends; anything else is damage.
        at = trials.get(step.parent) if step.parent is not None and step.parent < at.index else None
    return steps


def _step(trial: Trial, trials: Mapping[int, Trial]) -> Step:
    origin = trial.design.origin
    if origin is None:
        return Step(trial, "given by hand", (), None, ())
    known = [trials[parent] for parent in dict.fromkeys(origin.parents) if parent in trials]
    if not known:
        return Step(trial, origin.how, tuple(origin.parents), None, ())
    own = dict(trial.design.answers)
    mother = max(known, key=lambda parent: (_shared(own, dict(parent.design.answers)), -parent.index))
    others = [parent for parent in known if parent is not mother]
    return Step(trial, origin.how, tuple(origin.parents), mother.index, _changes(own, mother, others))


def _shared(own: Mapping[str, Any], parent: Mapping[str, Any]) -> int:
    return sum(name in parent and _same(parent[name], value) for name, value in own.items())


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _changes(own: Mapping[str, Any], mother: Trial, others: list[Trial]) -> tuple[Change, ...]:
    before = dict(mother.design.answers)
    changes = []
    for name, value in own.items():
        if name in before and _same(before[name], value):
            continue
        giver = next((o.index for o in others if name in (a := dict(o.design.answers)) and _same(a[name], value)), None)
        changes.append(Change(name, before.get(name), value, name in before, True, giver))
    changes += [Change(name, value, None, True, False, None) for name, value in before.items() if name not in own]
    return tuple(changes)
