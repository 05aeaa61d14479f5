"""The choices of a space that a search distribution can carry, and the way between answers and coordinates.

A space is a function, so its choices are discovered by building it: random designs until 64 in a row ask nothing new. A
choice found later, one whose kind or options change from build to build, and an order or a subset have no coordinate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coevo.search.canonical import stream
from coevo.search.design import Design
from coevo.search.questions import MISSING, Integer, One, Question, Real
from coevo.search.space import Space
from coevo.search.variation import Draw

ENOUGH_BUILDS = 64  # in a row without a new name
MOST_BUILDS = 2_000
MOST_STEPS = 256  # an integer with more steps than that is searched as a real number


@dataclass(frozen=True, slots=True)
class Coordinate:
    """One choice. `kind` is "real" (a share of the range, 0..1), "integer" (a position) or "category" (an option's
    position); `size` counts positions and options, 0 for a real one. `steps` is True where positions are so many that
    the coordinate is real."""

    name: str
    kind: str
    size: int = 0
    steps: bool = False

    def answer(self, question: Question, value: float) -> Any:
        """The question's answer at this coordinate, MISSING where the question is of another kind or smaller."""
        if self.kind == "real" and type(question) is Real:
            return question.at(value)
        if type(question) is not (One if self.kind == "category" else Integer):
            return MISSING
        size: int = question.size or 0
        position = min(int(value * size), size - 1) if self.steps else int(value)
        return question.nth(position) if position < size else MISSING

    def agrees(self, question: Question, value: float, answer: Any, tolerance: float) -> bool:
        """Is this the question's answer at the coordinate, but for `tolerance` (a share of the range) if it is real?"""
        if tolerance and type(question) is Real and self.kind == "real":
            return abs(question.share(answer) - value) <= tolerance
        return bool(self.answer(question, value) == answer)

    def value(self, question: Question, answer: Any) -> float | None:
        """The coordinate of an answer, None where the question is of another kind or the answer out of range."""
        if self.kind == "real" and type(question) is Real:
            return float(question.share(answer))
        if self.kind == "category" and type(question) is One:
            position = question.items.find(answer)
        elif self.kind != "category" and type(question) is Integer:
            position = (answer - question.low) // question.step
            if self.steps:
                return float((position + 0.5) / question.size)
        else:
            return None
        return float(position) if 0 <= position < self.size else None


def discover(space: Space) -> list[Coordinate]:
    """The coordinates of a space, in the order in which its choices were first asked; a function of the space alone."""
    found: dict[str, Coordinate | None] = {}
    quiet = 0
    for build in range(MOST_BUILDS):
        asked: dict[str, Question] = {}
        draw = Draw(stream("coordinates", space.id, build))

        def choose(name: str, question: Question, asked: dict[str, Question] = asked, draw: Draw = draw) -> Any:
            asked[name] = question
            return draw(name, question)

        space.grow(choose)
        known = len(found)
        for name, question in asked.items():
            here = _coordinate(name, question)
            found[name] = _both(found[name], here) if name in found else here
        quiet = quiet + 1 if len(found) == known else 0
        if quiet == ENOUGH_BUILDS:
            break
    return [coordinate for coordinate in found.values() if coordinate is not None and coordinate.size != 1]


def _coordinate(name: str, question: Question) -> Coordinate | None:
    if type(question) is Real:
        return Coordinate(name, "real") if question.size is None else Coordinate(name, "real", 1)
    if type(question) is Integer:
        many = question.size > MOST_STEPS
        return Coordinate(name, "real", 0, True) if many else Coordinate(name, "integer", question.size)
    return Coordinate(name, "category", question.size) if type(question) is One else None


def _both(old: Coordinate | None, new: Coordinate | None) -> Coordinate | None:
    """Two builds' views of one name: the wider range of an integer; None where they do not agree."""
    if old is None or new is None or old.kind != new.kind or old.steps != new.steps:
        return None
    if old.kind == "category" and old.size != new.size:
        return None
    if old.kind == "real":
        return old if old.size == 0 else new
    return old if old.size >= new.size else new


def asked_of(space: Space, design: Design) -> list[tuple[str, Question, Any]]:
    """(name, question, answer) of a valid design, by replaying it."""
    given = design.mapping
    asked: list[tuple[str, Question, Any]] = []

    def choose(name: str, question: Question) -> Any:
        answer = question.fits(given.get(name, MISSING))
        asked.append((name, question, answer))
        return answer

    space.grow(choose)
    return asked
