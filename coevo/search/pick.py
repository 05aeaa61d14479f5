"""What a space function is handed: it asks, and is answered from a recording or anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from coevo.errors import SpaceError
from coevo.search.questions import Integer, One, Order, Question, Real, Some

T = TypeVar("T")
Chooser = Callable[[str, Question], Any]


class Rejected(Exception):
    """Raised by `Pick.reject` to leave the space function; never seen by a user."""

    def __init__(self, reason: str, amount: float | None):
        super().__init__(reason)
        self.reason, self.amount = reason, amount


class Pick:
    """Answers the questions of one build, and keeps the answers in the order in which they were asked.

    Every name may be asked once in a build. Options are ordered sequences of JSON values, distinct as JSON.
    """

    __slots__ = ("_choose", "_questions", "answers")

    def __init__(self, choose: Chooser, questions: dict[str, Question]):
        self._choose = choose
        self._questions = questions  # shared by all builds of a space, so that fixed options are read once
        self.answers: dict[str, Any] = {}

    def one(self, name: str, options: Sequence[T]) -> T:
        """One of `options`."""
        question = self._questions.get(name)
        if question is None or question.raw is not options:
            question = self._one(name, options)
        if name in self.answers:
            self._twice(name)
        answer = self.answers[name] = self._choose(name, question)
        value: Any = answer if question.plain else question.value(answer)
        return value  # type: ignore[no-any-return]

    def _one(self, name: str, options: Sequence[Any]) -> Question:
        question = self._questions.get(name)
        if type(question) is not One or not question.reusable or not _same(question.raw, options):
            _named(name)
            question = One(name, options)
            # A list may change behind our back: it is read anew at every build, so it is never taken for the same.
            question.raw = options if question.reusable else None
            self._questions[name] = question
        return question

    def some(self, name: str, items: Sequence[T], k: int) -> tuple[T, ...]:
        """k of `items`, sorted by the order of the items."""
        question = self._questions.get(name)
        if type(question) is not Some or not question.reusable or question.k != k or not _same(question.raw[0], items):
            _named(name)
            question = self._questions[name] = Some(name, items, k)
        return self._ask(name, question)  # type: ignore[no-any-return]

    def order(self, name: str, items: Sequence[T], k: int | None = None) -> tuple[T, ...]:
        """k of `items` in an order: a permutation where k is None."""
        question = self._questions.get(name)
        if (
            type(question) is not Order
            or not question.reusable
            or question.raw[1] != k
            or not _same(question.raw[0], items)
        ):
            _named(name)
            question = self._questions[name] = Order(name, items, k)
        return self._ask(name, question)  # type: ignore[no-any-return]

    def integer(self, name: str, low: int, high: int, step: int = 1) -> int:
        """An integer in low, low + step, ..., up to high."""
        question = self._questions.get(name)
        if type(question) is not Integer or question.raw != (low, high, step):
            _named(name)
            question = self._questions[name] = Integer(name, low, high, step)
        return self._ask(name, question)  # type: ignore[no-any-return]

    def real(self, name: str, low: float, high: float, log: bool = False) -> float:
        """A real number in low..high; `log` searches on a logarithmic scale."""
        question = self._questions.get(name)
        if type(question) is not Real or question.raw != (low, high, log):
            _named(name)
            question = self._questions[name] = Real(name, low, high, log)
        return self._ask(name, question)  # type: ignore[no-any-return]

    def reject(self, reason: str, amount: float | None = None) -> NoReturn:
        """Leave the build: this design is invalid. `amount` says by how much, so that search can climb."""
        raise Rejected(reason, amount)

    def _ask(self, name: str, question: Question) -> Any:
        if name in self.answers:
            self._twice(name)
        answer = self.answers[name] = self._choose(name, question)
        return answer if question.plain else question.value(answer)

    def _twice(self, name: str) -> NoReturn:
        raise SpaceError(
            f"the name {name!r} was asked twice in one build; every question needs a name of its own, "
            f"for example {name + '2'!r}"
        )


def _named(name: Any) -> None:
    if type(name) is not str or not name:
        raise SpaceError(f"a question's name must be a text that is not empty, got {name!r}")


def _same(raw: Any, options: Any) -> bool:
    # Equality alone would take (1, 2) for (True, 2.0); the same object, or an equal range, cannot differ.
    return raw is options or (type(raw) is range and type(options) is range and raw == options)
