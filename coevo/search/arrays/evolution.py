"""(mu + lambda) evolution of populations held as arrays, of many independent problems at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import ConfigError, EvaluatorError
from coevo.search.arrays import operators
from coevo.search.arrays.columns import Floats, Group, Layout, Whole

Columns = dict[str, NDArray[Any]]
Fitness = Callable[[Columns], Any]
Judged = list[Any]  # costs, violations or None, marks or None: each [problems, n]


@dataclass(frozen=True, slots=True)
class Settings:
    """Each generation has as many children as the population has members; the best of both go on, children before
    parents where they are equal.

    `tournament` is how many compete for each parent's place. `crossover` is the chance of a child to have two parents.
    `mutation` is the chance of each gene to be varied (None: one over their number; a permutation counts as one).
    `eta` narrows the steps of reals. `distinct` lets copies survive only where there is nothing else.
    """

    population: int = 64
    tournament: int = 2
    crossover: float = 0.9
    mutation: float | None = None
    eta: float = 20.0
    distinct: bool = True

    def __post_init__(self) -> None:
        for name, number in (("population", self.population), ("tournament", self.tournament)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ConfigError(f"{name}: expected a whole number of at least 1, got {number!r}")
        for name, rate in (("crossover", self.crossover), ("mutation", self.mutation)):
            if rate is not None and not 0.0 <= rate <= 1.0:
                raise ConfigError(f"{name} is a probability, expected 0..1, got {rate!r}")
        if not self.eta >= 0.0:
            raise ConfigError(f"eta must not be negative, got {self.eta!r}")


@dataclass(frozen=True, slots=True)
class Evolved:
    """The last populations, each from best to worst.

    `columns` is {name: [problems, population, *shape]}, `costs` and `violations` are [problems, population];
    `history` [generations, problems] is the lowest cost without a violation by then, infinite before there was one;
    `evaluations` counts those of one problem.
    """

    columns: Columns
    costs: Floats
    violations: Floats
    history: Floats
    evaluations: int

    @property
    def best(self) -> Columns:
        """{name: [problems, *shape]} of the best genomes."""
        return {name: column[:, 0] for name, column in self.columns.items()}

    def as_json(self, problem: int = 0) -> dict[str, Any]:
        """The best of one problem, as `Context.memo` takes it; a cost that is not finite is None."""
        cost, violation = float(self.costs[problem, 0]), float(self.violations[problem, 0])
        return {
            "best": {name: column[problem, 0].tolist() for name, column in self.columns.items()},
            "cost": cost if math.isfinite(cost) else None,
            "violation": violation if math.isfinite(violation) else None,
            "evaluations": self.evaluations,
        }


def evolve(
    groups: Sequence[Group],
    fitness: Fitness,
    *,
    seeds: Sequence[int],
    evaluations: int,
    settings: Settings | None = None,
) -> Evolved:
    """Minimises the cost of several problems side by side, one a seed, each with so many evaluations.

    `fitness(columns)` gets {name: [problems, n, *shape]} (n is the population, less at the end of the budget) and gives
    the costs [problems, n], or (costs, violations), where a violation is 0 or less if all is well: genomes compare by
    violation first, then by cost. An infinite cost ranks last. As long as the fitness treats every genome by itself, a
    problem's result follows from its seed, whatever it is evolved beside. With `evaluations` equal to the population
    this is random search.

    ConfigError for wrong groups or budgets; EvaluatorError where the fitness gives other shapes, or NaN.
    """
    settings = settings or Settings()
    if isinstance(evaluations, bool) or not isinstance(evaluations, int) or evaluations < 1:
        raise ConfigError(f"evaluations: expected a whole number of at least 1, got {evaluations!r}")
    if not len(seeds):
        raise ConfigError("seeds: expected one for each problem, got none")
    layout = Layout(groups, len(seeds))
    streams = [np.random.Generator(np.random.PCG64(int(seed))) for seed in seeds]
    weights = _weights(layout.width) if settings.distinct else None
    population = min(settings.population, evaluations)

    parents, items = _first(layout, streams, population)
    judged = _judged(fitness, layout.columns(parents, items), parents, weights)
    parents, judged = _selected(parents, judged, population)
    done, history = population, [_feasible(judged)]
    while done < evaluations:
        count = min(population, evaluations - done)
        children, items = _children(layout, settings, streams, parents, count)
        ours = _judged(fitness, layout.columns(children, items), children, weights)
        if (ours[1] is None) != (judged[1] is None):
            raise EvaluatorError("the fitness gave violations for one generation and none for another")
        # Children stand first, so that they replace parents that are as good: the search drifts over plateaus.
        both = [
            None if new is None else np.concatenate([new, old], axis=1) for new, old in zip(ours, judged, strict=True)
        ]
        parents, judged = _selected(np.concatenate([children, parents], axis=1), both, population)
        done += count
        history.append(_feasible(judged))
    cost, violation, _ = judged
    columns = layout.columns(parents, [operators.sort_orders(keys)[0] for keys in _places(layout, parents)])
    violations = np.zeros_like(cost) if violation is None else violation
    return Evolved(columns, cost, violations, np.minimum.accumulate(np.stack(history)), done)


def _first(layout: Layout, streams: Sequence[np.random.Generator], count: int) -> tuple[Whole, list[Whole]]:
    """Random genomes, and of each group of orders the items by place."""
    numbers, reals, *keys = _draws(streams, count, [(layout.whole,), (layout.reals,), *layout.orders])
    sorted_orders = [operators.sort_orders(each) for each in keys]
    parts = [(numbers * layout.size[:, None, :]).astype(np.int64), reals.view(np.int64)]
    parts += [places.reshape(len(streams), count, -1) for _, places in sorted_orders]
    return np.concatenate(parts, axis=2), [items for items, _ in sorted_orders]


def _children(
    layout: Layout, settings: Settings, streams: Sequence[np.random.Generator], parents: Whole, count: int
) -> tuple[Whole, list[Whole]]:
    """Tournament, crossover, mutation; the draws come in the order of `shapes`, from each problem's own stream."""
    shapes: list[tuple[int, ...]] = [(2, settings.tournament), (), (layout.whole + layout.reals,)]
    shapes += [(layout.whole,), (layout.reals,)]
    for orders, length in layout.orders:
        shapes += [(orders, length), (orders, 3)]
    chosen, mate, cross, vary_whole, vary_reals, *rest = _draws(streams, count, shapes)
    rate = 1.0 / layout.genes if settings.mutation is None else settings.mutation
    population = parents.shape[1]
    pairs = operators.parents_of(chosen, population)
    flat = parents.reshape(-1, layout.width)
    mother = flat[operators.rows_of(pairs[..., 0], population)]
    father = flat[operators.rows_of(pairs[..., 1], population)]
    mates = mate < settings.crossover
    children = np.empty_like(mother)
    plain = slice(0, layout.whole + layout.reals)
    children[..., plain] = operators.crossed(mother[..., plain], father[..., plain], cross, mates)
    if rate > 0.0:
        operators.mutate_whole(children, vary_whole, rate, layout.size, layout.ordinal)
        operators.mutate_unit(children, layout.whole, vary_reals, rate, settings.eta)
    all_items = []
    both = zip(_places(layout, mother), _places(layout, father), strict=True)
    for number, (one, other) in enumerate(both):
        keys = operators.crossed_orders(one, other, rest[2 * number], mates).astype(np.float64)
        if rate > 0.0:
            operators.mutate_order(keys, rest[2 * number + 1], rate)
        items, places = operators.sort_orders(keys)
        children[..., layout.order_at[number]] = places.reshape(*children.shape[:2], -1)
        all_items.append(items)
    return children, all_items


def _places(layout: Layout, genomes: Whole) -> Iterator[Whole]:
    """The places of the items, [problems, n, orders, length], of each group of orders."""
    for at, shape in zip(layout.order_at, layout.orders, strict=True):
        yield genomes[..., at].reshape(*genomes.shape[:2], *shape)


def _draws(streams: Sequence[np.random.Generator], count: int, shapes: Sequence[tuple[int, ...]]) -> Iterator[Floats]:
    """Uniform numbers of [problems, count, *shape] for each shape, one call a problem."""
    sizes = [count * math.prod(shape) for shape in shapes]
    total = sum(sizes)
    block = (
        np.stack([stream.random(total) for stream in streams]) if len(streams) > 1 else streams[0].random((1, total))
    )
    begin = 0
    for size, shape in zip(sizes, shapes, strict=True):
        yield np.ascontiguousarray(block[:, begin : begin + size]).reshape(len(streams), count, *shape)
        begin += size


def _judged(fitness: Fitness, columns: Columns, genomes: Whole, weights: operators.Bits | None) -> Judged:
    """Costs, violations and marks."""
    given = fitness(columns)
    cost, violation = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    shape = genomes.shape[:2]
    return [
        _checked("costs", cost, shape),
        None if violation is None else np.maximum(_checked("violations", violation, shape), 0.0),
        None if weights is None else genomes.view(np.uint64) @ weights,
    ]


def _selected(genomes: Whole, judged: Judged, count: int) -> tuple[Whole, Judged]:
    """The best so many, in order."""
    cost, violation, marks = judged
    rows = operators.rows_of(operators.survivors(cost, violation, marks, count), genomes.shape[1])
    return genomes.reshape(-1, genomes.shape[2])[rows], [
        None if each is None else each.ravel()[rows] for each in judged
    ]


def _checked(what: str, given: Any, shape: tuple[int, ...]) -> Floats:
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise EvaluatorError(f"the fitness gave {type(given).__name__}; expected {what} of shape {shape}") from None
    if array.shape != shape:
        raise EvaluatorError(
            f"the fitness gave {what} of shape {array.shape}; expected (problems, candidates) = {shape}"
        )
    if np.isnan(array).any():
        problem, candidate = np.argwhere(np.isnan(array))[0]
        raise EvaluatorError(
            f"the fitness gave NaN among the {what}, first for candidate {candidate} of problem {problem}; "
            "an infinite cost stands for a candidate that cannot be judged"
        )
    return array


def _feasible(judged: Judged) -> Floats:
    cost, violation, _ = judged
    best: Floats = cost[:, 0] if violation is None else np.where(violation[:, 0] <= 0.0, cost[:, 0], np.inf)
    return best


def _weights(width: int) -> operators.Bits:
    """Odd multipliers, the same in every search: sums of products modulo 2**64 tell genomes apart."""
    stream = np.random.Generator(np.random.PCG64(0))
    return stream.integers(0, 2**63, size=width, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
