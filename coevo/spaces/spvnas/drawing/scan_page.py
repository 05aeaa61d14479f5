"""Scans as an interactive 3D page: one HTML file that loads nothing, drawn by a renderer of its own on a 2D canvas, so
that it needs neither a library nor a graphics card."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from coevo.errors import InputError
from coevo.spaces.spvnas.data.labels import CLASSES, IGNORED
from coevo.spaces.spvnas.data.scan import Scan
from coevo.spaces.spvnas.drawing.agreement import agreement, check_prediction
from coevo.spaces.spvnas.drawing.palette import COLOURS, CORRECT, GROUND, UNLABELLED, WRONG

Array = np.ndarray[Any, Any]
STEP_M = 0.01
"""To which coordinates are rounded in the page."""
# Nothing is fetched and no text becomes code.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


def render_scan_page(
    scans: Sequence[Scan], predicted: Sequence[Array | None] | None = None, *, title: str = "Scan", source: str = ""
) -> str:
    """The HTML document of one scan or of several in their order, which it plays as a film.

    Args:
        scans: shown with their labels and boxes where they have some.
        predicted: class ids int64 [P] of each scan, None where there are none.
        title: of the page.
        source: what data these are, in words.

    Raises:
        InputError: no scan, or predictions that do not fit.
    """
    given = [None] * len(scans) if predicted is None else list(predicted)
    if not scans or len(given) != len(scans):
        raise InputError(f"expected at least one scan and predictions for each, got {len(scans)} and {len(given)}")
    frames = [_frame(scan, found) for scan, found in zip(scans, given, strict=True)]
    content = {
        "classes": [*CLASSES, "unlabelled"],
        "colours": [*COLOURS, UNLABELLED],
        "correct": CORRECT,
        "wrong": WRONG,
        "ground": GROUND,
        "step": STEP_M,
        "frames": frames,
    }
    # "<" cannot end the element that holds the data.
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>{_resource("page.css")}</style>
</head>
<body>
<canvas id="view" tabindex="0" aria-label="the scan: drag to turn, shift and drag to move, scroll to zoom"></canvas>
<header><h1>{escape(title)}</h1><p id="about"></p><p class="soft">{escape(source)}</p></header>
<aside id="panel"></aside>
<footer id="film" hidden></footer>
<div id="tip" role="status" hidden></div>
<noscript><p>The view needs JavaScript.</p></noscript>
<script type="application/json" id="data">{data}</script>
<script>{_resource("page.js")}</script>
</body>
</html>
"""


def _frame(scan: Scan, predicted: Array | None) -> dict[str, Any]:
    """A scan as JSON: columns of its points are deflated and in base64, one byte or two a number."""
    if predicted is not None:
        check_prediction(scan, predicted)
    limit = 32_767 * STEP_M
    near = np.clip(scan.points[:, :3], -limit, limit)
    columns = {
        "xyz": np.round(near / STEP_M).astype("<i2").tobytes(),
        "remission": np.clip(np.round(scan.points[:, 3] * 255), 0, 255).astype(np.uint8).tobytes(),
    }
    if scan.labels is not None:
        columns["truth"] = _bytes(scan.labels)
    if predicted is not None:
        columns["predicted"] = _bytes(predicted)
    boxes = [] if scan.boxes is None else np.round(scan.boxes.astype(float), 3).tolist()
    frame: dict[str, Any] = {name: _packed(data) for name, data in columns.items()}
    frame |= {"name": scan.name, "points": len(scan.points), "boxes": boxes, "kinds": list(scan.box_classes)}
    if predicted is not None and scan.labels is not None:
        found = agreement(scan, predicted)
        if np.isfinite(found.accuracy):
            frame["accuracy"], frame["miou"] = round(found.accuracy, 4), round(found.mean_iou, 4)
    return frame


def _bytes(labels: Array) -> bytes:
    return np.where(labels == IGNORED, len(CLASSES), labels).astype(np.uint8).tobytes()


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def _resource(name: str) -> str:
    return files("coevo.spaces.spvnas.drawing").joinpath("page").joinpath(name).read_text(encoding="utf-8")
