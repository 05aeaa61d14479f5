"""`hierarchy.build_levels` on a CUDA device."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.coordinates.keys import Extent
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.coordinates.status import check_status
from coevo.kernels.sparse.coordinates.triton_keys import sort_keys
from coevo.kernels.sparse.coordinates.triton_levels import Ranks, rank
from coevo.kernels.sparse.hierarchy import Hierarchy
from coevo.kernels.sparse.maps.kernel_map import KernelMap, check_splits
from coevo.kernels.sparse.maps.sorting import Segments, Sort
from coevo.kernels.sparse.maps.triton_descent import descend, search
from coevo.kernels.sparse.recorded.streams import constant

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any


def build(
    coords: Tensor,
    levels: int,
    count: Tensor | None,
    capacity: tuple[int, ...] | None,
    splits: tuple[int, ...],
    merge: bool,
    extent: Extent | None,
) -> Hierarchy:
    """`build_levels` of coords [N, 4], N >= 1, with everything checked that the host can see."""
    keys, given = sort_keys(coords, count, extent)
    limits = None if capacity is None else _limits(capacity, coords.device)
    ranks = rank(keys, given, levels, limits, merge=merge)
    rows = capacity
    if rows is None:  # the one place where the host waits
        *counted, status = torch.cat([ranks.counts, ranks.status]).tolist()
        if status:
            check_status(ranks.status)
        rows = tuple(counted)
    return maps_of(ranks, rows, splits, exact=capacity is None)


def maps_of(ranks: Ranks, rows: tuple[int, ...], splits: tuple[int, ...], *, exact: bool = False) -> Hierarchy:
    """The maps of levels with `rows` rows each, all sorted; `exact` where all of them are in use."""
    device, levels = ranks.keys.device, len(rows)
    finest, coarser, strided = Segments(27), Segments(27), Segments(8)
    own = []
    for each in range(levels):
        own.append((coarser if each else finest).add(rows[each], splits[each], check_splits(27, splits[each])))
    down = [strided.add(rows[each + 1], 1, 8) for each in range(levels - 1)]
    up = [strided.add(rows[each], 1, 8) for each in range(levels - 1)]
    coords = [torch.empty((each, 4), dtype=torch.int32, device=device) for each in rows]
    neighbours = [torch.empty((27, each), dtype=torch.int32, device=device) for each in rows]
    downs = [torch.empty((8, each), dtype=torch.int32, device=device) for each in rows[1:]]
    ups = [torch.empty((8, each), dtype=torch.int32, device=device) for each in rows[:-1]]
    sorts = [Sort(finest, device, 27), Sort(coarser, device, 27), Sort(strided, device)]
    for level in range(levels - 1, -1, -1):
        if level == 0:
            sorts[1].begin(0, neighbours[1:])
        written = (sorts[1 if level else 0].written, sorts[2].written, own[level], splits[level])
        below = (downs[level - 1], *down[level - 1]) if level else None
        if level == levels - 1:
            search(ranks, level, coords[level], neighbours[level], below, *written)
        else:
            above = (neighbours[level + 1], (ups[level], *up[level]))
            descend(ranks, level, above, coords[level], neighbours[level], below, *written)
    sorts[2].begin(1)
    sorts[0].begin(None, neighbours[:1])
    ordered = [made for each in sorts for made in each.end()]

    one, two, three = (1, 1, 1), (2, 2, 2), (3, 3, 3)
    counts = [ranks.counts[each : each + 1] for each in range(levels)]
    submanifold = tuple(
        KernelMap(
            neighbours[each],
            counts[each],
            counts[each],
            rows[each],
            three,
            one,
            one,
            symmetric=True,
            made={("sorted", splits[each]): ordered[each]},
        )
        for each in range(levels)
    )
    maps_down = []
    for each in range(levels - 1):
        forward = KernelMap(downs[each], counts[each], counts[each + 1], rows[each], two, two, one, symmetric=False)
        back = KernelMap(ups[each], counts[each + 1], counts[each], rows[each + 1], two, two, one, symmetric=False)
        forward.made.update({"inverse": back, ("sorted", 1): ordered[levels + each]})
        back.made.update({"inverse": forward, ("sorted", 1): ordered[2 * levels - 1 + each]})
        maps_down.append(forward)
    most = rows[0]
    return Hierarchy(
        levels=tuple(
            Level(coords[each], ranks.keys[each, : rows[each]], counts[each], (1 << each,) * 3, exact=exact)
            for each in range(levels)
        ),
        submanifold=submanifold,
        down=tuple(maps_down),
        ancestors=tuple(ranks.ancestors[each, :most] for each in range(1, levels)),
        order=ranks.order[:most],
        places=ranks.places,
        status=ranks.status,
    )


@lru_cache(maxsize=64)
def _limits(capacity: tuple[int, ...], device: Any) -> Tensor:
    """Capacities on the device, copied there once: a captured graph may not copy them from the host."""
    return constant(lambda: torch.tensor(capacity, dtype=torch.int32, device=device))
