"""The problem `sana`: its options, what it refuses, and a whole run from scenes to an exported transformer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from typer.testing import CliRunner

import coevo
from coevo.cli.app import app
from coevo.cost_models.diffusion_latency import read_table
from coevo.errors import ConfigError, InputError, UnknownName
from coevo.search.canonical import stream
from coevo.search.design import Design
from coevo.search.run import Run
from coevo.search.verify import verify_export
from coevo.spaces.sana import Options, problem
from coevo.spaces.sana.data.drawn import CATEGORIES
from coevo.spaces.sana.judging.material import Scenes, prompt_suites
from coevo.spaces.sana.judging.opening import new_net
from coevo.spaces.sana.judging.weights import load_weights, save_weights
from coevo.spaces.sana.preparing import measure, table_of
from coevo.spaces.sana.setting import Setting

PIPELINE = Path(__file__).parents[3] / "experiments" / "sana" / "pipeline.toml"
SMALL: dict[str, Any] = {
    "model": {"width": 32, "depth": 4, "patch_size": 8, "cross_heads": 1, "caption_channels": 16, "encoder_layers": 1},
    "data": {"train_scenes": 32, "search_scenes": 6, "validation_scenes": 6},
    "training": {"source_depth": 2, "source_steps": 3, "steps": 4, "batch": 4, "recovery_steps": 1,
                 "fine_tune_steps": 1, "checkpoint_every": 2, "between": 1},
    "judging": {"prompts_per_category": 1, "rounds": 1, "export_rounds": 1, "loss_draws": 1, "verifier_steps": 1,
                "verifier_width": 16, "verifier_batch": 4},
    "steps": (2, 3), "guidance": (1.0, 2.0), "samples": (1, 2), "least_depth": 1, "most_runs": 2,
    "table_networks": 4, "timings": 1, "device": "cpu",
}  # fmt: skip


def changed(**changes: Any) -> dict[str, Any]:
    return {**SMALL, **{key: {**SMALL[key], **value} if isinstance(value, dict) else value
                        for key, value in changes.items()}}  # fmt: skip


@pytest.fixture(scope="module")
def table_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.json"
    told = measure(Setting.make(Options(**SMALL)), path, lambda *_: None)
    assert told["table"] == str(path) and told["smallest_ms"] > 0 and told["tokens"] == 36
    return path


def test_what_does_not_come_out_even_is_refused_before_anything_is_made() -> None:
    for wrong, said in (
        ({"data": {"size_px": 50}}, r"50 pixels are no whole number of tokens.*48 or 56"),
        ({"least_depth": 5}, r"least_depth = 5, but the source has 4 blocks"),
        ({"training": {"source_depth": 5}}, "of 5 blocks does not grow to one of 4"),
        ({"training": {"drop_last": 2}}, "one at least stays"),
        ({"model": {"width": 40}}, "40 is no whole number of heads"),
        ({"steps": (8, 4)}, "ascending order"),
        ({"latency_table": "/nowhere/table.json"}, "no latency table at"),
        ({"data": {"autoencoder": "/nowhere"}}, "nowhere"),
    ):
        with pytest.raises(InputError, match=said):
            problem(**changed(**wrong))
    for wrong in ({"ladder": ("sampled", "costs")}, {"shares": (0.5,)}, {"device": "tpu"}, {"nothing": 1},
                  {"attention": ("cubic",)}, {"most_latency_ms": 1.0}, {"data": {"size_px": 32}}):  # fmt: skip
        with pytest.raises(ValidationError):
            problem(**changed(**wrong))


def test_tables_that_do_not_fit_are_refused(table_path, tmp_path) -> None:
    fits = Setting.make(Options(**changed(latency_table=str(table_path))))
    assert table_of(fits, lambda *_: None).to_json() == read_table(table_path).to_json()
    with pytest.raises(InputError, match=r"width 32 there, 64 here.*coevo measure"):
        Setting.make(Options(**changed(latency_table=str(table_path), model={"width": 64, "cross_heads": 2})))
    other = tmp_path / "other.json"
    document = json.loads(table_path.read_text())
    other.write_text(json.dumps(document | {"device": document["device"] | {"device": "another chip"}}))
    with pytest.raises(InputError, match="another chip"):
        table_of(Setting.make(Options(**changed(latency_table=str(other)))), lambda *_: None)
    with pytest.raises(InputError, match="no times of 'mix_ffn/1'"):
        Setting.make(Options(**changed(latency_table=str(table_path), ffn_ratios=(1.0, 2.5))))
    middle = Setting.make(Options(**changed(latency_table=str(table_path), ffn_ratios=(1.25, 2.0, 2.5))))
    with pytest.raises(InputError, match="no times of 'mix_ffn/2'"):
        table_of(middle, lambda *_: None)
    with pytest.raises(InputError, match="below the smallest design"):
        Setting.make(Options(**changed(latency_table=str(table_path), most_latency_ms=1e-6)))


def test_a_budget_holds(table_path) -> None:
    from coevo.spaces.sana.judging.workload import workload_of

    free = Setting.make(Options(**SMALL))
    table = read_table(table_path)
    ends = [
        table.predict(workload_of(each, free.source)).total_ms for each in (free.bounds.smallest, free.bounds.largest)
    ]
    most = ends[0] + 0.4 * (ends[1] - ends[0])
    space = problem(**changed(latency_table=str(table_path), most_latency_ms=most)).space
    for number in range(10):
        design = space.build(space.sample(stream(0, number)))
        assert table.predict(workload_of(design, free.source)).total_ms <= most


def test_what_judges_the_search_says_nothing_of_the_export() -> None:
    suites = prompt_suites(3, seed=1)
    assert not set(suites.search) & set(suites.validation)
    for part in (suites.search, suites.validation):
        assert {category: sum(each.category == category for each in part) for category in CATEGORIES} == dict.fromkeys(
            CATEGORIES, 3
        )
    with pytest.raises(ConfigError, match="expected 1 to 3"):
        prompt_suites(4, seed=0)
    setting = Setting.make(Options(**SMALL))
    parts = [setting.scenes(part) for part in ("train", "search", "validation")]
    places = [{round(float(x), 6) for x in each.scenes.x.flatten() if x > 0} for each in parts]
    assert all(places) and not places[0] & places[1] and not places[1] & places[2] and not places[0] & places[2]
    again = setting.scenes("search")
    assert torch.equal(again.latents(torch.arange(6)), parts[1].latents(torch.arange(6)))
    with pytest.raises(ConfigError, match="at least one"):
        Scenes(0, "train", seed=0, size_px=48, codec=setting.codec, device=torch.device("cpu"))


def test_weights_of_another_width_are_refused(tmp_path) -> None:
    save_weights(new_net(Setting.make(Options(**SMALL)), 0), tmp_path / "weights.safetensors")
    other = new_net(Setting.make(Options(**changed(model={"width": 64, "cross_heads": 2}))), 0)
    before = {name: each.clone() for name, each in other.state_dict().items()}
    with pytest.raises(InputError, match="does not fit the network"):
        load_weights(other, tmp_path / "weights.safetensors")
    assert all(torch.equal(each, before[name]) for name, each in other.state_dict().items())


def test_the_whole_pipeline_by_one_file(table_path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COEVO_CACHE", str(tmp_path))
    sets: dict[str, Any] = {"problem": "coevo.spaces.sana:problem", "search.population": 4, "search.trials": 6,
                            "options.shares": [1.0, 0.7, 0.7], "options.latency_table": str(table_path)}  # fmt: skip
    for key, value in SMALL.items():
        sets |= {f"options.{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {
            f"options.{key}": list(value) if isinstance(value, tuple) else value
        }  # fmt: skip
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    done = CliRunner().invoke(app, ["run", str(PIPELINE), "--out", "run", "--json", *words])
    assert done.exit_code == 0, done.output
    run = Run.open("run")
    assert set(run.prepared["artifacts"]) == {
        "supernet", "verifier", "latency_table", "responses", "growth", "pruning",
    }  # fmt: skip
    by_stage = {trial.stage: trial for trial in run.trials() if trial.outcome.ok}
    assert "sampled" in by_stage, by_stage
    metrics = by_stage["sampled"].outcome.metrics
    assert 0 <= metrics["quality"] <= 1 and metrics["flow_loss"] > 0 and metrics["latency_ms"] > 0
    out = next(Path("run").glob("export*"))
    names = {each.name for each in out.iterdir()}
    assert names >= {"sana.json", "transformer", "text", "evaluation.json", "drawing.svg", "samples.png", "design.json"}
    assert verify_export(out).ok
    page = (Path("run") / "report" / "index.html").read_text(encoding="utf-8")
    for picture in ("samples", "growth", "pruning"):
        assert f'alt="{picture}" src="data:image/png;base64,' in page
    assert "drawing of design" in page and "data:image/svg+xml;base64," in page
    made = problem(**SMALL)
    sampler = coevo.load(out)
    design = made.space.build(Design.from_json(json.loads((out / "design.json").read_text())))
    assert sampler.transformer.config.depth == design.depth and sampler.sampling.steps == design.steps
    images = sampler.draw(["a red circle"], seed=0)
    assert images.shape == (1, 3, 48, 48) and bool(torch.isfinite(images).all())
    with pytest.raises((InputError, UnknownName), match="mauve"):
        sampler.draw(["a mauve circle"])
    assert "procedural scenes made by coevo" in sampler.card["data"]
    told = json.loads((out / "evaluation.json").read_text())
    (out / "evaluation.json").write_text(json.dumps(told | {"flow_loss": 2 * told["flow_loss"]}))
    assert made.verify is not None and any("flow loss is" in each for each in made.verify(out))
