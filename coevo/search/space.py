"""A search space: a plain function that asks, and all that search does with it by replaying."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from coevo.errors import InfeasibleSpace, SpaceError
from coevo.search.canonical import Stream
from coevo.search.design import Design, Origin
from coevo.search.pick import Chooser, Pick, Rejected
from coevo.search.questions import MISSING, Question, spelled
from coevo.search.variation import Draw, Variation, breed


@dataclass(frozen=True, slots=True)
class Violation:
    """Why a value is invalid, and by how much (above 0, smaller is nearer to valid): sampling climbs on it."""

    reason: str
    amount: float


class Grown(NamedTuple):
    """One build: its design and value, or why it was refused."""

    design: Design
    value: Any
    refusal: Violation | None
    climbable: bool = False


class Space:
    """`id` carries a version ("quantumnas/u3cu3/v1"): raise it when the same answers come to mean something else.

    `build(pick)` asks and returns the value. `check(value)` returns None, a reason, or `Violation(reason, amount)`.
    Sampling, mutation, crossover, repair, enumeration and keys come from replaying `build`; it must ask the same
    questions for the same answers.
    """

    draws = 2_000  # how many random designs sampling tries before it gives up
    draws_before_climbing = 32
    climb_steps = 400
    climb_steps_of_a_child = 16

    def __init__(self, id: str, build: Callable[[Pick], Any], check: Callable[[Any], Any] | None = None):
        if not isinstance(id, str) or not id:
            raise SpaceError(f"a space's id must be a text such as 'toy/v1', got {id!r}")
        if not callable(build):
            raise SpaceError(f"space {id!r}: build must be a function of one argument (pick), got {build!r}")
        self.id = id
        self._build = build
        self._check = check
        self._questions: dict[str, Question] = {}
        self._latest: Grown | None = None  # what search just made is asked for once more at once

    def __repr__(self) -> str:
        return f"Space({self.id!r})"

    def grow(self, choose: Chooser, origin: Origin | None = None) -> Grown:
        """Builds once with the answers that `choose(name, question)` gives."""
        pick = Pick(choose, self._questions)
        try:
            value = self._build(pick)
            verdict = None if self._check is None else self._check(value)
        except Rejected as rejected:
            value, verdict = None, rejected
        except SpaceError as problem:
            raise SpaceError(f"space {self.id!r}: {problem}") from None
        if verdict is None:
            content = spelled(pick.answers, self._questions)
            return Grown(Design.written(self.id, tuple(pick.answers.items()), content, origin), value, None)
        design = Design(self.id, pick.answers.items(), origin)
        if isinstance(verdict, str):
            return Grown(design, value, Violation(verdict, float("inf")))
        if isinstance(verdict, (Violation, Rejected)):
            known = verdict.amount is not None
            amount = float(verdict.amount) if verdict.amount is not None else float("inf")
            return Grown(design, value, Violation(str(verdict.reason), amount), climbable=known)
        raise SpaceError(
            f"space {self.id!r}: check must return None, a reason (text) or Violation(reason, amount), got {verdict!r}"
        )

    def build(self, design: Design) -> Any:
        """The value of a design. SpaceError where the design's answers are not those that the space asks for."""
        latest, self._latest = self._latest, None
        if latest is not None and latest.design is design:
            return latest.value  # handed out once: the next caller gets a value of its own
        grown = self.replay(design)
        if grown.refusal is not None:
            raise SpaceError(f"space {self.id!r} refuses this design: {grown.refusal.reason}")
        return grown.value

    def replay(self, design: Design) -> Grown:
        """Rebuilds a design, invalid ones included; every answer must fit and none may be left over."""
        if design.space != self.id:
            raise SpaceError(f"the design belongs to space {design.space!r}, not to {self.id!r}")
        given = dict(design.answers)

        def choose(name: str, question: Question) -> Any:
            if name not in given:
                raise SpaceError(f"the design has no answer for {name!r}; it was made by another version of the space")
            answer = question.fits(given[name])
            if answer is MISSING:
                raise SpaceError(f"the answer {given[name]!r} for {name!r} is none that the space offers")
            return answer

        grown = self.grow(choose, design.origin)
        if grown.refusal is None and len(grown.design.answers) != len(given):
            extra = sorted(set(given) - {name for name, _ in grown.design.answers})
            raise SpaceError(f"space {self.id!r}: the design answers {', '.join(extra)}, which was not asked")
        return grown

    def design(self, answers: Mapping[str, Any]) -> Design:
        """The design with these answers, given as plain values; SpaceError where they do not fit."""
        return self.replay(Design.from_json({"space": self.id, "answers": dict(answers)})).design

    def sample(self, rng: Stream) -> Design:
        """A valid design with every choice drawn uniformly, or the end of a climb on the violation's amount.

        Raises InfeasibleSpace with the counts of the reasons after `draws` refused designs.
        """
        reasons: Counter[str] = Counter()
        nearest: Grown | None = None
        climbed = False
        draw, origin = Draw(rng), Origin("sample")
        for attempt in range(self.draws):
            grown = self.grow(draw, origin)
            if grown.refusal is None:
                self._latest = grown
                return grown.design
            reasons[_shape(grown.refusal.reason)] += 1
            if grown.climbable and (nearest is None or _amount(grown) < _amount(nearest)):
                nearest = grown
            if attempt + 1 >= self.draws_before_climbing and nearest is not None and not climbed:
                climbed = True
                found = self._climb(nearest, rng, self.climb_steps, reasons, origin)
                if found is not None:
                    return found
        counts = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
        raise InfeasibleSpace(
            f"space {self.id!r}: none of {sum(reasons.values())} designs was valid. Why: {counts}. Loosen check(), "
            "or let it return Violation(reason, amount) so that sampling can climb",
            reasons,
        )

    def design_from(self, choose: Chooser, origin: Origin, rng: Stream | None = None) -> Design | None:
        """The design with these answers. Where it is not valid: the end of a short climb on the violation's amount,
        with a stream to climb by, else None."""
        grown = self.grow(choose, origin)
        if grown.refusal is None:
            self._latest = grown
            return grown.design
        if rng is None or not grown.climbable:
            return None
        return self._climb(grown, rng, self.climb_steps_of_a_child, Counter(), origin)

    def child(
        self, rng: Stream, variation: Variation, mother: Design, father: Design | None, origin: Origin
    ) -> Design | None:
        """A valid child of one parent (mutation) or two (crossover, then mutation); None where repair did not help."""
        return self.design_from(breed(mother, father, rng, variation), origin, rng)

    def _climb(self, start: Grown, rng: Stream, steps: int, reasons: Counter[str], origin: Origin) -> Design | None:
        """Mutates towards a smaller violation; ties are accepted, so that a plateau can be crossed."""
        variation, here = Variation(), start
        for _ in range(steps):
            grown = self.grow(breed(here.design, None, rng, variation), origin)
            if grown.refusal is None:
                return grown.design
            reasons[_shape(grown.refusal.reason)] += 1
            if grown.climbable and _amount(grown) <= _amount(here):
                here = grown
        return None

    def enumerate(self, valid_only: bool = True) -> Iterator[Grown]:
        """Every design once, in the order of the options; SpaceError at a real number with more than one value."""
        from coevo.search.enumeration import leaves

        for grown in leaves(self):
            if grown.refusal is None or not valid_only:
                yield grown

    def count(self, bound: int = 100_000, dives: int = 2_000, seed: int = 0) -> Any:
        """How many valid designs there are: exact up to `bound` leaves, else an estimate (`enumeration.Count`)."""
        from coevo.search.enumeration import count

        return count(self, bound, dives, seed)


def _amount(grown: Grown) -> float:
    return grown.refusal.amount if grown.refusal is not None else 0.0


def _shape(reason: str) -> str:
    """The reason with its numbers taken out, so that equal reasons count together."""
    return re.sub(r"\d+(\.\d+)?", "#", reason)
