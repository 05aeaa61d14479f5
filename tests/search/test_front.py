"""The archive against the definition of a front, equals included; what it holds in memory stays bounded."""

import random

import pytest

from coevo import Space, Study
from coevo.search import ranking
from coevo.search.design import Design
from coevo.search.evaluator import Outcome
from coevo.search.front import EQUALS_KEPT, Archive
from coevo.search.objectives import Score
from coevo.search.run import Run
from coevo.search.trial import Trial


def trial(index, score):
    return Trial(index, Design("t/v1", [("i", index)]), "full", Outcome(), 0.0, "e@1", "", 0, score)


def plain_front(trials, equals):
    """The first `equals` trials of each point that nothing dominates, and how many more there are."""
    counted = [t for t in trials if t.score is not None and t.score.violation == 0 and t.score.depth >= 1]
    front = [t for t in counted if not any(ranking.dominates(other.score, t.score) for other in counted)]
    kept, seen = [], {}
    for t in front:
        seen[t.score.costs] = seen.get(t.score.costs, 0) + 1
        if equals is None or seen[t.score.costs] <= equals:
            kept.append(t.index)
    return kept, len(front) - len(kept)


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
@pytest.mark.parametrize("grain", [2, 4, 12, 10**6])
@pytest.mark.parametrize("equals", [None, 1, 3])
def test_an_archive_is_the_front_of_what_it_was_given(columns, grain, equals):
    rng = random.Random(f"{columns} {grain} {equals}")
    archive, trials, most = Archive(1, equals), [], 0
    for index in range(250):
        # The later, the better: whole regions of the front are beaten again and again.
        costs = tuple(float(rng.randrange(grain) - index // 50) for _ in range(columns))
        violation, depth = float(rng.random() < 0.1), int(rng.random() < 0.9)
        trials.append(trial(index, None if rng.random() < 0.1 else Score(violation, costs, depth)))
        before = [t.index for t in archive.trials]
        taken = archive.add(trials[-1])
        assert taken == (index in [t.index for t in archive.trials]) and (taken or len(before) == len(archive.trials))
        if index % 10 == 9:
            kept, left_out = plain_front(trials, equals)
            assert sorted(t.index for t in archive.trials) == kept
            assert archive.left_out == left_out
            most = max(most, left_out)
    assert equals is None or grain > 2 or most > 0


def test_a_study_whose_metrics_take_few_values_keeps_few_of_its_trials(tmp_path):
    space = Space("ties/v1", lambda pick: [pick.integer(f"i{k}", 0, 9) for k in range(4)])
    with Study(
        space, lambda row: {"a": 1.0, "b": float(row[0] > 4)}, objectives={"a": "min", "b": "min"}, runner="inline",
        folder=tmp_path / "run",
    ) as study:  # fmt: skip
        front = study.run(trials=300)
        ties = [trial.index for trial in study.trials() if trial.outcome.metrics["b"] == 0.0]
    assert [trial.index for trial in front] == ties[:EQUALS_KEPT] and front.left_out == len(ties) - EQUALS_KEPT > 50
    again = Run.open(tmp_path / "run").front()
    assert [trial.index for trial in again] == ties[:EQUALS_KEPT] and again.left_out == front.left_out
