"""Best-of-n against every subset, over ties and random columns; tournaments; budgets on a clock of our own."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coevo.errors import InputError
from coevo.spaces.sana.scaling.budget import sample_for, samples_within
from coevo.spaces.sana.scaling.estimators import best_of_n, curve, place_weights, top_k_of_n
from coevo.spaces.sana.scaling.tournament import by_scores, top_k, tournament


def over_all_subsets(scores: list[float], values: list[float], n: int, k: int) -> float:
    """The reference: every subset, and every order of its ties."""
    found = []
    for subset in itertools.combinations(range(len(scores)), n):
        ranked = sorted((scores[each] for each in subset), reverse=True)
        surely = [each for each in subset if scores[each] > ranked[k - 1]]
        tied = [each for each in subset if scores[each] == ranked[k - 1]]
        chances = [
            np.mean([values[each] for each in (*surely, *chosen)])
            for chosen in itertools.combinations(tied, k - len(surely))
        ]
        found.append(np.mean(chances))
    return float(np.mean(found))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_estimate_is_the_mean_over_all_subsets(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 7))
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, -2.0]), min_size=total, max_size=total))
    values = data.draw(st.lists(st.floats(-3, 3), min_size=total, max_size=total))
    n = data.draw(st.integers(1, total))
    k = data.draw(st.integers(1, n))
    assert top_k_of_n(scores, values, n, k) == pytest.approx(over_all_subsets(scores, values, n, k), abs=1e-9)
    if k == 1:
        assert best_of_n(scores, values, n) == top_k_of_n(scores, values, n, 1)


def test_pass_at_k_is_the_case_of_a_perfect_verifier() -> None:
    total, right = 1024, 13
    values = [1.0] * right + [0.0] * (total - right)
    for n in (1, 2, 10, 100, 1000, 1024):
        exact = 1 - math.comb(total - right, n) / math.comb(total, n)
        assert best_of_n(values, values, n) == pytest.approx(exact, rel=1e-9, abs=1e-12)
    assert best_of_n([0.0] * total, values, 50) == pytest.approx(right / total)  # no scores: chance
    assert best_of_n([-value for value in values], values, 1024) == 0
    assert curve(values, values, [1, 1024]) == pytest.approx([right / total, 1.0])


def test_it_is_unbiased_where_samples_are_drawn_anew() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.3
    estimates = []
    for _ in range(2000):
        value = rng.random(12) < 0.3
        estimates.append(best_of_n(value + 0.8 * rng.standard_normal(12), value, 5))
    direct = []
    for _ in range(20000):
        value = rng.random(5) < 0.3
        direct.append(value[np.argmax(value + 0.8 * rng.standard_normal(5))])
    assert np.mean(estimates) == pytest.approx(np.mean(direct), abs=0.02)
    assert np.std(estimates) < np.std(direct) and truth.any()


def test_weights_of_places() -> None:
    for total, n, k in ((1, 1, 1), (5, 5, 5), (5, 5, 1), (2048, 1024, 4), (300, 7, 3)):
        weights = place_weights(total, n, k)
        assert weights.shape == (total,) and weights.sum() == pytest.approx(1) and (weights >= 0).all()
        assert (np.diff(weights) >= -1e-12).all()
    assert place_weights(5, 5, 1).tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("scores", "values", "n", "k", "says"),
    [
        ([], [], 1, 1, "at least one"),
        ([1], [1, 2], 1, 1, "as many scores as values"),
        ([1, 2], [1, 2], 3, 1, "1 <= k <= n <= 2"),
        ([1, 2], [1, 2], 0, 1, "1 <= k <= n <= 2"),
        ([1, 2], [1, 2], 1, 2, "got k = 2 and n = 1"),
        ([1, math.nan], [1, 2], 1, 1, "must be finite"),
    ],
)
def test_bad_columns(scores: list[float], values: list[float], n: int, k: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        top_k_of_n(scores, values, n, k)


@pytest.mark.parametrize("samples", [1, 2, 3, 7, 8, 33])
def test_a_tournament_finds_the_best_in_one_comparison_less_than_samples(samples: int) -> None:
    rng = np.random.default_rng(samples)
    scores = rng.permutation(samples)
    found = tournament(samples, by_scores(scores), rng)
    assert found.winner == int(np.argmax(scores)) and found.comparisons == samples - 1
    assert found.rounds[0] == tuple(range(samples)) and found.rounds[-1] == (found.winner,)
    assert len(found.rounds) == 1 + math.ceil(math.log2(samples))
    assert all(set(after) < set(before) for before, after in itertools.pairwise(found.rounds))
    assert tournament(samples, by_scores(scores), rng, both_orders=True).comparisons == 2 * (samples - 1)


def test_both_orders_cancel_a_favour_for_the_first() -> None:
    scores = np.arange(16) / 16.0

    def partial(pairs: np.ndarray) -> np.ndarray:
        return np.clip(0.5 + 0.1 * (scores[pairs[:, 0]] - scores[pairs[:, 1]]) + 0.3, 0, 1)

    wins = [
        [tournament(16, partial, np.random.default_rng(seed), both_orders=both).winner == 15 for seed in range(40)]
        for both in (False, True)
    ]
    assert all(wins[1]) and np.mean(wins[0]) < 0.5


def test_ties_fall_to_chance_in_a_tournament() -> None:
    winners = {
        tournament(4, lambda pairs: [0.5] * len(pairs), np.random.default_rng(seed)).winner for seed in range(60)
    }
    assert winners == {0, 1, 2, 3}


def test_top_k() -> None:
    assert top_k([0.1, 3, 2, 3], 3) == [1, 3, 2]
    assert {tuple(top_k([1, 1], 1, np.random.default_rng(seed))) for seed in range(20)} == {(0,), (1,)}
    with pytest.raises(InputError, match="expected 1 to 2, got 3"):
        top_k([1, 2], 3)
    with pytest.raises(InputError, match="at least one sample"):
        tournament(0, by_scores([]), np.random.default_rng(0))
    with pytest.raises(InputError, match="from 0 to 1"):
        tournament(2, lambda pairs: [2.0], np.random.default_rng(0))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_counts_verification() -> None:
    clock, calls = Clock(), []

    def generate(first: int, count: int) -> list[int]:
        calls.append((first, count))
        clock.now += 0.25 * count
        return list(range(first, first + count))

    def verify(samples: list[int]) -> list[float]:
        clock.now += 0.5
        return [-abs(each - 5.0) for each in samples]

    spent = sample_for(7.0, generate, verify, batch=4, clock=clock)  # 1.5 s a batch: four of them, not five
    assert calls == [(0, 4), (4, 4), (8, 4), (12, 4)]
    assert (spent.samples, spent.generating_s, spent.verifying_s, spent.seconds) == (16, 4.0, 2.0, 6.0)
    assert spent.kept == (5, 0.0)
    assert sample_for(0.1, generate, verify, batch=4, clock=clock).samples == 4  # never without an image
    assert sample_for(100.0, generate, verify, batch=4, most=6, clock=clock).samples == 6
    assert samples_within(3.0, 0.25, 0.25) == 6 and samples_within(0.1, 1, 1) == 1


def test_bad_budgets() -> None:
    for seconds, batch, most in ((0, 1, None), (math.nan, 1, None), (1, 0, None), (1, 1, 0)):
        with pytest.raises(InputError, match="over 0"):
            sample_for(seconds, lambda first, count: None, lambda samples: [], batch=batch, most=most)
    with pytest.raises(InputError, match="expected 2, got"):
        sample_for(1.0, lambda first, count: None, lambda samples: [1.0], batch=2)
