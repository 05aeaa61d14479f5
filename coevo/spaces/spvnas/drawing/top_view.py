"""A scan from above as an SVG: prediction, truth and errors side by side, with what each class reaches."""

from __future__ import annotations

import base64
import math
from html import escape
from typing import Any

import numpy as np

from coevo.errors import InputError
from coevo.spaces.spvnas.data.labels import CLASSES, IGNORED
from coevo.spaces.spvnas.data.scan import Scan
from coevo.spaces.spvnas.drawing.agreement import Agreement, agreement, check_prediction
from coevo.spaces.spvnas.drawing.palette import COLOURS, CORRECT, GROUND, UNLABELLED, WRONG
from coevo.spaces.spvnas.drawing.raster import paint_top, png, rgb

Array = np.ndarray[Any, Any]
PANEL, GAP, TOP = 460, 18, 84  # pixels: a panel's edge, between panels, above them
SHARPNESS = 2  # pixels of the picture a pixel of the drawing
_ROW, _COLUMN = 19, 236


def draw_top_view(scan: Scan, predicted: Array | None = None, *, reach_m: float = 40.0, source: str = "") -> str:
    """An `<svg ...>` text with a panel for each of prediction, truth and errors that is known, and a legend.

    Args:
        scan: with labels, or with predictions given.
        predicted: class ids int64 [P].
        reach_m: from the sensor to a panel's edge.
        source: what data the scan is of, in words.

    Raises:
        InputError: neither labels nor predictions, predictions that do not fit, or a reach that is not positive.
    """
    if scan.labels is None and predicted is None:
        raise InputError(f"scan {scan.name} has no labels and no predictions were given: there is nothing to colour")
    if not 0 < reach_m < math.inf:
        raise InputError(f"reach_m must be a positive number of metres, got {reach_m!r}")
    if predicted is not None:
        check_prediction(scan, predicted)
    found = agreement(scan, predicted) if predicted is not None and scan.labels is not None else None
    panels: list[tuple[str, Array, Array | int, bool]] = []
    if predicted is not None:
        panels.append(("Prediction", _classes(predicted), 2, False))
    if scan.labels is not None:
        panels.append(("Truth", _classes(scan.labels), 2, True))
    if found is not None and scan.labels is not None:
        colours = np.where(found.wrong[:, None], rgb(WRONG), rgb(CORRECT)).astype(np.uint8)
        colours[scan.labels == IGNORED] = np.array(rgb(GROUND), dtype=np.uint8) + 12
        panels.append(("Errors", colours, np.where(found.wrong, 3, 2), True))
    legend, legend_height = _legend(scan, predicted, found, len(panels))
    width, height = len(panels) * (PANEL + GAP) + GAP, TOP + PANEL + 20 + legend_height
    body = [
        f'<rect width="{width}" height="{height}" fill="#12161d"/>',
        _text(GAP, 30, scan.name, 'font-size="17" font-weight="600" fill="#e8edf4"'),
        _text(GAP, 50, _summary(scan, found, source), 'fill="#9aa7b8"'),
    ]
    for place, (title, colours, wide, boxed) in enumerate(panels):
        x = GAP + place * (PANEL + GAP)
        image = paint_top(scan.points, colours, reach_m, PANEL * SHARPNESS, GROUND, wide)
        data = base64.b64encode(png(image)).decode("ascii")
        body += [
            _text(x, TOP - 9, title, 'font-weight="600" fill="#e8edf4"'),
            f'<image x="{x}" y="{TOP}" width="{PANEL}" height="{PANEL}" href="data:image/png;base64,{data}"/>',
            f'<svg x="{x}" y="{TOP}" width="{PANEL}" height="{PANEL}" viewBox="0 0 {PANEL} {PANEL}">',
            *_overlay(scan, reach_m, boxed),
            "</svg>",
        ]
    body += legend
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" font-size="12.5" role="img">'
        f"<title>{escape(scan.name)} from above</title>{''.join(body)}</svg>"
    )


def _classes(labels: Array) -> Array:
    table = np.full((256, 3), rgb(UNLABELLED), dtype=np.uint8)
    table[: len(COLOURS)] = [rgb(colour) for colour in COLOURS]
    found: Array = table[labels]
    return found


def _summary(scan: Scan, found: Agreement | None, source: str) -> str:
    parts = [f"{len(scan.points):,} points"]
    if found is not None:
        parts.append(f"{found.wrong.sum():,} wrong, accuracy {100 * found.accuracy:.1f} %")
        parts.append(f"mIoU {100 * found.mean_iou:.1f} over the classes of this scan")
    return "; ".join([*parts, source] if source else parts)


def _overlay(scan: Scan, reach_m: float, boxed: bool) -> list[str]:
    """Rings every ten metres, the sensor's car, and boxes, in a panel's pixels."""
    scale, middle = PANEL / (2 * reach_m), PANEL / 2
    step = 10 if reach_m <= 60 else 20
    drawn = []
    for ring in range(step, int(reach_m) + 1, step):
        drawn.append(
            f'<circle cx="{middle}" cy="{middle}" r="{ring * scale:.1f}" fill="none" stroke="#ffffff" '
            'stroke-opacity=".13"/>'
        )
        drawn.append(_text(middle + 3, middle - ring * scale + 12, f"{ring} m", 'fill="#9aa7b8" font-size="10"'))
    drawn.append(
        f'<rect x="{middle - 0.9 * scale:.1f}" y="{middle - 2.2 * scale:.1f}" width="{1.8 * scale:.1f}" '
        f'height="{4.2 * scale:.1f}" rx="3" fill="#e8edf4" fill-opacity=".85"/>'
    )
    if boxed and scan.boxes is not None:
        for x, y, _, length, width, _, yaw in scan.boxes.astype(float).tolist():
            if max(abs(x), abs(y)) > reach_m:
                continue
            across, along = width * scale, length * scale
            at = f"translate({middle - y * scale:.1f} {middle - x * scale:.1f}) rotate({-math.degrees(yaw):.1f})"
            drawn.append(
                f'<rect transform="{at}" x="{-across / 2:.1f}" y="{-along / 2:.1f}" width="{across:.1f}" '
                f'height="{along:.1f}" fill="none" stroke="#ffffff" stroke-opacity=".75" stroke-width=".9"/>'
            )
    return drawn


def _legend(scan: Scan, predicted: Array | None, found: Agreement | None, panels: int) -> tuple[list[str], int]:
    """A swatch for each class of the scan with its share of points and, where it is known, its IoU; and its height."""
    shown = scan.labels if scan.labels is not None else predicted
    assert shown is not None
    counts = np.bincount(shown, minlength=256)
    also = np.zeros(256, dtype=bool) if predicted is None else np.bincount(predicted, minlength=256) > 0
    there = [number for number in range(len(CLASSES)) if counts[number] or also[number]]
    columns = max(1, (panels * (PANEL + GAP)) // _COLUMN)
    top, drawn = TOP + PANEL + 22, []
    entries = [(CLASSES[number], COLOURS[number], counts[number], number) for number in there]
    if counts[IGNORED]:
        entries.append(("unlabelled", UNLABELLED, counts[IGNORED], -1))
    rows = math.ceil(len(entries) / columns)
    for place, (name, colour, count, number) in enumerate(entries):
        x, y = GAP + place // rows * _COLUMN, top + place % rows * _ROW
        value = f"{100 * count / len(shown):.2g} %"
        if found is not None and number >= 0:
            value += f"   IoU {100 * found.iou[number]:.0f}" if np.isfinite(found.iou[number]) else ""
        drawn += [
            f'<rect x="{x}" y="{y - 9}" width="11" height="11" rx="2" fill="{colour}"/>',
            _text(x + 17, y, name, 'fill="#e8edf4"'),
            _text(x + 112, y, value, 'fill="#9aa7b8" xml:space="preserve"'),
        ]
    return drawn, rows * _ROW + 14


def _text(x: float, y: float, text: str, look: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" {look}>{escape(text)}</text>'
