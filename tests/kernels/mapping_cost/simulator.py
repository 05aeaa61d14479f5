"""A loop nest walked step by step, with every memory's tile as a set of words: the rules of
`coevo.kernels.mapping_cost.reference`, without its closed form.

Every multiply-accumulate of the padded nest is enumerated. The words that those below one instance touch, while the
loops above it stand still, are its tile. Nothing here multiplies a footprint by a number of reloads.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise, product
from types import SimpleNamespace

N, G, K, C, Y, X, R, S = range(8)
WEIGHTS, INPUTS, OUTPUTS = range(3)
INDEXES = ((G, K, C, R, S), (N, G, C, Y, X, R, S), (N, G, K, Y, X))


def word(tables, tensor, i):
    """The word of `tensor` that the iteration `i` [8] touches."""
    if tensor == INPUTS:
        (sy, dy), (sx, dx) = tables.step.tolist()
        return (i[N], i[G], i[C], i[Y] * sy + i[R] * dy, i[X] * sx + i[S] * dx)
    return tuple(i[loop] for loop in INDEXES[tensor])


def filled(words):
    """With the rows and columns that lie between those of `words`."""
    rows, columns = [w[3] for w in words], [w[4] for w in words]
    heads = {w[:3] for w in words}
    return {
        (*head, row, column)
        for head in heads
        for row in range(min(rows), max(rows) + 1)
        for column in range(min(columns), max(columns) + 1)
    }


class Nest:
    """One mapping as a sequence of time steps and a grid of MAC units."""

    def __init__(self, tables, temporal, rank, spatial):
        self.tables, self.levels = tables, len(temporal)
        self.loops = [  # (level, loop, bound), outermost first
            (level, loop, int(temporal[level][loop]))
            for level in range(self.levels)
            for loop in sorted(range(8), key=lambda loop: -rank[level][loop])
        ]
        grids = [[1] * 8 for _ in range(self.levels)]
        for axis, level in enumerate(tables.axis_level):
            grids[level] = [a * int(b) for a, b in zip(grids[level], spatial[axis], strict=True)]
        self.places = [list(product(*(range(bound) for bound in grid))) for grid in grids]
        # What one step of each loop adds to the iteration: the extent of everything inside it.
        extent = [1] * 8
        self.place_unit = [[0] * 8 for _ in range(self.levels)]
        self.loop_unit = {}
        for level in reversed(range(self.levels)):
            self.place_unit[level] = list(extent)
            extent = [e * g for e, g in zip(extent, grids[level], strict=True)]
            for loop in range(8):
                self.loop_unit[level, loop] = extent[loop]
                extent[loop] *= int(temporal[level][loop])
        self.times = list(product(*(range(bound) for _, _, bound in self.loops)))
        self.tiles = self._tiles()

    def outer(self, time, level):
        """The part of `time` that stands above memory `level`."""
        return time[: 8 * level]

    def _tiles(self):
        """tiles[tensor][level][loops above, place of the instance] = the words below; level L is a MAC unit."""
        tiles = [[defaultdict(set) for _ in range(self.levels + 1)] for _ in range(3)]
        for place in product(*self.places):
            offset = [sum(unit[d] * p[d] for unit, p in zip(self.place_unit, place, strict=True)) for d in range(8)]
            for time in self.times:
                at = list(offset)
                for (level, loop, _), count in zip(self.loops, time, strict=True):
                    at[loop] += count * self.loop_unit[level, loop]
                for tensor in range(3):
                    touched = word(self.tables, tensor, at)
                    for level in range(self.levels + 1):
                        tiles[tensor][level][self.outer(time, level), place[:level]].add(touched)
        if self.tables.fetch_holes:
            for by_place in tiles[INPUTS][: self.levels]:
                for key, words in by_place.items():
                    by_place[key] = filled(words)
        return tiles

    def moves(self, before, time, tensor, level):
        """(the tile of `tensor` at memory `level` moves, only by a step forward of the innermost loop that moves it)"""
        above = self.loops[: 8 * level]
        changed = [i for i in range(len(above)) if before[i] != time[i]]
        indexing = [i for i, (_, loop, bound) in enumerate(above) if loop in INDEXES[tensor] and bound > 1]
        hit = [i for i in changed if i in indexing]
        forward = hit == indexing[-1:] and bool(hit) and time[hit[0]] == before[hit[0]] + 1
        return bool(hit), forward

    def may_slide(self, level, width):
        """Whether reuse is claimed for an input tile at memory `level` of `width` [8] iterations: always, except for
        dilated windows that step further than to the next tile."""
        indexing = [entry for entry in self.loops[: 8 * level] if entry[1] in INDEXES[INPUTS] and entry[2] > 1]
        at, loop, _ = indexing[-1]
        if self.tables.fetch_holes or loop in (N, G, C):
            return True
        stride, dilation = self.tables.window[int(loop in (X, S))].tolist()
        other = dilation if loop in (Y, X) else stride
        return other == 1 or self.loop_unit[at, loop] == width[loop]


def simulate(tables, mapping):
    """Every count of one mapping (a batch of one), as `reference.Counts` names them: nested lists without the batch."""
    nest = Nest(tables, mapping.temporal[0], mapping.rank[0], mapping.spatial[0])
    levels = nest.levels
    table = lambda: [[0] * 3 for _ in range(levels)]  # noqa: E731
    counts = SimpleNamespace(reads=table(), writes=table(), sent=table(), delivered=table(), tile_words=table())
    counts.steps = len(nest.times)
    counts.instances = [len(list(product(*nest.places[:level]))) for level in range(levels)]
    counts.macs = len(nest.times) * len(list(product(*nest.places)))
    for tensor in range(3):
        chain = [level for level in range(levels) if tables.keeps[level, tensor]]
        for level in chain:
            counts.tile_words[level][tensor] = max(len(words) for words in nest.tiles[tensor][level].values())
        if tensor == OUTPUTS:
            Sums(nest, counts, chain).run()
        else:
            for upper, lower in pairwise([*chain, levels]):
                Fetches(nest, counts, tensor, upper, lower).run()
    return counts


def place_of(place, tensor):
    """The loops of each network that index the tensor."""
    return tuple(tuple(p[loop] for loop in INDEXES[tensor]) for p in place)


class Fetches:
    """Weights or inputs on their way from memory `upper` to `lower` (or to the MAC units, which hold nothing)."""

    def __init__(self, nest, counts, tensor, upper, lower):
        self.nest, self.counts, self.tensor, self.upper, self.lower = nest, counts, tensor, upper, lower
        self.tables = nest.tables
        self.mac = lower == nest.levels
        self.children = list(product(*nest.places[:lower]))
        self.merges = tensor == INPUTS and self.tables.halo_merge and self.tables.multicast[lower - 1]

    def run(self):
        before = None
        for time in self.nest.times:
            moved, forward = (True, False) if before is None else self.nest.moves(before, time, self.tensor, self.lower)
            if self.mac or moved:
                self.step(before, time, forward and not self.mac)
            before = time

    def new(self, tile_of, places, width, before, time, forward):
        """Words of the union of the tiles at `places` that were not in it before."""
        union = lambda at: set().union(*(tile_of[self.nest.outer(at, self.lower), place] for place in places))  # noqa: E731
        fill = filled if self.tables.fetch_holes and self.tensor == INPUTS else (lambda words: words)
        now = fill(union(time))
        slides = forward and self.tensor == INPUTS and self.tables.sliding_window
        if slides and self.nest.may_slide(self.lower, width):
            return now - fill(union(before))
        return now

    def step(self, before, time, forward):
        nest, tensor, lower = self.nest, self.tensor, self.lower
        tile_of = nest.tiles[tensor][lower]
        narrow = nest.place_unit[lower - 1]  # iterations of one child
        spread = [unit * (1 + max(p[d] for p in nest.places[lower - 1])) for d, unit in enumerate(narrow)]
        streams = {}  # at each place: {what travels together: words}
        for place in self.children:
            words = self.new(tile_of, [place], narrow, before, time, forward)
            streams[place] = {place_of(place, tensor): words}
            if not self.mac:
                self.counts.writes[lower][tensor] += len(words)
        for network in range(lower - 1, self.upper - 1, -1):
            above = defaultdict(dict)
            for place, stream in streams.items():
                self.counts.delivered[network][tensor] += sum(map(len, stream.values()))
                for key, words in stream.items():
                    apart = () if self.tables.multicast[network] else (network, place[network])
                    above[place[:network]][key, apart] = words
            if self.merges and network == lower - 1:
                for parent in above:
                    below = [place for place in streams if place[:network] == parent]
                    words = self.new(tile_of, below, spread, before, time, forward)
                    above[parent] = {place_of(parent, tensor): words}
            streams = above
            self.counts.sent[network][tensor] += sum(len(w) for s in streams.values() for w in s.values())
        self.counts.reads[self.upper][tensor] += sum(len(w) for s in streams.values() for w in s.values())


class Sums:
    """Outputs on their way between all memories that keep them, and the MAC units."""

    def __init__(self, nest, counts, chain):
        self.nest, self.counts, self.chain, self.tables = nest, counts, chain, nest.tables
        self.exists = {level: defaultdict(set) for level in chain}  # words with a sum, by instance

    def run(self):
        before = None
        below = self.chain[1:]
        for time in self.nest.times:
            moving = [level for level in below if before is None or self.nest.moves(before, time, OUTPUTS, level)[0]]
            if before is not None:
                for level in reversed(moving):
                    self.leave(level, before)
            for level in moving:
                self.arrive(level, time)
            self.update(self.chain[-1], self.nest.levels, time)
            before = time
        for level in reversed(below):
            self.leave(level, before)

    def upper(self, level):
        return self.chain[self.chain.index(level) - 1]

    def tile(self, level, place, time):
        return self.nest.tiles[OUTPUTS][level][self.nest.outer(time, level), place]

    def arrive(self, level, time):
        """Sums that exist above are sent to one of the children that add to them; the others start at zero."""
        upper = self.upper(level)
        given = set()
        for place in product(*self.nest.places[:level]):
            self.exists[level][place] = set()
            for item in self.tile(level, place, time):
                parent = place[:upper]
                if item in self.exists[upper][parent] and (parent, item) not in given:
                    given.add((parent, item))
                    self.exists[level][place].add(item)
                    self.counts.reads[upper][OUTPUTS] += 1
                    self.counts.writes[level][OUTPUTS] += 1
                    for network in range(upper, level):
                        self.counts.sent[network][OUTPUTS] += 1
                        self.counts.delivered[network][OUTPUTS] += 1
        self.given = getattr(self, "given", {}) | {level: given}

    def leave(self, level, time):
        if self.tables.charge_drain:
            for place in product(*self.nest.places[:level]):
                self.counts.reads[level][OUTPUTS] += len(self.tile(level, place, time))
        self.update(self.upper(level), level, time)

    def update(self, upper, lower, time):
        """Sums of all children of `upper` come up; those that no network adds up are added there, one by one."""
        streams = {
            place: [(item, ()) for item in self.tile(lower, place, time)]
            for place in product(*self.nest.places[:lower])
        }
        for network in range(lower - 1, upper - 1, -1):
            above = defaultdict(set)
            for place, items in streams.items():
                self.counts.delivered[network][OUTPUTS] += len(items)
                mark = () if self.tables.reduction[network] else ((network, place[network]),)
                above[place[:network]].update((item, tag + mark) for item, tag in items)
            streams = above
            self.counts.sent[network][OUTPUTS] += sum(map(len, streams.values()))
        for place, items in streams.items():
            exists = self.exists[upper][place]
            # A sum that was sent down comes back inside the first that arrives: that one replaces it.
            returned = {item for parent, item in self.given[lower] if parent == place} if lower in self.chain else set()
            for item, _ in items:
                self.counts.writes[upper][OUTPUTS] += 1
                if item in returned:
                    returned.discard(item)
                elif item in exists:
                    self.counts.reads[upper][OUTPUTS] += 1
                exists.add(item)
