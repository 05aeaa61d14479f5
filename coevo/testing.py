"""The conformance kit for spaces and evaluators that live outside coevo. Call it from your own tests.

from coevo.testing import check_evaluator, check_space

def test_my_space():
    check_space(my_space)
    check_evaluator(MyEvaluator(), my_space)
"""

from __future__ import annotations

import json
import math
import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coevo.search.canonical import derived_seed, stream
from coevo.search.design import Design, Origin
from coevo.search.evaluator import Candidate, Context, Evaluator, FunctionEvaluator, Outcome
from coevo.search.memo import MemoTable
from coevo.search.objectives import judge
from coevo.search.space import Space
from coevo.search.variation import Draw, Variation


@dataclass(frozen=True, slots=True)
class SpaceReport:
    """What was seen. `rejection_rate` is the share of random draws that `check` or `reject` refused; `children` the
    share of crossovers and mutations that gave a valid child."""

    samples: int
    distinct: int
    rejection_rate: float
    children: float
    questions: tuple[int, int]


def check_space(space: Space, samples: int = 100, seed: int = 0, max_rejection_rate: float = 0.999) -> SpaceReport:
    """Holds a space to its contract; AssertionError says which part of it broke, and for which design.

    The build must depend on its answers alone (not on global random state, time or earlier builds), ask every name
    once, and give designs whose keys and JSON are stable and whose children build.
    """
    assert "/" in space.id, f"the id {space.id!r} carries no version; expected something like {space.id + '/v1'!r}"
    designs = [space.sample(stream(seed, "conformance", index)) for index in range(samples)]
    for design in designs:
        _check_design(space, design)
    refused = sum(
        space.grow(Draw(stream(seed, "rejection", index))).refusal is not None for index in range(10 * samples)
    ) / (10 * samples)
    assert refused <= max_rejection_rate, (
        f"{refused:.1%} of random designs are refused; let build() ask only what fits, or return "
        "Violation(reason, amount)"
    )
    born = 0
    for index in range(samples):
        rng = stream(seed, "children", index)
        mother, father = designs[index], designs[rng.below(samples)] if index % 2 else None
        child = space.child(rng, Variation(), mother, father, Origin("crossover" if father else "mutation"))
        if child is not None:
            born += 1
            _check_design(space, child)
    assert born or not samples, "no crossover and no mutation gave a valid child"
    counts = [len(design.answers) for design in designs]
    return SpaceReport(
        samples, len({design.key for design in designs}), refused, born / samples, (min(counts), max(counts))
    )


def _check_design(space: Space, design: Design) -> None:
    random.seed(1)
    first = space.replay(design)
    random.seed(2)
    second = space.replay(design)
    assert first.design.answers == second.design.answers == design.answers, (
        f"build() asks differently for the same answers: {first.design!r}, then {second.design!r}"
    )
    assert first.refusal is None and second.refusal is None, f"check() refuses what it let pass before: {design!r}"
    assert _same(first.value, second.value), (
        f"build() gives different values for the same answers: {first.value!r}, then {second.value!r} (give the value "
        "an __eq__, or take out what depends on time, random state or earlier builds)"
    )
    back = Design.from_json(json.loads(json.dumps(design.to_json())))
    assert back.key == design.key and back.answers == design.answers, f"{design!r} does not survive JSON: {back!r}"


def _same(a: Any, b: Any) -> bool:
    equal = a == b
    if isinstance(equal, bool):
        return equal or repr(a) == repr(b)
    return bool(getattr(equal, "all", lambda: repr(a) == repr(b))())


def check_evaluator(
    evaluator: Evaluator | Any,
    space: Space,
    samples: int = 6,
    seed: int = 0,
    artifacts: Mapping[str, Path] | None = None,
    relative_tolerance: float = 1e-6,
    deterministic: bool = True,
) -> list[Outcome]:
    """Holds an evaluator to its contract on sampled designs, and returns their outcomes.

    One outcome a candidate, with every declared metric finite (or a reason); a batch equals its members within
    `relative_tolerance`; where `deterministic`, asking again gives the same. A plain function of one value is judged
    by the metrics it returns.
    """
    designs = [space.sample(stream(seed, "conformance", index)) for index in range(samples)]
    if not isinstance(evaluator, Evaluator):
        first = evaluator(space.build(designs[0]))
        assert isinstance(first, (Mapping, Outcome)), f"expected a mapping of metrics, got {first!r}"
        names = first.metrics if isinstance(first, Outcome) else first
        evaluator = FunctionEvaluator(evaluator, {str(name): "" for name in names})
    assert evaluator.id, f"{type(evaluator).__name__} has no id"
    assert evaluator.metrics, f"{evaluator.label} declares no metrics"
    # Inner results are computed anew at every question, so that one which cannot be repeated shows.
    table = MemoTable(remember=False)
    context = Context(artifacts=artifacts, seed=seed, label=evaluator.label, table=table)
    evaluator.setup(context)
    with tempfile.TemporaryDirectory(prefix="coevo-check-") as folder:
        candidates = [
            Candidate(index, design.key, space.build(design), derived_seed(seed, design.key), Path(folder))
            for index, design in enumerate(designs)
        ]
        together = _outcomes(evaluator, candidates, context)
        alone = [_outcomes(evaluator, [candidate], context)[0] for candidate in candidates]
        if deterministic:
            again = _outcomes(evaluator, candidates, context)
            for candidate, one, other in zip(candidates, together, again, strict=True):
                _compare(evaluator, candidate, one, other, 0.0, "asked twice")
        for candidate, one, other in zip(candidates, together, alone, strict=True):
            _compare(evaluator, candidate, one, other, relative_tolerance, "in a batch and alone")
        for candidate in candidates:
            key = evaluator.cache_key(candidate.value)
            assert key is None or isinstance(key, str), (
                f"{evaluator.label}: cache_key must be a text or None, got {key!r}"
            )
    return together


def _outcomes(evaluator: Evaluator, candidates: list[Candidate], context: Context) -> list[Outcome]:
    outcomes = evaluator.evaluate(candidates, context)
    assert isinstance(outcomes, list) and len(outcomes) == len(candidates), (
        f"{evaluator.label} returned {len(outcomes) if hasattr(outcomes, '__len__') else outcomes!r} outcomes "
        f"for {len(candidates)} candidates"
    )
    for outcome in outcomes:
        assert isinstance(outcome, Outcome), f"{evaluator.label} returned {outcome!r}; expected an Outcome"
        if outcome.ok:
            _, reason = judge(outcome.metrics, list(evaluator.metrics))
            assert reason is None, f"{evaluator.label}: {reason}"
    return outcomes


def _compare(
    evaluator: Evaluator, candidate: Candidate, one: Outcome, other: Outcome, tolerance: float, how: str
) -> None:
    assert one.failure == other.failure, f"{evaluator.label}, {how}: {one.failure!r} against {other.failure!r}"
    for name in evaluator.metrics if one.ok else ():
        a, b = float(one.metrics[name]), float(other.metrics[name])
        assert math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance), (
            f"{evaluator.label}, {how}: {name} of design {candidate.key[:8]} is {a!r} against {b!r}"
        )


__all__ = ["SpaceReport", "check_evaluator", "check_space"]
