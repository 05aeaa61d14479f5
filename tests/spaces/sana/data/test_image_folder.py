"""Folders of images with captions: both layouts, the middle square, and every kind of bad folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.sana.data.image_folder import ImageFolder

Image = pytest.importorskip("PIL.Image")


def write(path: Path, width: int = 20, height: int = 12, colour: tuple[int, int, int] = (255, 0, 128)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, (width - height) // 2 : (width + height) // 2] = colour
    Image.fromarray(pixels).save(path)


def test_captions_beside_images(tmp_path: Path) -> None:
    write(tmp_path / "b.png")
    (tmp_path / "b.txt").write_text("a red\n circle ", encoding="utf-8")
    write(tmp_path / "deep" / "a.bmp", 9, 9, (0, 0, 0))
    (tmp_path / "deep" / "a.txt").write_text("a ring", encoding="utf-8")
    folder = ImageFolder(tmp_path, 8, multiple_of=4)
    assert len(folder) == 2 and folder.captions == ["a red circle", "a ring"]
    image, caption = folder[0]
    assert image.shape == (3, 8, 8) and image.dtype == torch.float32 and caption == "a red circle"
    middle = torch.tensor([1.0, -1.0, 128 / 127.5 - 1])[:, None, None]  # what lies beside the middle square is cut off
    assert torch.allclose(image, middle.expand_as(image), atol=0.02)
    images, captions = folder.batch([1, 0])
    assert images.shape == (2, 3, 8, 8) and captions == ["a ring", "a red circle"]
    assert torch.equal(images[0], torch.full((3, 8, 8), -1.0))
    assert "2 images" in folder.source


def test_metadata_says_which_images(tmp_path: Path) -> None:
    for name in ("one.png", "two.png", "unnamed.png"):
        write(tmp_path / "train" / name)
    lines = [
        {"file_name": "train/two.png", "text": "two rings", "more": 1},
        {"file_name": "train/one.png", "text": "a ring"},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n", encoding="utf-8")
    assert ImageFolder(tmp_path, 16).captions == ["two rings", "a ring"]


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ("{", "line 1: expected one JSON object"),
        ('{"file_name": "a.png"}', r'line 1: expected \{"file_name": "...", "text"'),
        (
            '{"file_name": "a.png", "text": "x"}\n{"file_name": "c.png", "text": "x"}',
            "line 2: the image 'c.png' is not there",
        ),
        ('{"file_name": "../a.png", "text": "x"}', "outside the folder"),
        ('{"file_name": "a.png", "text": "  "}', "the caption is empty"),
        ("", "expected at least one line"),
    ],
)
def test_bad_metadata(tmp_path: Path, metadata: str, says: str) -> None:
    write(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_text(metadata, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        ImageFolder(tmp_path, 8)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is not there"):
        ImageFolder(tmp_path / "none", 8)
    with pytest.raises(InputError, match="found none"):
        ImageFolder(tmp_path, 8)
    with pytest.raises(InputError, match="multiple of the autoencoder's factor 32, got 100; the nearest is 96"):
        ImageFolder(tmp_path, 100, multiple_of=32)
    write(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"1 of 1 images have no caption.*write a.txt beside it"):
        ImageFolder(tmp_path, 8)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        ImageFolder(tmp_path, 8)
    (tmp_path / "a.txt").write_text("a ring", encoding="utf-8")
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image"):
        ImageFolder(tmp_path, 8)[0]
