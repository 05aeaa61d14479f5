"""A point of a space: the answers that were asked, in order, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from coevo.errors import InputError
from coevo.search.canonical import canonical, digest, freeze, spelling, text


class Origin(NamedTuple):
    """How search came to a design: "sample", "crossover", "mutation" or "enumeration", and its parents' indices; or
    who brought it: "enqueued" (asked first) and "imported" (told with an outcome known from elsewhere)."""

    how: str
    parents: tuple[int, ...] = ()


class Design:
    """Frozen. `space` is the space's id; `answers` are (name, answer) pairs in the order of asking.

    `key` is a digest of that canonical form: equal for equal designs in every process. `origin` is no part of it.
    A design is written once as `text` (the JSON of its answers) and read back from it only when somebody looks.
    """

    __slots__ = ("_answers", "_digest", "_mapping", "_origin", "_text", "space")

    space: str
    _origin: Origin | str | None
    _answers: tuple[tuple[str, Any], ...] | None
    _digest: bytes | None
    _text: str | None
    _mapping: dict[str, Any] | None

    def __init__(self, space: str, answers: Iterable[tuple[str, Any]], origin: Origin | None = None):
        self._fill(space, tuple(answers), None, None, origin)

    def _fill(
        self, space: str, answers: Any, content: str | None, known: bytes | None, origin: Origin | str | None
    ) -> None:
        put = object.__setattr__
        put(self, "space", space)
        put(self, "_answers", answers)
        put(self, "_text", content)
        put(self, "_digest", known)
        put(self, "_mapping", None)
        put(self, "_origin", origin)

    @classmethod
    def written(cls, space: str, answers: tuple[tuple[str, Any], ...], content: str, origin: Origin | None) -> Design:
        """A design whose text is known already; it must be that of the answers."""
        design = cls.__new__(cls)
        design._fill(space, answers, content, None, origin)
        return design

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Design is frozen; cannot set {name!r}")

    def __reduce__(self) -> Any:
        return Design, (self.space, self.answers, self.origin)

    @classmethod
    def stored(cls, space: str, content: str, key: str, origin: str) -> Design:
        """A design from its text, key and origin as a store keeps them; none is checked (`coevo verify` does)."""
        design = cls.__new__(cls)
        design._fill(space, None, content, bytes.fromhex(key), origin)
        return design

    @property
    def origin(self) -> Origin | None:
        """How it was found, where that is known."""
        if isinstance(self._origin, str):
            how, *parents = self._origin.split(" ")
            object.__setattr__(self, "_origin", Origin(how, tuple(map(int, parents))) if how else None)
        return self._origin  # type: ignore[return-value]

    @property
    def answers(self) -> tuple[tuple[str, Any], ...]:
        if self._answers is None:
            pairs = json.loads(self._text or "[]")
            answers = [
                (name, freeze(answer, name) if type(answer) in (list, dict) else answer) for name, answer in pairs
            ]
            object.__setattr__(self, "_answers", tuple(answers))
        return self._answers  # type: ignore[return-value]

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The answers by name; parents are asked again and again."""
        if self._mapping is None:
            object.__setattr__(self, "_mapping", dict(self.answers))
        return self._mapping  # type: ignore[return-value]

    @property
    def text(self) -> str:
        """The canonical JSON of the answers: [[name, answer], ...]."""
        if self._text is None:
            object.__setattr__(self, "_text", text(self._answers))
        return self._text  # type: ignore[return-value]

    @property
    def digest(self) -> bytes:
        """The 16 bytes behind `key`."""
        if self._digest is None:
            object.__setattr__(self, "_digest", digest(f"[{spelling(self.space)},{self.text}]"))
        return self._digest  # type: ignore[return-value]

    @property
    def key(self) -> str:
        """32 hexadecimal digits."""
        return self.digest.hex()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back."""
        return {"space": self.space, "key": self.key, "answers": [[name, answer] for name, answer in self.answers]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Design:
        """Reads `to_json`'s form; a stored key that does not match the answers is an InputError."""
        try:
            pairs = data["answers"].items() if isinstance(data["answers"], Mapping) else data["answers"]
            answers = [(str(name), canonical(freeze(answer, f"answer {name!r}"))) for name, answer in pairs]
            design = cls(str(data["space"]), answers)
        except (KeyError, TypeError, ValueError) as problem:
            raise InputError(
                f"expected a design as {{'space': id, 'answers': [[name, answer], ...]}}, got {data!r} ({problem})"
            ) from None
        if "key" in data and data["key"] != design.key:
            raise InputError(f"the design's key is {design.key}, but the file says {data['key']}: it was altered")
        return design

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Design) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Design({self.space!r}, {dict(self.answers)!r})"
