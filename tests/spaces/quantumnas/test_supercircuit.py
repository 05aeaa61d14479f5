"""The SuperCircuit: the same seed gives the same bytes, interrupted or not."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from coevo.errors import CorruptRun
from coevo.spaces.quantumnas import Options
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training import supercircuit
from coevo.spaces.quantumnas.training.objectives import Objective
from coevo.spaces.quantumnas.training.supercircuit import load_supercircuit
from coevo.supernets.sampling.catalogue import SAMPLERS


def train_supercircuit(options, seed, folder, progress=None):
    setting = Setting.make(options)
    return supercircuit.train_supercircuit(options, setting.task, setting.template, seed, folder, progress)


@pytest.fixture
def options(small_options):
    return Options(**{**small_options, "supercircuit_steps": 100})


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_the_same_seed_gives_the_same_bytes(sampler, options, tmp_path):
    options = options.model_copy(update={"sampler": sampler})
    files = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        files.append(train_supercircuit(options, seed, tmp_path / name))
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == [files[0].name]


class Killed(BaseException):
    pass


def test_killed_and_resumed_it_ends_with_the_same_bytes(options, tmp_path, monkeypatch):
    monkeypatch.setattr(supercircuit, "CHECKPOINT_EVERY_S", 0.0)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    wanted = train_supercircuit(options, 0, whole).read_bytes()

    def kill(done, total, text):
        if done == 50:
            raise Killed

    with pytest.raises(Killed):
        train_supercircuit(options, 0, broken, kill)
    assert not (broken / supercircuit.FILE).exists()
    steps = []
    resumed = train_supercircuit(options, 0, broken, lambda done, total, text: steps.append(done))
    assert resumed.read_bytes() == wanted
    assert steps == [0, 50, 100]  # the checkpoint was of step 49
    assert [path.name for path in broken.iterdir()] == [supercircuit.FILE]


def test_a_finished_training_is_not_repeated(options, tmp_path):
    path = train_supercircuit(options, 0, tmp_path)
    stamp = path.stat().st_mtime_ns
    assert train_supercircuit(options, 0, tmp_path, lambda *_: pytest.fail("it trained again")) == path
    assert path.stat().st_mtime_ns == stamp


def test_a_training_of_other_options_is_refused(options, tmp_path):
    train_supercircuit(options, 0, tmp_path)
    with pytest.raises(CorruptRun, match="trained with other options or another seed"):
        train_supercircuit(options, 1, tmp_path)
    # What does not touch the SuperCircuit may differ.
    train_supercircuit(options.model_copy(update={"scratch_steps": 7, "device": "FakeLimaV2"}), 0, tmp_path)


def test_a_broken_file_is_told_from_a_good_one(options, tmp_path):
    path = train_supercircuit(options, 0, tmp_path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CorruptRun, match=r"cannot be read as a SuperCircuit.*delete it to train anew"):
        load_supercircuit(path)


def test_training_moves_only_what_was_drawn_and_lowers_the_loss(options, tmp_path):
    setting = Setting.make(options)
    template = setting.template
    objective = Objective(setting.task, template, setting.task.read_training()[0])
    (tmp_path / "none").mkdir()
    start = load_supercircuit(
        train_supercircuit(options.model_copy(update={"supercircuit_steps": 0}), 0, tmp_path / "none")
    )
    assert start.shape == (template.n_angles,) and np.abs(start).max() <= 0.1
    trained = load_supercircuit(train_supercircuit(options, 0, tmp_path))
    whole = np.ones((1, len(template.gates)), np.uint8)
    before, after = (objective.value_and_gradient(angles[None], whole)[0][0] for angles in (start, trained))
    assert after < before


@pytest.mark.parametrize("gates", ["zzry", "rxyz", "zxxx", "rxyzu1cu3", "ibmq", "native"])
def test_every_gate_set_trains(gates, options, tmp_path):
    options = options.model_copy(update={"gates": gates, "supercircuit_steps": 12, "max_blocks": 2})
    trained = load_supercircuit(train_supercircuit(options, 0, tmp_path))
    assert trained.shape == (Setting.make(options).template.n_angles,) and np.isfinite(trained).all()


def test_a_ground_state_trains_a_supercircuit(tmp_path):
    options = Options(data="h2", supercircuit_steps=150, max_blocks=2)
    setting = Setting.make(options)
    trained = load_supercircuit(train_supercircuit(options, 0, tmp_path))
    objective = Objective(setting.task, setting.template, None)
    whole = np.ones((1, len(setting.template.gates)), np.uint8)
    assert objective.energies(trained[None], whole)[0] < -1.5


def test_the_number_of_blas_threads_changes_nothing(tmp_path):
    """The driver's BLAS may use every core and a worker's one: the same seed must give the same bytes."""
    code = (
        "import sys; from coevo.spaces.quantumnas import problem; from coevo.search.problem import WorkContext; "
        "from pathlib import Path; made = problem(supercircuit_steps=30, train_examples=400); "
        "made.prepare(WorkContext(Path(sys.argv[1]), 0))"
    )
    found = []
    for threads in ("1", "2"):
        folder = tmp_path / threads
        folder.mkdir()
        surroundings = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env=surroundings, timeout=120)
        found.append((folder / supercircuit.FILE).read_bytes())
    assert found[0] == found[1]
