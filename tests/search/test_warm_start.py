"""What a study may begin with: designs asked first, trials of another run told, and what is refused."""

import json

import pytest

from coevo import Evaluator, Outcome, Problem, Space, Stage, Study
from coevo.errors import ConfigError, CorruptRun, InputError, RunFolderError, SpaceError
from coevo.search.export import export_design
from coevo.search.run import Run
from coevo.search.verify import verify_run


def build(pick):
    return [pick.integer(f"x{i}", 0, 9) for i in range(5)]


SPACE = Space("warm/v1", build, lambda digits: None if sum(digits) < 44 else "too much")


class Judge(Evaluator):
    id, metrics = "judge", {"y": "", "cost": ""}

    def __init__(self, version="1", fails=lambda value: False, measures=False):
        self.version, self.fails, self.measures_device, self.calls = version, fails, measures, 0

    def evaluate(self, candidates, context):
        self.calls += len(candidates)
        return [
            Outcome.failed("odd") if self.fails(c.value) else Outcome({"y": sum(c.value), "cost": c.value[0]})
            for c in candidates
        ]


def problem(judge=None, **fields):
    return Problem("warm", fields.pop("space", SPACE), [Stage("full", judge or Judge())], {"y": "max"}, **fields)


def study(subject=None, **options):
    options = {"runner": "inline", "lag": 3, "algorithm_options": {"population": 8}} | options
    return Study(subject or problem(), **options)


@pytest.fixture
def earlier(tmp_path):
    with study(problem(Judge(fails=lambda value: value[0] % 3 == 0)), folder=tmp_path / "earlier", seed=1) as done:
        done.run(trials=30)
        assert done.failed
    return tmp_path / "earlier"


def rows(done):
    return [(t.index, t.design.key, t.design.origin.how, t.outcome.metrics, t.outcome.failure) for t in done.trials()]


def test_trials_of_another_run_are_told_and_not_paid_for(earlier, tmp_path):
    judge = Judge()
    source = list(Run.open(earlier).trials())
    with study(problem(judge), warm_start=earlier, folder=tmp_path / "run", seed=2) as done:
        assert done.told == done.asked == 30 and judge.calls == 0 and done.cost_s == 0
        assert done.front().best().outcome.metrics == Run.open(earlier).front().best().outcome.metrics
        done.run(trials=50)
        assert judge.calls == 20
        taken = list(done.trials())[:30]
        assert [t.design.key for t in taken] == [t.design.key for t in source]
        assert [t.outcome.failure for t in taken] == [t.outcome.failure for t in source]
        assert {(t.how, t.cost_s, t.design.origin.how) for t in taken} == {("", 0.0, "imported")}
        assert len({t.design.key for t in done.trials()}) == 50, "nothing is evaluated twice"
        bred = [t for t in done.trials() if t.index >= 30 and t.design.origin.parents]
        assert any(parent < 30 for t in bred for parent in t.design.origin.parents), "the search learned from them"
        before = rows(done)
    assert verify_run(tmp_path / "run").ok
    earlier.rename(earlier.with_name("gone"))  # a resumed study does not need its source any more
    with study(problem(judge), warm_start=earlier, folder=tmp_path / "run", seed=2) as again:
        assert rows(again) == before
        again.run(trials=60)
        assert judge.calls == 30
    assert any("30 trials were taken over" in note["text"] for note in Run.open(tmp_path / "run").notes())


@pytest.mark.parametrize("workers", [1, 3])
def test_a_warm_start_is_as_deterministic_as_any(earlier, workers, tmp_path):
    with study(warm_start=earlier, seed=2) as reference:
        reference.run(trials=60)
        wanted = rows(reference)
    with study(warm_start=earlier, seed=2, runner="local", workers=workers, folder=tmp_path / "run") as first:
        first.run(trials=41)
    with study(warm_start=earlier, seed=2, runner="local", workers=workers, folder=tmp_path / "run") as second:
        second.run(trials=60)
        assert rows(second) == wanted


def test_designs_are_enqueued_from_everywhere_and_asked_first(earlier, tmp_path):
    front = Run.open(earlier).front()
    named = {f"x{i}": 3 for i in range(5)}
    exported = problem(export=lambda design, context: {})
    with study(exported, folder=tmp_path / "other", seed=7) as other:
        other.run(trials=10)
    run = Run.open(tmp_path / "other")
    export_design(run, run.front().best(), tmp_path / "best", problem=exported)
    design = SPACE.design({f"x{i}": 4 for i in range(5)})
    sources = [earlier, named, tmp_path / "best", design, named]
    with study(enqueue=sources, folder=tmp_path / "run", seed=5) as done:
        done.run(trials=20)
        trials = list(done.trials())
    wanted = [t.design.key for t in front] + [SPACE.design(named).key, run.front().best().design.key, design.key]
    wanted = list(dict.fromkeys(wanted))
    assert [t.design.key for t in trials[: len(wanted)]] == wanted
    assert [t.design.origin.how for t in trials[: len(wanted)]] == ["enqueued"] * len(wanted)
    assert trials[len(wanted)].design.origin.how != "enqueued"


def test_enqueued_designs_survive_a_driver_that_dies_before_asking_them(tmp_path):
    answers = [{f"x{i}": n for i in range(5)} for n in range(4)]
    with study(enqueue=answers[:3], folder=tmp_path / "run") as done:
        first = done.ask()
        done.tell(first.index, {"y": 1.0})
        key = done.enqueue(answers[3])
    with study(enqueue=answers[:3], folder=tmp_path / "run") as again:
        keys = []
        for _ in range(4):
            candidate = again.ask()
            keys.append(candidate.key)
            again.tell(candidate.index, {"y": 1.0})
    assert keys[:3] == [SPACE.design(a).key for a in answers[1:]] and keys[2] == key
    assert first.key not in keys


def test_a_design_with_a_known_outcome_is_told_by_hand(tmp_path):
    with study(folder=tmp_path / "run") as done:
        told = done.add({f"x{i}": 8 for i in range(5)}, {"y": 40.0, "cost": 8.0})
        assert told.index == 0 and done.told == 1 and done.front().best().index == 0
        failed = done.add({f"x{i}": 7 for i in range(5)}, {"y": float("nan")})
        assert failed.score is None and done.failed == 1
        done.run(trials=12)
        before = rows(done)
    with study(folder=tmp_path / "run") as again:
        assert rows(again) == before
        with pytest.raises(InputError, match="already asked or enqueued"):
            again.add({f"x{i}": 8 for i in range(5)}, {"y": 1.0})
        with pytest.raises(InputError, match="already asked or enqueued"):
            again.enqueue({f"x{i}": 8 for i in range(5)})
        with pytest.raises(InputError, match="not valid here: too much"):
            again.enqueue(SPACE.design({f"x{i}": 9 for i in range(5)}))
        with pytest.raises(SpaceError, match="no answer for 'x4'"):
            again.enqueue({f"x{i}": 9 for i in range(4)})


def test_the_ladder_takes_trials_over_at_their_stage(tmp_path):
    def rungs():
        stages = [Stage("cheap", Judge(), 0.4), Stage("full", Judge("2"))]
        return Problem("two", SPACE, stages, {"y": "max"})

    with study(rungs(), folder=tmp_path / "a", lag=15) as done:
        done.run(trials=60)
        source = [(t.design.key, t.stage, t.outcome.metrics, t.earlier) for t in done.trials()]
        best = done.front().best().design.key
    with study(rungs(), folder=tmp_path / "b", lag=15, seed=4, warm_start=tmp_path / "a") as warm:
        assert [(t.design.key, t.stage, t.outcome.metrics, t.earlier) for t in warm.trials()] == source
        assert warm.front().best().design.key == best
        warm.run(trials=120)
        fresh = [t for t in warm.trials() if t.index >= 60]
        assert {t.stage for t in fresh} == {"cheap", "full"}
    with study(rungs(), folder=tmp_path / "b", lag=15, seed=4, warm_start=tmp_path / "a") as again:
        assert again.told == 120


def test_what_judged_the_trials_comes_with_them(tmp_path):
    calls = []

    def prepare(context):
        calls.append(context.seed)
        (context.folder / "weights.json").write_text(json.dumps({"seed": context.seed}))
        return {"weights": context.folder / "weights.json"}

    with study(problem(prepare=prepare), folder=tmp_path / "a", seed=1) as done:
        done.run(trials=10)
    with study(problem(prepare=prepare), folder=tmp_path / "b", seed=2, warm_start=tmp_path / "a") as warm:
        warm.run(trials=20)
        assert json.loads(warm.artifacts["weights"].read_text()) == {"seed": 1}
    assert calls == [1], "the prepared files are taken over, not made anew"
    assert verify_run(tmp_path / "b").ok
    assert any("was prepared with seed 1" in note["text"] for note in Run.open(tmp_path / "b").notes())
    (tmp_path / "a" / "prepared" / "weights.json").write_text("{}")
    with pytest.raises(CorruptRun, match="'weights' was altered"):
        study(problem(prepare=prepare), folder=tmp_path / "c", seed=2, warm_start=tmp_path / "a")
    assert not (tmp_path / "c").exists()


REFUSALS = {
    r"options.device was 'absent' there and is 'other' here\. Its designs .* enqueue the run instead": lambda p, e: {
        "subject": problem(options={"device": "other"}),
        "warm_start": e,
    },
    r"evaluators was \['judge@1'\] there and is \['judge@2'\] here": lambda p, e: {
        "subject": problem(Judge("2")),
        "warm_start": e,
    },
    "searched space 'warm/v1' and this study searches 'warm/v2'": lambda p, e: {
        "subject": problem(space=Space("warm/v2", build)),
        "warm_start": e,
    },
    "has no metric 'energy'": lambda p, e: {
        "subject": problem(type("J", (Judge,), {"metrics": {"y": "", "energy": "pJ"}})()),
        "warm_start": e,
        "objectives": {"energy": "min"},
    },
    "nowhere does not exist": lambda p, e: {"warm_start": p / "nowhere"},
    "neither a run folder nor an exported design": lambda p, e: {"enqueue": [p / "nowhere"]},
    "is no run folder": lambda p, e: {"warm_start": p},
    "cannot be read as a design": lambda p, e: {"enqueue": [p / "broken.json"]},
    "design .* is of space 'line/v1', expected 'warm/v1'": lambda p, e: {
        "enqueue": [Space("line/v1", lambda pick: pick.integer("x", 0, 9)).design({"x": 1})]
    },
    "is not valid here: too much": lambda p, e: {"enqueue": [SPACE.design({f"x{i}": 9 for i in range(5)})]},
}


@pytest.mark.parametrize("message", REFUSALS)
def test_what_does_not_belong_is_refused_before_anything_is_written(message, earlier, tmp_path):
    (tmp_path / "broken.json").write_text("{not json")
    with pytest.raises((ConfigError, RunFolderError, InputError, SpaceError), match=message):
        study(folder=tmp_path / "new", **REFUSALS[message](tmp_path, earlier))
    assert not (tmp_path / "new").exists()


def test_figures_of_another_device_are_refused_where_the_evaluator_measures_it(earlier, tmp_path, monkeypatch):
    monkeypatch.setattr("coevo.search.environment.short", lambda fingerprint: "another machine")
    with study(warm_start=earlier, folder=tmp_path / "fine") as done:
        assert done.told == 30
    assert any("this machine is another machine" in note["text"] for note in Run.open(tmp_path / "fine").notes())
    with pytest.raises(ConfigError, match=r"measures the device.*Enqueue the run instead"):
        study(problem(Judge(measures=True)), warm_start=earlier, folder=tmp_path / "new")
