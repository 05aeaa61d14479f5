"""A grid of drawn images: a row a caption, framed by what the oracle says of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from coevo.errors import InputError
from coevo.spaces.sana.drawing.figures import GREEN, GREY, new_figure, write_figure

CAPTION_COLUMNS = 2.6
"""Width of the captions' column in images."""


def draw_samples(images: Tensor, captions: Sequence[str], verdicts: Tensor, path: Path) -> None:
    """Writes a PNG.

    Args:
        images: [samples, captions, 3, S, S] in [-1, 1].
        captions: of the columns of `images`, rows of the picture.
        verdicts: bool [samples, captions].

    Raises:
        InputError: numbers that do not agree.
        MissingExtra: matplotlib is not installed.
    """
    samples, rows = len(images), len(captions)
    if images.ndim != 5 or not samples or images.shape[1] != rows or tuple(verdicts.shape) != (samples, rows):
        raise InputError(
            f"a grid has images [samples, captions, 3, S, S] and a verdict each, got {list(images.shape)}, {rows} "
            f"captions and {list(verdicts.shape)}"
        )
    figure = new_figure(0.85 * (samples + CAPTION_COLUMNS), 0.85 * rows + 0.45)
    grid = figure.subplots(rows, samples + 1, squeeze=False, width_ratios=[CAPTION_COLUMNS, *[1] * samples])
    shown = ((images.float().cpu().clamp(-1, 1) + 1) / 2).permute(0, 1, 3, 4, 2).numpy()
    right = verdicts.cpu().tolist()
    for row, caption in enumerate(captions):
        words = grid[row][0]
        words.axis("off")
        words.text(0, 0.5, _folded(caption), va="center", ha="left", fontsize=7, transform=words.transAxes)
        for sample in range(samples):
            axis = grid[row][sample + 1]
            axis.imshow(shown[sample, row], interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            good = right[sample][row]
            for spine in axis.spines.values():
                spine.set_color(GREEN if good else GREY)
                spine.set_linewidth(2.5 if good else 0.8)
                spine.set_linestyle("-" if good else ":")
    total = sum(map(sum, right))
    figure.suptitle(f"{total} of {samples * rows} images are right by the oracle (framed)", fontsize=8)
    write_figure(figure, path)


def _folded(caption: str, most: int = 24) -> str:
    lines = [""]
    for word in caption.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
