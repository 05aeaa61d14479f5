"""What a comparison lets one say, in plain words, and no more than that."""

from __future__ import annotations

import math

from coevo.search.compare.comparison import Comparison, Difference, Group

SHOWN = ("equal_trials", "equal_seconds", "equal_cost_s")


def verdict(made: Comparison) -> list[str]:
    """A sentence or more. A difference between configurations is claimed only where an interval over seeds excludes 0;
    single runs are described, and said to be single."""
    if not any(sheet.front.trials for sheet in made.sheets):
        return ["None of the runs has found a feasible design of its last stage: there is nothing to compare."]
    if len(made.groups) == 1:
        return _one_configuration(made)
    said = []
    pairs = dict.fromkeys(difference.groups for difference in made.differences)
    for names in pairs:
        said += [_claim(made, found) for found in made.differences if found.groups == names and found.measure in SHOWN]
    if len(pairs) > 1:
        said.append(
            f"Each interval stands for itself: of {len(pairs)} configurations compared with {made.groups[0].name}, one "
            "may seem to differ by chance."
        )
    if pairs:
        said.append("This holds for this problem, these budgets and seeds like these.")
    single = [group for group in made.groups if len(_seeds(made, group)) < 2]
    if single and len(made.groups) == 2 and len(made.sheets) == 2:
        said += _two_runs(made)
    if single:
        alone = " and ".join(group.name for group in single)
        verb = "was" if len(single) == 1 else "were each"
        said.append(
            f"Configuration {alone} {verb} run with one seed: that says how "
            f"{'this run' if len(single) == 1 else 'these runs'} went, not which configuration is better. Run each "
            "with several seeds (--set search.seed=1, ...) and give all of the runs."
        )
    return said


def _seeds(made: Comparison, group: Group) -> set[int]:
    return {made.sheets[i].seed for i in group.members}


def _one_configuration(made: Comparison) -> list[str]:
    seeds = _seeds(made, made.groups[0])
    if len(seeds) == 1:
        same = len({sheet.keys for sheet in made.sheets}) == 1
        return [
            "The runs have the same configuration and the same seed, and "
            + ("made the same designs." if same else "made different designs (budgets reached or throughput mode).")
        ]
    return [
        f"The runs are {len(seeds)} seeds of one configuration: what differs between them is chance. To compare "
        "configurations, give runs of two."
    ]


def _two_runs(made: Comparison) -> list[str]:
    what = "the better value" if made.single else "more hypervolume"
    said = []
    for measure in SHOWN:
        first, second = made.quality[measure]
        where = f"{measure_words(made, measure)}, "
        if first is None or second is None:
            continue
        if math.isclose(first, second, rel_tol=1e-12, abs_tol=1e-15):
            said.append(f"{where}both have the same ({first:.4g}).")
            continue
        ahead = int((second > first) == made.higher_is_better)
        more, less = (second, first) if ahead else (first, second)
        said.append(f"{where}{made.sheets[ahead].label} has {what}: {more:.4g} against {less:.4g}.")
    return [sentence[0].upper() + sentence[1:] for sentence in said]


def _claim(made: Comparison, found: Difference) -> str:
    first, second = found.groups
    interval = found.interval
    numbers = f"{interval.mean:+.3g}, 95 % interval [{interval.low:.3g}, {interval.high:.3g}] ({interval.how})"
    where = measure_words(made, found.measure)
    where = where[0].upper() + where[1:]
    what = "best value" if made.single else "hypervolume"
    if interval.holds_zero:
        return f"{where}: no difference shown between {first} and {second}; {second} - {first} in {what} {numbers}."
    ahead = second if (interval.mean > 0) == found.higher_is_better else first
    return f"{where}: {ahead} is better; {second} - {first} in {what} {numbers}."


def measure_words(made: Comparison, measure: str) -> str:
    """ "at equal trials (40)" and the like."""
    match measure:
        case "equal_trials":
            return f"at equal trials ({made.equal['trials']:g})"
        case "equal_seconds":
            return f"at equal seconds of search ({made.equal['seconds']:.3g} s)"
        case "equal_cost_s":
            return f"at equal seconds of evaluation ({made.equal['cost_s']:.3g} s)"
        case "final":
            return "in the end"
        case _:
            return measure
