"""The parts of `gpu_sparse.py` that need no device: the floor, the oracle, the scans, the arguments and the bars."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
BENCH = Path(__file__).resolve().parents[2] / "experiments" / "bench"
sys.path.insert(0, str(BENCH))

import _lidar_scans as lidar  # noqa: E402
import _sparse_bars  # noqa: E402
import _sparse_case as case  # noqa: E402
import _sparse_inputs as inputs  # noqa: E402
import _sparse_reference as oracle  # noqa: E402
import gpu_sparse  # noqa: E402

# A real sweep's voxels and pairs of a 3 x 3 x 3 map, at strides 1 to 16 (5 cm).
REAL = {
    "voxels": (94625, 68931, 42166, 21525, 9522),
    "pairs": (286263, 309177, 267754, 166517, 82740),
}


def _levels() -> list[dict[str, Any]]:
    rows = zip(case.STRIDES, REAL["voxels"], REAL["pairs"], strict=True)
    return [{"stride": stride, "voxels": voxels, "pairs": pairs} for stride, voxels, pairs in rows]


@pytest.mark.parametrize(
    ("ratio", "floor_ms", "gmacs", "parameters"),
    [(0.5, 0.122, 34.4, 5_435_235), (0.64, 0.169, 55.4, 8_771_298), (1.0, 0.337, 137.5, 21_723_315)],
)
def test_the_network_has_the_published_work(ratio: float, floor_ms: float, gmacs: float, parameters: int) -> None:
    layers = case.minkunet_layers(ratio)
    assert len(layers) == 49
    assert case.floor_ms(ratio, _levels()) == pytest.approx(floor_ms, abs=5e-4)
    assert sum(work["flop"] for work in case.work_of(layers, _levels())) / 2e9 == pytest.approx(gmacs, abs=0.1)
    state = case.random_state(ratio, seed=0)
    learnt = [value for name, value in state.items() if "running" not in name and "num_batches" not in name]
    assert sum(value.numel() for value in learnt) == parameters


def test_the_oracle_is_a_dense_convolution_where_every_voxel_is_there() -> None:
    generator = torch.Generator().manual_seed(3)
    side = 4
    grid = torch.stack(torch.meshgrid(*[torch.arange(side)] * 3, indexing="ij"), dim=-1).reshape(-1, 3)
    coords = torch.nn.functional.pad(grid, (1, 0))[torch.randperm(side**3, generator=generator)]
    maps = oracle.Maps(coords)
    for kernel, kind, dense in ((3, "same", "conv3d"), (2, "down", "conv3d"), (2, "up", "conv_transpose3d")):
        layer = case.Layer("x", "x", 5, 7, kernel, kind, 1)
        rows = side**3 if kind != "up" else (side // 2) ** 3
        x = torch.randn(rows, 5, generator=generator, dtype=torch.float64)
        weight = torch.randn(layer.weight_shape, generator=generator, dtype=torch.float64)
        cube = weight.view(kernel, kernel, kernel, 5, 7)
        if kernel == 3:
            cube = cube.permute(2, 1, 0, 3, 4)  # z outermost -> x outermost
        edge = side if kind != "up" else side // 2
        volume = x.view(edge, edge, edge, 5).permute(3, 0, 1, 2)[None]  # key order: x, then y, then z
        given = {"padding": 1} if kernel == 3 else {"stride": 2}
        shape = (4, 3, 0, 1, 2) if dense == "conv3d" else (3, 4, 0, 1, 2)
        wanted = getattr(torch.nn.functional, dense)(volume, cube.permute(*shape), **given)
        found = oracle.convolve(maps, layer, x, weight)
        torch.testing.assert_close(found, wanted[0].permute(1, 2, 3, 0).reshape(-1, 7))


def test_the_oracle_keeps_the_rows_that_it_was_given() -> None:
    points = lidar.scan(5, _thin(lidar.HDL_64E), lidar.Scene(trees=20))
    coords, feats = lidar.batched([lidar.voxels(points, (0.8, 0.8, 0.8))])
    state = case.random_state(0.5, seed=1)
    logits = oracle.minkunet(state, 0.5, coords, feats, calibrate=True)
    shuffled = torch.randperm(len(coords), generator=torch.Generator().manual_seed(0))
    again = oracle.minkunet(state, 0.5, coords[shuffled], feats[shuffled])
    torch.testing.assert_close(again, logits[shuffled])
    assert oracle.distance(logits, logits)["relative"] == 0.0
    assert oracle.distance(torch.full_like(logits, float("nan")), logits)["relative"] == float("inf")
    with pytest.raises(ValueError, match="stand twice"):
        oracle.Maps(torch.cat([coords, coords[:1]]))


def test_coevo_on_the_cpu_agrees_with_the_oracle() -> None:
    modules = pytest.importorskip("coevo.kernels.sparse.modules")
    from coevo.kernels.sparse.tensors import SparseTensor

    points = lidar.scan(6, _thin(lidar.HDL_64E), lidar.Scene(trees=20))
    voxels = [lidar.voxels(lidar.turned(points, angle), (1.0, 1.0, 1.0)) for angle in (0.0, 40.0)]
    coords, feats = lidar.batched(voxels)
    state = case.random_state(0.5, seed=2)
    wanted = oracle.minkunet(state, 0.5, coords, feats, calibrate=True)
    net = modules.MinkUNet(case.CLASSES, case.INPUTS, 0.5)
    modules.load_torchsparse(net, state)
    net = net.double().eval()
    with torch.no_grad():
        x = SparseTensor.of(feats.double(), coords)
        found = x.with_feats(net(x)).in_given_order()
    assert oracle.distance(found, wanted)["relative"] < 1e-9


def test_generated_sweeps_are_like_a_real_one() -> None:
    found = []
    for seed in (0, 3):
        points = lidar.scan(seed, lidar.HDL_64E, lidar.varied(lidar.Scene(), seed))
        found.append(lidar.statistics(lidar.voxels(lidar.turned(points, 31.0))[0]))
    for one, other, voxels, pairs in zip(*found, REAL["voxels"], REAL["pairs"], strict=True):
        assert (one["voxels"] + other["voxels"]) / 2 == pytest.approx(voxels, rel=0.2)
        assert (one["mean_neighbours"] + other["mean_neighbours"]) / 2 == pytest.approx(pairs / voxels, rel=0.2)
    assert all(0.2 < levels[0]["alone"] < 0.4 for levels in found)


def test_scans_repeat_by_their_seed_and_differ_between_seeds() -> None:
    sensor = _thin(lidar.HDL_64E)
    assert torch.equal(lidar.scan(1, sensor), lidar.scan(1, sensor))
    assert not torch.equal(lidar.scan(1, sensor)[:100], lidar.scan(2, sensor)[:100])
    assert len(lidar.scan(1, sensor, sweeps=3)) > 2.5 * len(lidar.scan(1, sensor))


def test_voxels_hold_one_row_each_in_order() -> None:
    points = torch.tensor([[1.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.1], [1.01, 0.0, 0.0, 0.9]])
    coords, feats = lidar.voxels(points)
    assert coords.tolist() == [[0, 0, 0], [20, 0, 0]] and feats[:, 3].tolist() == pytest.approx([0.1, 0.5])
    both, rows = lidar.batched([(coords, feats), (coords, feats)])
    assert both[:, 0].tolist() == [0, 0, 1, 1] and rows.shape == (4, 4)


def test_a_broken_scan_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.bin").write_bytes(b"\0" * 20)
    with pytest.raises(ValueError, match="float32 x, y, z, remission"):
        lidar.read_scan(tmp_path / "bad.bin")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--parts", "speed"], "--parts takes some of"),
        (["--engines", "minkowski"], "--engines takes some of"),
        (["--widths", "wide"], "numbers with commas"),
        (["--scan", "nowhere.bin"], "there is no file"),
        (["--batches", "0"], "must be positive"),
    ],
)
def test_wrong_arguments_end_with_a_line_that_says_so(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        gpu_sparse.arguments_of(given)
    assert said in capsys.readouterr().err


def _measured(peak: float = 100.0) -> dict[str, Any]:
    row = {"median_ms": 1.4, "first_scan_ms": 1.4, "slowest_scan_ms": 1.6}
    within = {"scans": 20, "within_tolerance": 20, "worst_relative": 2e-3}
    memory = {"coevo": {"captured": {"peak_mib": peak}}, "spconv": {"as installed": {"peak_mib": 120.0}}}
    step = {"coevo": {"median_ms": 8.0, "memory": {"peak_mib": peak}}, "spconv": {"memory": {"peak_mib": 120.0}}}
    return {
        "inference": {f"width 1, batch {n}": {"coevo": {"captured": row, "uncaptured": row}} for n in (1, 4)},
        "training": {"width 1, batch 1": step, "width 1, batch 4": {**step, "voxels": [1]}},
        "stages": {"coevo": {"maps_captured_ms": 0.15}},
        "accuracy": {"coevo": {"captured": within, "uncaptured": within}},
        "memory": {"batch 1": {**memory, "voxels": 5}, "batch 4": memory},
        "reproducible": {"different_bytes": 0},
    }


def _asked(**changed: Any) -> Namespace:
    return Namespace(**{"scan": Path("x"), "scans": 20, "capacity": inputs.CAPACITY, **changed})


def test_bars_hold_on_what_they_are_defined_on() -> None:
    made = _sparse_bars.bars(_measured(), _asked())
    assert [entry["name"] for entry in made if not entry["holds"]] == []
    fat = {entry["name"] for entry in _sparse_bars.bars(_measured(130.0), _asked()) if not entry["holds"]}
    assert fat == {entry["name"] for entry in made if "peak memory" in entry["name"]} and len(fat) == 4
    json.dumps(made, allow_nan=False)


@pytest.mark.parametrize("changed", [{"scan": None}, {"scans": 4}, {"capacity": 40_000}])
def test_no_bar_is_met_on_less(changed: dict[str, Any]) -> None:
    assert not any(entry["holds"] for entry in _sparse_bars.bars(_measured(), _asked(**changed)))


def test_no_bar_is_met_by_what_was_not_measured() -> None:
    made = _sparse_bars.bars({}, _asked())
    assert len(made) == 13 and not any(entry["holds"] for entry in made)


def _thin(sensor: lidar.Sensor) -> lidar.Sensor:
    """The sensor with few steps a turn, for tests of what does not depend on them."""
    return lidar.Sensor(sensor.elevations_deg[::4], 240, sensor.height_m, sensor.nearest_m, sensor.farthest_m)
