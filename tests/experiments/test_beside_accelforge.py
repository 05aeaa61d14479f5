"""The comparison with AccelForge's mapper: limits are kept, nothing is dropped, and what is compared is alike."""

import json
import os
import stat
import sys
import time
from pathlib import Path

import pytest

NAAS = Path(__file__).resolve().parents[2] / "experiments" / "naas"
sys.path.insert(0, str(NAAS))

import _accelforge  # noqa: E402
import beside_accelforge  # noqa: E402

from coevo.cost_models.accelerator import convolution, evaluate_mapping, matrix_product  # noqa: E402
from coevo.cost_models.accelerator.interchange import accelforge  # noqa: E402
from coevo.hardware.accelerators import load_accelerator  # noqa: E402
from coevo.spaces.naas.mapper import map_layer  # noqa: E402

HEAD = '{"engine": "accelforge", "version": "0"}'
ANSWER = '{"nodes": null, "wall_s": 1.0, "cpu_s": 0.5}'
LAYER = matrix_product("product", 14, 24, 36)


def engine(folder, script):
    """A stand-in for AccelForge's Python: it runs `script` whatever it is asked."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def gone(pid):
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_mapper_that_takes_too_long_is_stopped_with_all_that_it_started(tmp_path):
    note = tmp_path / "child"
    script = f"echo '{HEAD}'; echo '{ANSWER}'; sleep 300 & echo $! > {note}; wait"
    found = _accelforge.best_mapping(engine(tmp_path, script), LAYER, load_accelerator("eyeriss"), 1.0)
    assert (found.outcome, found.reason, found.orders) == ("not finished", "stopped after 1 s", 6)
    assert found.answers == (json.loads(ANSWER),)
    assert gone(int(note.read_text()))
    assert found.as_json()["outcome"] == "not finished"


@pytest.mark.parametrize(
    ("script", "outcome", "reason"),
    [
        (f"echo '{HEAD}'; echo 'ValueError: no' >&2; exit 3", "failed", "ValueError: no"),
        (f"echo '{HEAD}'; echo '{ANSWER}'", "failed", ""),  # one order of six
        (f"echo '{HEAD}'; for i in 1 2 3 4 5 6; do echo '{ANSWER}'; done", "finished", ""),
    ],
)
def test_outcomes(tmp_path, script, outcome, reason):
    found = _accelforge.best_mapping(engine(tmp_path, script), LAYER, load_accelerator("eyeriss"), 60.0)
    assert (found.outcome, found.reason) == (outcome, reason)


def test_rows_are_taken_up_where_the_run_is_the_same(tmp_path):
    rows = tmp_path / "rows.jsonl"
    beside_accelforge.Book(rows, ["commit", 90.0, False]).add("eyeriss", "fc", {"row": 1})
    assert beside_accelforge.Book(rows, ["commit", 90.0, False]).get("eyeriss", "fc") == {"row": 1}
    assert beside_accelforge.Book(rows, ["commit", 60.0, False]).get("eyeriss", "fc") is None
    assert beside_accelforge.Book(None, ["commit"]).get("eyeriss", "fc") is None


@pytest.mark.parametrize("name", beside_accelforge.ACCELERATORS)
def test_split_memories_are_what_accelforge_is_told(name):
    accelerator = load_accelerator(name)
    told = beside_accelforge.split(accelerator)
    assert accelforge.architecture(told) == accelforge.architecture(accelerator)
    assert len(told.memories) == {"eyeriss": 5, "nvdla_1024": 4}[name]


def test_reductions_are_all_even_ways_to_spread_what_adds():
    layer = convolution("conv", (14, 14), 8, 16, 3, padding=1)
    ways = beside_accelforge.reductions(layer, beside_accelforge.split(load_accelerator("eyeriss")))
    found = {(way["GLB.rows"]["C"], way["GLB.rows"]["R"]) for way in ways}
    assert found == {(1, 1), (2, 1), (4, 1), (8, 1), (1, 3), (2, 3), (4, 3)}
    assert len(ways) == len(found)
    # Its sums are added at the MAC units, above no memory that keeps them.
    assert beside_accelforge.reductions(layer, load_accelerator("nvdla_1024")) == []


def test_a_padded_mapping_on_the_padded_layer_costs_what_it_costs():
    accelerator = load_accelerator("eyeriss")
    layer = convolution("conv", (13, 13), 23, 29, 1)
    found = map_layer(layer, accelerator, accelforge.ASSUMPTIONS, certify=False)
    padded = beside_accelforge.padded_layer(layer, found.mapping)
    assert padded.macs > layer.macs
    evaluation = evaluate_mapping(padded, accelerator, found.mapping, accelforge.ASSUMPTIONS)
    assert evaluation.valid
    assert (evaluation.energy_pj, evaluation.cycles) == pytest.approx((found.energy_pj, found.cycles), rel=1e-12)
    accelforge.documents(padded, accelerator, found.mapping)  # it can be told


def test_without_padding_bounds_multiply_to_the_sizes():
    accelerator = load_accelerator("eyeriss")
    layer = convolution("conv", (13, 13), 22, 26, 1)
    found = beside_accelforge.without_padding(layer, accelerator, {"GLB.rows": {"C": 11}})
    assert beside_accelforge.padded_layer(layer, found.mapping) == layer
    assert dict(found.mapping.spatial[0])["C"] == 11


def test_every_distinct_layer_of_resnet50_is_asked():
    layers = beside_accelforge.distinct_layers()
    assert len(layers) == 24
    assert sum(layer.sizes["R"] == 1 for layer in layers.values()) == 16
    assert os.path.exists(_accelforge.SCRIPTS / "map_accelforge.py")
