"""The problem `spvnas`: its options, what it refuses, and a whole run from scans to an exported network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

import coevo
from coevo.cli.app import app
from coevo.cost_models.point_cloud_latency import read_table
from coevo.cost_models.point_cloud_latency.unet import layers_of_unet
from coevo.errors import InputError
from coevo.search.canonical import stream
from coevo.search.design import Design
from coevo.search.run import Run
from coevo.search.verify import verify_export
from coevo.spaces.spvnas import Options, problem
from coevo.spaces.spvnas.data.semantickitti import write_frame
from coevo.spaces.spvnas.judging.stages import METRICS
from coevo.spaces.spvnas.network.files import design_of
from coevo.spaces.spvnas.network.macs import MEAN_FRAME, total_macs
from coevo.spaces.spvnas.preparing import measure, table_of
from coevo.spaces.spvnas.setting import Setting
from coevo.testing import check_space
from tests.spaces.spvnas.scans import Slopes

PIPELINE = Path(__file__).parents[3] / "experiments" / "spvnas" / "pipeline.toml"
SCENES = {"train_scenes": 4, "validation_scenes": 2, "rings_apart": 8, "azimuth_steps": 128}
SMALL = {"width": 0.125, "quantum": 4, "voxel_m": 0.3, "device": "cpu"}
QUICK = {"table_networks": 4, "table_coarse": True, "timings": 1, "latency_scans": 1, "part_scans": 1,
         "calibration_scans": 1}  # fmt: skip
BRIEF = {"steps": 4, "fine_tune_steps": 1, "between": 0, "threads": 0, "checkpoint_every": 2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """SemanticKITTI's layout with scans of a few metres: 8 that train, 2 that validate."""
    root = tmp_path_factory.mktemp("dataset")
    for sequence, count, seed in (("00", 8, 0), ("08", 2, 5)):
        for frame, scan in enumerate(Slopes(count, 120, seed)[number] for number in range(count)):
            write_frame(root, sequence, frame, scan)
    (root / "source.json").write_text(json.dumps({"source": "slopes made for tests"}))
    return root


def options(dataset: Path, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        **SMALL, **QUICK, "data": {"folder": str(dataset), "search_share": 0.25}, "training": BRIEF
    }  # fmt: skip
    return given | changes


@pytest.fixture(scope="module")
def table_path(dataset, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.json"
    told = measure(Setting.make(Options(**options(dataset))), path, lambda *_: None)
    assert told["table"] == str(path) and told["entries"] > 50 and told["smallest_p50_ms"] > 0
    assert "slopes made for tests" in told["scans"]
    return path


def test_the_space_keeps_the_rules() -> None:
    check_space(problem(**SMALL).space, samples=20)


def test_budgets_hold_and_are_refused_below_the_smallest(dataset, table_path) -> None:
    setting = Setting.make(Options(**SMALL))
    least = total_macs(setting.bounds.smallest) / 1e9
    most = total_macs(setting.bounds.largest) / 1e9
    budget = least + 0.3 * (most - least)
    space = problem(**SMALL, most_gmacs=budget).space
    for number in range(10):
        assert total_macs(space.build(space.sample(stream(0, number))), MEAN_FRAME) / 1e9 <= budget
    with pytest.raises(InputError, match="below the smallest network"):
        problem(**SMALL, most_gmacs=0.9 * least)
    table = read_table(table_path)
    smallest = table.predict(layers_of_unet(setting.bounds.smallest)).p95_ms
    with pytest.raises(InputError, match="below the smallest network"):
        problem(**SMALL, latency_table=str(table_path), most_latency_ms=0.5 * smallest)
    with pytest.raises(ValidationError, match="needs latency_table"):
        problem(**SMALL, most_latency_ms=1.0)


def test_tables_that_do_not_fit_are_refused(dataset, table_path, tmp_path) -> None:
    document = json.loads(table_path.read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document | {"device": document["device"] | {"device": "another chip"}}))
    setting = Setting.make(Options(**options(dataset, latency_table=str(other))))
    with pytest.raises(InputError, match=r"another device.*another chip.*coevo measure"):
        table_of(setting, lambda *_: None)
    with pytest.raises(InputError, match="points 'voxels', the options say 'none'"):
        Setting.make(Options(**options(dataset, latency_table=str(table_path), points="none")))
    wider = Setting.make(Options(**options(dataset, latency_table=str(table_path), width=0.5)))
    with pytest.raises(InputError, match="outside the latency table"):
        table_of(wider, lambda *_: None)
    with pytest.raises(InputError, match="no latency table at"):
        Setting.make(Options(**options(dataset, latency_table=str(tmp_path / "none.json"))))


def test_options_that_do_not_fit_are_refused() -> None:
    for wrong in ({"ladder": ("whole", "part")}, {"shares": (0.5,)}, {"shares": (0.5, 2.0, 1.0)}, {"device": "tpu"},
                  {"data": {"search_share": 1.0}}, {"nothing": 1}):  # fmt: skip
        with pytest.raises(ValidationError):
            problem(**{**SMALL, **wrong})


def test_scans_that_judge_do_not_train(dataset) -> None:
    splits = Setting.make(Options(**options(dataset))).splits
    names = [[each[number].name for number in range(len(each))] for each in (splits.train, splits.search)]
    assert len(names[0]) == 6 and len(names[1]) == 2 and not set(names[0]) & set(names[1])
    assert len(splits.validation) == 2
    data = {"folder": str(dataset), "protocol": "validation"}
    same = Setting.make(Options(**options(dataset, data=data))).splits
    assert same.search is same.validation and len(same.train) == 8


def test_the_whole_pipeline_by_one_file(dataset, table_path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        **SMALL, **QUICK, **{f"data.{key}": value for key, value in SCENES.items()},
        **{f"training.{key}": value for key, value in BRIEF.items()},
        "data.search_share": 0.25, "shares": [1.0, 0.7, 0.7],
    }  # fmt: skip
    sets = {"problem": "coevo.spaces.spvnas:problem", "search.population": 4, "search.trials": 5}
    sets |= {f"options.{key}": value for key, value in given.items()}
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    done = CliRunner().invoke(app, ["run", str(PIPELINE), "--out", "run", "--json", *words])
    assert done.exit_code == 0, done.output
    run = Run.open("run")
    assert set(run.prepared["artifacts"]) == {"supernet", "latency_table"}
    reached = {trial.stage for trial in run.trials() if trial.outcome.ok}
    assert "whole" in reached, reached
    best = next(trial for trial in run.trials() if trial.stage == "whole")
    assert set(best.outcome.metrics) == set(METRICS) and 0 <= best.outcome.metrics["miou"] <= 1
    out = next(Path("run").glob("export*"))
    assert {each.name for each in out.iterdir()} >= {"weights.safetensors", "backbone.json", "card.json", "drawing.svg"}
    assert verify_export(out).ok
    net = coevo.load(out)
    design = problem(**SMALL).space.build(Design.from_json(json.loads((out / "design.json").read_text())))
    assert design_of(net) == design
    card = json.loads((out / "card.json").read_text())
    assert card["protocol"] == "held-out" and card["validation_scans"] == 2 and card["data"]
    card["mparams"] += 1
    (out / "card.json").write_text(json.dumps(card))
    assert any("another number of parameters" in each for each in problem(**SMALL).verify(out))


def test_a_table_spans_every_design_of_its_space(dataset, table_path) -> None:
    table, setting = read_table(table_path), Setting.make(Options(**options(dataset)))
    space = setting.space
    for number in range(30):
        predicted = table.predict(layers_of_unet(space.build(space.sample(stream(1, number)))))
        assert 0 < predicted.p50_ms <= predicted.p95_ms
