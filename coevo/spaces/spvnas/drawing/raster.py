"""Points painted on a grid of pixels, and such a grid as a PNG, without any library."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def rgb(colour: str) -> tuple[int, int, int]:
    """Of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def paint_top(points: Array, colours: Array, reach_m: float, pixels: int, ground: str, wide: Array | int = 2) -> Array:
    """Points seen from above, uint8 [pixels, pixels, 3]: x points up, y left, higher points lie over lower ones.

    Args:
        points: [P, 3 or more], metres.
        colours: uint8 [P, 3].
        reach_m: from the middle to an edge.
        pixels: of an edge.
        ground: colour behind the points.
        wide: pixels of a point's edge, one number or [P].
    """
    image = np.full((pixels, pixels, 3), rgb(ground), dtype=np.uint8)
    scale = pixels / (2 * reach_m)
    rows = np.floor((reach_m - points[:, 0]) * scale).astype(np.int64)
    columns = np.floor((reach_m - points[:, 1]) * scale).astype(np.int64)
    size = np.broadcast_to(np.asarray(wide), rows.shape)
    order = np.lexsort((points[:, 2], size))  # large points last, then high ones
    for down in range(int(size.max(initial=1))):
        for right in range(int(size.max(initial=1))):
            at = order[(size[order] > max(down, right))]
            row, column = rows[at] + down, columns[at] + right
            seen = (row >= 0) & (row < pixels) & (column >= 0) & (column < pixels)
            image[row[seen], column[seen]] = colours[at][seen]
    return image


def png(image: Array) -> bytes:
    """A PNG of uint8 [height, width, 3] (RFC 2083: no filter, one deflated stream)."""
    height, width, _ = image.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, width * 3)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    found = b"\x89PNG\r\n\x1a\n"
    for name, data in parts:
        found += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return found
