"""Pictures that a problem made as files: of what it prepared, and in exported folders. The page holds them whole."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from coevo.report.content import Picture

PNG = ".png"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 8 * 2**20
"""Of one picture: a page is opened as a whole."""


def pictures_in(folder: Path) -> list[Picture]:
    """The PNG files that lie in a folder, by name."""
    return [picture_of(path, path.stem) for path in sorted(folder.glob(f"*{PNG}"))]


def picture_of(path: Path, name: str) -> Picture:
    """The picture in a file; one that is none, or too large, is told of and not shown."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return Picture(name, problem=f"{path.name} is over {MOST_BYTES >> 20} MiB: open it where it lies")
        png = path.read_bytes()
    except OSError as error:
        return Picture(name, problem=f"{path.name} cannot be read: {error.strerror}")
    return Picture(name, png) if png.startswith(SIGNATURE) else Picture(name, problem=f"{path.name} is no PNG file")


def shown(pictures: Sequence[Picture]) -> str:
    """As HTML."""
    return "".join(_shown(each) for each in pictures)


def _shown(picture: Picture) -> str:
    if picture.problem:
        return f"<p>{escape(picture.problem)}</p>"
    name, encoded = escape(picture.name.replace("_", " ")), base64.b64encode(picture.png).decode()
    return f'<h4>{name}</h4><img alt="{name}" src="data:image/png;base64,{encoded}">'
