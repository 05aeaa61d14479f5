"""Two or more runs beside each other: may they be compared at all, what each of them found, and by how much.

Runs are comparable where they search the same space for the same goals and the same evaluator judges last. Those whose
configurations differ in the seed alone are repeats of one configuration.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from coevo.errors import ConfigError
from coevo.search.compare import intervals
from coevo.search.compare.intervals import Interval
from coevo.search.compare.quality import box, coverage, quality
from coevo.search.compare.sheet import AXES, Sheet, cost_names, sheet_of
from coevo.search.folder import flat
from coevo.search.objectives import Goals
from coevo.search.ranking import Floats
from coevo.search.run import Run

FINAL = "final"


@dataclass(frozen=True)
class Group:
    """Runs whose configurations differ in the seed alone."""

    name: str
    members: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """Two runs: `covers` is the share of the second front that the first front is no worse than, and the reverse
    (Zitzler and Thiele 1999, the C measure)."""

    runs: tuple[int, int]
    covers: tuple[float | None, float | None]
    designs_in_common: int
    on_both_fronts: int


@dataclass(frozen=True)
class Difference:
    """How much more the second group has of a measure than the first, on average."""

    groups: tuple[str, str]
    measure: str
    interval: Interval
    higher_is_better: bool


@dataclass(frozen=True)
class Comparison:
    """`quality` is {measure: a value a run}: the hypervolume (the best value, where there is one objective) at the end
    ("final") and where all runs had used as much ("equal_trials", "equal_seconds", "equal_cost_s"); `equal` says how
    much that is. A value is None where no feasible design was known."""

    sheets: tuple[Sheet, ...]
    groups: tuple[Group, ...]
    goals: Goals
    differing: Mapping[str, tuple[Any, ...]]
    notes: tuple[str, ...]
    reference: Mapping[str, float]
    ideal: Mapping[str, float]
    equal: Mapping[str, float]
    quality: Mapping[str, tuple[float | None, ...]]
    pairs: tuple[Pair, ...]
    differences: tuple[Difference, ...] = ()

    @property
    def single(self) -> bool:
        """Is there one cost alone, so that quality is its best value?"""
        return len(self.ideal) == 1

    @property
    def higher_is_better(self) -> bool:
        """The sense of `quality`."""
        return not self.single or self.goals.objectives[0].direction == "max"


def compare(folders: Sequence[Path | str]) -> Comparison:
    """Compares runs, finished or not. ConfigError where there are fewer than two or one is given twice, and where they
    are not comparable, with the reason."""
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise ConfigError("compare: at least two runs are needed")
    runs = [Run.open(path) for path in paths]
    for a, b in combinations(range(len(runs)), 2):
        if runs[a].path.resolve() == runs[b].path.resolve():
            raise ConfigError(f"compare: {paths[a]} and {paths[b]} are the same run; give different ones")
    _check_comparable(runs, paths)
    names = [path.resolve().name for path in paths]
    labels = names if len(set(names)) == len(names) else [str(path) for path in paths]
    sheets = tuple(sheet_of(run, label) for run, label in zip(runs, labels, strict=True))
    goals = runs[0].goals
    groups = _groups(runs)
    ideal, reference = box(sheets)
    equal = {axis: min(sheet.spent[axis] for sheet in sheets) for axis in AXES}
    found = {FINAL: tuple(quality(sheet.points, ideal, reference, goals) for sheet in sheets)}
    for axis, limit in equal.items():
        parts = [sheet.points[sheet.at[axis] <= limit] for sheet in sheets]
        found[f"equal_{axis}"] = tuple(quality(part, ideal, reference, goals) for part in parts)
    names_of_costs = cost_names(goals)
    made = Comparison(
        sheets=sheets,
        groups=groups,
        goals=goals,
        differing=_differing(runs),
        notes=tuple(_notes(sheets, found)),
        reference=_natural(reference, goals, names_of_costs),
        ideal=_natural(ideal, goals, names_of_costs),
        equal=equal,
        quality=found,
        pairs=tuple(_pair(sheets, a, b) for a, b in combinations(range(len(sheets)), 2)),
    )
    return replace(made, differences=tuple(_differences(made)))


def _check_comparable(runs: Sequence[Run], paths: Sequence[Path]) -> None:
    def judged_by(run: Run) -> str:
        return f"{run.config['recorded']['evaluators'][-1]} (stage {run.stages[-1]!r})"

    first = runs[0]
    for run, path in zip(runs[1:], paths[1:], strict=True):
        asked = [("space", first.space_id, run.space_id), ("goals", first.goals.as_dict(), run.goals.as_dict())]
        if first.config["recorded"]["evaluators"][-1] != run.config["recorded"]["evaluators"][-1]:
            asked.append(("last evaluator", judged_by(first), judged_by(run)))
        if first.stages[-1] != run.stages[-1] and all(r.stages[-1].startswith("budget ") for r in (first, run)):
            asked.append(("last budget", first.stages[-1], run.stages[-1]))
        for what, ours, theirs in asked:
            if ours != theirs:
                raise ConfigError(
                    f"compare: {paths[0]} and {path} cannot be compared, their {what} differs: "
                    f"{_said(ours)} and {_said(theirs)}. {_WHY[what]}"
                )


_WHY = {
    "space": "Designs of different spaces have nothing in common",
    "goals": "Each searched for something else, so neither front is better or worse",
    "last budget": "An evaluator's numbers under different budgets do not compare",
    "last evaluator": "The numbers of different evaluators, or of different versions of one, do not compare",
}


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _groups(runs: Sequence[Run]) -> tuple[Group, ...]:
    found: dict[str, list[int]] = {}
    for place, run in enumerate(runs):
        found.setdefault(_configured(run), []).append(place)
    return tuple(Group(_letter(number), tuple(members)) for number, members in enumerate(found.values()))


def _configured(run: Run) -> str:
    """The configuration without its seed, as one text."""
    config = {key: value for key, value in flat(run.config).items() if key != "search.seed"}
    return json.dumps(config, sort_keys=True, default=str)


def _letter(number: int) -> str:
    return chr(65 + number) if number < 26 else f"{chr(64 + number // 26)}{chr(65 + number % 26)}"


def _differing(runs: Sequence[Run]) -> dict[str, tuple[Any, ...]]:
    """{key of run.toml: its value in each run} of the keys that are not equal in all; None where one lacks it."""
    configs = [flat(run.config) for run in runs]
    keys = dict.fromkeys(key for config in configs for key in config)
    values = {key: tuple(config.get(key) for config in configs) for key in keys}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found[1:])}


def _natural(costs: Floats | None, goals: Goals, names: Sequence[str]) -> dict[str, float]:
    """Costs as the user knows them: those that are maximised with their own sign."""
    if costs is None:
        return {}
    signs = [-1.0 if goal.direction == "max" else 1.0 for goal in goals.objectives] + [1.0]
    return {name: float(cost) * sign + 0.0 for name, cost, sign in zip(names, costs, signs, strict=False)}


def _pair(sheets: Sequence[Sheet], a: int, b: int) -> Pair:
    one, two = sheets[a], sheets[b]
    common = len({t.design.key for t in one.front} & {t.design.key for t in two.front})
    covers = (coverage(one.front_costs, two.front_costs), coverage(two.front_costs, one.front_costs))
    return Pair((a, b), covers, len(one.keys & two.keys), common)


def _notes(sheets: Sequence[Sheet], quality: Mapping[str, tuple[float | None, ...]]) -> Iterator[str]:
    configs = [sheet.run.config for sheet in sheets]
    if any(config.get("options", {}) != configs[0].get("options", {}) for config in configs[1:]):
        yield "the problem's options differ: the same metric may mean something else in each run"
    prepared = [
        {name: entry["sha256"] for name, entry in sheet.run.prepared.get("artifacts", {}).items()} for sheet in sheets
    ]
    differ = sorted({name for one in prepared for name in one if any(two.get(name) != one[name] for two in prepared)})
    if differ:
        yield f"prepared files differ ({', '.join(differ)}): the runs' metrics come from different ones"
    if len({frozenset(sheet.run.env.get("devices", {})) for sheet in sheets}) > 1:
        yield "the runs were made on different devices: seconds do not compare"
    elif len({sheet.run.config.get("run", {}).get("workers") for sheet in sheets}) > 1:
        yield "the runs had different numbers of workers: seconds compare the set-ups, not the searches"
    earlier: dict[str, set[int]] = {}
    if len({sheet.run.stages[-1] for sheet in sheets}) > 1:
        yield "the last stages have different names: where their evaluator reads a budget, its numbers do not compare"
    for sheet in sheets:
        if not sheet.status or sheet.status == "interrupted":
            yield f"{sheet.label} is not finished: it is compared as far as it is"
        if sheet.imported:
            yield f"{sheet.label} took over {sheet.imported} trials from another run; they count as trials, at no cost"
        if sheet.seed in earlier.setdefault(_configured(sheet.run), set()):
            yield f"{sheet.label} repeats the configuration and the seed of another run; intervals count one of them"
        earlier[_configured(sheet.run)].add(sheet.seed)
        if not sheet.front.trials:
            yield f"{sheet.label} has no feasible design of its last stage"
    if any(sheet.front.trials for sheet in sheets) and None in quality[FINAL] and len(sheets[0].points.T) > 1:
        yield "the hypervolume is not computed: too many objectives with too large a front"


def _differences(made: Comparison) -> Iterator[Difference]:
    """Each further configuration against the first, where both were run with two seeds or more."""
    baseline, *others = made.groups
    measures = [(name, values, made.higher_is_better) for name, values in made.quality.items()]
    if not made.single:
        measures += [
            (f"best {goal.metric}", tuple(sheet.best(goal.metric) for sheet in made.sheets), goal.direction == "max")
            for goal in made.goals.objectives
        ]
    for other in others:
        for name, values, higher in measures:
            first = _by_seed(made, baseline, values)
            second = _by_seed(made, other, values)
            if min(len(first), len(second)) < 2 or None in first.values() or None in second.values():
                continue
            a = [value for value in first.values() if value is not None]
            b = [value for value in second.values() if value is not None]
            paired = list(first) == list(second)
            interval = intervals.of_pairs(a, b) if paired else intervals.of_difference(a, b)
            yield Difference((baseline.name, other.name), name, interval, higher)


def _by_seed(made: Comparison, group: Group, values: Sequence[float | None]) -> dict[int, float | None]:
    """A value a seed, in the order of the seeds: two runs of one configuration and seed are no two observations."""
    return dict(sorted((made.sheets[i].seed, values[i]) for i in group.members))
