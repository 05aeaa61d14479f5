"""Islands: which design is whose, who travels when, and the same for any workers."""

import pytest

from coevo import Space, Study
from coevo.errors import ConfigError, UnknownName
from coevo.search import Islands, events

BITS = Space("bits/v1", lambda pick: [pick.one(f"b{i}", (0, 1)) for i in range(24)])


def blocks(bits):
    """Ones count in whole blocks of four: populations that mix such blocks find them all."""
    return {"score": float(sum(all(bits[i : i + 4]) for i in range(0, 24, 4)) * 4 + 0.1 * sum(bits))}


def study(trials=None, algorithm="islands", options=None, **more):
    options = {"count": 3, "every": 10, "options": {"population": 12}} if options is None else options
    defaults = {"objectives": {"score": "max"}, "runner": "inline", "seed": 5}
    made = Study(BITS, blocks, algorithm=algorithm, algorithm_options=options, **(defaults | more))
    if trials:
        made.run(trials=trials)
    return made


def keys(done):
    return [(trial.index, trial.design.key) for trial in done.trials()]


@pytest.mark.parametrize("inner", ["nsga2", "regularized_evolution"])
def test_workers_and_resuming_change_nothing(tmp_path, inner):
    more = {"population": 12} | ({"sample": 4} if inner == "regularized_evolution" else {})
    options = {"count": 3, "every": 10, "inner": inner, "options": more}
    with study(160, options=options) as one:
        expected = keys(one)
    for workers in (2, 4):
        with study(160, options=options, runner="local", workers=workers) as several:
            assert keys(several) == expected
    with study(options=options, folder=tmp_path / "run") as part:
        part.listen(lambda event: part.stop() if isinstance(event, events.Told) and event.trial.index == 77 else None)
        part.run(trials=160)
        assert part.told < 160
    with study(160, options=options, folder=tmp_path / "run") as resumed:
        assert keys(resumed) == expected


def test_parents_are_of_the_same_island_or_came_from_the_one_before():
    with study(400) as done:
        trials = list(done.trials())
    strangers = 0
    for trial in trials:
        for parent in trial.design.origin.parents:
            strangers += (trial.index - parent) % 3 != 0
    assert 0 < strangers < 400, "some came, and most stayed"
    with study(400, options={"count": 3, "every": 10_000, "options": {"population": 12}}) as apart:
        for trial in apart.trials():
            assert all((trial.index - parent) % 3 == 0 for parent in trial.design.origin.parents)


def test_the_best_travel_one_island_on():
    with study(lag=0) as done:
        done.run(trials=28)  # design 27 is asked before island 0 is told its tenth trial, design 28 after
        assert all(trial.index % 3 == 1 for trial in done.algorithm._islands[1].members)
        done.run(trials=29)
        trials = list(done.trials())
        (guest,) = (trial for trial in done.algorithm._islands[1].members if trial.index % 3 != 1)
    best = min((trial.score for trial in trials if trial.index % 3 == 0), key=lambda score: score.costs)
    assert guest.index % 3 == 0 and guest.score == best


def test_islands_search():
    for seed in range(3):
        found = {}
        for algorithm, options in (("islands", None), ("random", {})):
            with study(600, algorithm, options, seed=seed) as done:
                found[algorithm] = done.front().best().outcome.metrics["score"]
        assert found["islands"] > found["random"]


def test_settings_are_recorded():
    with study() as made:
        recorded = made.config["search"]
    assert recorded["count"] == 3 and recorded["inner"] == "nsga2" and recorded["options"] == {"population": 12}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"count": 1}, ConfigError, "count: expected a whole number of at least 2, got 1"),
        ({"every": 0}, ConfigError, "every: expected a whole number of at least 1, got 0"),
        (
            {"inner": "cmaes"},
            UnknownName,
            "unknown inner algorithm 'cmaes'.*Offered: nsga2, nsga3, regularized_evolution",
        ),
        ({"options": 3}, ConfigError, "options: expected a table of options of 'nsga2', got 3"),
        ({"options": {"populaton": 3}}, UnknownName, "Did you mean 'population'"),
    ],
)
def test_wrong_settings_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Islands(**options)
