"""The one form that answers, options and keys share: plain JSON, frozen, with one spelling for each value."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from coevo.errors import SpaceError

SCALARS = frozenset((str, int, bool, type(None)))


def freeze(value: Any, where: str) -> Any:
    """`value` as a space function may use it: lists become tuples, NumPy scalars plain numbers, -0.0 is 0.0.

    Raises SpaceError for what JSON cannot hold in one way only: sets, NaN, infinities, bytes, objects.
    """
    kind = type(value)
    if kind in SCALARS:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise SpaceError(f"{where}: {value!r} cannot be an answer; expected a finite number")
        return value + 0.0  # -0.0 + 0.0 is 0.0
    if kind in (list, tuple):
        return tuple(freeze(item, where) for item in value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise SpaceError(f"{where}: a mapping among the answers needs text keys, got {value!r}")
        return {key: freeze(value[key], where) for key in sorted(value)}
    if isinstance(value, (set, frozenset)):
        raise SpaceError(f"{where}: a set has no order, so the same design would get different keys; use a list")
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return freeze(value.item(), where)
    if isinstance(value, int):  # an IntEnum, say
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)
    return _refuse(value, where)


def _refuse(value: Any, where: str) -> Any:
    raise SpaceError(
        f"{where}: {value!r} of type {type(value).__name__} cannot be an answer; expected JSON "
        "(text, numbers, true, false, null, lists of these). Give it a name and look the object up in build()"
    )


def canonical(frozen: Any) -> Any:
    """The answer that stands for a frozen value: 1.0 is written 1, so that both spellings are one answer."""
    kind = type(frozen)
    if kind is float and frozen.is_integer() and abs(frozen) < 2**53:
        return int(frozen)
    if kind is tuple:
        return tuple(canonical(item) for item in frozen)
    if kind is dict:
        return {key: canonical(item) for key, item in frozen.items()}
    return frozen


def encoder(ensure_ascii: bool) -> Callable[[Any], str]:
    """A compact JSON encoder that refuses NaN. CPython's own is made once here, instead of once a call as json does."""
    plain = json.JSONEncoder(separators=(",", ":"), ensure_ascii=ensure_ascii, allow_nan=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return plain.encode
    quote = json.encoder.encode_basestring_ascii if ensure_ascii else json.encoder.encode_basestring
    chunks = make({}, plain.default, quote, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


_dumps = encoder(ensure_ascii=True)


def text(answer: Any) -> str:
    """The canonical JSON text of a canonical answer."""
    return _dumps(answer)


@functools.lru_cache(maxsize=64)
def spelling(word: str) -> str:
    """The canonical JSON text of a word that is asked for again and again: a space's id, a question's name."""
    return text(word)


def digest(content: str) -> bytes:
    """16 bytes that stand for a text, the same in every process and on every machine."""
    return hashlib.blake2b(content.encode(), digest_size=16).digest()


class Stream(random.Random):
    """A stream of random numbers. Python promises that random() gives the same numbers in every version."""

    def below(self, n: int) -> int:
        """A uniform integer in 0..n-1."""
        return int(self.random() * n)

    def pick_k(self, n: int, k: int) -> list[int]:
        """k distinct integers of 0..n-1 in random order."""
        pool = list(range(n))
        for i in range(k):
            j = i + int(self.random() * (n - i))
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:k]


def stream(*parts: Any) -> Stream:
    """The stream that belongs to these parts (seed, purpose, index, attempt) and to nothing else."""
    return Stream(int.from_bytes(digest("/".join(map(str, parts))), "big"))


def derived_seed(*parts: Any) -> int:
    """A seed of 63 bits that belongs to these parts."""
    return int.from_bytes(digest("/".join(map(str, parts)))[:8], "big") >> 1
