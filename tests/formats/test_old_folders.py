"""Run folders of earlier formats open, are verified, and resume to the designs they would have had.

`v1/` was written by this file: `python tests/formats/test_old_folders.py tests/formats/v1`. A new format gets a new
folder; old ones stay for two minor versions.
"""

import shutil
import sys
from pathlib import Path

import pytest

from coevo import Evaluator, Outcome, Space, Study
from coevo.search.run import Run

FOLDERS = sorted(path for path in Path(__file__).parent.iterdir() if (path / "study.sqlite").exists())


def build(pick):
    depth = pick.integer("depth", 1, 4)
    widths = [pick.one(f"width{i}", (16, 32, 64)) for i in range(depth)]
    return widths, pick.order("order", ("a", "b", "c")), pick.some("some", range(5), 2), pick.real("rate", 0.0, 1.0)


def check(value):
    return None if sum(value[0]) <= 160 else f"{sum(value[0])} channels are over 160"


class Judge(Evaluator):
    id, metrics = "formats", {"accuracy": "1", "cost": "gates"}

    def evaluate(self, candidates, context):
        return [Outcome(self.judge(*candidate.value)) for candidate in candidates]

    @staticmethod
    def judge(widths, order, some, rate):
        accuracy = float("nan") if rate > 0.95 else sum(widths) * rate + order.index("a")
        return {"accuracy": accuracy, "cost": sum(some) + len(widths)}


def study(folder):
    return Study(
        Space("formats/v1", build, check),
        Judge(),
        objectives={"accuracy": "max", "cost": "min"},
        constraints={"cost": "<= 10", "accuracy": "soft >= 5"},
        algorithm_options={"population": 12},
        seed=7,
        runner="inline",
        folder=folder,
    )


def test_there_is_a_folder_of_every_format():
    assert [path.name for path in FOLDERS] == ["v1"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_an_old_folder_opens_and_resumes(folder, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    run = Run.open(copy)
    trials = list(run.trials())
    assert run.status["told"] == len(trials) == 40 and run.status["asked"] == 44
    assert 0 < run.status["failed"] < 20 and len(run.front()) >= 2
    space = Space("formats/v1", build, check)
    for trial in trials:
        again = space.replay(trial.design).design
        assert (again.key, again.answers) == (trial.design.key, trial.design.answers)
    with study(copy) as resumed:
        resumed.run(trials=80)
        found = [trial.design.key for trial in resumed.trials()]
    with study(None) as fresh:
        fresh.run(trials=80)
        assert found == [trial.design.key for trial in fresh.trials()]


if __name__ == "__main__":
    with study(Path(sys.argv[1])) as writing:
        writing.run(trials=40)
        for _ in range(4):  # asked and never told, as a killed driver leaves them
            writing.ask()
