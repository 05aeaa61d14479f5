"""Local search: single changes of the best so far, new starts, Pareto local search, and the same for any workers."""

import itertools
import random

import pytest

from coevo import Design, Space, Study
from coevo.errors import ConfigError
from coevo.search import events
from coevo.search.algorithms import LocalSearch
from coevo.search.algorithms.coordinates import asked_of
from coevo.search.algorithms.local import _neighbours
from coevo.search.canonical import stream

BITS = Space("bits/v1", lambda pick: [pick.one(f"b{i}", (0, 1)) for i in range(20)])


def ones(bits):
    return {"ones": sum(bits)}


def build(pick):
    depth = pick.integer("depth", 1, 4)
    widths = [pick.one(f"width{i}", (8, 16, 32)) for i in range(depth)]
    return widths, pick.real("rate", 0, 1), pick.order("order", range(4)), pick.some("some", range(5), 2)


MIXED = Space("mixed/v1", build)


def mixed(value):
    widths, rate, order, some = value
    return {"y": sum(widths) / 32 + rate + order[0] - abs(sum(some) - 5), "z": len(widths) - rate + order[1]}


def study(space=BITS, evaluate=ones, trials=None, objectives=None, **options):
    defaults = {"algorithm": "local_search", "runner": "inline", "seed": 4, "lag": 3}
    made = Study(space, evaluate, objectives=objectives or {"ones": "max"}, **(defaults | options))
    if trials:
        made.run(trials=trials)
    return made


def keys(done):
    return [(trial.index, trial.design.key) for trial in done.trials()]


def changed(a: Design, b: Design):
    return sum(x != y for x, y in zip(a.mapping.values(), b.mapping.values(), strict=True))


def test_it_climbs_by_single_changes_of_the_best():
    with study(trials=150, lag=0) as done:
        trials = list(done.trials())
        assert done.front().best().outcome.metrics["ones"] == 20
    best, changes = trials[0], []
    for trial in trials[1:]:
        (parent,) = trial.design.origin.parents
        assert parent == best.index
        changes.append(changed(trial.design, best.design))
        if trial.outcome.metrics["ones"] > best.outcome.metrics["ones"]:
            best = trial
        if best.outcome.metrics["ones"] == 20:
            break
    assert changes.count(1) >= 0.9 * len(changes), "two answers change only where the last neighbour was not hit upon"


def test_a_local_optimum_ends_the_climb_and_the_next_begins_at_random():
    """Four ones in a block are best, and else fewer are better: blocks of zeros are local optima."""

    def blocks(bits):
        score = 0.0
        for block in (
            itertools.batched(bits, 4) if hasattr(itertools, "batched") else zip(*[iter(bits)] * 4, strict=True)
        ):
            score += 5.0 if sum(block) == 4 else 3.0 - sum(block)
        return {"ones": score}

    with study(evaluate=blocks, trials=400, lag=0) as done:
        trials = list(done.trials())
    starts = [trial.index for trial in trials if trial.design.origin.how == "sample"]
    assert len(starts) > 4 and starts[0] == 0
    for start in starts[1:]:
        climb = [trial for trial in trials[:start] if trial.index >= max(s for s in starts if s < start)]
        best = max(climb, key=lambda trial: trial.outcome.metrics["ones"])
        neighbours = [trial for trial in climb if trial.design.origin.parents == (best.index,)]
        assert len(neighbours) == 20, "as many as a local optimum has, and none was better"


def test_patience_ends_a_climb_sooner():
    with study(evaluate=lambda bits: {"ones": 0}, trials=60, lag=0, algorithm_options={"patience": 4}) as done:
        starts = [trial.index for trial in done.trials() if trial.design.origin.how == "sample"]
    assert starts == list(range(0, 60, 5))


def test_the_best_of_several_starts_goes_on():
    with study(trials=40, lag=0, algorithm_options={"starts": 10}) as done:
        trials = list(done.trials())
    assert [trial.design.origin.how for trial in trials[:11]] == ["sample"] * 10 + ["mutation"]
    best = max(trials[:10], key=lambda trial: trial.outcome.metrics["ones"])
    assert trials[10].design.origin.parents == (best.index,)


def test_late_neighbours_of_an_ended_climb_do_not_lead_back():
    made = study(evaluate=None, algorithm=LocalSearch(patience=2), algorithm_options=None, lag=8)
    starts = [made.ask() for _ in range(9)]
    for candidate in starts:
        made.tell(candidate.index, {"ones": 100 - candidate.index})
    around = [made.ask() for _ in range(9)]
    for candidate in around:  # two neighbours in vain end the climb; the third comes late and is better than all
        made.tell(candidate.index, {"ones": 1000 if candidate.index == 11 else 0})
    for _ in range(3):
        made.tell(made.ask().index, {"ones": 1})
    origins = {trial.index: trial.design.origin for trial in made.trials()}
    assert all(origins[index] == ("mutation", (0,)) for index in range(9, 19))
    assert [origins[index].how for index in (19, 20)] == ["sample", "sample"]
    made.close()


@pytest.mark.parametrize("objectives", [{"y": "max"}, {"y": "max", "z": "max"}])
def test_workers_completion_and_resuming_change_nothing(tmp_path, objectives):
    with study(MIXED, mixed, 120, objectives, lag=7) as one:
        expected = keys(one)
    for workers in (2, 4):
        with study(MIXED, mixed, 120, objectives, lag=7, runner="local", workers=workers) as several:
            assert keys(several) == expected
    rng, sessions = random.Random(0), 0
    while True:
        sessions += 1
        with study(MIXED, mixed, None, objectives, lag=7, folder=tmp_path / "run") as part:
            stop_at = part.told + rng.randint(3, 30)
            part.listen(
                lambda event, part=part, at=stop_at: (
                    part.stop() if isinstance(event, events.Told) and part.told >= at else None
                )
            )
            part.run(trials=120)
            if part.told == 120:
                assert keys(part) == expected and sessions > 3
                return


def test_throughput_mode_tells_in_any_order():
    with study(MIXED, mixed, 120, {"y": "max", "z": "max"}, deterministic=False, runner="local", workers=3) as done:
        assert done.told == 120


def test_pareto_local_search_keeps_the_climbs_front():
    def two(bits):
        return {"ones": sum(bits), "changes": sum(a != b for a, b in itertools.pairwise(bits))}

    objectives = {"ones": "max", "changes": "max"}
    with study(evaluate=two, trials=500, objectives=objectives) as done:
        found = {(t.outcome.metrics["ones"], t.outcome.metrics["changes"]) for t in done.front()}
        standing = [trial.score.costs for trial in done.algorithm.members]
    with study(evaluate=two, trials=500, objectives=objectives, algorithm="random") as chance:
        other = {(t.outcome.metrics["ones"], t.outcome.metrics["changes"]) for t in chance.front()}
    assert all(any(a >= c and b >= d for a, b in found) for c, d in other) and found != other
    assert len(standing) == len(set(standing)) and standing
    for a, b in itertools.permutations(standing, 2):
        assert not (a[0] <= b[0] and a[1] <= b[1])


def test_it_beats_random_search_on_every_seed():
    for seed in range(3):
        best = {}
        for name in ("local_search", "random"):
            with study(trials=150, seed=seed, algorithm=name, lag=15) as done:
                best[name] = done.front().best().outcome.metrics["ones"]
        assert best["local_search"] == 20 > best["random"]


def test_failures_and_violations_are_climbed_out_of():
    def evaluate(bits):
        if bits[0] and bits[1]:
            raise ValueError("both")
        return {"ones": sum(bits)}

    with study(evaluate=evaluate, trials=300, constraints={"ones": "<= 15"}) as done:
        assert done.failed > 0 and done.front().best().outcome.metrics["ones"] == 15


def test_the_neighbours_of_an_answer_are_counted():
    def counted(build):
        space = Space("count/v1", build)
        return [_neighbours(question) for _, question, _ in asked_of(space, space.sample(stream(1)))]

    assert counted(lambda p: (p.one("a", ["xyz"]), p.one("b", ("x", "y", "z")), p.one("c", (1,)))) == [0, 2, 0]
    assert counted(lambda p: (p.integer("a", 0, 9), p.integer("b", 0, 1), p.integer("c", 3, 3))) == [2, 1, 0]
    assert counted(lambda p: (p.real("a", 0, 1), p.real("b", 2, 2))) == [2, 0]
    assert counted(lambda p: (p.order("a", range(5)), p.order("b", range(5), 2), p.some("c", range(5), 2))) == [
        10,
        7,
        6,
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "patience: expected a whole number of at least 1, got 0"),
        ({"starts": 0}, "starts: expected a whole number of at least 1, got 0"),
        ({"eta": -1}, "eta must not be negative"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        study(algorithm_options=options)
