"""Random search's band against all orders of small sets of outcomes, and which runs are taken as controls."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coevo import Pick, Space, Study
from coevo.errors import InputError
from coevo.report import write_report
from coevo.report.clock import read_log
from coevo.report.control import band_of_the_best, beside, control_of
from coevo.report.island import unpacked
from coevo.report.volume import Box, evenly_spread, growth, permuted_growth
from coevo.search.ranking import hypervolume
from coevo.search.run import Run
from coevo.search.store import Row


def build(pick: Pick) -> tuple[int, int]:
    return pick.integer("x", 0, 99), pick.integer("y", 0, 99)


def judge(value: tuple[int, int]) -> dict[str, float]:
    return {"a": float(value[0]), "b": float(value[0] + value[1])}


def run_of(folder: Path, algorithm: str = "nsga2", trials: int = 80, judged: Any = judge, **more: Any) -> Run:
    goals = more.pop("objectives", {"a": "max", "b": "min"})
    with Study(
        Space("control/v1", build),
        judged,
        objectives=goals,
        algorithm=algorithm,
        runner="inline",
        folder=folder,
        **more,
    ) as study:
        study.run(trials=trials)
    return Run.open(folder)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("failed", [0, 1])
def test_the_band_is_that_of_all_orders(largest: bool, failed: int) -> None:
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0]
    total = len(values) + failed
    best = max if largest else min
    ends = [2, 3, total]
    band = band_of_the_best(values, total, ends, largest)
    for place, n in enumerate(ends):
        padded = [*values, *[None] * failed]
        drawn = [[v for v in order if v is not None] for order in itertools.combinations(padded, n)]
        all_orders = np.sort([best(own) for own in drawn if own])
        assert band["mean"][place] == pytest.approx(all_orders.mean())
        assert band["low"][place] == pytest.approx(np.quantile(all_orders, 0.025, method="inverted_cdf"))
        assert band["high"][place] == pytest.approx(np.quantile(all_orders, 0.975, method="inverted_cdf"))


def test_where_most_orders_hold_nothing_feasible_yet_there_is_no_band() -> None:
    band = band_of_the_best([1.0, 2.0], 100, [1, 50, 100], True)
    assert band["mean"][0] is None and band["low"][1] is None and band["mean"][2] == 2.0
    assert band_of_the_best([], 10, [1, 10], True)["mean"] == [None, None]


@pytest.mark.parametrize("objectives", [2, 3])
def test_permuted_curves_rise_to_the_whole_and_their_mean_is_the_expectation(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    points = rng.random((40, objectives)) * 1.2
    total, ends = 50, [1, 5, 20, 50]
    curves = permuted_growth(points, total, ends)
    assert (np.diff(curves, axis=1) >= 0).all()
    whole = hypervolume(points, [1.0] * objectives)
    assert curves[:, -1] == pytest.approx(whole, abs=1e-9 if objectives == 2 else 0.005)
    # The expectation over orders, spot by spot: 1 - C(total - d, n) / C(total, n), where d points are below.
    spots = evenly_spread(4000, objectives)
    below = (points[:, None, :] <= spots[None, :, :]).all(axis=2).sum(axis=0)
    for place, n in enumerate(ends[:-1]):
        miss = np.ones(len(spots))
        for taken in range(n):
            miss *= np.maximum(total - below - taken, 0) / (total - taken)
        spread = curves[:, place].std() / np.sqrt(len(curves))
        assert abs(curves[:, place].mean() - (1 - miss).mean()) < 4 * spread + 0.005


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_growth_against_the_exact_hypervolume(objectives: int) -> None:
    points = np.random.default_rng(1).random((60, objectives)) * 1.1
    ends = [1, 7, 30, 60]
    exact = [hypervolume(points[:end], [1.0] * objectives) for end in ends]
    assert growth(points, ends) == pytest.approx(exact, abs=1e-12 if objectives == 2 else 0.01)


def test_evenly_spread_points_fill_the_box() -> None:
    points = evenly_spread(4096, 3)
    assert points.min() >= 0 and points.max() < 1
    counts = np.histogramdd(points, bins=4, range=[(0, 1)] * 3)[0]
    assert counts.min() > 48 and counts.max() < 80  # 64 each; drawn at random they would run from 40 to 90


def test_the_box_of_a_single_point_has_a_volume() -> None:
    box = Box.around(np.array([[1.0, 2.0], [1.0, 2.0]]))
    assert (box.reference > box.best).all() and growth(box.scaled(np.array([[1.0, 2.0]])), [1])[0] > 0


def test_controls_beside_the_run_are_found_and_only_those(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    run_of(tmp_path / "random-1", "random", seed=1)
    run_of(tmp_path / "random-2", "random", trials=120, seed=2)
    run_of(tmp_path / "other-goal", "random", objectives={"a": "min", "b": "min"})
    run_of(tmp_path / "constrained", "random", constraints={"b": "<= 90"})
    run_of(tmp_path / "same-algorithm", seed=3)
    (tmp_path / "a-file").write_text("nothing")
    (tmp_path / "broken").mkdir()
    for name in ("run.toml", "study.sqlite"):
        (tmp_path / "broken" / name).write_text("= not toml")
    assert [control.path.name for control in beside(run)] == ["random-1", "random-2"]
    control = control_of(run)
    assert control is not None and len(control.trials) == 200 and control.longest == 120 and control.pace_s > 0
    data = unpacked(write_report(run).read_text().split('id="data">')[1].split("</script>")[0])
    for series in data["history"]:
        assert series["band"]["designs"][-1] == 120 and series["band"]["sure"] == 100
        assert series["verdict"].startswith("After 80 designs: ")


def test_a_given_control_is_checked(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a" / "run")
    control = run_of(tmp_path / "b" / "random", "random")
    found = control_of(run, [control.path])
    assert found is not None and found.folders == (str(control.path),)
    assert control_of(run) is None
    with pytest.raises(InputError, match=r"no control of .*its algorithm is 'nsga2'"):
        control_of(run, [run.path])
    other = run_of(tmp_path / "b" / "other", "random", objectives={"a": "max"})
    with pytest.raises(InputError, match=r"its objectives are \{a = 'max'\} instead of \{a = 'max', b = 'min'\}"):
        write_report(run, control=[other.path])
    assert not (run.path / "report").exists()


def test_designs_that_somebody_chose_are_no_random_trials(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    with Study(
        Space("control/v1", build),
        judge,
        objectives={"a": "max", "b": "min"},
        algorithm="random",
        runner="inline",
        folder=tmp_path / "random",
    ) as study:
        study.enqueue({"x": 99, "y": 0})
        study.run(trials=30)
    control = control_of(run)
    assert control is not None and len(control.trials) == 29


def test_a_random_run_lies_within_the_band_of_other_random_runs() -> None:
    """Of 40 runs at one number of trials 38 are expected inside a 95 % band; fewer than 32 hardly ever."""
    rng = np.random.default_rng(5)
    outcomes = rng.normal(size=(40, 50))
    inside = 0
    for own in range(40):
        others = np.delete(outcomes, own, axis=0).ravel()
        band = band_of_the_best(others, len(others), [50], True)
        inside += band["low"][0] <= outcomes[own].max() <= band["high"][0]
    assert inside >= 32


def test_without_a_control_the_page_gives_the_command_that_makes_one(tmp_path: Path) -> None:
    from coevo.config import parse

    run = run_of(tmp_path / "my run", settings={"search": {"trials": 80}})
    page = write_report(run).read_text()
    assert "No random search of the same problem is known" in page
    import html

    text = html.unescape(page)
    assert f"--out '{tmp_path / 'my run-random'}'" in text
    toml = text.split("<<'END-OF-EXPERIMENT'\n")[1].split("\nEND-OF-EXPERIMENT")[0]
    experiment = parse(toml, "control.toml")
    assert experiment.search.algorithm == "random" and experiment.search.trials == 80
    assert experiment.search.algorithm_options == {}  # random search takes none of the other's options


def test_pauses_between_sessions_do_not_count() -> None:
    def row(kind: str, trial: int | None, at: float) -> Row:
        return Row(0, kind, trial, at, None, '{"reason": "trials"}')

    rows = [row("started", None, 100), row("told", 0, 102), row("asked", 1, 105), row("started", None, 900)]
    rows += [row("told", 1, 903), row("finished", None, 904)]
    log = read_log(rows)
    assert log.told_s == {0: 2.0, 1: 8.0} and log.seconds == 9.0 and log.finished == "trials"
