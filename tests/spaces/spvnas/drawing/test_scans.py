"""Pictures of scans: what is painted and told is what the scan, its labels and the predictions say."""

from __future__ import annotations

import base64
import json
import os
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.spvnas.data.labels import CLASSES, IGNORED
from coevo.spaces.spvnas.data.scan import Scan
from coevo.spaces.spvnas.drawing.agreement import agreement
from coevo.spaces.spvnas.drawing.palette import COLOURS
from coevo.spaces.spvnas.drawing.raster import paint_top, png, rgb
from coevo.spaces.spvnas.drawing.scan_page import render_scan_page
from coevo.spaces.spvnas.drawing.top_view import draw_top_view

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "experiments" / "bench"))

import _browser

SVG = "{http://www.w3.org/2000/svg}"
CAR, ROAD, PERSON = (CLASSES.index(name) for name in ("car", "road", "person"))


def scan(name="sweep </script> & co", labels=(CAR, ROAD, ROAD, IGNORED), **more):
    points = np.array([[5, 0, 0, 0.1], [0, 5, 1, 0.2], [-5, 0, 2, 0.9], [0, -5, 3, 0.4]], np.float32)
    return Scan(points, None if labels is None else np.array(labels), name, **more)


def test_agreement_by_hand():
    found = agreement(scan(), np.array([CAR, CAR, ROAD, PERSON]))
    assert found.wrong.tolist() == [False, True, False, False]  # what has no label is neither right nor wrong
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.iou[CAR] == found.iou[ROAD] == 0.5 and np.isnan(found.iou[PERSON])
    assert found.mean_iou == 0.5
    nothing = agreement(scan(labels=[IGNORED] * 4), np.full(4, CAR))
    assert np.isnan(nothing.accuracy) and np.isnan(nothing.mean_iou)


@pytest.mark.parametrize(
    "predicted",
    [np.zeros(3, int), np.zeros(4), np.array([0, 0, 0, 19]), np.array([0, -1, 0, 0]), np.zeros((4, 1), int)],
)
def test_predictions_that_do_not_fit(predicted):
    for draw in (draw_top_view, lambda given, found: render_scan_page([given], [found])):
        with pytest.raises(InputError, match="predictions"):
            draw(scan(), predicted)


def test_points_stand_where_they_were_seen_from_above():
    points = np.array([[5, 0, 0], [5, 0, 9], [0, 5, 0], [99, 0, 0]], np.float32)
    colours = np.array([[9, 9, 9], [1, 2, 3], [4, 5, 6], [7, 7, 7]], np.uint8)
    image = paint_top(points, colours, reach_m=10.0, pixels=20, ground="#0a0b0c", wide=1)
    assert image[5, 10].tolist() == [1, 2, 3]  # ahead is up; the higher point hides the lower
    assert image[10, 5].tolist() == [4, 5, 6]  # left is left
    assert (image == (10, 11, 12)).all(-1).sum() == 400 - 2  # and what is beyond the edge is not drawn


def test_a_png_has_the_pixels_that_were_given():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    data = png(image)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(name + body)
        parts[name], at = body, at + 12 + size
    assert struct.unpack(">IIBBBBB", parts[b"IHDR"]) == (7, 5, 8, 2, 0, 0, 0)
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(5, 1 + 7 * 3)
    assert not rows[:, 0].any() and (rows[:, 1:].reshape(5, 7, 3) == image).all()


@pytest.mark.parametrize(
    ("labels", "predicted", "panels"),
    [(True, True, ["Prediction", "Truth", "Errors"]), (True, False, ["Truth"]), (False, True, ["Prediction"])],
)
def test_a_panel_for_each_thing_that_is_known(labels, predicted, panels):
    boxes = np.array([[5, 0, 0, 4, 2, 1.5, 0.3], [500, 0, 0, 4, 2, 1.5, 0]], np.float32)
    given = scan(labels=(CAR, ROAD, ROAD, IGNORED) if labels else None, boxes=boxes, box_classes=("car", "car"))
    drawn = draw_top_view(given, np.array([CAR, CAR, ROAD, CAR]) if predicted else None, source="by hand")
    root = ET.fromstring(drawn)
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert [text for text in texts if text in ("Prediction", "Truth", "Errors")] == panels
    assert len(list(root.iter(f"{SVG}image"))) == len(panels)
    assert given.name in texts and any("by hand" in (text or "") for text in texts)
    turned = [each for each in root.iter(f"{SVG}rect") if each.get("transform")]
    assert len(turned) == len([panel for panel in panels if panel != "Prediction"])  # the far box is in no panel
    if labels and predicted:
        assert any("1 wrong, accuracy 66.7 %; mIoU 50.0" in (text or "") for text in texts)


def test_there_must_be_something_to_colour():
    with pytest.raises(InputError, match="nothing to colour"):
        draw_top_view(scan(labels=None))
    with pytest.raises(InputError, match="reach_m"):
        draw_top_view(scan(), reach_m=0.0)
    with pytest.raises(InputError, match="at least one scan"):
        render_scan_page([])


def unpacked(text, kind):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind)


def test_the_page_holds_the_scan():
    boxes = np.array([[5, 0, 0, 4, 2, 1.5, 0.3]], np.float32)
    given = scan(boxes=boxes, box_classes=("car",))
    page = render_scan_page([given, given], [np.array([CAR, CAR, ROAD, CAR]), None], title="<b>", source="by hand")
    assert page.count("</script>") == 2 and "<b>" not in page  # no name ends an element
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1))
    assert data["colours"][:19] == list(COLOURS) and data["classes"][:19] == list(CLASSES)
    first, second = data["frames"]
    np.testing.assert_allclose(
        unpacked(first["xyz"], "<i2").reshape(4, 3) * data["step"], given.points[:, :3], atol=6e-3
    )
    assert unpacked(first["truth"], np.uint8).tolist() == [CAR, ROAD, ROAD, 19]
    assert unpacked(first["predicted"], np.uint8).tolist() == [CAR, CAR, ROAD, CAR]
    assert first["miou"] == 0.5 and first["name"] == given.name and first["kinds"] == ["car"]
    assert "predicted" not in second and "miou" not in second


@pytest.mark.skipif(
    _browser.chromium() is None, reason="no Chromium: apt-get install chromium, or name it in $CHROMIUM"
)
def test_the_page_opens_in_a_browser(tmp_path):
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-20, 20, (3000, 2)), rng.uniform(-2, 2, 3000), rng.random(3000)])
    labels = rng.integers(0, 19, 3000)
    shown = Scan(points.astype(np.float32), labels, "sweep")
    (tmp_path / "page.html").write_text(render_scan_page([shown], [labels]), encoding="utf-8")
    count = """(() => {
        const view = document.getElementById("view"), seen = new Set();
        const data = view.getContext("2d").getImageData(0, 0, view.width, view.height).data;
        for (let i = 0; i < data.length; i += 4) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
        return seen.size;
    })()"""
    with _browser.Browser() as browser:
        browser.open(tmp_path / "page.html", ready="document.readyState === 'complete'")
        browser.wait(f"{count} > 15")  # most classes have a colour on the canvas
        assert browser.ask("document.getElementById('panel').textContent").count("%") >= 19
        assert [said for said in browser.console if "willReadFrequently" not in said] == []  # that is this test's own


def test_colours_are_told_apart():
    seen = {rgb(colour) for colour in COLOURS}
    assert len(seen) == len(CLASSES)
    values = np.array(sorted(seen), float)
    apart = np.linalg.norm(values[:, None] - values[None], axis=-1)[~np.eye(len(values), dtype=bool)]
    assert apart.min() > 30


@pytest.mark.parametrize("section", ["Scans", "Pictures"])
def test_the_guides_snippets_run(tmp_path, section):
    root = Path(__file__).parents[4]
    text = (root / "docs" / "spvnas.md").read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    (tmp_path / "snippet.py").write_text(re.search(r"```python\n(.*?)```", text, re.S).group(1), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))}
    subprocess.run([sys.executable, "snippet.py"], cwd=tmp_path, env=environment, check=True)
    if section == "Pictures":
        assert ET.parse(tmp_path / "scan.svg").getroot().tag == f"{SVG}svg"
        assert "<canvas" in (tmp_path / "scan.html").read_text(encoding="utf-8")
