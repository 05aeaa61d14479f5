"""Stages: who goes on, what is told, that none of it depends on who was quicker, and how well stages agree."""

import math
import random
import time

import pytest

from coevo import Evaluator, Outcome, Problem, Space, Stage, Study
from coevo.errors import ConfigError, InputError, UnknownName
from coevo.search import events
from coevo.search.agreement import kendall
from coevo.search.objectives import Score
from coevo.search.promotion import Gate
from coevo.search.run import Run

SPACE = Space("ladder/v1", lambda pick: [pick.integer(f"x{i}", 0, 9) for i in range(6)])


class Judge(Evaluator):
    """The sum of the digits, seen through noise that a seed fixes; the deeper the stage, the less of it."""

    def __init__(self, level, noise=0.0, batch=1, nap_s=0.0, fails=lambda value: False):
        self.id, self.noise, self.batch, self.nap_s, self.fails = f"judge{level}", noise, batch, nap_s, fails
        self.level, self.calls, self.metrics = level, [], {"y": "", "cost": ""}

    def evaluate(self, candidates, context):
        self.calls.append([candidate.index for candidate in candidates])
        outcomes = []
        for candidate in candidates:
            if self.nap_s:
                time.sleep(random.SystemRandom().uniform(0, self.nap_s))
            if self.fails(candidate.value):
                outcomes.append(Outcome.failed(f"too odd for stage {self.level}"))
                continue
            path = candidate.scratch / f"level{self.level}.txt"
            before = [candidate.artifacts[name].read_text() for name in sorted(candidate.artifacts)]
            path.write_text("".join([*before, str(self.level)]))
            y = sum(candidate.value) + self.noise * random.Random(candidate.key).gauss(0, 1)
            outcomes.append(Outcome({"y": y, "cost": candidate.value[0]}, artifacts={f"level{self.level}": path}))
        return outcomes


def ladder(shares=(0.4, 0.5), noise=(4.0, 1.0, 0.0), batch=(1, 1, 1), nap_s=0.0, fails=None):
    stages = []
    for level, spread in enumerate(noise):
        fail = (fails or {}).get(level, lambda value: False)
        judge = Judge(level, spread, batch[level], nap_s, fail)
        stages.append(Stage(f"s{level}", judge, shares[level] if level < len(shares) else 1.0))
    return Problem("ladder", SPACE, stages, {"y": "max", "cost": "min"})


def study(problem, **options):
    defaults = {"algorithm_options": {"population": 12}, "lag": 15, "seed": 1, "runner": "inline"}
    return Study(problem, **(defaults | options))


def fingerprint(done):
    return [(t.index, t.design.key, t.stage, t.outcome.metrics, t.outcome.failure, t.earlier) for t in done.trials()]


def strip(rows):
    """Costs are measured times; everything else must be equal."""
    return [(*row[:5], [(r.stage, r.metrics) for r in row[5]]) for row in rows]


def test_only_the_top_share_goes_on_and_each_design_is_told_once():
    problem = ladder()
    with study(problem) as done:
        front = done.run(trials=200)
        trials = list(done.trials())
    assert [trial.index for trial in trials] == list(range(200))
    reached = [sum(trial.stage >= f"s{level}" for trial in trials) for level in range(3)]
    # A search that gets better sends more than the share on, because the newest are measured by those before them.
    assert reached[0] == 200 and 70 <= reached[1] <= 130 and 30 <= reached[2] <= 100
    assert [sum(map(len, stage.evaluator.calls)) for stage in problem.stages] == reached
    for trial in trials:
        level = int(trial.stage[1])
        assert [result.stage for result in trial.earlier] == ["s0", "s1"][:level]
        assert trial.score.depth == level
        assert trial.total_cost_s == trial.cost_s + sum(result.cost_s for result in trial.earlier)
    assert all(trial.stage == "s2" for trial in front), "the front is of the last stage alone"
    survivors = [sum(dict(trial.design.answers).values()) for trial in trials if trial.stage == "s2"]
    losers = [sum(dict(trial.design.answers).values()) for trial in trials if trial.stage == "s0"]
    assert sum(survivors) / len(survivors) > sum(losers) / len(losers)


def test_random_designs_go_on_in_the_share_that_was_asked_for():
    with study(ladder(), algorithm="random", algorithm_options={}) as done:
        done.run(trials=400)
        trials = list(done.trials())
    reached = [sum(trial.stage >= f"s{level}" for trial in trials) for level in range(3)]
    assert 0.3 <= reached[1] / reached[0] <= 0.5 and 0.4 <= reached[2] / reached[1] <= 0.65


def test_artefacts_are_passed_from_stage_to_stage():
    with study(ladder()) as done:
        done.run(trials=40)
        deepest = [trial for trial in done.trials() if trial.stage == "s2"]
        assert deepest and all(trial.outcome.artifacts["level2"].read_text().endswith("2") for trial in deepest)
        assert {trial.outcome.artifacts["level2"].read_text() for trial in deepest} == {"0" + "01" + "2"}


@pytest.mark.parametrize("batch", [(1, 1, 1), (4, 1, 3)])
def test_workers_and_completion_change_nothing(batch):
    with study(ladder(batch=batch)) as one:
        one.run(trials=90)
        expected = strip(fingerprint(one))
    for workers in (2, 4):
        with study(ladder(batch=batch, nap_s=0.004), runner="local", workers=workers) as several:
            several.run(trials=90)
            assert strip(fingerprint(several)) == expected


def test_an_interrupted_ladder_resumes_to_the_same(tmp_path):
    with study(ladder(batch=(3, 2, 1))) as whole:
        whole.run(trials=96)
        expected = strip(fingerprint(whole))
    rng = random.Random(0)
    sessions = 0
    while True:
        with study(ladder(batch=(3, 2, 1)), folder=tmp_path / "run") as part:
            stop_after = rng.randint(1, 14)
            seen = []

            def stop(event, seen=seen, stop_after=stop_after):
                if isinstance(event, events.Told | events.Staged):
                    seen.append(event)
                    if len(seen) >= stop_after:
                        raise KeyboardInterrupt

            part.listen(stop)
            sessions += 1
            try:
                part.run(trials=96)
            except KeyboardInterrupt:
                continue
            break
    assert sessions > 8
    run = Run.open(tmp_path / "run")
    assert (
        strip([(t.index, t.design.key, t.stage, t.outcome.metrics, t.outcome.failure, t.earlier) for t in run.trials()])
        == expected
    )
    assert run.status["told"] == 96 and run.stages == ["s0", "s1", "s2"]


def test_a_larger_budget_goes_on_from_a_finished_ladder(tmp_path):
    with study(ladder(), folder=tmp_path / "run") as first:
        first.run(trials=30)
    with study(ladder(), folder=tmp_path / "run") as second:
        second.run(trials=60)
        assert second.told == 60
        found = strip(fingerprint(second))
    with study(ladder()) as whole:
        whole.run(trials=60)
        assert strip(fingerprint(whole)) == found


def test_failures_end_where_they_happen_and_hold_nobody_up():
    fails = {0: lambda value: value[1] == 3, 1: lambda value: value[2] % 2 == 1, 2: lambda value: value[3] > 7}
    with study(ladder(fails=fails)) as done:
        done.run(trials=150)
        trials = list(done.trials())
    assert len(trials) == 150
    failed = {level: [t for t in trials if t.outcome.failure == f"too odd for stage {level}"] for level in range(3)}
    assert all(failed.values())
    assert all(trial.stage == f"s{level}" and trial.score is None for level in failed for trial in failed[level])
    assert all(trial.outcome.ok for trial in done.front())


def test_deeper_stages_outrank_shallower_ones():
    with study(ladder(), algorithm_options={"population": 10}) as done:
        done.run(trials=120)
        depths = [trial.score.depth for trial in done.algorithm.members]
    assert depths.count(2) >= 8, "the population is of the fully evaluated as soon as there are enough"


def test_a_gate_is_a_pure_function_of_outcomes_in_the_order_of_indices():
    rng = random.Random(0)
    scores = {i: None if rng.random() < 0.1 else Score(0.0, (rng.random(), rng.random())) for i in range(300)}

    def decide(order):
        gate, decisions = Gate(0.25, 16), []
        for index in order:
            decisions += gate.settle(index, scores[index])
        return decisions

    in_order = decide(range(300))
    shuffled = list(range(300))
    rng.shuffle(shuffled)
    assert decide(shuffled) == in_order
    went_on = sum(goes_on for _, goes_on in in_order)
    assert len(in_order) == sum(score is not None for score in scores.values())
    assert 0.18 < went_on / len(in_order) < 0.40


def test_equal_cache_keys_are_paid_once_a_stage():
    class Coarse(Judge):
        def cache_key(self, value):
            return str(sum(value) // 4)

        def evaluate(self, candidates, context):
            self.calls.append([candidate.index for candidate in candidates])
            return [Outcome({"y": sum(c.value) // 4, "cost": 0}) for c in candidates]

    stages = [Stage("cheap", Coarse(0), 0.5), Stage("dear", Coarse(1))]
    problem = Problem("coarse", SPACE, stages, {"y": "max", "cost": "min"})
    with study(problem) as done:
        done.run(trials=120)
        trials = list(done.trials())
    assert sum(map(len, stages[0].evaluator.calls)) < 60 and sum(map(len, stages[1].evaluator.calls)) < 40
    assert all(trial.outcome.metrics["y"] == sum(dict(trial.design.answers).values()) // 4 for trial in trials)


# Agreement


def plain_tau_b(x, y):
    concordant = discordant = ties_x = ties_y = 0
    for i in range(len(x)):
        for j in range(i):
            a, b = (x[i] > x[j]) - (x[i] < x[j]), (y[i] > y[j]) - (y[i] < y[j])
            concordant += a * b > 0
            discordant += a * b < 0
            ties_x += a == 0
            ties_y += b == 0
    pairs = len(x) * (len(x) - 1) // 2
    return (concordant - discordant) / math.sqrt((pairs - ties_x) * (pairs - ties_y))


def test_tau_is_kendalls_and_its_interval_holds_the_truth():
    rng = random.Random(1)
    x = [rng.randrange(12) for _ in range(60)]
    y = [value + rng.gauss(0, 4) for value in x]
    tau, low, high = kendall(x, y)
    assert tau == pytest.approx(plain_tau_b(x, y)) and low < tau < high
    truth = 2 / math.pi * math.asin(0.5)  # of a bivariate normal with correlation 0.5
    hits = 0
    for seed in range(100):
        rng = random.Random(seed)
        pairs = [(a, 0.5 * a + math.sqrt(0.75) * rng.gauss(0, 1)) for a in (rng.gauss(0, 1) for _ in range(60))]
        _, low, high = kendall(*zip(*pairs, strict=True))
        hits += low <= truth <= high
    assert hits >= 88
    assert all(math.isnan(number) for number in kendall([1, 2], [1, 2]))
    assert all(math.isnan(number) for number in kendall([1, 1, 1], [1, 2, 3]))


def test_a_stage_that_ranks_no_better_than_chance_is_said_aloud(tmp_path):
    notes = []
    with study(
        ladder(shares=(0.5,), noise=(500.0, 0.0)), folder=tmp_path / "run", algorithm="random", algorithm_options={}
    ) as done:
        done.listen(lambda event: notes.append(event) if isinstance(event, events.Note | events.Finished) else None)
        done.run(trials=80)
        agreements = {agreement.metric: agreement for agreement in done.agreements()}
    assert not agreements["y"].better_than_chance and agreements["cost"].tau == 1.0
    assert any(
        "stage 's0' ranks no better than chance: s0 -> s1, y: tau" in note.text
        for note in notes
        if isinstance(note, events.Note)
    )
    assert [found["metric"] for found in notes[-1].details["agreements"]] == ["y", "cost"]
    with study(ladder(shares=(0.5,), noise=(0.5, 0.0)), algorithm="random", algorithm_options={}) as good:
        good.run(trials=80)
        assert all(agreement.better_than_chance for agreement in good.agreements())


# Refused


def test_wrong_ladders_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match=r"stage 'cheap': share must lie in \(0, 1\], got 1.5"):
        Stage("cheap", Judge(0), 1.5)
    with pytest.raises(InputError, match="share must lie in"):
        Stage("cheap", Judge(0), 0.0)

    half = Judge(0)
    half.metrics = {"cost": ""}
    lacking = Problem("lacking", SPACE, [Stage("cheap", half, 0.5), Stage("full", Judge(1))], {"y": "max"})
    with pytest.raises(UnknownName, match="unknown metric 'y' in evaluator judge0@1 of stage 'cheap'"):
        study(lacking, folder=tmp_path / "run")
    twins = Problem("twins", SPACE, [Stage("a", Judge(0), 0.5), Stage("a", Judge(1))], {"y": "max"})
    with pytest.raises(ConfigError, match="two stages have one name"):
        study(twins)
    with pytest.raises(ConfigError, match="has no stage"):
        study(Problem("none", SPACE, [], {"y": "max"}))
    with pytest.raises(ConfigError, match=r"do not fit in a lag of 5.*Set lag to at least 6"):
        study(ladder(batch=(4, 4, 1)), lag=5)
    with pytest.raises(InputError, match="a ladder of stages cannot be told by hand"):
        study(ladder()).tell(0, {"y": 1})
    assert not (tmp_path / "run").exists()
