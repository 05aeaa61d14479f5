"""The IDX files in which MNIST and Fashion-MNIST are handed out, as they are or compressed by gzip."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError

UNSIGNED_BYTES = 8  # the type code of the data, in the file's third byte


def read_idx_images(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images uint8 [images, rows, columns] and labels uint8 [images] of a part, "train" or "t10k".

    InputError for a missing, truncated, overlong or foreign file, and for images and labels of different numbers.
    """
    images = read_idx(_file(folder, f"{part}-images-idx3-ubyte"), 3)
    labels = read_idx(_file(folder, f"{part}-labels-idx1-ubyte"), 1)
    if len(images) != len(labels):
        raise InputError(
            f"{folder}: {part}-images-idx3-ubyte holds {len(images)} images and {part}-labels-idx1-ubyte "
            f"{len(labels)} labels; they belong to different sets"
        )
    return images, labels


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """One file: two zero bytes, a type code, the number of dimensions, each size in 4 bytes (big-endian), the data."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}; fetch it again") from error
    begin = 4 + 4 * dimensions
    magic = bytes((0, 0, UNSIGNED_BYTES, dimensions))
    if content[:4] != magic:
        raise InputError(
            f"{path} is no IDX file of {dimensions} dimensions of bytes: expected it to begin with {magic.hex(' ')}, "
            f"got {content[:4].hex(' ') or 'nothing'}; fetch it again"
        )
    if len(content) < begin:
        raise InputError(f"{path} is truncated: its header has {len(content)} of {begin} bytes; fetch it again")
    shape = tuple(int.from_bytes(content[4 * k : 4 * k + 4], "big") for k in range(1, dimensions + 1))
    if len(content) - begin != math.prod(shape):
        kind = "truncated" if len(content) - begin < math.prod(shape) else "longer than its header says"
        raise InputError(
            f"{path} is {kind}: its header promises {' x '.join(map(str, shape))} bytes, it holds "
            f"{len(content) - begin}; fetch it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=begin).reshape(shape)


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InputError(
        f"{folder} has no file {name} or {name}.gz; set the option 'data_path' to the folder that holds the four IDX "
        "files (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte)"
    )
