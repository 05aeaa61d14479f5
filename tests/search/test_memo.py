"""Inner results: keys and values, what a process keeps, what the driver hands to whom, and that no outcome depends on
who asked first."""

import enum
import math
import os
import random
import signal
import time
from typing import NamedTuple

import numpy as np
import pytest

from coevo import Context, Evaluator, Outcome, Problem, Space, Stage, Study
from coevo.errors import EvaluatorError
from coevo.search import store as stores
from coevo.search.canonical import derived_seed
from coevo.search.memo import LONGEST_VALUE, MemoTable, name_of, size_bytes, value_text
from coevo.search.memo_book import MemoBook
from coevo.search.run import Run
from coevo.search.verify import verify_run


class Level(enum.IntEnum):
    HIGH = 3


class Pair(NamedTuple):
    a: int
    b: tuple[int, int]


def fails(seed):
    raise AssertionError("this was known")


# One process -------------------------------------------------------------------------------------------------------


def test_a_result_is_computed_once_and_comes_back_as_json():
    context, calls = Context(seed=5, label="judge@1"), []

    def compute(seed):
        calls.append(seed)
        return {"order": (2, 0, 1), "cost": np.float32(0.5), "tiles": np.arange(4).reshape(2, 2), "whole": 1.0}

    first = context.memo(("slice", 8), compute)
    assert first == {"order": [2, 0, 1], "cost": 0.5, "tiles": [[0, 1], [2, 3]], "whole": 1.0}
    assert type(first["whole"]) is float and list(first) == sorted(first)
    first["order"].clear()  # the caller's own copy
    assert context.memo(["slice", 8], fails) == {**first, "order": [2, 0, 1]}
    assert calls == [derived_seed(5, "memo", 'judge@1\n["slice",8]')]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((1, 2), [1, 2]),
        (1.0, 1),
        (-0.0, 0),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
        (np.array([1, 2]), [1, 2]),
        (Level.HIGH, 3),
        (np.int64(3), 3),
        (np.str_("x"), "x"),
        (Pair(1, (2, 3)), [1, [2, 3]]),
    ],
)
def test_keys_that_are_equal_as_json_are_one_key(a, b):
    assert name_of("e@1", a) == name_of("e@1", b)


def test_keys_that_differ_as_json_are_two_keys():
    keys = [1, "1", True, None, [1], [[1]], {"a": 1}, 1.5, "a\nb", "a\\nb", "\ud800"]
    names = {name_of(label, key) for label in ("e@1", "e@2") for key in keys}
    assert len(names) == 2 * len(keys) and all(name.count("\n") == 1 for name in names)


def test_the_seed_follows_from_study_evaluator_and_key_alone():
    seeds = {
        Context(seed=seed, label=label).memo(key, lambda seed: seed)
        for seed in (0, 1)
        for label in ("e@1", "e@2")
        for key in ("a", "b")
    }
    assert len(seeds) == 8
    late = Context(seed=1, label="e@2")
    for other in ("c", "b", "d"):
        late.memo(other, lambda seed: seed)
    assert late.memo("a", lambda seed: seed) in seeds


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1, 2}, "of type set is no JSON"),
        (math.nan, "nan is no JSON number"),
        ([1.0, math.inf], "inf is no JSON number"),
        (np.array([1.0, np.nan]), "nan is no JSON number"),
        ({1: 2}, "text keys, got 1 of type int"),
        (b"x", "of type bytes is no JSON"),
        (1j, "of type complex is no JSON"),
        (np.array([1j]), "of type complex is no JSON"),
        (object, "of type type is no JSON"),
    ],
)
def test_what_json_cannot_hold_is_refused(value, said):
    context = Context()
    with pytest.raises(EvaluatorError, match=f'the result for memo key "k": .*{said}'):
        context.memo("k", lambda seed: value)
    with pytest.raises(EvaluatorError, match=f"memo key: .*{said}"):
        context.memo(value, lambda seed: 1)
    assert context.memo("k", lambda seed: 2) == 2, "a refused result was kept"


def test_a_result_that_belongs_into_a_file_is_refused():
    with pytest.raises(EvaluatorError, match=r"characters of JSON; expected at most 1,048,576.* artefacts"):
        value_text("e@1\n1", "x" * LONGEST_VALUE)
    assert value_text("e@1\n1", "x" * (LONGEST_VALUE - 2))


def test_what_compute_raises_passes_and_nothing_is_kept():
    context = Context()
    with pytest.raises(ZeroDivisionError):
        context.memo("k", lambda seed: 1 / 0)
    assert context.memo("k", lambda seed: "fine") == "fine"


def test_computations_may_nest_and_may_not_ask_for_themselves():
    context = Context()
    assert context.memo("outer", lambda seed: [context.memo("inner", lambda seed: 1), 2]) == [1, 2]
    assert context.memo("inner", fails) == 1
    with pytest.raises(EvaluatorError, match='memo key "k": its computation asks for its own result'):
        context.memo("k", lambda seed: context.memo("k", lambda seed: 1))
    assert context.memo("k", lambda seed: 3) == 3


def test_many_keys_compute_what_is_missing_at_once():
    table = MemoTable()
    context, asked = Context(seed=2, table=table), []
    context.memo("b", lambda seed: "known")

    def compute(positions, seeds):
        asked.append(positions)
        return [[position, seed] for position, seed in zip(positions, seeds, strict=True)]

    found = context.memo_many(["a", "b", "a", "c"], compute)
    assert asked == [[0, 3]] and found[1] == "known" and found[0] == found[2]
    assert [found[0][0], found[3][0]] == [0, 3]
    assert found[3][1] == Context(seed=2).memo("c", lambda seed: seed)
    assert context.memo_many(["c", "a"], compute) == [found[3], found[0]] and len(asked) == 1
    assert context.memo_many([], compute) == []
    hits, new = table.drain()
    assert hits == 1 + 1 + 2 and len(new) == 3 and table.drain() is None


@pytest.mark.parametrize(
    ("returned", "came"), [([1], "1 values"), ([1, 2, 3], "3 values"), (None, "NoneType"), (7, "int")]
)
def test_many_keys_need_a_result_each(returned, came):
    with pytest.raises(EvaluatorError, match=f"a value for each of 2 missing keys, got {came}"):
        Context().memo_many(["a", "b"], lambda positions, seeds: returned)


def test_a_process_forgets_what_was_not_used_for_longest():
    entries = [(f"e@1\n{n}", str(n)) for n in range(5)]
    table = MemoTable(limit_bytes=3 * size_bytes(entries[0]))
    context = Context(label="e@1", table=table)
    table.learn(entries[:3])
    assert context.memo(0, fails) == 0
    table.learn(entries[3:4])
    assert len(table) == 3 and context.memo(0, fails) == 0 and context.memo(3, fails) == 3
    assert context.memo(1, lambda seed: 1) == 1, "forgotten, and computed again"
    table.learn([("e@1\n3", "9")])
    assert len(table) == 3 and context.memo(3, fails) == 9, "what comes from the driver replaces"
    small = Context(table=MemoTable(limit_bytes=10))
    assert small.memo_many([1, 2], lambda positions, seeds: positions) == [0, 1], "larger than the whole table"


def test_without_memory_everything_is_computed_anew():
    table = MemoTable(remember=False)
    table.learn([("\n1", "1")])
    context, calls = Context(table=table), []
    for _ in range(3):
        context.memo(1, calls.append)
    assert len(calls) == 3 == calls.count(calls[0]) and table.drain() is None


# The driver ---------------------------------------------------------------------------------------------------------


def names(entries):
    return [name for name, _ in entries]


def test_a_worker_is_sent_what_it_has_not_got():
    kept = []
    book = MemoBook()
    book.recall(("old", "0"))
    book.attach(kept.append)
    first, second = book.reader(), book.reader()
    assert names(first.owed()) == ["old"] == names(first.owed()), "not sent yet"
    first.sent()
    assert first.owed() == []
    first.take((4, [("a", "1"), ("b", "2")]))
    assert first.owed() == [] and names(second.owed()) == ["old", "a", "b"]
    second.take((0, [("b", "2"), ("c", "3")]))  # b was under way there too
    assert names(second.owed()) == ["old", "a"] and names(first.owed()) == ["c"]
    second.sent()
    first.sent()
    assert first.owed() == second.owed() == [] and names(book.reader().owed()) == ["old", "a", "b", "c"]
    assert kept == [("a", "1"), ("b", "2"), ("c", "3")] and book.conflict is None
    assert (book.counts.entries, book.counts.hits, book.counts.computed, book.counts.again) == (4, 4, 4, 1)
    first.take(None)


@pytest.mark.parametrize("sent", [False, True], ids=["before", "after"])
def test_the_first_of_two_different_results_stays_and_replaces_the_other(sent):
    kept = []
    book = MemoBook()
    book.attach(kept.append)
    first, second = book.reader(), book.reader()
    first.take((0, [("e@1\n7", "1")]))
    if sent:
        second.owed(), second.sent()
    second.take((0, [("e@1\n7", "2")]))
    assert kept == [("e@1\n7", "1")] == second.owed()
    assert "evaluator e@1: memo key 7 was computed twice with different results" in book.conflict
    second.sent()
    assert second.owed() == []


def test_the_book_forgets_texts_and_not_that_it_had_them():
    kept = []
    book = MemoBook(limit_bytes=2 * size_bytes(("k0", "0")))
    book.attach(kept.append)
    reader = book.reader()
    reader.take((0, [(f"k{n}", str(n)) for n in range(5)]))
    fresh = book.reader()
    assert names(fresh.owed()) == ["k3", "k4"]
    fresh.take((0, [("k1", "1"), ("k2", "other")]))
    assert len(kept) == 5 and book.counts.again == 2 and book.conflict is not None
    assert names(fresh.owed()) == ["k3", "k4"], "the text of k2 is gone"


# A study ------------------------------------------------------------------------------------------------------------

SPACE = Space(
    "nested/v1", lambda pick: (pick.integer("buffer", 1, 4), [pick.integer(f"layer{i}", 1, 3) for i in range(4)])
)
OBJECTIVES = {"cost": "min", "size": "min"}


class Mapper(Evaluator):
    """Every layer's best mapping on a buffer, by a little random search: its answer depends on the seed."""

    id, metrics = "mapper", {"cost": "", "size": ""}

    def __init__(self, batch=1, nap_s=0.0, dies=None, raises=False):
        self.batch, self.nap_s, self.dies, self.raises = batch, nap_s, dies, raises

    def evaluate(self, candidates, context):
        outcomes = []
        for candidate in candidates:
            buffer, layers = candidate.value
            if self.nap_s:
                time.sleep(random.SystemRandom().uniform(0, self.nap_s))
            cost = sum(context.memo({"buffer": buffer, "layer": layer}, self.best(buffer, layer)) for layer in layers)
            if self.dies is not None and candidate.index % 23 == 4 and not (self.dies / candidate.key).exists():
                (self.dies / candidate.key).touch()
                os.kill(os.getpid(), signal.SIGKILL)  # with what it has just computed
            if self.raises and candidate.index % 3 == 0:
                raise ValueError("after its mappings were found")
            outcomes.append(Outcome({"cost": cost, "size": buffer}))
        return outcomes

    def best(self, buffer, layer):
        def compute(seed):
            rng = random.Random(seed)
            return min(layer / buffer + rng.random() for _ in range(20))

        return compute


def study(judge=None, **options):
    defaults = {"algorithm_options": {"population": 12}, "lag": 15, "seed": 1, "runner": "inline"}
    return Study(SPACE, judge or Mapper(), objectives=OBJECTIVES, **(defaults | options))


def outcomes(done):
    return [(t.index, t.design.key, t.outcome.metrics, t.outcome.failure) for t in done.trials()]


@pytest.fixture(scope="module")
def reference():
    """Every inner result computed anew, in one process."""
    with study(memo=False) as done:
        done.run(trials=120)
        assert done.memo.hits == done.memo.entries == 0
        return outcomes(done)


def test_the_memo_changes_no_outcome(reference):
    with study() as done:
        done.run(trials=120)
        assert outcomes(done) == reference
        counts = done.memo
    assert counts.entries == counts.computed <= 12 and counts.again == 0
    assert counts.hits + counts.computed == 4 * 120


@pytest.mark.parametrize(("workers", "batch"), [(1, 1), (2, 1), (4, 1), (2, 4)])
def test_who_asks_first_changes_no_outcome(reference, workers, batch):
    with study(Mapper(batch, nap_s=0.004), runner="local", workers=workers) as done:
        done.run(trials=120)
        found, counts = outcomes(done), done.memo
    if batch == 1:
        assert found == reference
    else:
        with study(Mapper(batch), memo=False) as alone:
            alone.run(trials=120)
            assert found == outcomes(alone)
    assert counts.entries <= 12 and counts.hits > 300
    assert counts.computed <= 12 * workers, "a worker computed what it had been sent"


def test_workers_that_die_change_no_outcome(reference, tmp_path):
    with study(Mapper(dies=tmp_path, nap_s=0.002), runner="local", workers=2) as done:
        done.run(trials=120)
        assert outcomes(done) == reference
        assert done.memo.entries <= 12
    assert len(list(tmp_path.iterdir())) == 6


def test_inner_results_of_failed_designs_count():
    with study(Mapper(raises=True), runner="local") as done:
        done.run(trials=30)
        assert done.failed == 10 and done.memo.entries == done.memo.computed <= 12


def test_inner_results_are_stored_and_recalled(tmp_path, reference):
    with study(folder=tmp_path / "run") as begun:
        begun.run(trials=50)
        stored = begun.memo.entries
    run = Run.open(tmp_path / "run")
    results = list(run.memo())
    assert len(results) == stored > 3 and {result.evaluator for result in results} == {"mapper@1"}
    for result in results:
        seed = derived_seed(1, "memo", name_of("mapper@1", result.key))
        assert result.value == Mapper().best(result.key["buffer"], result.key["layer"])(seed)
    assert verify_run(tmp_path / "run", problem=Problem("p", SPACE, (Stage("s", Mapper()),), OBJECTIVES)).ok
    with study(folder=tmp_path / "run", runner="local", workers=2) as resumed:
        resumed.run(trials=120)
        assert outcomes(resumed) == reference
        assert resumed.memo.entries <= 12 and resumed.memo.computed <= 2 * (12 - stored)
    assert [row.body["memo"]["entries"] for row in run.rows() if row.kind == "finished"] == [stored, 12]


class Moody(Mapper):
    """What a worker computes while it is set up, before it has been sent anything, differs from worker to worker."""

    id = "moody"

    def setup(self, context):
        context.memo("mood", lambda seed: os.getpid())

    def evaluate(self, candidates, context):
        super().evaluate(candidates, context)
        return [Outcome({"cost": context.memo("mood", fails), "size": 1}) for _ in candidates]


def test_a_computation_that_is_not_repeatable_is_said_once_and_the_first_stays(tmp_path):
    with study(Moody(dies=tmp_path), runner="local", folder=tmp_path / "run") as done:
        done.run(trials=60)
        moods = {trial.outcome.metrics["cost"] for trial in done.trials()}
        assert done.memo.again == 3 == len([path for path in tmp_path.iterdir() if path.is_file()])
    run = Run.open(tmp_path / "run")
    assert moods == {result.value for result in run.memo() if result.key == "mood"}
    notes = [note for note in run.notes() if "different results" in note["text"]]
    assert len(notes) == 1 and notes[0]["level"] == "warning"
    assert 'evaluator moody@1: memo key "mood" was computed twice' in notes[0]["text"]


def test_what_was_found_within_one_budget_is_not_for_another():
    table = MemoTable()
    contexts = [Context(budget=budget, label="e@1", table=table) for budget in (None, 1.0, 3.0)]
    found = [context.memo("k", lambda seed: seed) for context in contexts]
    assert len(set(found)) == 3 == len(table)


def test_stages_have_inner_results_of_their_own():
    class Deeper(Mapper):
        id = "deeper"

    stages = [Stage("a", Mapper(), 0.5), Stage("b", Deeper())]
    with Study(Problem("p", SPACE, stages, OBJECTIVES), algorithm="random", runner="inline", seed=1) as done:
        done.run(trials=60)
        trials = [trial for trial in done.trials() if trial.earlier]
    assert trials and any(trial.earlier[0].metrics["cost"] != trial.outcome.metrics["cost"] for trial in trials)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('UPDATE event SET key = \'mapper@1\n{"layer":1, "buffer":1}\' WHERE sequence = ?', "canonical JSON"),
        ("UPDATE event SET key = 'stranger@1\n1' WHERE sequence = ?", "'stranger@1' is no evaluator of this run"),
        ("UPDATE event SET content = '{' WHERE sequence = ?", "inner result that cannot be read"),
        ("UPDATE event SET key = (SELECT max(key) FROM event WHERE kind = 'memo') WHERE sequence = ?", "repeats event"),
    ],
)
def test_verify_finds_inner_results_that_were_altered(tmp_path, change, said):
    import sqlite3

    with study(folder=tmp_path / "run") as done:
        done.run(trials=20)
    with sqlite3.connect(tmp_path / "run" / stores.FILE) as database:
        first = "SELECT sequence FROM event WHERE kind = 'memo' ORDER BY key LIMIT 1"
        database.execute(change, database.execute(first).fetchone())
    problem = Problem("p", SPACE, (Stage("s", Mapper()),), OBJECTIVES)
    assert any(said in wrong for wrong in verify_run(tmp_path / "run", problem=problem).problems)
