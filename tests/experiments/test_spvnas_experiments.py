"""What the experiments on point clouds compute from what they measured."""

from __future__ import annotations

import sys
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
from coevo.spaces.spvnas.data.scan import Scan
from coevo.spaces.spvnas.design import Backbone, Bounds

FOLDER = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture(scope="module", autouse=True)
def _importable() -> Any:
    added = [str(FOLDER / "spvnas"), str(FOLDER / "bench")]
    sys.path[:0] = added
    yield
    for each in added:
        sys.path.remove(each)


def test_kendall_is_the_share_of_pairs_in_order_less_those_out_of_order() -> None:
    from _work import kendall

    for order in permutations(range(5)):
        pairs = [(i, j) for i in range(5) for j in range(i)]
        expected = sum(np.sign(order[i] - order[j]) for i, j in pairs) / len(pairs)
        assert kendall(range(5), order) == pytest.approx(expected)
    assert kendall([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / np.sqrt(2 * 3))  # tau-b: ties count on their side alone


def test_an_interval_of_tau_says_so_where_a_side_has_no_differences() -> None:
    from _work import tau_with_interval

    assert tau_with_interval([1, 1, 1, 1], [1, 2, 3, 4])["tau"] is None
    found = tau_with_interval(list(range(12)), list(range(12)))
    assert found["tau"] == found["low"] == found["high"] == 1.0
    noisy = tau_with_interval([0, 2, 1, 3, 5, 4, 6, 8, 7, 9], list(range(10)))
    assert noisy["low"] < noisy["tau"] < noisy["high"]


def test_designs_are_of_all_sizes_and_belong_to_the_space() -> None:
    from _work import spread_designs

    from coevo.spaces.spvnas.network.macs import parameters_of

    bounds = Bounds.scaled(1.0, "voxels", 16)
    designs = spread_designs(bounds, 12, 3)
    assert len(designs) == 12 and designs == spread_designs(bounds, 12, 3)
    sized = [parameters_of(each) for each in designs[6:]]
    assert max(sized) > 4 * min(sized)
    for design in designs:
        assert all(width in choices for width, choices in zip(design.widths, bounds.width_choices, strict=True))


def test_scans_are_made_once_and_read_back_alike(tmp_path: Path) -> None:
    from _work import Stored

    class Counted:
        source, made = "counted", 0

        def __len__(self) -> int:
            return 2

        def __getitem__(self, number: int) -> Scan:
            self.made += 1
            rng = np.random.default_rng(number)
            return Scan(
                rng.random((7, 4), dtype=np.float32), rng.integers(0, 19, 7), f"scan {number}",
                rng.random((2, 7), dtype=np.float32), ("Car", "Pedestrian"),
            )  # fmt: skip

    counted = Counted()
    first = Stored(counted, tmp_path)[1]
    again = Stored(counted, tmp_path)[1]
    assert counted.made == 1 and Stored(counted, tmp_path).source == "counted"
    for name in ("points", "labels", "boxes"):
        a, b = getattr(first, name), getattr(again, name)
        assert np.array_equal(a, b) and a.dtype == b.dtype
    assert (first.name, first.box_classes) == (again.name, again.box_classes)


def row(
    arm: str, ratio: float, miou: float, ms: float, gmacs: float = 10.0, target: float | None = None
) -> dict[str, Any]:
    return {
        "arm": arm, "ratio": ratio, "miou": miou, "small_miou": miou / 2, "p50_ms": ms, "gmacs": gmacs,
        "target_ms": target, "curve": {"finished": True},
    }  # fmt: skip


def test_claims_are_at_equal_latency_and_at_equal_miou() -> None:
    from searched import bars, claims

    rows = [
        row("minkunet", 0.5, 0.40, 1.0, 20.0), row("minkunet", 1.0, 0.50, 2.0, 80.0),
        row("spvcnn", 0.5, 0.42, 1.2), row("spvcnn", 1.0, 0.52, 2.4),
        row("latency", 0.5, 0.50, 1.2, 25.0, 1.2), row("latency", 1.0, 0.55, 2.4, 60.0, 2.4),
        row("macs", 0.5, 0.47, 1.2, 20.0, 1.2), row("macs", 1.0, 0.56, 2.4, 50.0, 2.4),
        row("random", 0.5, 0.49, 1.2, 30.0, 1.2),
    ]  # fmt: skip
    found = claims(rows)
    # nothing searched is as fast as MinkUNet at 0.5, so it has no partner there
    assert found["searched_minus_uniform_at_its_latency"] == {"minkunet": [0.0], "spvcnn": [8.0, 3.0]}
    assert found["at_equal_miou"]["minkunet"] == [{"latency": 0.833, "macs": 0.8}, {"latency": 1.667, "macs": 3.2}]
    assert found["latency_minus_macs"] == [3.0, -1.0] and found["latency_minus_random"] == [1.0]
    assert found["spvcnn_minus_minkunet"] == {"miou": [2.0, 2.0], "small_miou": [1.0, 1.0]}
    assert found["unfinished"] == 0
    one, three = bars([found]), bars([found] * 3)
    assert not any(each["holds"] for each in one), "one seed has no interval, so nothing is shown"
    assert {each["name"]: each["holds"] for each in three}["searched minus SPVCNN at its latency"]


def test_the_design_that_is_taken_is_the_best_that_the_clock_finds_as_fast() -> None:
    from searched import pick

    slow, fast = Backbone.uniform(1.0, "voxels"), Backbone.uniform(0.5, "voxels")
    clock = SimpleNamespace(measured=lambda design: {"p50_ms": 3.0 if design == slow else 1.0, "p95_ms": 9.0})
    pool = [
        {"design": slow.to_json(), "miou": 0.9, "latency_p50_ms": 1.0},  # the table says fast, the clock does not
        {"design": fast.to_json(), "miou": 0.5, "latency_p50_ms": 1.0},
    ]
    found = pick(pool, 1.5, clock)
    assert found is not None and found["design"] == fast.to_json() and found["inherited"] == 0.5
    assert pick(pool, 0.5, clock) is None
