"""A folder of images with captions: `metadata.jsonl` as Hugging Face's image folders have it, or a .txt beside each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coevo.errors import InputError, missing_extra

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
METADATA = "metadata.jsonl"


class ImageFolder:
    """Images and captions, read when they are asked for, square and of one size.

    Args:
        folder: images in it or below it. With `metadata.jsonl`, lines `{"file_name": ..., "text": ...}`, the images are
            those that it names; without, every image needs `NAME.txt` beside it.
        size_px: side of the images given; the middle square of each is resized to it.
        multiple_of: the autoencoder's factor, which must divide `size_px`.

    Raises:
        InputError: no such folder, no image, a caption missing or empty, an image of the metadata missing or outside
            the folder, a line that is no such JSON, a size that the factor does not divide.
        MissingExtra: Pillow is not installed.
    """

    def __init__(self, folder: Path | str, size_px: int, *, multiple_of: int = 1) -> None:
        self.folder, self.size_px = Path(folder), size_px
        if size_px < 1 or size_px % multiple_of:
            near = max(1, round(size_px / multiple_of)) * multiple_of
            raise InputError(
                f"size_px: expected a positive multiple of the autoencoder's factor {multiple_of}, got {size_px}; the "
                f"nearest is {near}"
            )
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: expected a folder of images; it is not there")
        metadata = self.folder / METADATA
        pairs = self._of_metadata(metadata) if metadata.is_file() else self._of_texts()
        self.paths, self.captions = [path for path, _ in pairs], [caption for _, caption in pairs]
        self._image = _pillow()

    @property
    def source(self) -> str:
        """What results say they came from."""
        return f"{len(self)} images of the folder {self.folder.name}"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[Tensor, str]:
        """Image float32 [3, size_px, size_px] in [-1, 1] and caption. InputError where the file cannot be read."""
        path = self.paths[number]
        try:
            with self._image.open(path) as opened:
                image = opened.convert("RGB")
        except OSError as error:  # Pillow's UnidentifiedImageError is one
            raise InputError(f"{path} cannot be read as an image ({error}); replace or remove it") from None
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        box = (left, top, left + side, top + side)
        small = image.crop(box).resize((self.size_px, self.size_px), self._image.Resampling.LANCZOS)
        pixels = torch.from_numpy(np.array(small, dtype=np.float32))
        return pixels.permute(2, 0, 1) / 127.5 - 1, self.captions[number]

    def batch(self, numbers: range | list[int]) -> tuple[Tensor, list[str]]:
        """Images [B, 3, size_px, size_px] and captions."""
        images, captions = zip(*(self[number] for number in numbers), strict=True)
        return torch.stack(images), list(captions)

    def _of_metadata(self, path: Path) -> list[tuple[Path, str]]:
        pairs = []
        home = self.folder.resolve()
        for number, line in enumerate(_text(path).splitlines(), 1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise InputError(f"{where}: expected one JSON object, got {line[:80]!r} ({error})") from None
            if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("file_name", "text")):
                raise InputError(f'{where}: expected {{"file_name": "...", "text": "..."}}, got {line[:80]!r}')
            image = (home / entry["file_name"]).resolve()
            if home not in image.parents:
                raise InputError(f"{where}: {entry['file_name']!r} lies outside the folder; name files within it")
            if not image.is_file():
                raise InputError(f"{where}: the image {entry['file_name']!r} is not there")
            pairs.append((image, _caption(entry["text"], where)))
        if not pairs:
            raise InputError(f"{path}: expected at least one line, it has none")
        return pairs

    def _of_texts(self) -> list[tuple[Path, str]]:
        images = sorted(each for each in self.folder.rglob("*") if each.suffix.lower() in ENDINGS)
        if not images:
            raise InputError(f"{self.folder}: expected images ({', '.join(ENDINGS)}), found none")
        bare = [each for each in images if not each.with_suffix(".txt").is_file()]
        if bare:
            raise InputError(f"{len(bare)} of {len(images)} images have no caption, the first is {bare[0]}: write "
                             f"{bare[0].with_suffix('.txt').name} beside it, or a {METADATA} for all")  # fmt: skip
        texts = [each.with_suffix(".txt") for each in images]
        return [(image, _caption(_text(path), str(path))) for image, path in zip(images, texts, strict=True)]


def _caption(text: str, where: str) -> str:
    caption = " ".join(text.split())
    if not caption:
        raise InputError(f"{where}: the caption is empty")
    return caption


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as text in UTF-8 ({error})") from None


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise missing_extra("Pillow", "sana") from None
    return Image
