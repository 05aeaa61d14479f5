"""The population kept from selection to selection against `ranking.survivors` over members and newcomers."""

import random

import pytest

from coevo.search import ranking
from coevo.search.design import Design
from coevo.search.evaluator import Outcome
from coevo.search.objectives import Score
from coevo.search.population import Population
from coevo.search.trial import Trial


def trial(index, score):
    return Trial(index, Design("t/v1", [("i", index)]), "full", Outcome(), 0.0, "e@1", "", 0, score)


class Plain:
    """The definition: all of members and newcomers are ranked anew at every selection."""

    def __init__(self, size):
        self.size, self.trials, self.crowding = size, [], []

    def select(self, newcomers):
        pool = self.trials + list(newcomers)
        kept, self.crowding = ranking.survivors([trial.score for trial in pool], self.size)
        self.trials = [pool[index] for index in kept]


def on_a_front(rng, grain):
    x = rng.randrange(grain)
    return (float(x), float(grain - x + rng.randrange(3)))


STREAMS = {
    "one cost": lambda rng, step: Score(0.0, (float(rng.randrange(40)),)),
    "two costs": lambda rng, step: Score(0.0, (rng.random(), rng.random())),
    "two costs, many ties": lambda rng, step: Score(0.0, (float(rng.randrange(4)), float(rng.randrange(4)))),
    "mostly on one front": lambda rng, step: Score(0.0, on_a_front(rng, 1000)),
    "on one front, with equals": lambda rng, step: Score(0.0, on_a_front(rng, 12)),
    "ever better": lambda rng, step: Score(0.0, tuple(c - step / 3 for c in on_a_front(rng, 30))),
    "all equal": lambda rng, step: Score(0.0, (1.0, 1.0)),
    "three costs": lambda rng, step: Score(0.0, (rng.random(), rng.random(), float(rng.randrange(3)))),
    "violations at first": lambda rng, step: Score(
        float(rng.randrange(3)) if step < 60 else 0.0, (rng.random(), rng.random())
    ),
    "a violation now and then": lambda rng, step: Score(float(rng.random() < 0.05), on_a_front(rng, 50)),
    "deeper and deeper": lambda rng, step: Score(0.0, on_a_front(rng, 50), min(step // 40, 2)),
    "two depths": lambda rng, step: Score(0.0, on_a_front(rng, 50), int(rng.random() < 0.3)),
    "infinite costs": lambda rng, step: Score(0.0, (rng.choice([1.0, 1e308, -1e308]), rng.choice([1.0, 1e308, 2.0]))),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(("size", "refresh"), [(2, 1), (2, 5), (12, 1), (12, 3), (12, 40), (30, 7)])
def test_the_members_and_their_crowding_are_those_of_the_definition(stream, size, refresh):
    rng = random.Random(f"{stream} {size} {refresh}")
    population, plain = Population(size), Plain(size)
    fronts = 0
    for begin in range(0, 600, refresh):
        newcomers = [trial(index, STREAMS[stream](rng, index)) for index in range(begin, begin + refresh)]
        population.select(newcomers)
        plain.select(newcomers)
        fronts += population.one_front
        if rng.random() < 0.7:  # who looks now and then must not change anything
            members, crowding = population.members()
            assert [member.index for member in members] == [member.index for member in plain.trials]
            assert crowding == pytest.approx(plain.crowding, nan_ok=True, rel=0, abs=0)
            if population.one_front:
                assert len(members) == size
                assert not any(ranking.dominates(a.score, b.score) for a in members for b in members)
    assert len(population) == size
    if stream in ("mostly on one front", "on one front, with equals"):
        assert fronts > 5, "the short way was never taken"


def test_an_empty_population_has_no_members():
    assert Population(5).members() == ([], []) and len(Population(5)) == 0
