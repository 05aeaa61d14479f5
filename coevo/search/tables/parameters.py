"""The choices of a study as flat parameters, each with the range of its values: what tools outside coevo can hold.

A choice may ask differently from design to design, and may be an order or a subset; other tools know a fixed list of
numbers and options. So the questions of all designs are merged by name, and lists are spread over several parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from coevo.errors import ConfigError, SpaceError
from coevo.search.canonical import text
from coevo.search.design import Design
from coevo.search.questions import MISSING, Integer, One, Order, Question, Real, Some
from coevo.search.space import Space

MOST_OPTIONS = 64
"""Of a choice with more options, only those that some design took are listed."""
MOST_ITEMS = 32
"""Orders and subsets of more items are left whole, as JSON: every item would be a parameter of every design."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """`kind` is "categorical" (`choices`), "int" (`low`, `high`, `step`) or "float" (`low`, `high`, `log`)."""

    name: str
    kind: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: int = 1
    log: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What a choice asks for, over all designs that were asked it."""

    kind: str  # "one", "integer", "real", "order", "some", or "mixed" where designs were asked in several ways
    options: dict[str, Any] = field(default_factory=dict)  # or items: canonical text -> answer
    low: float = math.inf
    high: float = -math.inf
    step: int = 1
    log: bool = False
    places: int = 0

    def merged(self, other: Form) -> Form:
        """The form that holds the answers to both."""
        kinds = {self.kind, other.kind}
        if kinds == {"integer", "real"}:
            kinds = {"real"}
        if len(kinds) > 1:
            return Form("mixed")
        return Form(
            kinds.pop(),
            {**self.options, **other.options},
            min(self.low, other.low),
            max(self.high, other.high),
            math.gcd(self.step, other.step, int(abs(self.low - other.low))) if self.kind == "integer" else 1,
            self.log and other.log,
            max(self.places, other.places),
        )


def form_of(question: Question) -> Form:
    """What a space's question asks for."""
    match question:
        case Integer():
            high = question.low + question.step * (question.size - 1)
            return Form("integer", low=question.low, high=high, step=question.step)
        case Real():
            return Form("real", low=question.low, high=question.high, log=question.log)
        case One():
            return Form("one", _listed(question.items.answers))
        case Order():
            return Form("order", _listed(question.items.answers), places=question.k)
        case Some():
            return Form("some", _listed(question.items.answers), places=question.k)


def form_seen(answer: Any) -> Form:
    """What an answer alone lets one think that was asked."""
    if isinstance(answer, tuple):
        return Form("order", _listed(answer), places=len(answer))
    if isinstance(answer, bool) or not isinstance(answer, (int, float)):
        return Form("one", _listed((answer,)))
    return Form("integer" if isinstance(answer, int) else "real", low=answer, high=answer)


class Parameters:
    """Gathers forms and answers with `see`, then spells designs with `spell`."""

    def __init__(self, space: Space | None):
        self._space = space
        self._forms: dict[str, Form] = {}
        self._met: dict[str, Question] = {}  # the latest by name: mostly the same object again
        self._answers: dict[str, dict[str, Any]] = {}  # as `Form.options`, of what designs took
        self._spread: dict[str, list[Parameter]] = {}
        self.left_whole: list[str] = []
        """Choices that no parameter holds; `spell` leaves them out."""

    def see(self, design: Design) -> None:
        """Takes in what a design was asked; SpaceError where the space does not rebuild it."""
        if self._space is None:
            for name, answer in design.answers:
                self._take(name, form_seen(answer), answer)
            return
        given = design.mapping

        def choose(name: str, question: Question) -> Any:
            answer = question.fits(given.get(name, MISSING))
            if answer is MISSING:
                raise SpaceError(f"the answer {given.get(name)!r} for {name!r} is none that the space offers")
            if self._met.get(name) is question:
                self._answers[name].setdefault(text(answer), answer)
            else:
                self._met[name] = question
                self._take(name, form_of(question), answer)
            return answer

        grown = self._space.grow(choose)
        extra = [name for name in given if name not in grown.design.mapping]
        if extra:
            raise SpaceError(f"the design answers {', '.join(extra)}, which the space does not ask")

    def _take(self, name: str, form: Form, answer: Any) -> None:
        known = self._forms.get(name)
        self._forms[name] = form if known is None else known.merged(form)
        self._answers.setdefault(name, {}).setdefault(text(answer), answer)

    def settle(self) -> list[Parameter]:
        """The parameters of everything that was seen; ConfigError where two would have one name."""
        for name, form in self._forms.items():
            self._spread[name] = list(self._parameters(name, form))
        found = [parameter for parameters in self._spread.values() for parameter in parameters]
        names = [parameter.name for parameter in found]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"two parameters would be called {twice!r}: an item of a choice, and another choice")
        return found

    def _parameters(self, name: str, form: Form) -> Iterator[Parameter]:
        if form.kind == "integer":
            yield Parameter(name, "int", low=form.low, high=form.high, step=form.step)
        elif form.kind == "real":
            yield Parameter(name, "float", low=form.low, high=form.high, log=form.log)
        elif form.kind in ("one", "mixed"):
            taken = self._answers[name]
            if form.kind == "mixed":
                form = replace(form, options=taken)
            if self._space is None or form.kind == "mixed":  # in the order in which they happened to be seen
                form = replace(form, options=dict(sorted(form.options.items())))
            elif len(form.options) > MOST_OPTIONS:
                form = replace(form, options={said: form.options[said] for said in form.options if said in taken})
            yield Parameter(name, "categorical", tuple(_spelled(form.options).values()))
        elif len(form.options) > MOST_ITEMS:
            self.left_whole.append(name)
        elif form.kind == "order":
            if self._space is None:
                form = replace(form, options=dict(sorted(form.options.items())))
            choices = tuple(_spelled(form.options).values())
            for place in range(form.places):
                yield Parameter(f"{name}[{place}]", "categorical", choices)
        else:
            for item in _spelled(form.options).values():
                yield Parameter(f"{name}[{item}]", "categorical", (False, True))

    def spell(self, design: Design) -> dict[str, Any]:
        """The design's values by parameter name; what it was not asked is absent."""
        values: dict[str, Any] = {}
        for name, answer in design.answers:
            parameters, form = self._spread[name], self._forms[name]
            if not parameters:
                continue
            if form.kind == "integer":
                values[name] = answer
            elif form.kind == "real":
                values[name] = float(answer)
            elif form.kind in ("one", "mixed"):
                values[name] = self._word(name, answer)
            elif form.kind == "order":
                values |= {f"{name}[{place}]": self._word(name, item) for place, item in enumerate(answer)}
            else:
                inside = {text(item) for item in answer}
                spelled = _spelled(form.options)
                values |= {f"{name}[{spelled[said]}]": said in inside for said in form.options}
        return values

    def _word(self, name: str, answer: Any) -> Any:
        form = self._forms[name]
        options = self._answers[name] if form.kind == "mixed" else form.options
        return answer if _plain(options) else text(answer)


def _listed(answers: Iterable[Any]) -> dict[str, Any]:
    return {text(answer): answer for answer in answers}


def _plain(options: dict[str, Any]) -> bool:
    """Whether other tools can hold the options as they are: scalars, none equal to another as True is to 1."""
    scalars = all(answer is None or isinstance(answer, (bool, int, float, str)) for answer in options.values())
    return scalars and len(set(options.values())) == len(options)


def _spelled(options: dict[str, Any]) -> dict[str, Any]:
    """The options as they are where other tools can hold them, else as JSON; by their canonical text."""
    return options if _plain(options) else {said: said for said in options}
