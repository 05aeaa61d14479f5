"""The five kinds of question that a space may ask, each with all that search ever does to its answers.

A question knows how to draw an answer, accept an old one, vary it, mix two, and list them all. Answers are canonical
JSON (`canonical.py`); `value(answer)` is what the space function is handed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coevo.errors import SpaceError
from coevo.search.canonical import SCALARS, Stream, canonical, freeze, text


class Missing:
    """The type of MISSING: no answer, or one that does not fit the question."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class Items:
    """An ordered sequence of options, distinct as JSON, with the way back from answer to position."""

    __slots__ = ("answers", "plain", "positions", "values")

    def __init__(self, options: Any, where: str, noun: str):
        if isinstance(options, (set, frozenset)):
            raise SpaceError(
                f"{where}: the {noun} are a set, whose order differs between processes; "
                f"expected an ordered sequence. Use sorted(...) or a list"
            )
        if isinstance(options, (str, bytes)) or not isinstance(options, (Sequence, range)):
            if isinstance(options, (str, bytes)) or not hasattr(options, "tolist"):  # arrays are sequences but for name
                raise SpaceError(
                    f"{where}: expected a list or tuple of {noun}, got {type(options).__name__} {options!r}"
                )
            options = options.tolist()
        self.values = tuple(freeze(option, where) for option in options)
        self.answers = tuple(canonical(value) for value in self.values)
        self.positions: dict[Any, int] = {}
        for position, answer in enumerate(self.answers):
            spelling = text(answer)
            if spelling in self.positions:
                raise SpaceError(
                    f"{where}: the {noun} {self.values[self.positions[spelling]]!r} and {self.values[position]!r} "
                    f"are the same as JSON ({spelling}); {noun} must be distinct"
                )
            self.positions[spelling] = position
        # Scalars of one type are found by value, which is quicker than by their text; True == 1 needs the text.
        kinds = {type(answer) for answer in self.answers}
        self.plain = len(kinds) == 1 and kinds <= SCALARS
        if self.plain:
            self.positions = {answer: position for position, answer in enumerate(self.answers)}

    def find(self, answer: Any) -> int:
        """The position of an answer, or -1."""
        if self.plain:
            if type(answer) is not type(self.answers[0]):
                return -1
            return self.positions.get(answer, -1)
        try:
            return self.positions.get(text(answer), -1)
        except (TypeError, ValueError):
            return -1


class Spellings(dict[Any, str]):
    """The canonical text of (name, answer) by answer, each written once. For answers of one scalar type: 1 is True."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __missing__(self, answer: Any) -> str:
        found = self[answer] = text((self.name, answer))
        return found


class One:
    """One of several options."""

    __slots__ = ("answers", "items", "lookup", "plain", "raw", "reusable", "size", "spellings")
    blends = False  # does mixing make answers that neither parent has?

    def __init__(self, name: str, options: Any):
        self.raw = options
        self.items = Items(options, f"one({name!r})", "options")
        self.answers = self.items.answers
        self.plain = self.items.plain  # are answers and values the same thing?
        # From a parent's answer to ours, where that is all there is to fitting.
        self.lookup: dict[Any, Any] | None = {answer: answer for answer in self.answers} if self.plain else None
        self.spellings = Spellings(name) if self.plain else None
        self.size: int = len(self.answers)
        if not self.size:
            raise SpaceError(f"one({name!r}): there are no options to choose from")
        self.reusable = type(options) is range or (
            type(options) is tuple and all(type(option) in SCALARS or type(option) is float for option in options)
        )

    def value(self, answer: Any) -> Any:
        value = self.items.values[self.items.find(answer)]
        return copy.deepcopy(value) if type(value) is dict else value

    def fits(self, answer: Any) -> Any:
        if self.plain:
            return answer if type(answer) is type(self.answers[0]) and answer in self.items.positions else MISSING
        position = self.items.find(answer)
        return self.answers[position] if position >= 0 else MISSING

    def draw(self, rng: Stream) -> Any:
        return self.answers[int(rng.random() * self.size)]

    def vary(self, answer: Any, rng: Stream, eta: float) -> Any:
        """Another option, any of them."""
        if self.size == 1:
            return answer
        position = int(rng.random() * (self.size - 1))
        return self.items.answers[position + (position >= self.items.find(answer))]

    def mix(self, a: Any, b: Any, rng: Stream, sbx_eta: float | None) -> Any:
        """Either parent's."""
        return a if rng.random() < 0.5 else b

    def nth(self, n: int) -> Any:
        return self.answers[n]


class Integer:
    """An integer in low..high by step."""

    __slots__ = ("low", "raw", "reusable", "size", "step")
    plain = True
    blends = False
    lookup = None
    spellings = None

    def __init__(self, name: str, low: int, high: int, step: int):
        where = f"integer({name!r})"
        for label, number in (("low", low), ("high", high), ("step", step)):
            if isinstance(number, bool) or int(number) != number:
                raise SpaceError(f"{where}: {label} must be an integer, got {number!r}")
        if step < 1:
            raise SpaceError(f"{where}: step must be at least 1, got {step}")
        if high < low:
            raise SpaceError(f"{where}: high ({high}) is below low ({low})")
        self.raw = (low, high, step)
        self.reusable = True
        self.low, self.step = int(low), int(step)
        self.size: int = (int(high) - self.low) // self.step + 1

    def value(self, answer: Any) -> Any:
        return answer

    def fits(self, answer: Any) -> Any:
        if type(answer) is not int:
            return MISSING
        position, rest = divmod(answer - self.low, self.step)
        return answer if rest == 0 and 0 <= position < self.size else MISSING

    def draw(self, rng: Stream) -> Any:
        return self.low + self.step * int(rng.random() * self.size)

    def vary(self, answer: Any, rng: Stream, eta: float) -> Any:
        """A neighbour: mostly one step away, farther in proportion to the range, never the same."""
        if self.size == 1:
            return answer
        position = (answer - self.low) // self.step
        distance = 1 + int(-math.log(1.0 - rng.random()) * self.size / max(eta, 1.0))
        target = position + (distance if rng.random() < 0.5 else -distance)
        if not 0 <= target < self.size:  # bounce to the other side, and stop at the wall
            target = min(max(2 * position - target, 0), self.size - 1)
            if target == position:
                target = position + 1 if position == 0 else position - 1
        return self.low + self.step * target

    def mix(self, a: Any, b: Any, rng: Stream, sbx_eta: float | None) -> Any:
        return a if rng.random() < 0.5 else b

    def nth(self, n: int) -> Any:
        return self.low + self.step * n


class Real:
    """A real number in low..high, on a linear or a logarithmic scale."""

    __slots__ = ("high", "log", "low", "raw", "reusable", "size")
    plain = False
    blends = True
    lookup = None
    spellings = None

    def __init__(self, name: str, low: float, high: float, log: bool):
        where = f"real({name!r})"
        for label, number in (("low", low), ("high", high)):
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
                raise SpaceError(f"{where}: {label} must be a finite number, got {number!r}")
        if high < low:
            raise SpaceError(f"{where}: high ({high}) is below low ({low})")
        if log and low <= 0:
            raise SpaceError(f"{where}: a logarithmic scale needs low above 0, got {low}")
        self.raw = (low, high, log)
        self.reusable = True
        self.low, self.high, self.log = float(low), float(high), bool(log)
        self.size: int | None = None if high > low else 1

    def value(self, answer: Any) -> float:
        return float(answer)

    def fits(self, answer: Any) -> Any:
        kind = type(answer)
        if (kind is float or kind is int) and self.low <= answer <= self.high:
            return answer
        return MISSING

    def _answer(self, number: float) -> Any:
        """From the scale of search back to a canonical answer within the bounds."""
        if self.log:
            number = math.exp(number)
        number = min(max(number, self.low), self.high) + 0.0
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def _bounds(self) -> tuple[float, float]:
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)

    def at(self, share: float) -> Any:
        """The answer at this share (0..1) of the range, on the scale of search."""
        low, high = self._bounds()
        return self._answer(low + (high - low) * share)

    def share(self, answer: Any) -> float:
        """Where in the range an answer stands, 0..1."""
        low, high = self._bounds()
        return ((math.log(answer) if self.log else float(answer)) - low) / (high - low) if high > low else 0.5

    def draw(self, rng: Stream) -> Any:
        return self.at(rng.random())

    def vary(self, answer: Any, rng: Stream, eta: float) -> Any:
        """Polynomial mutation within the bounds (Deb and Goyal 1996; bounded form of Deb's NSGA-II code)."""
        low, high = self._bounds()
        if high <= low:
            return answer
        x = math.log(answer) if self.log else float(answer)
        u, power = rng.random(), 1.0 / (eta + 1.0)
        if u < 0.5:
            rest = 1.0 - (x - low) / (high - low)
            delta = (2.0 * u + (1.0 - 2.0 * u) * rest ** (eta + 1.0)) ** power - 1.0
        else:
            rest = 1.0 - (high - x) / (high - low)
            delta = 1.0 - (2.0 * (1.0 - u) + 2.0 * (u - 0.5) * rest ** (eta + 1.0)) ** power
        return self._answer(x + delta * (high - low))

    def mix(self, a: Any, b: Any, rng: Stream, sbx_eta: float | None) -> Any:
        """Either parent's, or one child of simulated binary crossover (SBX, half of the variables) where an index is
        given."""
        if sbx_eta is None:
            return a if rng.random() < 0.5 else b
        low, high = self._bounds()
        x, y = (math.log(a), math.log(b)) if self.log else (float(a), float(b))
        if rng.random() >= 0.5 or abs(x - y) < 1e-14:
            return a
        first, second = min(x, y), max(x, y)
        u, eta = rng.random(), sbx_eta
        upper = rng.random() < 0.5
        distance = (high - second) if upper else (first - low)
        beta = 1.0 + 2.0 * distance / (second - first)
        alpha = 2.0 - beta ** -(eta + 1.0)
        if u <= 1.0 / alpha:
            spread = (u * alpha) ** (1.0 / (eta + 1.0))
        else:
            spread = (1.0 / (2.0 - u * alpha)) ** (1.0 / (eta + 1.0))
        middle, half = 0.5 * (first + second), 0.5 * spread * (second - first)
        return self._answer(middle + half if upper else middle - half)

    def nth(self, n: int) -> Any:
        return self._answer(self._bounds()[0])


class Order:
    """k of n items in an order (a permutation where k is n)."""

    __slots__ = ("items", "k", "raw", "reusable", "size")
    plain = False
    blends = True
    lookup = None
    spellings = None

    def __init__(self, name: str, items: Any, k: int | None):
        where = f"order({name!r})"
        self.items = Items(items, where, "items")
        n = len(self.items.answers)
        self.k: int = _count_of(k, n, where)
        self.raw = (items, k)
        self.reusable = type(items) in (range, tuple)
        self.size: int = math.perm(n, self.k)

    def value(self, answer: Any) -> tuple[Any, ...]:
        if self.items.plain:
            return tuple(answer)
        return tuple(self.items.values[self.items.find(item)] for item in answer)

    def _positions(self, answer: Any) -> list[int]:
        return [self.items.find(item) for item in answer]

    def fits(self, answer: Any) -> Any:
        if type(answer) is not tuple or len(answer) != self.k:
            return MISSING
        positions = self._positions(answer)
        if -1 in positions or len(set(positions)) != self.k:
            return MISSING
        return answer

    def _answer(self, positions: Iterable[int]) -> tuple[Any, ...]:
        return tuple(self.items.answers[position] for position in positions)

    def draw(self, rng: Stream) -> Any:
        return self._answer(rng.pick_k(len(self.items.answers), self.k))

    def vary(self, answer: Any, rng: Stream, eta: float) -> Any:
        """Swap two, move one to another place, or bring in an item that stands outside."""
        n, k = len(self.items.answers), self.k
        row = self._positions(answer)
        moves = ["swap", "shift"] if k > 1 else []
        if 0 < k < n:
            moves.append("replace")
        if not moves:
            return answer
        move = moves[rng.below(len(moves))]
        if move == "swap":
            i, j = rng.pick_k(k, 2)
            row[i], row[j] = row[j], row[i]
        elif move == "shift":
            i, j = rng.pick_k(k, 2)
            row.insert(j, row.pop(i))
        else:
            inside = set(row)
            outside = [position for position in range(n) if position not in inside]
            row[rng.below(k)] = outside[rng.below(len(outside))]
        return self._answer(row)

    def mix(self, a: Any, b: Any, rng: Stream, sbx_eta: float | None) -> Any:
        """Each place from either parent; where its item is taken, from the other; what is left over fills the rest."""
        first, second = self._positions(a), self._positions(b)
        used: set[int] = set()
        row: list[int] = []
        for x, y in zip(first, second, strict=True):
            if rng.random() < 0.5:
                x, y = y, x
            choice = x if x not in used else y if y not in used else -1
            row.append(choice)
            used.add(choice)
        left = [x for x in dict.fromkeys(first + second) if x not in used]
        return self._answer(position if position >= 0 else left.pop(rng.below(len(left))) for position in row)

    def nth(self, n: int) -> Any:
        pool, row = list(range(len(self.items.answers))), []
        block = self.size
        for _ in range(self.k):
            block //= len(pool)
            place, n = divmod(n, block)
            row.append(pool.pop(place))
        return self._answer(row)


class Some:
    """k of n items, in the order of the items."""

    __slots__ = ("items", "k", "raw", "reusable", "size")
    plain = False
    blends = True
    lookup = None
    spellings = None

    def __init__(self, name: str, items: Any, k: int):
        where = f"some({name!r})"
        self.items = Items(items, where, "items")
        n = len(self.items.answers)
        self.k: int = _count_of(k, n, where)
        self.raw = (items, k)
        self.reusable = type(items) in (range, tuple)
        self.size: int = math.comb(n, self.k)

    def value(self, answer: Any) -> tuple[Any, ...]:
        if self.items.plain:
            return tuple(answer)
        return tuple(self.items.values[self.items.find(item)] for item in answer)

    def fits(self, answer: Any) -> Any:
        if type(answer) is not tuple or len(answer) != self.k:
            return MISSING
        positions = {self.items.find(item) for item in answer}
        if -1 in positions or len(positions) != self.k:
            return MISSING
        return self._answer(positions)

    def _answer(self, positions: Iterable[int]) -> tuple[Any, ...]:
        return tuple(self.items.answers[position] for position in sorted(positions))

    def draw(self, rng: Stream) -> Any:
        return self._answer(rng.pick_k(len(self.items.answers), self.k))

    def vary(self, answer: Any, rng: Stream, eta: float) -> Any:
        """One item out, another in."""
        inside = [self.items.find(item) for item in answer]
        outside = [position for position in range(len(self.items.answers)) if position not in set(inside)]
        if not inside or not outside:
            return answer
        inside[rng.below(len(inside))] = outside[rng.below(len(outside))]
        return self._answer(inside)

    def mix(self, a: Any, b: Any, rng: Stream, sbx_eta: float | None) -> Any:
        """What both have, filled from what either has."""
        first, second = {self.items.find(item) for item in a}, {self.items.find(item) for item in b}
        both, either = first & second, sorted(first ^ second)
        return self._answer(both | {either[j] for j in rng.pick_k(len(either), self.k - len(both))})

    def nth(self, n: int) -> Any:
        total, row, k = len(self.items.answers), [], self.k
        for position in range(total):
            if k == 0:
                break
            with_it = math.comb(total - position - 1, k - 1)
            if n < with_it:
                row.append(position)
                k -= 1
            else:
                n -= with_it
        return self._answer(row)


def _count_of(k: int | None, n: int, where: str) -> int:
    if k is None:
        return n
    if isinstance(k, bool) or not hasattr(k, "__index__"):
        raise SpaceError(f"{where}: k must be an integer, got {k!r}")
    if not 0 <= int(k) <= n:
        raise SpaceError(f"{where}: k must lie in 0..{n} (there are {n} items), got {k}")
    return int(k)


Question = One | Integer | Real | Order | Some


def spelled(answers: Mapping[str, Any], questions: Mapping[str, Question]) -> str:
    """The canonical text of answers to these questions, as `text` writes it, from parts that were written before."""
    parts = [
        text((name, answer)) if (spellings := questions[name].spellings) is None else spellings[answer]
        for name, answer in answers.items()
    ]
    return f"[{','.join(parts)}]"
