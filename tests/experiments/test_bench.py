"""What the benchmarks share is right: intervals, bars, the stand-in space. What they measure is not tested."""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "experiments" / "bench"
sys.path.insert(0, str(BENCH))

import _bench  # noqa: E402
import _nas_space  # noqa: E402
import quality  # noqa: E402

from coevo.search import Space  # noqa: E402


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(1, 12.7062), (2, 4.30265), (9, 2.26216), (19, 2.09302), (60, 2.00030)]
)
def test_the_t_interval_agrees_with_the_tables(degrees: int, quantile: float) -> None:
    rng = random.Random(degrees)
    values = [rng.gauss(3.0, 2.0) for _ in range(degrees + 1)]
    mean, low, high = _bench.t_interval(values)
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    assert (mean, high - mean, mean - low) == pytest.approx((statistics.fmean(values), half, half), rel=1e-5)


def test_one_value_has_no_interval() -> None:
    assert _bench.t_interval([1.0]) == (1.0, -math.inf, math.inf)
    assert not _bench.above_zero("x", [1.0], "")["holds"]


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_bar_without_a_value_never_holds(value: float | None) -> None:
    assert not _bench.bar("x", value, "ms", "<= 1", True)["holds"]
    assert not _bench.at_most("x", value, "ms", 1.0)["holds"]


def test_bars_hold_at_their_limit_and_not_beyond() -> None:
    assert _bench.at_most("x", 1.0, "ms", 1.0)["holds"] and not _bench.at_most("x", 1.01, "ms", 1.0)["holds"]
    assert _bench.at_least("x", 1.0, "", 1.0)["holds"] and not _bench.at_least("x", 0.99, "", 1.0)["holds"]
    assert not _bench.not_met(_bench.at_most("x", 1.0, "ms", 1.0), "fewer seeds")["holds"]


def test_the_fingerprint_names_no_host_and_no_folder() -> None:
    import getpass
    import socket

    text = json.dumps(_bench.device(("numpy",)))
    assert str(Path.home()) not in text and str(BENCH.parent) not in text
    assert socket.gethostname() not in text and f'"{getpass.getuser()}"' not in text


def test_the_document_is_the_last_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = _bench.Result("some", bars=[_bench.at_most("x", 1.0, "ms", 2.0)])
    out = tmp_path / "new" / "some.json"
    assert result.finish(_bench.parser("some").parse_args(["--json", "--out", str(out)])) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document == json.loads(out.read_text(encoding="utf-8"))
    assert document["all_hold"] and set(document["bars"][0]) == {"name", "value", "unit", "target", "holds", "note"}


def test_the_stand_in_space_is_sound() -> None:
    from coevo.testing import check_space

    check_space(Space("bench/nas/v1", _nas_space.build))


def test_the_stand_in_judges_alike_and_within_reason() -> None:
    from coevo.search.canonical import stream

    space = Space("bench/nas/v1", _nas_space.build)
    for seed in range(300):
        value = space.build(space.sample(stream(seed)))
        found = _nas_space.judge(value)
        assert found == _nas_space.judge(value)
        assert 0.0 < found["accuracy"] < 100.0 and found["latency_ms"] > 0.0 and found["energy_mj"] > 0.0
        assert found["reward"] <= found["accuracy"]


@pytest.mark.parametrize(("name", "volume"), [("zdt1", 0.8767), ("zdt2", 0.5433), ("zdt3", 1.3291)])
def test_the_textbook_problems_have_their_known_fronts(name: str, volume: float) -> None:
    """Points with x2..xn = 0 lie on the front; its hypervolume under (1.1, 1.1) is known."""
    pytest.importorskip("pymoo")
    problem = quality.TEXTBOOK[name]
    points = [problem.costs([i / 1000] + [0.0] * (problem.variables - 1)) for i in range(1001)]
    assert quality.hypervolume(points, problem.reference) == pytest.approx(volume, abs=2e-3)


def test_dtlz2_lies_on_the_sphere() -> None:
    problem = quality.TEXTBOOK["dtlz2"]
    costs = problem.costs([0.3, 0.8] + [0.5] * (problem.variables - 2))
    assert sum(cost**2 for cost in costs) == pytest.approx(1.0)
