"""The driver's book of inner results: what is stored, and which worker has got what of it.

Workers return new entries with their answers. The first entry of a key is stored, with the commit of the outcome that
it came with, and stays. Each worker is handed, with its next task, what it has not got.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from coevo.search.canonical import digest
from coevo.search.memo import LIMIT_BYTES, Entry, Found, shown, size_bytes

Keep = Callable[[Entry], None]


@dataclass(slots=True)
class MemoCounts:
    """`entries` are stored; `hits` were answered without computing and `computed` were not, in this session;
    `again` of those were stored already, because another worker had them under way or somebody had forgotten them."""

    entries: int = 0
    hits: int = 0
    computed: int = 0
    again: int = 0


class MemoBook:
    """Texts up to `limit_bytes`, the oldest forgotten first; of every entry two digests, about 300 bytes.

    `keep` stores an entry. `conflict` says where the same key was computed with two results, the first time.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES):
        self.counts = MemoCounts()
        self.conflict: str | None = None
        self._keep: Keep | None = None
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._texts: deque[Entry] = deque()  # numbered from _first on
        self._first = 0
        self._known: dict[bytes, tuple[int, bytes]] = {}  # of a name: its number, and the digest of its value

    def attach(self, keep: Keep) -> None:
        """Has entries stored by `keep` from now on."""
        self._keep = keep

    def recall(self, entry: Entry) -> None:
        """Takes in a stored entry."""
        name = digest(entry[0])
        if name not in self._known:
            self._add(name, entry)

    def reader(self) -> MemoReader:
        """For a new worker, which has got nothing yet."""
        return MemoReader(self)

    @property
    def end(self) -> int:
        """The number of the next entry."""
        return self._first + len(self._texts)

    def since(self, number: int) -> list[tuple[int, Entry]]:
        """The numbered entries from this number on, the latest first, as far as their texts are held."""
        count = min(self.end - number, len(self._texts))
        return [(self.end - 1 - back, entry) for back, entry in enumerate(islice(reversed(self._texts), count))]

    def at(self, number: int) -> Entry | None:
        """The entry of this number, where its text is still held."""
        return self._texts[number - self._first] if number >= self._first else None

    def enter(self, entry: Entry) -> tuple[int, bool]:
        """Stores a new entry. Its number, and whether the book agrees with it."""
        name, value = digest(entry[0]), digest(entry[1])
        self.counts.computed += 1
        if name not in self._known:
            if self._keep is not None:
                self._keep(entry)
            return self._add(name, entry), True
        self.counts.again += 1
        number, first = self._known[name]
        if first != value and self.conflict is None:
            label = entry[0].rpartition("\n")[0]
            self.conflict = (
                f"evaluator {label}: {shown(entry[0])} was computed twice with different results; the first one stays. "
                "What it computes must follow from the key and the seed alone, or the study cannot be repeated"
            )
        return number, first == value

    def _add(self, name: bytes, entry: Entry) -> int:
        number = self.end
        self.counts.entries += 1
        self._known[name] = number, digest(entry[1])
        self._texts.append(entry)
        self._bytes += size_bytes(entry)
        while self._bytes > self._limit_bytes:
            self._bytes -= size_bytes(self._texts.popleft())
            self._first += 1
        return number


class MemoReader:
    """What one worker has got of the book. A runner makes one for every worker that it starts."""

    def __init__(self, book: MemoBook):
        self._book = book
        self._next = 0  # it was sent everything below
        self._own: set[int] = set()  # computed by it, from _next on
        self._again: set[int] = set()  # it has another result than the book

    def owed(self) -> list[Entry]:
        """The entries to send with the next task."""
        book = self._book
        if self._next == book.end and not self._again:
            return []
        entries = [entry for number, entry in book.since(self._next) if number not in self._own]
        again = [book.at(number) for number in sorted(self._again) if number < self._next]
        return [entry for entry in again if entry is not None] + entries[::-1]

    def sent(self) -> None:
        """What was owed is on its way."""
        self._next = self._book.end
        self._own.clear()
        self._again.clear()

    def take(self, found: Found | None) -> None:
        """Takes in what the worker returned with its answer."""
        if found is None:
            return
        hits, entries = found
        self._book.counts.hits += hits
        for entry in entries:
            number, agrees = self._book.enter(entry)
            if not agrees:
                self._again.add(number)
            elif number >= self._next:
                self._own.add(number)
