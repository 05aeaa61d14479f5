import json

import pytest
from pydantic import ValidationError

from coevo.errors import InputError
from coevo.search.canonical import stream
from coevo.search.evaluator import Context
from coevo.search.study import Study
from coevo.spaces.naas import Options, problem
from coevo.spaces.naas.definition import problem_of
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.judging import BoundJudge, ChipJudge
from coevo.spaces.naas.network import Scale, family
from coevo.spaces.naas.setting import Setting
from coevo.testing import check_evaluator, check_space

FAST = {"mapping_evaluations": 60, "networks": ("squeezenet1_1",), "input_size": 64}


@pytest.fixture(scope="module")
def setting():
    return Setting.make(Options(**FAST))


def design_of(setting: Setting, seed: int) -> CoDesign:
    space = problem_of(setting).space
    return space.build(space.sample(stream("design", seed)))


@pytest.mark.parametrize("encoding", ["importance", "index", "order"])
def test_the_space_keeps_the_rules(encoding):
    check_space(problem(**FAST, encoding=encoding).space)


def test_the_judge_keeps_the_rules(setting):
    check_evaluator(ChipJudge(setting), problem_of(setting).space)


def test_costs_add_up_over_layers_and_repeats(setting):
    design = design_of(setting, 0)
    judge = ChipJudge(setting)
    context = Context(seed=5, label=judge.label)
    outcome = judge.judge(design, context)
    runs = setting.runs(design)["squeezenet1_1"]
    chip = setting.template.accelerator(design.hardware)
    found = judge.layer_costs(design, chip, [layer for layer, _ in runs], context)
    energy_pj = sum(entry["energy_pj"] * times for entry, (_, times) in zip(found, runs, strict=True))
    cycles = sum(entry["cycles"] * times for entry, (_, times) in zip(found, runs, strict=True))
    assert outcome.metrics["energy_mj"] == pytest.approx(energy_pj * 1e-9)
    assert outcome.metrics["latency_ms"] == pytest.approx(cycles / 200e6 * 1e3)
    assert outcome.metrics["edp_js"] == pytest.approx(energy_pj * 1e-12 * cycles / 200e6)


def test_several_networks_are_judged_by_their_geometric_mean():
    one, other, both = (
        Setting.make(Options(mapping_evaluations=60, input_size=64, networks=networks))
        for networks in (("squeezenet1_1",), ("mobilenet_v2",), ("squeezenet1_1", "mobilenet_v2"))
    )
    design = design_of(one, 1)
    found = [
        ChipJudge(setting).judge(design, Context(label="same")).metrics["edp_js"] for setting in (one, other, both)
    ]
    assert found[2] == pytest.approx((found[0] * found[1]) ** 0.5)


def test_no_mapping_undercuts_the_bounds(setting):
    for seed in range(4):
        design = design_of(setting, seed)
        found = ChipJudge(setting).judge(design, Context()).metrics
        bound = BoundJudge(setting).judge(design, Context()).metrics
        for name in ("edp_js", "energy_mj", "latency_ms"):
            assert bound[name] <= found[name]


def test_a_design_that_decodes_to_the_same_chip_is_judged_once(setting):
    judge = ChipJudge(setting)
    design = design_of(setting, 2)
    again = CoDesign(
        type(design.hardware)(**{name: getattr(design.hardware, name) for name in design.hardware.__slots__})
    )
    assert judge.cache_key(design) == judge.cache_key(again)
    assert judge.cache_key(design) != judge.cache_key(design_of(setting, 3))


def outcomes(runner, workers, memo=True):
    with Study(problem(**FAST), runner=runner, workers=workers, seed=3, memo=memo) as study:
        study.run(trials=6)
        return [(trial.design.key, dict(trial.outcome.metrics)) for trial in study.trials()]


def test_workers_and_the_memo_change_no_result():
    assert outcomes("inline", 1) == outcomes("local", 2) == outcomes("inline", 1, memo=False)


def table(tmp_path, count=3):
    scale = Scale((64, 96), 10)
    from coevo.search.space import Space

    space = Space("rows/v1", lambda pick: family("ofa_mobilenet_v3")(pick, scale))
    rows = [
        {"answers": dict(space.sample(stream("row", index)).answers), "accuracy": 0.6 + 0.1 * index}
        for index in range(count)
    ]
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"source": "made up for a test", "networks": rows}))
    return {"family": "ofa_mobilenet_v3", "table": str(path), "input_sizes": (64, 96), "classes": 10}


def test_networks_of_a_table_are_searched_with_their_chip(tmp_path):
    made = problem(mapping_evaluations=30, elastic=table(tmp_path))
    assert made.objectives == {"edp_js": "min", "accuracy": "max"}
    assert made.prepare is None and "a table (made up for a test)" in made.description
    with Study(made, runner="inline", seed=0) as study:
        study.run(trials=8)
        found = [trial.outcome.metrics for trial in study.trials()]
    assert {round(metrics["accuracy"], 1) for metrics in found} <= {0.6, 0.7, 0.8}
    assert len({metrics["network_macs"] for metrics in found}) > 1


def test_the_network_alone_is_searched_on_the_baseline_as_it_is(tmp_path):
    made = problem(mapping_evaluations=30, elastic=table(tmp_path), hardware=False)
    value = made.space.build(made.space.sample(stream("x")))
    setting = Setting.make(Options(mapping_evaluations=30, elastic=table(tmp_path), hardware=False))
    assert setting.template.accelerator(value.hardware).mac_units == 168
    assert made.space.count().designs == 3


def test_a_supernet_is_trained_on_real_digits_and_judges_what_the_chip_runs(tmp_path):
    pytest.importorskip("torch")
    elastic = {
        "family": "ofa_mobilenet_v3", "data": "digits", "input_sizes": (8, 16), "width": 0.125, "stem_stride": 1,
        "supernet_steps": 2, "supernet_batch": 8, "validation_images": 60, "accuracy_share": 0.5,
    }  # fmt: skip
    made = problem(mapping_evaluations=20, elastic=elastic)
    assert [stage.name for stage in made.stages] == ["accuracy", "chip"]
    assert "scikit-learn's digits" in made.description
    with Study(made, runner="inline", seed=0, folder=tmp_path / "run") as study:
        study.run(trials=4)
        done = [trial for trial in study.trials() if trial.outcome.ok]
    assert len(done) == 4
    assert all(0 <= trial.outcome.metrics["accuracy"] <= 1 for trial in done)
    assert any(trial.stage == "chip" for trial in done)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"networks": ("resnet50", "resnet50")}, "distinct"),
        ({"hardware": False}, "nothing to search"),
        ({"elastic": {}}, "either a table of accuracies or the data"),
        ({"elastic": {"data": "digits", "table": "x.json"}}, "either a table of accuracies or the data"),
        ({"elastic": {"table": "x.json", "accuracy_share": 0.5}}, "binds to nothing"),
        ({"elastic": {"data": "digits"}, "networks": ("resnet50",)}, "not both"),
        ({"elastic": {"data": "digits"}, "input_size": 64}, "binds to nothing"),
        ({"mapping_evaluations": 0}, "greater than or equal to 1"),
        ({"encoding": "importence"}, "importance"),
        ({"wrong": 1}, "wrong"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, words):
    with pytest.raises(ValidationError, match=words):
        problem(**options)


def test_names_and_budgets_that_nobody_has_are_refused():
    with pytest.raises(InputError, match="eyeriss"):
        problem(baseline="eyeris")
    with pytest.raises(InputError, match="resnet50"):
        problem(networks=("resnet5",))
    with pytest.raises(InputError, match="nothing fits into 16 bytes"):
        problem(on_chip_bytes=16)
    with pytest.raises(InputError, match="accuracy table"):
        problem(elastic={"table": "absent.json"})
