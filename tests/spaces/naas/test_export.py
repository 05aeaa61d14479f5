import json
import shutil

import pytest

pytest.importorskip("yaml")

from coevo.cost_models.accelerator.interchange import Record
from coevo.hardware.accelerators import load_accelerator
from coevo.search.export import export_design
from coevo.search.run import Run
from coevo.search.study import Study
from coevo.spaces.naas import problem


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    home = tmp_path_factory.mktemp("naas")
    options = {"networks": ("squeezenet1_1",), "input_size": 48, "mapping_evaluations": 40, "export_seconds": 0.05}
    made = problem(**options)
    with Study(made, runner="inline", seed=1, folder=home / "run") as study:
        study.run(trials=3)
    run = Run.open(home / "run")
    measurements = export_design(run, "best", home / "out", problem=made)
    return made, run, home / "out", measurements


def test_the_folder_holds_what_its_page_says(exported):
    _, _, folder, _ = exported
    names = {path.name for path in folder.iterdir()}
    assert {
        "accelerator.toml",
        "layers.json",
        "mappings",
        "nests.txt",
        "drawing.svg",
        "timeloop",
        "accelforge",
    } <= names
    rows = json.loads((folder / "layers.json").read_text())
    assert len(list((folder / "mappings").iterdir())) == len(rows) > 5


def test_exported_costs_are_not_worse_than_searched_ones(exported):
    _, run, _, measurements = exported
    searched = run.front().best().outcome.metrics["edp_js"]
    assert measurements["export"]["squeezenet1_1_edp_js"] <= searched * (1 + 1e-9)


def test_gaps_are_not_negative_and_optimal_means_none(exported):
    _, _, folder, _ = exported
    for row in json.loads((folder / "layers.json").read_text()):
        assert min(row["gaps"].values()) >= 0
        assert row["optimal"] == (row["gaps"]["edp"] == 0)


def test_every_mapping_reads_back_to_the_same_costs_on_the_same_chip(exported):
    made, _, folder, _ = exported
    chip = load_accelerator(str(folder / "accelerator.toml"))
    for path in sorted((folder / "mappings").iterdir()):
        record = Record.read(path.read_text(), path.name)
        assert record.accelerator == chip and record.changed() == ()
    assert made.verify(folder) == []


@pytest.mark.parametrize(
    ("name", "before", "after", "words"),
    [
        ("accelerator.toml", "200 MHz", "100 MHz", "not the chip"),
        ("layers.json", '"repeats": 1', '"repeats": 7', "another layer"),
        ("mappings/000.json", '"energy_pj": ', '"energy_pj": 1', "energy"),
    ],
)
def test_a_file_that_says_something_else_is_found(exported, tmp_path, name, before, after, words):
    made, _, folder, _ = exported
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    text = (copy / name).read_text()
    assert before in text
    (copy / name).write_text(text.replace(before, after, 1))
    faults = made.verify(copy)
    assert any(words in fault for fault in faults), faults


def test_a_missing_file_is_a_fault_and_no_crash(exported, tmp_path):
    made, _, folder, _ = exported
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "mappings" / "001.json").unlink()
    assert any("001.json" in fault for fault in made.verify(copy))
    (copy / "accelerator.toml").unlink()
    assert made.verify(copy)[0].startswith("cannot be read back")
