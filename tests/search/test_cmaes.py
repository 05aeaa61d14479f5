"""CMA-ES: the library's own steps, the generation barrier, mixed spaces, injected designs, refusals."""

import math
import random
import sys

import numpy as np
import pytest

from coevo import Design, Evaluator, Outcome, Problem, Space, Stage, Study, Violation
from coevo.errors import ConfigError, InputError, MissingExtra, UnknownName
from coevo.search import CMAES, environment, events
from coevo.search.algorithms.coordinates import asked_of, discover
from coevo.search.algorithms.gaussians import shortened
from coevo.search.canonical import stream

cmaes = pytest.importorskip("cmaes")

CUBE = Space("cube/v1", lambda pick: [pick.real(f"x{i}", 0, 1) for i in range(5)])
OPTIMUM = (0.31, 0.77, 0.5, 0.12, 0.6)


def bowl(x):
    return {"y": sum(10**i * (a - b) ** 2 for i, (a, b) in enumerate(zip(x, OPTIMUM, strict=True)))}


def build_mixed(pick):
    """Reals, integers, options and an order; some only where others say so."""
    depth = pick.integer("depth", 1, 4)
    rates = [pick.real(f"rate{i}", 1e-5, 1, log=True) for i in range(depth)]
    kind = pick.one("kind", ("conv", "attention", "none"))
    heads = pick.integer("heads", 1, 16) if kind == "attention" else 0
    return depth, rates, kind, heads, pick.integer("steps", 0, 10**6), pick.order("order", range(4))


MIXED = Space("mixed/v1", build_mixed)


def mixed_cost(value):
    depth, rates, kind, heads, steps, order = value
    cost = 2.0 * abs(depth - 3) + sum((math.log10(rate) + 2.5) ** 2 for rate in rates)
    cost += {"conv": 1.0, "attention": 0.0, "none": 3.0}[kind] + 0.2 * abs(heads - 11) * (kind == "attention")
    return {"y": cost + abs(steps - 300_000) / 1e5 + sum(a != b for a, b in zip(order, (2, 0, 3, 1), strict=True))}


def study(space=CUBE, evaluate=bowl, trials=None, **options):
    defaults = {"objectives": {"y": "min"}, "algorithm": "cmaes", "runner": "inline", "seed": 3}
    made = Study(space, evaluate, **(defaults | options))
    if trials:
        made.run(trials=trials)
    return made


def keys(done):
    return [(trial.index, trial.design.key) for trial in done.trials()]


# The library's own steps


def test_every_design_is_what_the_library_alone_would_ask():
    with study(trials=200, algorithm_options={"population": 10, "restarts": "none"}) as done:
        trials = list(done.trials())
    alone = cmaes.CMA(mean=np.full(5, 0.5), sigma=0.25, bounds=np.tile([0.0, 1.0], (5, 1)), population_size=10)
    for generation in range(20):
        told = []
        for trial in trials[10 * generation : 10 * generation + 10]:
            alone.reseed_rng(int(stream(3, "ask", trial.index, 0).random() * 2**32))
            x = alone.ask()
            assert list(dict(trial.design.answers).values()) == x.tolist()
            told.append((x, bowl(x)["y"]))
        alone.tell(told)
    assert alone.generation == 20


def test_mixed_designs_are_what_the_library_alone_would_ask():
    space = Space("two/v1", lambda p: (p.real("a", 0, 1), p.integer("b", 0, 9), p.one("c", ["x", "y", "z"])))

    def cost(value):
        return {"y": (value[0] - 0.7) ** 2 + 0.1 * abs(value[1] - 6) + (value[2] != "y")}

    with study(space, cost, trials=96, algorithm_options={"population": 8, "restarts": "none"}) as done:
        trials = list(done.trials())
    grid = [[(k + 0.5) / 10 for k in range(10)]]
    alone = cmaes.CatCMAwM([[0.0, 1.0]], grid, [3], 8, np.full(2, 0.5), 0.25, np.eye(2))
    for generation in range(12):
        told = []
        for trial in trials[8 * generation : 8 * generation + 8]:
            alone.reseed_rng(int(stream(3, "ask", trial.index, 0).random() * 2**32))
            drawn = alone.ask()
            value = (drawn.x[0], round(drawn.z[0] * 10 - 0.5), "xyz"[drawn.c[0].argmax()])
            assert tuple(dict(trial.design.answers).values()) == value
            told.append((drawn, cost(value)["y"]))
        ranks = sorted(range(8), key=lambda at: told[at][1])
        alone.tell([(told[at][0], float(rank)) for rank, at in enumerate(ranks)])


def test_it_converges_where_others_do_not():
    with study(trials=1500, algorithm_options={"restarts": "none"}) as done:
        assert done.front().best().outcome.metrics["y"] < 1e-10
    with study(trials=1500, algorithm="nsga2") as other:
        assert other.front().best().outcome.metrics["y"] > 1e-6


def test_logarithmic_numbers_are_searched_on_their_scale():
    space = Space("log/v1", lambda pick: [pick.real(f"x{i}", 1e-8, 1, log=True) for i in range(3)])
    with study(space, lambda x: {"y": sum((math.log10(v) + 6) ** 2 for v in x)}, trials=400) as done:
        best = done.front().best()
    assert best.outcome.metrics["y"] < 1e-6 and all(0.9e-6 < v < 1.1e-6 for v in dict(best.design.answers).values())


# The barrier


@pytest.mark.parametrize("space", [CUBE, MIXED])
def test_workers_and_completion_change_nothing(space):
    cost = bowl if space is CUBE else mixed_cost
    with study(space, cost, trials=90) as one:
        expected = keys(one)
    for workers in (2, 4):
        with study(space, cost, trials=90, runner="local", workers=workers, lag=workers) as several:
            assert keys(several) == expected
    by_hand = study(space, None)
    rng, waiting, size = random.Random(0), [], by_hand.algorithm.period
    found = []
    while by_hand.told < 90 // size * size:
        while by_hand.asked < (by_hand.told // size + 1) * size and len(waiting) < size:
            waiting.append(by_hand.ask())
        rng.shuffle(waiting)
        asked = waiting.pop()
        found.append((asked.index, asked.key))
        by_hand.tell(asked.index, cost(asked.value))
    assert sorted(found) == expected[: len(found)]
    by_hand.close()


def test_a_generation_is_asked_at_once_and_the_next_waits_for_all_of_it():
    made = study(evaluate=None, algorithm_options={"population": 6}, lag=0)
    first = [made.ask() for _ in range(6)]
    for asked in first[1:]:
        made.tell(asked.index, {"y": 1.0})
    with pytest.raises(InputError, match=r"needs the outcome of trial 0.*\(a generation of 6\): tell it first"):
        made.ask()
    made.tell(0, {"y": 2.0})
    assert made.ask().index == 6
    made.close()


@pytest.mark.parametrize("space", [CUBE, MIXED])
def test_an_interrupted_search_resumes_to_the_same(tmp_path, space):
    cost = bowl if space is CUBE else mixed_cost
    with study(space, cost, trials=150) as whole:
        expected = keys(whole)
    rng, sessions = random.Random(1), 0
    while True:
        sessions += 1
        with study(space, cost, folder=tmp_path / "run") as part:
            left = [rng.randint(5, 40)]

            def stop(event, left=left):
                left[0] -= isinstance(event, events.Told)
                if left[0] == 0:
                    raise KeyboardInterrupt

            part.listen(stop)
            try:
                part.run(trials=150)
            except KeyboardInterrupt:
                continue
            assert keys(part) == expected and sessions > 3
            return


class Batched(Evaluator):
    def __init__(self, batch, name="batched"):
        self.id, self.batch, self.metrics = name, batch, {"y": ""}

    def evaluate(self, candidates, context):
        return [Outcome(bowl(candidate.value)) for candidate in candidates]


def test_batches_must_fit_in_generations():
    for batch in (3, 4, 6, 12):
        with study(evaluate=Batched(batch), trials=36, algorithm_options={"population": 12}, lag=0) as fits:
            assert fits.told == 36
    message = r"batched@1 of 8\) do not fit in generations of 12 of algorithm 'cmaes'.*multiple of 8, for example 16"
    with pytest.raises(ConfigError, match=message):
        study(evaluate=Batched(8), algorithm_options={"population": 12}, lag=100)
    with pytest.raises(ConfigError, match="multiple of 24, for example 24"):
        study(evaluate=Batched(24), algorithm_options={"population": 12})


def two_stages(first, second):
    stages = [Stage("cheap", Batched(first, "first"), 0.5), Stage("dear", Batched(second, "second"))]
    return Problem("two", CUBE, stages, {"y": "min"})


def test_batches_of_later_stages_must_fit_too():
    with study(two_stages(4, 3), None, objectives=None, trials=60, algorithm_options={"population": 12}) as fits:
        assert fits.told == 60
    with pytest.raises(ConfigError, match="multiple of 20, for example 20"):
        study(two_stages(4, 5), None, objectives=None, algorithm_options={"population": 12})


def test_idle_workers_are_said_with_what_to_do():
    made = study(evaluate=Batched(2), algorithm_options={"population": 8}, workers=6, runner="local", lag=15)
    assert made._schedule.warnings(4) == []
    assert made._schedule.warnings(6) == [
        "6 workers x batches of 2 exceed a generation of 8 of algorithm 'cmaes': at most 4 of the workers have work at "
        "any time. Set population to at least 12 for all of them"
    ]
    made.close()


# Mixed and conditional spaces


def test_the_coordinates_of_a_conditional_space():
    found = {coordinate.name: coordinate for coordinate in discover(MIXED)}
    assert set(found) == {
        "depth",
        "kind",
        "heads",
        "steps",
        *(f"rate{i}" for i in range(4)),
    }
    assert [found[name].kind for name in ("depth", "kind", "heads", "steps", "rate0")] == [
        "integer",
        "category",
        "integer",
        "real",
        "real",
    ]
    assert found["heads"].size == 16 and found["steps"].steps
    assert discover(MIXED) == discover(Space("mixed/v1", build_mixed))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "build",
    [
        lambda p: p.real("x", 0, 1),
        lambda p: p.integer("x", 0, 400) / 400,
        lambda p: p.integer("x", 0, 30) / 30 + p.integer("y", 0, 1),
        lambda p: p.integer("x", 0, 200) / 200 + p.one("c", (0, 1)),
        lambda p: p.real("x", 0, 1) + p.one("c", (0, 1, 2)) + p.real("z", 0, 0),
        lambda p: p.real("x", 0, 1) if p.one("c", (False, True)) else 0.5,
    ],
)
def test_small_and_lopsided_spaces_are_searched(build):
    with study(Space("edge/v1", build), lambda v: {"y": (v - 0.31) ** 2}, trials=120) as done:
        assert done.front().best().outcome.metrics["y"] < 1e-3
    with study(Space("edge/v1", build), lambda v: {"y": 1.0}, trials=120) as flat:
        assert flat.told >= 62


def test_a_draw_is_known_again_though_it_was_rounded_otherwise():
    made = study(evaluate=None, algorithm_options={"population": 6})
    asked = [made.ask() for _ in range(6)]
    algorithm = made.algorithm
    for candidate in asked:
        made.tell(candidate.index, {"y": 1.0})
    trials = list(made.trials())
    model = algorithm._started()
    for trial in trials:
        exact = algorithm._point(model, trial)
        assert exact.tolist() == [value for _, value in trial.design.answers]
        for change, known in ((1e-10, True), (1e-3, False)):
            answers = {name: value + change * (1 if value < 0.5 else -1) for name, value in trial.design.answers}
            moved = Design(CUBE.id, answers.items(), trial.design.origin)
            found = algorithm._point(model, trial._replace(design=moved))
            assert (found.tolist() == exact.tolist()) is known
            assert found.tolist() == (exact.tolist() if known else pytest.approx(list(answers.values())))
    made.close()


def test_choices_that_change_their_kind_or_options_have_no_coordinate():
    def fickle(pick):
        wide = pick.one("wide", (False, True))
        pick.integer("grows", 0, 9 if wide else 3)
        pick.one("options", (1, 2, 3) if wide else (1, 2))
        pick.real("range", 0, 2 if wide else 1)
        return pick.real("kind", 0, 1) if wide else pick.integer("kind", 0, 5)

    found = {coordinate.name: coordinate for coordinate in discover(Space("fickle/v1", fickle))}
    assert set(found) == {"wide", "grows", "range"} and found["grows"].size == 10
    with study(Space("fickle/v1", fickle), lambda v: {"y": float(v)}, trials=60) as done:
        assert done.told == 60


def test_answers_and_coordinates_go_back_and_forth():
    coordinates = {coordinate.name: coordinate for coordinate in discover(MIXED)}
    for seed in range(50):
        design = MIXED.sample(stream(seed))
        for name, question, answer in asked_of(MIXED, design):
            if name in coordinates:
                value = coordinates[name].value(question, answer)
                again = coordinates[name].answer(question, value)
                assert again == (pytest.approx(answer, rel=1e-9) if name.startswith("rate") else answer)


def test_a_mixed_conditional_space_is_searched_better_than_by_chance():
    for seed in range(3):
        best = {}
        for name in ("cmaes", "random"):
            with study(MIXED, mixed_cost, trials=600, algorithm=name, seed=seed) as done:
                best[name] = done.front().best().outcome.metrics["y"]
        assert best["cmaes"] < 0.5 < 2 * best["cmaes"] + 0.5 < best["random"] + 0.5


def test_an_order_is_inherited_and_varied():
    with study(MIXED, mixed_cost, trials=400) as done:
        late = [dict(trial.design.answers)["order"] for trial in done.trials()][-40:]
    assert sum(order == (2, 0, 3, 1) for order in late) > 20


def test_a_small_space_of_integers_is_used_up():
    space = Space("small/v1", lambda pick: [pick.integer(f"i{k}", 0, 3) for k in range(3)])
    with study(space, lambda row: {"y": abs(sum(row) - 4)}, trials=1000) as done:
        found = [trial.design.key for trial in done.trials()]
    assert len(found) == len(set(found)) == 64


# What goes wrong


def test_failures_rank_last_and_a_generation_of_failures_teaches_nothing():
    def half(x):
        if x[0] < 0.5:
            raise ValueError("left half")
        return {"y": (x[0] - 0.5) ** 2 + sum((v - 0.5) ** 2 for v in x[1:])}

    with study(evaluate=half, trials=400) as done:
        trials = list(done.trials())
    assert 0 < done.failed < 250 and done.front().best().outcome.metrics["y"] < 1e-3
    assert sum(trial.outcome.ok for trial in trials[-100:]) > 30

    def nothing(x):
        raise ValueError("never")

    with study(evaluate=nothing, trials=60) as done:
        assert done.failed == 60
        model = done.algorithm._model
    assert model._cma.generation == 0


def test_hard_constraints_are_ranked_before_costs():
    def evaluate(x):
        return {"y": sum(x), "sum": sum(x)}

    with study(evaluate=evaluate, trials=500, constraints={"sum": ">= 2.5"}) as done:
        assert done.front().best().outcome.metrics["sum"] == pytest.approx(2.5, abs=1e-3)


def test_invalid_draws_are_drawn_again():
    def check(x):
        return None if x[0] + x[1] <= 1.0 else Violation("too long", x[0] + x[1] - 1.0)

    space = Space("triangle/v1", lambda pick: [pick.real(f"x{i}", 0, 1) for i in range(2)], check)
    with study(space, lambda x: {"y": (x[0] - 0.7) ** 2 + (x[1] - 0.7) ** 2}, trials=400) as done:
        assert done.front().best().outcome.metrics["y"] == pytest.approx(0.08, abs=1e-3)


def test_where_valid_designs_are_rare_draws_are_repaired():
    def check(x):
        off = abs(sum(x) - 2.5)
        return None if off < 0.01 else Violation("off the plane", off)

    space = Space("plane/v1", lambda pick: [pick.real(f"x{i}", 0, 1) for i in range(5)], check)
    found = {}
    for name in ("cmaes", "random"):
        with study(space, lambda x: {"y": (x[0] - 1) ** 2 + x[1] ** 2}, trials=300, algorithm=name) as done:
            trials = list(done.trials())
            found[name] = done.front().best().outcome.metrics["y"]
        if name == "cmaes":
            assert sum(trial.design.origin.how == "cmaes" for trial in trials) > 250
    assert found["cmaes"] < 0.1 * found["random"]


def test_a_search_that_stands_still_begins_anew_with_twice_the_population():
    def two_valleys(x):
        near, far = sum((v - 0.5) ** 2 for v in x), sum((v - 0.95) ** 2 for v in x)
        return {"y": min(near + 0.25, far)}

    square = Space("square/v1", lambda pick: [pick.real(f"x{i}", 0, 1) for i in range(2)])
    options = {"population": 8, "sigma": 0.05}
    with study(square, two_valleys, trials=900, algorithm_options=options) as again:
        assert again.algorithm._restarted >= 1 and again.algorithm._ranges == 2**again.algorithm._restarted
        assert again.front().best().outcome.metrics["y"] < 0.01
    with study(square, two_valleys, trials=900, algorithm_options=options | {"restarts": "none"}) as once:
        assert once.front().best().outcome.metrics["y"] >= 0.25


# Designs from elsewhere


def test_a_known_design_is_the_first_mean():
    known = dict(zip((f"x{i}" for i in range(5)), OPTIMUM, strict=True))
    near = [CUBE.design({name: min(value + 0.001 * k, 1.0) for name, value in known.items()}) for k in range(1, 13)]
    made = study(enqueue=near, algorithm_options={"population": 6, "sigma": 0.01})
    made.run(trials=60)
    trials = list(made.trials())
    assert [trial.design.origin.how for trial in trials][:13] == ["enqueued"] * 12 + ["cmaes"]
    for trial in trials[12:]:
        assert all(abs(value - known[name]) < 0.1 for name, value in trial.design.answers)
    assert made.front().best().outcome.metrics["y"] < 0.5 * trials[0].outcome.metrics["y"]
    made.close()


def test_a_search_begins_with_the_trials_of_another_run(tmp_path):
    with study(trials=110, folder=tmp_path / "first", algorithm="nsga2", algorithm_options={"population": 10}) as first:
        known = first.front().best().outcome.metrics["y"]
    options = {"algorithm_options": {"population": 8, "sigma": 0.02}, "warm_start": tmp_path / "first"}
    with study(trials=190, **options) as begun:
        trials = list(begun.trials())
        assert [trial.design.origin.how for trial in trials[:110]] == ["imported"] * 110
        best = min((trial.outcome.metrics["y"] for trial in trials[110:]), default=math.inf)
        assert best < 0.8 * known
        expected = keys(begun)
    with study(trials=190, runner="local", workers=3, **options) as several:
        assert keys(several) == expected


def test_cached_outcomes_are_learnt_from():
    class Coarse(Batched):
        def cache_key(self, value):
            return str([round(x, 1) for x in value])

        def evaluate(self, candidates, context):
            return [Outcome(bowl([round(x, 1) for x in candidate.value])) for candidate in candidates]

    options = {"algorithm_options": {"population": 8}, "lag": 3}
    with (
        study(evaluate=Coarse(2), trials=80, **options) as one,
        study(evaluate=Coarse(2), trials=80, runner="local", workers=2, **options) as several,
    ):
        assert any(trial.cached_from is not None for trial in one.trials())
        assert keys(one) == keys(several)


def test_designs_enqueued_on_the_way_are_injected(tmp_path):
    def searched(folder=None):
        made = study(algorithm_options={"population": 8}, folder=folder)
        made.run(trials=20)
        made.enqueue({f"x{i}": value for i, value in enumerate(OPTIMUM)})
        made.run(trials=120)
        return made

    with searched() as whole:
        expected = keys(whole)
        assert whole.front().best().outcome.metrics["y"] == 0.0
    with searched(tmp_path / "run") as again:
        assert keys(again) == expected
    with searched() as longer:
        longer.run(trials=160)
        expected = keys(longer)
    with study(algorithm_options={"population": 8}, folder=tmp_path / "run") as resumed:
        resumed.run(trials=160)
        assert keys(resumed) == expected


def test_an_injected_step_is_no_longer_than_a_drawn_one():
    mean, scale, covariance = np.zeros(3), np.full(3, 0.5), np.diag([1.0, 4.0, 0.25])
    assert shortened(np.array([0.5, 1.0, 0.1]), mean, scale, covariance).tolist() == [0.5, 1.0, 0.1]
    limit = math.sqrt(3) + 6 / 5
    assert shortened(np.array([100.0, 0, 0]), mean, scale, covariance) == pytest.approx([0.5 * limit, 0, 0])
    assert shortened(np.array([0, 0, -100.0]), mean, scale, covariance) == pytest.approx([0, 0, -0.25 * limit])


# Refused


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"objectives": {"y": "min", "z": "max"}},
            ConfigError,
            r"'cmaes' has one objective, got 2 \(y, z\); take 'nsga2'",
        ),
        ({"constraints": {"y": "soft <= 3"}}, ConfigError, r"a soft constraint \(on 'y'\) is another; make it hard"),
        (
            {"space": Space("bits/v1", lambda pick: [pick.one(f"b{i}", (0, 1)) for i in range(4)])},
            ConfigError,
            r"needs choices that are numbers.*space 'bits/v1' has none; take 'regularized_evolution'",
        ),
        ({"algorithm_options": {"population": 2}}, ConfigError, "population: expected a whole number of at least 4"),
        ({"algorithm_options": {"sigma": 0}}, ConfigError, "sigma is a share of each range"),
        ({"algorithm_options": {"restarts": "bipob"}}, UnknownName, "unknown restarts 'bipob'"),
        ({"algorithm_options": {"populaton": 2}}, UnknownName, "Did you mean 'population'"),
        ({"deterministic": False}, ConfigError, "learns a generation at a time"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        study(**options, folder=tmp_path / "run")
    assert not (tmp_path / "run" / "run.toml").exists()


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(MissingExtra, match=r"cmaes is not installed.*pip install 'coevo\[cmaes\]'"):
        CMAES()


def test_the_librarys_version_is_recorded_since_designs_depend_on_it():
    assert environment.packages()["cmaes"] == cmaes.__version__
