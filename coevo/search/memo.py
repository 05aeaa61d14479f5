"""Results of inner computations, as one process knows them: the best mapping of a layer on a slice of hardware, say.

An entry follows from (study seed, evaluator, key) alone, so it does not matter who computed it first, and a process
that forgot one computes it again alike. Entries are kept as JSON text: what a caller does to a value that it was handed
changes nothing here. How they come to other processes and into the store is `memo_book.py`.
"""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coevo.errors import EvaluatorError
from coevo.search.canonical import SCALARS, canonical, derived_seed, text

LIMIT_BYTES = 64 * 2**20  # of entries in a process; beyond it the one that was not used for longest is forgotten
LONGEST_VALUE = 2**20  # characters of JSON
_OBJECTS_BYTES = 250  # two strings' headers and the places of an entry in tables

Entry = tuple[str, str]  # (name, JSON text of the value); the name is the evaluator's label, a line break, the key
Found = tuple[int, list[Entry]]  # what a call had: hits, and the entries it computed
Compute = Callable[[int], Any]
ComputeMany = Callable[[list[int], list[int]], Sequence[Any]]


def name_of(label: str, key: Any) -> str:
    """The name of an entry. Keys that are equal as canonical JSON (a tuple and a list, 1.0 and 1) are one key."""
    return f"{label}\n{text(canonical(_plain(key, 'memo key')))}"


def value_text(name: str, value: Any) -> str:
    """The value as JSON text. EvaluatorError where JSON cannot hold it, or where it is longer than a memo is for."""
    written = text(_plain(value, f"the result for {shown(name)}"))
    if len(written) > LONGEST_VALUE:
        raise EvaluatorError(
            f"the result for {shown(name)} is {len(written):,} characters of JSON; expected at most "
            f"{LONGEST_VALUE:,}. Keep what the outcome needs, and write large arrays to files as artefacts"
        )
    return written


def size_bytes(entry: Entry) -> int:
    """About what an entry takes in memory."""
    return len(entry[0]) + len(entry[1]) + _OBJECTS_BYTES


def shown(name: str) -> str:
    """A name as messages give it: the key, cut where it is long."""
    key = name.rpartition("\n")[2]
    return f"memo key {key if len(key) <= 120 else key[:117] + '...'}"


class MemoTable:
    """The entries of one process, for the evaluators of every stage; what is computed here waits for `drain`.

    With `remember=False` every question is computed anew, and nothing is passed on: the plain reference.
    """

    def __init__(self, remember: bool = True, limit_bytes: int = LIMIT_BYTES):
        self._remember = remember
        self._limit_bytes = limit_bytes
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._bytes = 0
        self._hits = 0
        self._new: list[Entry] = []
        self._under_way: set[tuple[int, str]] = set()

    def __len__(self) -> int:
        return len(self._texts)

    def learn(self, entries: Iterable[Entry]) -> None:
        """Takes in what others computed; it replaces what this process has for the same key."""
        if self._remember:
            for entry in entries:
                self._keep(entry)

    def drain(self) -> Found | None:
        """Hits and new entries since the last time; None where the memo was not used."""
        if not (self._hits or self._new):
            return None
        found = self._hits, self._new
        self._hits, self._new = 0, []
        return found

    def ask(self, label: str, seed: int, keys: Sequence[Any], compute: ComputeMany) -> list[Any]:
        """The value of each key. `compute(positions, seeds)` is called once with the positions in `keys` of those that
        nobody has computed yet, where there are any."""
        names = [name_of(label, key) for key in keys]
        texts: dict[str, str] = {}
        missing: dict[str, int] = {}
        for position, name in enumerate(names):
            known = self._find(name)
            if known is not None:
                texts[name] = known
            else:
                missing.setdefault(name, position)
        self._hits += len(names) - len(missing)
        if missing:
            texts.update(self._computed(missing, seed, compute))
        return [json.loads(texts[name]) for name in names]

    def _computed(self, missing: Mapping[str, int], seed: int, compute: ComputeMany) -> list[Entry]:
        marks = [(threading.get_ident(), name) for name in missing]
        for mark in marks:
            if mark in self._under_way:
                raise EvaluatorError(f"{shown(mark[1])}: its computation asks for its own result")
        self._under_way.update(marks)
        try:
            values = compute(list(missing.values()), [derived_seed(seed, "memo", name) for name in missing])
        finally:
            self._under_way.difference_update(marks)
        if not hasattr(values, "__len__") or len(values) != len(missing):
            came = f"{len(values)} values" if hasattr(values, "__len__") else type(values).__name__
            raise EvaluatorError(f"memo: expected a value for each of {len(missing)} missing keys, got {came}")
        entries = [(name, value_text(name, value)) for name, value in zip(missing, values, strict=True)]
        if self._remember:
            self._new += entries
            self.learn(entries)
        return entries

    def _find(self, name: str) -> str | None:
        known = self._texts.get(name)
        if known is not None:
            self._texts.move_to_end(name)
        return known

    def _keep(self, entry: Entry) -> None:
        before = self._texts.pop(entry[0], None)
        if before is not None:
            self._bytes -= size_bytes((entry[0], before))
        self._texts[entry[0]] = entry[1]
        self._bytes += size_bytes(entry)
        while self._bytes > self._limit_bytes:
            self._bytes -= size_bytes(self._texts.popitem(last=False))


def _plain(value: Any, where: str) -> Any:
    """`value` in JSON's own types, mappings sorted by key; arrays become nested lists, array scalars numbers."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise EvaluatorError(f"{where}: {value!r} is no JSON number; expected a finite one (None stands for none)")
        return value
    if kind in (list, tuple):
        return tuple([_plain(item, where) for item in value])
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise EvaluatorError(f"{where}: a mapping needs text keys, got {key!r} of type {type(key).__name__}")
        return {str(key): _plain(value[key], where) for key in sorted(value)}
    if isinstance(value, (list, tuple)):  # a NamedTuple, say
        return tuple([_plain(item, where) for item in value])
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        return _plain(value.tolist(), where)
    if isinstance(value, int):  # an IntEnum, say
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)
    raise EvaluatorError(
        f"{where}: {value!r} of type {kind.__name__} is no JSON; expected text, numbers, true, false, null, lists and "
        "mappings of these, or an array of numbers"
    )
