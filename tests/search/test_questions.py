"""Each kind of question: what it accepts, how it varies and mixes, and that it lists every answer once."""

import itertools
import math

import pytest

from coevo.errors import SpaceError
from coevo.search.canonical import stream
from coevo.search.questions import MISSING, Integer, One, Order, Real, Some

QUESTIONS = {
    "one": One("q", ("a", "b", "c")),
    "one of a single": One("q", [7]),
    "one of mixed types": One("q", (1, True, "1", None, 1.5, (1, 2), {"k": [1]})),
    "integer": Integer("q", -3, 9, 3),
    "integer of a single": Integer("q", 4, 4, 1),
    "order of all": Order("q", range(4), None),
    "order of some": Order("q", ("w", "x", "y", "z"), 2),
    "order of none": Order("q", (), None),
    "some": Some("q", ("p", "q", "r", "s"), 2),
    "some of all": Some("q", (1, 2), 2),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_answer_is_listed_once_and_fits(name):
    question = QUESTIONS[name]
    answers = [question.nth(n) for n in range(question.size)]
    assert len({str(answer) + type(answer).__name__ for answer in answers}) == question.size
    for answer in answers:
        assert question.fits(answer) == answer


@pytest.mark.parametrize("name", QUESTIONS)
def test_drawn_varied_and_mixed_answers_fit_and_reach_everything(name):
    question = QUESTIONS[name]
    seen = set()
    for i in range(600):
        rng = stream(0, name, i)
        a, b = question.draw(rng), question.draw(rng)
        varied = question.vary(a, rng, 20.0)
        for answer in (a, b, varied, question.mix(a, b, rng, None)):
            assert question.fits(answer) is not MISSING
        if question.size > 1:
            assert varied != a or type(varied) is not type(a), "a mutation that changes nothing"
        seen.add(str(a) + type(a).__name__)
    assert len(seen) == question.size


def test_true_and_one_are_different_answers():
    question = One("q", (1, True, 0, False))
    assert [question.fits(answer) for answer in (1, True, 0, False)] == [1, True, 0, False]
    assert [type(question.fits(answer)) for answer in (1, True)] == [int, bool]
    assert question.fits("1") is MISSING
    assert One("q", (1, 2)).fits(True) is MISSING


def test_options_come_back_frozen_and_apart_from_each_other():
    question = One("q", ([1, [2]], {"k": [1]}))
    assert question.value(question.nth(0)) == (1, (2,))
    first = question.value(question.nth(1))
    first["k"] = "spoilt"
    assert question.value(question.nth(1)) == {"k": (1,)}


def test_integer_fits_only_its_steps():
    question = Integer("q", 2, 11, 4)
    assert [n for n in range(15) if question.fits(n) is not MISSING] == [2, 6, 10]
    assert question.fits(2.0) is MISSING and question.fits(True) is MISSING


def test_integer_varies_mostly_to_neighbours():
    question = Integer("q", 0, 100, 1)
    jumps = [abs(question.vary(50, stream(1, i), 20.0) - 50) for i in range(500)]
    assert min(jumps) == 1
    assert 2 <= sum(jumps) / len(jumps) <= 10


@pytest.mark.parametrize("log", [False, True])
def test_real_stays_within_its_bounds_and_varies_near(log):
    question = Real("q", 0.5, 8.0, log)
    steps = []
    for i in range(500):
        rng = stream(2, i)
        a, b = question.draw(rng), question.draw(rng)
        for answer in (a, b, question.vary(a, rng, 20.0), question.mix(a, b, rng, 15.0)):
            assert question.fits(answer) is not MISSING
        steps.append(abs(math.log(question.vary(2.0, rng, 20.0) / 2.0)))
    assert 0 < sorted(steps)[250] < 0.25
    assert question.fits(0.49) is MISSING and question.fits(9) is MISSING and question.fits("1") is MISSING


def test_real_at_its_bounds_can_leave_them():
    question = Real("q", 0.0, 1.0, False)
    assert any(0 < question.vary(0, stream(3, i), 20.0) <= 1 for i in range(50))
    assert any(0 <= question.vary(1, stream(4, i), 20.0) < 1 for i in range(50))


def test_sbx_keeps_the_mean_of_its_parents_on_average():
    question = Real("q", -100.0, 100.0, False)
    children = [question.mix(-1.0, 3, stream(5, i), 15.0) for i in range(4000)]
    crossed = [child for child in children if child != -1]
    assert len(crossed) == pytest.approx(2000, abs=200)
    assert sum(crossed) / len(crossed) == pytest.approx(1.0, abs=0.15)


def test_a_whole_real_number_has_one_spelling():
    question = Real("q", 0.0, 2.0, False)
    assert question.fits(1) == 1 and question.value(1) == 1.0 and type(question.value(1)) is float


def test_order_crossover_takes_places_from_its_parents():
    question = Order("q", range(27), 10)
    for i in range(2000):
        rng = stream(6, i)
        a, b = question.draw(rng), question.draw(rng)
        child = question.mix(a, b, rng, None)
        assert question.fits(child) is not MISSING
        assert set(child) <= set(a) | set(b)
        assert sum(child[j] in (a[j], b[j]) for j in range(10)) >= 5
    a = tuple(range(10))
    assert question.mix(a, a, stream(7), None) == a


def test_some_keeps_what_both_parents_have():
    question = Some("q", tuple("abcdefgh"), 4)
    for i in range(500):
        rng = stream(8, i)
        a, b = question.draw(rng), question.draw(rng)
        child = question.mix(a, b, rng, None)
        assert set(a) & set(b) <= set(child) <= set(a) | set(b)
        assert list(child) == sorted(child)


def test_order_and_some_list_everything_in_lexicographic_order():
    assert [Order("q", range(3), 2).nth(n) for n in range(6)] == list(itertools.permutations(range(3), 2))
    assert [Some("q", range(5), 3).nth(n) for n in range(10)] == list(itertools.combinations(range(5), 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: One("w", {1, 2}), r"one\('w'\): the options are a set.*Use sorted"),
        (lambda: One("w", frozenset("ab")), "are a set"),
        (lambda: One("w", ()), "there are no options"),
        (lambda: One("w", "abc"), "expected a list or tuple of options, got str"),
        (lambda: One("w", (1, 1.0)), r"the options 1 and 1.0 are the same as JSON \(1\)"),
        (lambda: One("w", (0.0, -0.0)), "are the same as JSON"),
        (lambda: One("w", (float("nan"),)), "nan cannot be an answer; expected a finite number"),
        (lambda: One("w", (float("inf"),)), "expected a finite number"),
        (lambda: One("w", ({1},)), "a set has no order"),
        (lambda: One("w", (object(),)), "of type object cannot be an answer.*look the object up in build"),
        (lambda: One("w", ({1: 2},)), "needs text keys"),
        (lambda: Integer("w", 3, 1, 1), r"integer\('w'\): high \(1\) is below low \(3\)"),
        (lambda: Integer("w", 0, 1, 0), "step must be at least 1"),
        (lambda: Integer("w", 0.5, 1, 1), "low must be an integer, got 0.5"),
        (lambda: Real("w", 0, float("inf"), False), "high must be a finite number"),
        (lambda: Real("w", 0, 1, True), "a logarithmic scale needs low above 0"),
        (lambda: Real("w", 2, 1, False), "is below low"),
        (lambda: Order("w", range(3), 4), r"k must lie in 0..3 \(there are 3 items\), got 4"),
        (lambda: Some("w", range(3), -1), "k must lie in 0..3"),
        (lambda: Some("w", range(3), 1.5), "k must be an integer"),
    ],
)
def test_what_cannot_be_asked_is_refused(make, message):
    with pytest.raises(SpaceError, match=message):
        make()
