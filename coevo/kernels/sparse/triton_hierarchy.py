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
from coevo.kernels.sparse.maps.kernel_map import KernelMap, SortedRows, check_splits
from coevo.kernels.sparse.maps.sorting import Segments, Written
from coevo.kernels.sparse.maps.triton_descent import descend, search

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
    fine, strided = Segments(27), Segments(8)
    own = [fine.add(rows[each], splits[each], check_splits(27, splits[each])) for each in range(levels)]
    down = [strided.add(rows[each + 1], 1, 8) for each in range(levels - 1)]
    up = [strided.add(rows[each], 1, 8) for each in range(levels - 1)]
    fine_written, strided_written = fine.buffers(device), strided.buffers(device)
    coords = [torch.empty((each, 4), dtype=torch.int32, device=device) for each in rows]
    neighbours = [torch.empty((27, each), dtype=torch.int32, device=device) for each in rows]
    downs = [torch.empty((8, each), dtype=torch.int32, device=device) for each in rows[1:]]
    ups = [torch.empty((8, each), dtype=torch.int32, device=device) for each in rows[:-1]]
    for level in range(levels - 1, -1, -1):
        written = (fine_written, strided_written, own[level], splits[level])
        below = (downs[level - 1], *down[level - 1]) if level else None
        if level == levels - 1:
            search(ranks, level, coords[level], neighbours[level], below, *written)
        else:
            above = (neighbours[level + 1], (ups[level], *up[level]))
            descend(ranks, level, above, coords[level], neighbours[level], below, *written)
    ordered = _sort([(fine, fine_written), (strided, strided_written)])

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
    finest = rows[0]
    return Hierarchy(
        levels=tuple(
            Level(coords[each], ranks.keys[each, : rows[each]], counts[each], (1 << each,) * 3, exact=exact)
            for each in range(levels)
        ),
        submanifold=submanifold,
        down=tuple(maps_down),
        ancestors=tuple(ranks.ancestors[each, :finest] for each in range(1, levels)),
        order=ranks.order[:finest],
        places=ranks.places,
        status=ranks.status,
    )


def _sort(parts: list[tuple[Segments, Written]]) -> list[SortedRows]:
    """The sorted rows of all maps. In a graph the sorts run side by side: each fills but a part of the device."""
    rooms = []
    for segments, written in parts:
        out = torch.empty((2, segments.rows), dtype=torch.int32, device=written.keys.device)
        rooms.append((out, torch.empty_like(written.keys), torch.empty_like(written.keys, dtype=torch.int64)))
    if parts[0][1].keys.is_cuda and torch.cuda.is_current_stream_capturing():
        main, side = torch.cuda.current_stream(), _side_stream(parts[0][1].keys.device)
        side.wait_stream(main)
        with torch.cuda.stream(side):
            parts[1][0].sort(parts[1][1], *rooms[1])
        parts[0][0].sort(parts[0][1], *rooms[0])
        main.wait_stream(side)
    else:
        for (segments, written), room in zip(parts, rooms, strict=True):
            segments.sort(written, *room)
    return [rows for (segments, _), room in zip(parts, rooms, strict=True) for rows in segments.rows_of(room[0])]


@lru_cache(maxsize=8)
def _side_stream(device: Any) -> Any:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=64)
def _limits(capacity: tuple[int, ...], device: Any) -> Tensor:
    """Capacities on the device, copied there once: a captured graph may not copy them from the host."""
    return torch.tensor(capacity, dtype=torch.int32, device=device)
