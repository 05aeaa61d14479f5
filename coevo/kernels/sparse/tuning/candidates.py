"""Which plans are worth measuring for a convolution."""

from __future__ import annotations

from coevo.kernels.sparse.convolution.plan import Plan

# (rows, columns, depth, warps, stages) of the implicit GEMM. Fewer rows win where rows are few or masks ragged, more
# columns where outputs are many: a tile of features is then read once for all of them.
TILES = (
    (64, 32, 32, 4, 4),
    (128, 32, 32, 4, 4),
    (64, 64, 32, 4, 4),
    (64, 64, 64, 4, 4),
    (128, 64, 32, 4, 4),
    (64, 128, 32, 4, 4),
    (64, 128, 64, 4, 3),
    (128, 128, 32, 8, 4),
    (128, 128, 64, 8, 3),
    (64, 256, 64, 8, 3),
    (128, 256, 64, 8, 3),
)
MOST_SPLITS = 3
_WIDE = 64


def splits_of(volume: int, widest: int) -> tuple[int, ...]:
    """Ranges of offsets that are tried for the layers of one map: 27 offsets and at least 64 channels are worth
    cutting, small kernels and thin layers are not."""
    return tuple(range(1, MOST_SPLITS + 1)) if volume >= 27 and widest >= _WIDE else (1,)


def plans_of(inputs: int, outputs: int, splits: int) -> list[Plan]:
    """Plans of the sorted implicit GEMM for a layer's channels, the smaller tiles first."""
    found: list[Plan] = []
    for rows, columns, depth, warps, stages in TILES:
        if columns > max(32, _power(outputs)) or 4 * columns < min(128, _power(outputs)):
            continue
        if depth > max(32, _power(inputs)):
            continue
        found.append(
            Plan(
                splits=splits,
                rows=rows,
                columns=columns,
                depth=depth,
                warps=warps,
                stages=stages,
                half_partials=splits > 1,
                described=columns > 32,
            )
        )
    return found


def _power(value: int) -> int:
    """The least power of two that is at least the value."""
    return 1 << (value - 1).bit_length()
