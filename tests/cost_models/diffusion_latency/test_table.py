"""Predictions against a machine of known costs, and files that are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coevo.cost_models.diffusion_latency import (
    Calibration,
    LatencyTable,
    Network,
    Times,
    Workload,
    calibrate,
    default_path,
    read_table,
    write_table,
)
from coevo.cost_models.fitting import non_negative_least_squares
from coevo.errors import InputError

IMAGES = (1, 2, 4, 8, 16)
COST = {"embed": (0.1, 0.01), "attention/linear": (0.02, 0.03), "attention/softmax": (0.02, 0.09), "head": (0.1, 0.02),
        "text": (0.3, 0.0), "solver": (0.01, 0.002), "decode": (0.2, 0.1), "verify": (0.5, 0.4)}  # fmt: skip


def table() -> LatencyTable:
    times = {name: Times(IMAGES, tuple(a + b * each for each in IMAGES)) for name, (a, b) in COST.items()}
    return LatencyTable({"device": "known"}, "float32", {"width": 64, "tokens": 36}, times)


def network(linear: int, softmax: int) -> Network:
    counts = {"embed": 1, "attention/linear": linear, "attention/softmax": softmax, "head": 1}
    return Network(counts, linear + softmax)


def test_a_prediction_is_the_sum_of_its_parts() -> None:
    of = table()
    alone = 0.11 + 3 * 0.05 + 0.11 + 0.12
    assert of.evaluation_ms(network(3, 1), 1) == pytest.approx(alone)
    found = of.predict(Workload(network(3, 1), passes=1, steps=5, samples=1))
    assert found.denoising_ms == pytest.approx(0.3 + 5 * (alone + 0.012)) and found.verifying_ms == 0
    assert found.total_ms == pytest.approx(found.denoising_ms + 0.3)
    several = of.predict(Workload(network(3, 1), passes=8, steps=5, samples=4))
    assert several.evaluation_ms == pytest.approx(0.1 + 0.08 + 3 * (0.02 + 0.24) + 0.1 + 0.16 + 0.02 + 0.72)
    assert several.verifying_ms == pytest.approx(0.5 + 1.6) and several.decoding_ms == pytest.approx(0.6)
    assert of.evaluation_ms(network(1, 0), 3) == pytest.approx(0.13 + 0.11 + 0.16), "between measured numbers of images"


def test_calibration_finds_what_whole_networks_cost_beside_their_operations() -> None:
    rng = np.random.default_rng(0)
    of = table()
    networks = [network(int(a), int(b)) for a, b in rng.integers(0, 6, (12, 2))]
    images = [int(each) for each in rng.choice(IMAGES, 12)]
    truth = [0.8 * of.of_operations(n, b) + 0.05 * n.blocks + 0.2 for n, b in zip(networks, images, strict=True)]
    fitted = calibrate(of, networks, images, truth).calibration
    assert (fitted.scale, fitted.block_ms, fitted.rest_ms) == pytest.approx((0.8, 0.05, 0.2))
    assert fitted.networks == 12 and fitted.error < 1e-9
    cheaper = [0.8 * of.of_operations(n, b) for n, b in zip(networks, images, strict=True)]
    assert calibrate(of, networks, images, cheaper).calibration.block_ms == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="at least 4 networks"):
        calibrate(of, networks[:3], images[:3], truth[:3])
    with pytest.raises(InputError, match="positive times"):
        calibrate(of, networks, images, [0.0, *truth[1:]])


def test_coefficients_are_never_negative() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        matrix, target = rng.normal(size=(10, 3)), rng.normal(size=10)
        found = non_negative_least_squares(matrix, target)
        error = ((matrix @ found - target) ** 2).sum()
        assert (found >= 0).all()
        for other in rng.random((50, 3)) * 2:
            assert error <= ((matrix @ other - target) ** 2).sum() + 1e-12
    with pytest.raises(ValueError, match="at most"):
        non_negative_least_squares(np.ones((3, 9)), np.ones(3))


def test_what_was_not_measured_is_refused() -> None:
    of = table()
    with pytest.raises(InputError, match=r"no times of 'attention/cubic'.*coevo measure"):
        of.predict(Workload(Network({"attention/cubic": 1}, 1), 1, 1, 1))
    with pytest.raises(InputError, match=r"32 images, measured were 1 to 16"):
        of.predict(Workload(network(1, 0), 32, 1, 16))
    with pytest.raises(InputError, match="missing"):
        LatencyTable({}, "float32", {}, {"text": Times((1,), (1.0,))})
    for wrong in (((), ()), ((1, 2), (1.0,)), ((2, 1), (1.0, 1.0)), ((1,), (-1.0,)), ((1,), (float("nan"),))):
        with pytest.raises(InputError, match="times of an operation"):
            Times(*wrong)
    with pytest.raises(InputError, match=r"device 'known' there, 'other' here.*coevo measure"):
        of.check_device({"device": "other"})
    with pytest.raises(InputError, match=r"tokens 36 there, 64 here"):
        of.check_shape({"width": 64, "tokens": 64}, "float32")
    of.check_device({"device": "known"})
    of.check_shape({"width": 64, "tokens": 36}, "float32")


def test_files(tmp_path, monkeypatch) -> None:
    of = calibrate(table(), [network(i, 1) for i in range(5)], [1] * 5, [1.0, 2.0, 3.0, 4.0, 5.0])
    path = tmp_path / "deep" / "table.json"
    write_table(of, path)
    again = read_table(path)
    assert again.to_json() == of.to_json() and isinstance(again.calibration, Calibration)
    assert [each.name for each in path.parent.iterdir()] == ["table.json"]
    with pytest.raises(InputError, match="no latency table at"):
        read_table(tmp_path / "none.json")
    document = json.loads(path.read_text())
    for change, said in (({"version": 9}, "of version 1"), ({"operations": {"text": {}}}, "damaged"),
                         ({"operations": []}, "damaged"), ({"kind": "other"}, "expected a diffusion")):  # fmt: skip
        path.write_text(json.dumps(document | change))
        with pytest.raises(InputError, match=said):
            read_table(path)
    path.write_text("{")
    with pytest.raises(InputError, match="no latency table"):
        read_table(path)
    monkeypatch.setenv("COEVO_CACHE", str(tmp_path))
    one, other = (default_path({"device": "a"}, {"width": width}, "float32") for width in (32, 64))
    assert one != other and one.parent == tmp_path / "latency"
