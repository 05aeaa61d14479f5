"""A table predicts sums of its entries, keeps to its device and its range, and survives a file."""

import dataclasses
import json

import numpy as np
import pytest

from coevo.cost_models.point_cloud_latency import (
    Axes,
    Grid,
    LatencyTable,
    Layer,
    axes_over,
    calibrate,
    quality,
    read_table,
    write_table,
)
from coevo.cost_models.point_cloud_latency.quality import proportional, spearman
from coevo.errors import InputError

DEVICE = {"device": "a chip", "torch": "2"}


def table(scans: int = 3, seed: int = 0) -> LatencyTable:
    rng = np.random.default_rng(seed)
    grids = {
        ("conv3", 0): Grid(Axes((16, 32, 64), (16, 48)), rng.uniform(0.1, 1, (3, 2, scans))),
        ("down", 1): Grid(Axes((16,), (16, 32)), rng.uniform(0.1, 1, (1, 2, scans))),
    }
    rows = rng.integers(1, 100, (scans, 5))
    return LatencyTable(
        DEVICE, "float32", (100,) * 5, "none", "random numbers", rows, 3 * rows, rng.uniform(1, 2, scans), grids
    )


def test_entries_are_found_and_interpolated() -> None:
    made = table()
    grid = made.grids["conv3", 0]
    assert np.array_equal(made.of_layers([Layer("conv3", 0, 32, 48)]), made.maps_ms + grid.ms[1, 1])
    between = made.of_layers([Layer("conv3", 0, 48, 32), Layer("down", 1, 16, 32)]) - made.maps_ms
    expected = grid.ms[1:, :].mean(axis=(0, 1)) + made.grids["down", 1].ms[0, 1]
    assert np.allclose(between, expected)


@pytest.mark.parametrize("layer", [Layer("conv3", 0, 80, 16), Layer("conv3", 1, 16, 16), Layer("up", 1, 16, 16)])
def test_a_layer_outside_is_refused(layer: Layer) -> None:
    with pytest.raises(InputError, match="coevo measure"):
        table().of_layers([layer])


def test_axes_span_the_layers() -> None:
    layers = [Layer.of("conv3", 2, 4, 384), Layer.of("conv3", 2, 130, 16), Layer.of("up", 0, 32, 32)]
    found = axes_over(layers)
    assert set(found) == {("conv3", 2), ("up", 0)}
    assert found["conv3", 2].inputs == (16, 32, 48, 64, 80, 96, 112, 128, 144)
    assert found["conv3", 2].outputs[-4:] == (224, 256, 320, 384)
    assert found["up", 0] == Axes((32,), (32,))
    assert len(axes_over(layers, coarse=True)["conv3", 2].outputs) == 6


def test_calibration_recovers_what_made_the_times() -> None:
    made, rng = table(), np.random.default_rng(1)
    networks = [[Layer("conv3", 0, int(16 * a), 16) for a in rng.integers(1, 5, size)] for size in (2, 3, 5, 8, 9, 12)]
    truth = np.stack([0.9 * made.of_layers(each) + 0.02 * len(each) + 0.3 for each in networks])
    fitted = calibrate(made, networks, truth)
    assert np.allclose([fitted.calibration.scale, fitted.calibration.launch_ms, fitted.calibration.rest_ms],
                       [0.9, 0.02, 0.3])  # fmt: skip
    assert quality([fitted.predict(each).p50_ms for each in networks], np.median(truth, axis=1)).mape_percent < 1e-6
    faster = calibrate(made, networks, np.stack([made.of_layers(each) * 0.5 for each in networks]))
    assert min(faster.calibration.launch_ms, faster.calibration.rest_ms) >= 0
    with pytest.raises(InputError, match="at least 4"):
        calibrate(made, networks[:3], truth[:3])
    with pytest.raises(InputError, match="positive"):
        calibrate(made, networks, truth * 0)


def test_predictions_have_percentiles_over_scans() -> None:
    made = table(scans=40)
    layers = [Layer("conv3", 0, 16, 16)]
    found = made.predict(layers)
    assert found.p95_ms == pytest.approx(np.percentile(made.of_layers(layers), 95))
    assert found.p50_ms < found.p95_ms


def test_another_device_is_refused() -> None:
    made = table()
    made.check_device(DEVICE)
    with pytest.raises(InputError, match=r"torch is '3', the table has '2'.*coevo measure"):
        made.check_device({**DEVICE, "torch": "3"})


def test_a_file_holds_it_all(tmp_path) -> None:
    made, path = calibrate(table(), *_four()), tmp_path / "deep" / "table.json"
    write_table(made, path)
    back = read_table(path)
    assert [each.name for each in path.parent.iterdir()] == ["table.json"]
    assert np.array_equal(back.pairs, made.pairs) and np.array_equal(back.rows, made.rows)
    assert back.calibration == made.calibration and dict(back.device) == DEVICE and back.capacity == made.capacity
    layers = [Layer("conv3", 0, 40, 20), Layer("down", 1, 16, 16)]
    assert np.allclose(back.ms(layers), made.ms(layers), atol=1e-4)
    for name in ("device", "dtype", "points", "scans"):
        assert getattr(back, name) == getattr(made, name)


def _four():
    networks = [[Layer("conv3", 0, 16, 16)] * n for n in range(1, 5)]
    return networks, np.stack([table().of_layers(each) * 1.25 for each in networks])


def test_damaged_files_are_refused(tmp_path) -> None:
    path = tmp_path / "table.json"
    with pytest.raises(InputError, match="no latency table at"):
        read_table(path)
    write_table(table(), path)
    document = json.loads(path.read_text())
    for change in ({"version": 99}, {"maps_ms": [1.0]}, {"calibration": {}, "grids": 3}, {"kind": "another"}):
        path.write_text(json.dumps(document | change))
        with pytest.raises(InputError, match="coevo measure"):
            read_table(path)
    path.write_text("{")
    with pytest.raises(InputError, match="is no latency table"):
        read_table(path)


def test_ranks_with_ties() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert spearman([1, 2, 2, 4], [4, 2, 2, 1]) == pytest.approx(-1)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    slope, intercept = proportional([1, 2, 3, 4], [3, 5, 7, 9])
    assert (slope, intercept) == (pytest.approx(2), pytest.approx(1))
    with pytest.raises(InputError):
        quality([1, 2], [1, 2])


def test_tables_are_values_apart() -> None:
    made = table()
    assert dataclasses.replace(made, points="raw").points == "raw" and made.points == "none"
