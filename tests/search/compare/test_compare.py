"""Runs beside each other: what may be compared, what is measured, and what is claimed of it."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import pytest

from coevo import Evaluator, Outcome, Problem, Space, Stage, Study
from coevo.errors import ConfigError, RunFolderError
from coevo.search.compare import compare, intervals, verdict
from coevo.search.compare.quality import box, coverage, quality
from coevo.search.compare.sheet import _elapsed, sheet_of
from coevo.search.halving import successive_halving
from coevo.search.objectives import Goals
from coevo.search.ranking import hypervolume
from coevo.search.run import Run
from coevo.search.store import Store

SPACE = Space("t/v1", lambda pick: [pick.integer(f"x{i}", 0, 9) for i in range(5)])


class Judge(Evaluator):
    def __init__(self, level=0, version="1", shift=0.0):
        self.id, self.version, self.shift, self.metrics = f"judge{level}", version, shift, {"y": "", "size": ""}

    def evaluate(self, candidates, context):
        return [self.judged(candidate.value) for candidate in candidates]

    def judged(self, value):
        return Outcome({"y": sum(value) + self.shift, "size": value[0] * value[1]})


def problem(*stages, space=SPACE):
    return Problem("t", space, stages or [Stage("full", Judge())], {"y": "max", "size": "min"})


def searched(folder, subject=None, trials=60, **options):
    options = {"algorithm": "random", "runner": "inline", **options}
    with Study(subject or problem(), folder=folder, **options) as study:
        study.run(trials=trials)
    return folder


# Intervals


def test_quantiles_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for degrees in (1, 1.37, 2, 3, 4.5, 9, 30, 250.25):
        for probability in (0.5, 0.9, 0.975, 0.9999):
            assert intervals.t_quantile(probability, degrees) == pytest.approx(
                stats.t.ppf(probability, degrees), rel=1e-6, abs=1e-9
            )


def test_intervals_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = random.Random(0)
    a, b = [rng.gauss(0, 1) for _ in range(5)], [rng.gauss(1, 3) for _ in range(8)]
    found = intervals.of_difference(a, b)
    theirs = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-6)
    found = intervals.of_pairs(a, b[:5])
    theirs = stats.ttest_rel(b[:5], a).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-6)
    found = intervals.of_mean(b)
    assert found.mean == statistics.fmean(b) and found.low < found.mean < found.high


def test_too_few_values_say_nothing():
    assert intervals.of_mean([3.0]).low == -math.inf and intervals.of_difference([1.0], [2.0, 3.0]).holds_zero
    equal = intervals.of_difference([1.0, 1.0], [2.0, 2.0])
    assert (equal.mean, equal.low, equal.high) == (1, 1, 1)


def test_an_interval_holds_the_truth_as_often_as_it_says():
    rng = random.Random(3)
    held = 0
    for _ in range(400):
        a, b = [rng.gauss(0, 1) for _ in range(4)], [rng.gauss(0.5, 3) for _ in range(6)]
        found = intervals.of_difference(a, b)
        held += found.low <= 0.5 <= found.high
    assert 0.92 <= held / 400 <= 0.985


# Quality


def test_quality_is_the_share_of_the_box_of_all_points():
    rng = np.random.default_rng(1)
    goals = Goals({"a": "max", "b": "min"})
    points = rng.random((300, 2))
    ideal, reference = np.array([0.1, 0.2]), np.array([0.9, 1.3])
    inside = points[(points < reference).all(axis=1)]
    whole = float(np.prod(reference - ideal))
    assert quality(points, ideal, reference, goals) == pytest.approx(hypervolume(inside, reference.tolist()) / whole)
    assert quality(points[:0], ideal, reference, goals) == 0.0
    assert quality(points, None, None, goals) is None
    many = rng.random((3000, 4))
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    four = Goals(dict.fromkeys("abcd", "min"))
    assert quality(many, np.zeros(4), np.full(4, 1.1), four) is None  # said to be too large, never half computed


def test_quality_of_one_objective_is_its_best_value():
    goals = Goals({"a": "max"})
    assert quality(np.array([[-3.0], [-7.0]]), np.array([-7.0]), np.array([0.0]), goals) == 7.0
    assert quality(np.empty((0, 1)), np.array([-7.0]), np.array([0.0]), goals) is None


def test_coverage_is_that_of_zitzler_and_thiele():
    a, b = np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([[0.0, 3.0], [1.0, 1.0], [2.0, 0.0]])
    assert coverage(a, b) == pytest.approx(2 / 3) and coverage(b, a) == 0.5  # equal points cover each other
    assert coverage(a, a[:0]) is None and coverage(a[:0], b) == 0.0


def test_the_reference_point_is_common_and_holds_every_front(tmp_path):
    sheets = [sheet_of(Run.open(searched(tmp_path / str(seed), seed=seed)), str(seed)) for seed in range(3)]
    ideal, reference = box(sheets)
    together = np.concatenate([sheet.front_costs for sheet in sheets])
    assert (ideal == together.min(axis=0)).all()
    assert reference == pytest.approx(together.max(axis=0) + 0.1 * (together.max(axis=0) - together.min(axis=0)))


# What a run had spent


def test_pauses_and_preparation_are_no_search():
    sessions = [(10.0, 20.0), (100.0, 130.0)]
    assert [_elapsed(sessions, at) for at in (5, 12, 20, 50, 110, 500)] == [0, 2, 10, 10, 20, 40]


def test_what_was_known_when(tmp_path, monkeypatch):
    """A run of two sessions under a clock of its own: 4 s to prepare, a trial each second, a pause of an hour."""
    clock = [1000.0]
    monkeypatch.setattr("coevo.search.store.time.time", lambda: clock[0])
    append = Store.append

    def slowly(self, kind, trial, body):
        clock[0] += {"prepared": 4.0, "told": 1.0, "finished": 0.0}.get(kind, 0.0)
        if kind == "told":
            body["cost_s"] = 0.5
        append(self, kind, trial, body)

    monkeypatch.setattr(Store, "append", slowly)

    def prepare(context):
        (context.folder / "net").write_text("x")
        return {"net": context.folder / "net"}

    subject = Problem("t", SPACE, [Stage("full", Judge())], {"y": "max", "size": "min"}, prepare=prepare)
    searched(tmp_path / "run", subject, trials=10)
    clock[0] += 3600
    searched(tmp_path / "run", subject, trials=20)
    sheet = sheet_of(Run.open(tmp_path / "run"), "run")
    assert sheet.spent == pytest.approx({"trials": 20, "seconds": 20, "cost_s": 10})
    assert sheet.at["trials"].tolist() == list(range(1, 21))
    assert sheet.at["seconds"] == pytest.approx(np.arange(1, 21))
    assert sheet.at["cost_s"] == pytest.approx(np.arange(1, 21) * 0.5)
    assert sheet.status == "trials"


def test_only_the_last_stage_counts(tmp_path):
    ladder = problem(Stage("cheap", Judge(1, shift=1000.0), 0.5), Stage("full", Judge()))
    sheet = sheet_of(Run.open(searched(tmp_path / "run", ladder)), "run")
    assert 10 < len(sheet.points) < 60 and -sheet.points[:, 0].min() <= 45
    assert len(sheet.keys) == 60 and sheet.spent["trials"] == 60


# Comparable or not


@pytest.mark.parametrize(
    ("other", "options", "words"),
    [
        (problem(space=Space("t/v2", SPACE._build)), {}, ("their space differs: t/v1 and t/v2",)),
        (problem(Stage("full", Judge(version="2"))), {}, ("last evaluator differs", "judge0@1", "judge0@2")),
        (problem(), {"constraints": {"size": "<= 9"}}, ("their goals differs", "<= 9")),
        (problem(), {"objectives": {"y": "max"}}, ("their goals differs", "neither front is better or worse")),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(tmp_path, other, options, words):
    searched(tmp_path / "a", trials=4)
    searched(tmp_path / "b", other, trials=4, **options)
    with pytest.raises(ConfigError) as caught:
        compare([tmp_path / "a", tmp_path / "b"])
    for word in ("cannot be compared", str(tmp_path / "a"), str(tmp_path / "b"), *words):
        assert word in str(caught.value)


def test_budgets_of_one_evaluator_do_not_compare(tmp_path):
    paths = []
    for budgets in ((1, 3), (1, 9)):
        stages = successive_halving(Judge(), budgets=budgets)
        paths.append(searched(tmp_path / str(budgets[-1]), problem(*stages), trials=8))
    with pytest.raises(ConfigError, match="their last budget differs: budget 3 and budget 9"):
        compare(paths)
    made = compare([paths[0], searched(tmp_path / "whole", trials=8)])
    assert any("last stages have different names" in note for note in made.notes)


def test_one_run_is_no_comparison(tmp_path):
    searched(tmp_path / "a", trials=4)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigError, match="at least two"):
        compare([tmp_path / "a"])
    with pytest.raises(ConfigError, match="are the same run"):
        compare([tmp_path / "a", tmp_path / "link"])
    with pytest.raises(RunFolderError, match="nowhere"):
        compare([tmp_path / "a", tmp_path / "nowhere"])


def test_a_ladder_may_be_compared_with_its_last_stage_alone(tmp_path):
    ladder = problem(Stage("cheap", Judge(1, shift=1000.0), 0.5), Stage("full", Judge()))
    made = compare([searched(tmp_path / "a"), searched(tmp_path / "b", ladder)])
    assert made.differing["recorded.stages"] == (["full"], ["cheap", "full"])
    assert all(value is not None for value in made.quality["final"])


# What is said


def test_equal_trials_are_those_of_the_shortest(tmp_path):
    short = searched(tmp_path / "short", trials=30)
    long = searched(tmp_path / "long", trials=90)
    made = compare([short, long])
    assert made.equal["trials"] == 30
    assert made.quality["equal_trials"][0] == made.quality["equal_trials"][1] == made.quality["final"][0]
    assert made.quality["final"][1] > made.quality["final"][0]
    assert made.pairs[0].designs_in_common == 30 and made.pairs[0].covers[1] == 1.0
    said = " ".join(verdict(made))
    assert "the same configuration and the same seed" in said and "different designs" in said


def test_single_runs_are_described_and_never_generalised(tmp_path):
    made = compare([searched(tmp_path / "a"), searched(tmp_path / "b", algorithm="nsga2", seed=1)])
    said = " ".join(verdict(made))
    assert "At equal trials (60), " in said and "has more hypervolume" in said
    assert "not which configuration is better" in said and "is better;" not in said and not made.differences


def test_two_seeds_of_one_configuration_differ_by_chance(tmp_path):
    made = compare([searched(tmp_path / str(seed), seed=seed) for seed in (0, 1)])
    assert len(made.groups) == 1 and made.differing == {"search.seed": (0, 1)}
    assert verdict(made) == [
        "The runs are 2 seeds of one configuration: what differs between them is chance. To compare configurations, "
        "give runs of two."
    ]


def test_equal_runs_are_said_to_be_equal(tmp_path):
    made = compare([searched(tmp_path / "a"), searched(tmp_path / "b")])
    assert verdict(made) == ["The runs have the same configuration and the same seed, and made the same designs."]
    assert any("repeats the configuration and the seed" in note for note in made.notes)


@pytest.mark.parametrize("same_seeds", [True, False])
def test_several_seeds_give_an_interval(tmp_path, same_seeds):
    seeds = {"random": (0, 1, 2, 3), "nsga2": (0, 1, 2, 3) if same_seeds else (7, 8, 9)}
    made = compare(
        [
            searched(tmp_path / f"{name}{seed}", algorithm=name, seed=seed, trials=80)
            for name in seeds
            for seed in seeds[name]
        ]
    )
    assert [len(group.members) for group in made.groups] == [4, len(seeds["nsga2"])]
    found = {difference.measure: difference for difference in made.differences}
    assert set(found) == {"final", "equal_trials", "equal_seconds", "equal_cost_s", "best y", "best size"}
    values = made.quality["equal_trials"]
    expected = (intervals.of_pairs if same_seeds else intervals.of_difference)(values[:4], values[4:])
    assert found["equal_trials"].interval == expected
    assert expected.how == ("paired t" if same_seeds else "Welch's t")
    claim = next(sentence for sentence in verdict(made) if sentence.startswith("At equal trials"))
    assert ("no difference shown" in claim) is expected.holds_zero
    assert ("B is better" in claim) is (expected.low > 0)


def test_what_is_claimed_follows_the_interval_and_the_direction(tmp_path):
    """The same values, minimised and maximised: the other side is better."""
    for direction in ("max", "min"):
        paths = []
        for name, seed in itertools.product(("random", "nsga2"), range(5)):
            subject = Problem("t", SPACE, [Stage("full", Judge())], {"y": direction})
            folder = tmp_path / f"{direction}{name}{seed}"
            options = {} if name == "random" else {"algorithm_options": {"population": 15}}
            paths.append(searched(folder, subject, algorithm=name, seed=seed, trials=250, **options))
        made = compare(paths)
        assert made.single and made.higher_is_better is (direction == "max")
        claim = verdict(made)[0]
        assert "B is better; B - A in best value" in claim and ("+" in claim) is (direction == "max")


def test_what_makes_numbers_incomparable_is_noted(tmp_path):
    def prepared(text, option):
        def prepare(context):
            (context.folder / "net").write_text(text)
            return {"net": context.folder / "net"}

        stages, goals = [Stage("full", Judge())], {"y": "max", "size": "min"}
        return Problem("t", SPACE, stages, goals, options={"steps": option}, prepare=prepare)

    made = compare([searched(tmp_path / "a", prepared("x", 1)), searched(tmp_path / "b", prepared("y", 2))])
    said = " ".join(made.notes)
    assert "options differ" in said and "prepared files differ (net)" in said
    assert made.differing == {"options.steps": (1, 2)}


def test_runs_without_a_feasible_design(tmp_path):
    never = {"constraints": {"size": "<= -1"}}
    made = compare([searched(tmp_path / "a", **never), searched(tmp_path / "b", **never, seed=1)])
    assert verdict(made)[0].startswith("None of the runs has found a feasible design") and made.reference == {}
    mixed = {"constraints": {"size": "<= 0"}}
    made = compare([searched(tmp_path / "c", trials=1, seed=5, **mixed), searched(tmp_path / "d", trials=60, **mixed)])
    assert made.quality["final"][0] == 0.0 and made.quality["final"][1] > 0
    assert any("c has no feasible design" in note for note in made.notes)
