"""Batches follow from (seed, step); a training that was stopped goes on to the same bytes; it learns."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from coevo.errors import CoevoError, ConfigError, InputError
from coevo.kernels.sparse.modules import SPVCNN, BatchNorm, MinkUNet
from coevo.kernels.sparse.tensors import SparseTensor
from coevo.spaces.spvnas.data.augment import Augmentation
from coevo.spaces.spvnas.training import Batches, Group, Recipe, Validation, learner_of, train
from coevo.spaces.spvnas.training.learners import CapturedLearner, PlainLearner
from coevo.spaces.spvnas.training.loop import Curve
from coevo.supernets.checkpoints import Checkpoints
from tests.spaces.spvnas.scans import Slopes

CPU = torch.device("cpu")
NARROW = (4, 4, 4, 8, 8, 8, 8, 4, 4)


def recipe(**changes) -> Recipe:
    given = {"steps": 8, "batch": 2, "voxel_m": 0.2, "precision": "float32", "learning_rate_per_scan": 0.02}
    return Recipe(**{**given, **changes})


def network(points: str = "voxels") -> MinkUNet:
    torch.manual_seed(0)
    if points == "none":
        return MinkUNet(19, channels=NARROW)
    return SPVCNN(19, channels=NARROW, points=points)


class Small(torch.nn.Module):
    """A network with a norm and a dropout that takes no time: what the loop does is looked at, not what it trains."""

    def __init__(self, seed: int = 0, width: int = 16) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.wide, self.norm, self.head = torch.nn.Linear(4, width), BatchNorm(width), torch.nn.Linear(width, 19)

    def forward(self, x: SparseTensor) -> torch.Tensor:
        y = self.norm(x.with_feats(self.wide(x.feats)))
        return self.head(torch.nn.functional.dropout(y.feats.relu(), 0.2, self.training))


def run(folder: Path | None, how: Recipe, stop_after=None, every=4, threads=0):
    net = Small()
    checkpoints = None if folder is None else Checkpoints(folder, {"recipe": how.digest})
    batches = Batches(Slopes(), how, threads=threads)
    curve = train(PlainLearner(net, how, CPU, "none"), batches, how, Group(), checkpoints,
                  checkpoint_every=every, stop_after=stop_after)  # fmt: skip
    return net, curve


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_rate_rises_and_falls() -> None:
    how = recipe(steps=10, warmup_steps=2)
    rates = [how.rate(step, 16) for step in range(10)]
    assert rates[:2] == [0.16, 0.32] and rates[2] == 0.32
    assert rates[-1] < 0.02 and rates[2:] == sorted(rates[2:], reverse=True)
    assert Recipe(10).rate(0, 16) == pytest.approx(0.24)  # SPVNAS's, at its 16 scans an update


@pytest.mark.parametrize("change", [{"precision": "int8"}, {"steps": 0}, {"warmup_steps": 9}, {"clip": 0.0},
                                    {"momentum": 1.0}, {"voxel_m": 0.0}])  # fmt: skip
def test_bad_recipes_are_refused(change) -> None:
    with pytest.raises(ConfigError):
        recipe(**change)


def test_every_epoch_has_each_scan_once() -> None:
    how = recipe(batch=2)
    alone = Batches(Slopes(6), how)
    epoch = [number for step in range(3) for number in alone.chosen(step)]
    later = [number for step in range(3, 6) for number in alone.chosen(step)]
    assert sorted(epoch) == sorted(later) == list(range(6)) and epoch != later
    two = [Batches(Slopes(6), recipe(batch=1), rank=rank, world=2) for rank in range(2)]
    assert [two[0].chosen(step) + two[1].chosen(step) for step in range(3)] == [alone.chosen(s) for s in range(3)]
    assert set(Batches(Slopes(6), how, [1, 4]).chosen(7)) == {1, 4}
    with pytest.raises(InputError):
        Batches(Slopes(6), how, [])


@pytest.mark.parametrize("mixed", [0.0, 1.0])
def test_batches_follow_from_seed_and_step(mixed) -> None:
    how = recipe(augmentation=Augmentation(flip=True, jitter_m=0.01, polar_mix=mixed), most_voxels=120)
    plain, threaded = Batches(Slopes(), how), Batches(Slopes(), how, threads=2)
    for step, sample in zip(range(3, 7), threaded.stream(3, 7), strict=True):
        again = plain.at(step)
        assert torch.equal(sample.coords, again.coords) and torch.equal(sample.feats, again.feats)
        assert len(sample.coords) <= 240
    assert not torch.equal(plain.at(0).feats[:5], plain.at(1).feats[:5])
    one = Batches(Slopes(), recipe(batch=1, augmentation=how.augmentation, most_voxels=120), rank=1, world=2)
    assert torch.equal(one.at(3).feats, plain.at(3).feats[plain.at(3).coords[:, 0] == 1])


def test_a_stopped_training_goes_on_to_the_same_bytes(tmp_path) -> None:
    how = recipe(augmentation=Augmentation(polar_mix=0.5), reproducible=True)
    whole, curve = run(None, how)
    run(tmp_path, how, stop_after=4)
    resumed, again = run(tmp_path, how, threads=2)
    assert same(whole, resumed) and curve.losses == again.losses
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-8.safetensors", "checkpoint.json"]
    third, _ = run(tmp_path, how)  # nothing is left to do
    assert same(whole, third)
    other, _ = run(None, recipe(augmentation=Augmentation(polar_mix=0.5), seed=1))
    assert not same(whole, other)


def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path) -> None:
    how = recipe()
    script = textwrap.dedent(f"""
        import os, signal, sys
        sys.path[:0] = {[str(Path(__file__).parents[4]), *sys.path]!r}
        from pathlib import Path
        from tests.spaces.spvnas.training.test_training import *
        folder = Path({str(tmp_path)!r})
        class Deadly(Batches):
            def at(self, step):
                if step == 6: os.kill(os.getpid(), signal.SIGKILL)
                return super().at(step)
        how = recipe()
        train(PlainLearner(Small(), how, CPU, "none"), Deadly(Slopes(), how), how, Group(),
              Checkpoints(folder, {{"recipe": how.digest}}), checkpoint_every=2)
    """)
    killed = subprocess.run([sys.executable, "-c", script], check=False, timeout=120, capture_output=True)
    assert killed.returncode == -9, killed.stderr.decode()
    assert json.loads((tmp_path / "checkpoint.json").read_text())["step"] == 6
    resumed, _ = run(tmp_path, how, every=2)
    whole, _ = run(None, how, every=2)
    assert same(whole, resumed)


def test_checkpoints_of_other_trainings_are_refused(tmp_path) -> None:
    run(tmp_path, recipe(), stop_after=4)
    before = (tmp_path / "checkpoint.json").read_text()
    with pytest.raises(InputError, match="of another training: recipe is"):
        run(tmp_path, recipe(seed=3))
    net = Small(width=8)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    kept = {name: each.clone() for name, each in net.state_dict().items()}
    with pytest.raises(InputError, match="another space, design or version"):
        Checkpoints(tmp_path, {"recipe": recipe().digest}).load(net, optimizer, None)
    assert all(torch.equal(each, kept[name]) for name, each in net.state_dict().items())
    assert (tmp_path / "checkpoint.json").read_text() == before
    (tmp_path / "checkpoint.json").write_text(before.replace('"version": 1', '"version": 0'))
    with pytest.raises(InputError, match="version 1, got 0"):
        run(tmp_path, recipe())
    (tmp_path / "checkpoint.json").write_text(before)
    (tmp_path / "checkpoint-4.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        run(tmp_path, recipe())


def test_it_learns() -> None:
    how = recipe(steps=30, learning_rate_per_scan=0.05)
    judge = Validation(Slopes(3, seed=9), voxel_m=how.voxel_m, points="none")
    net = Small()
    before = judge.score(net).miou
    curve = train(PlainLearner(net, how, CPU, "none"), Batches(Slopes(), how), how, Group(),
                  checkpoint_every=10, validate=lambda: judge.score(net).miou, validate_at=(24, 30))  # fmt: skip
    after = judge.score(net).miou
    assert after > before + 0.15 and curve.losses[-1][1] < curve.losses[0][1]
    assert [step for step, _ in curve.mious] == [24, 30] and net.training
    assert curve.mious[-1][1] == pytest.approx(after)


def test_a_loss_that_is_no_number_ends_it() -> None:
    with pytest.raises(CoevoError, match="the loss became"):
        run(None, recipe(learning_rate_per_scan=1e30))


def test_clipping() -> None:
    net, how = Small(), recipe(clip=0.01, steps=2)
    train(PlainLearner(net, how, CPU, "none"), Batches(Slopes(), how), how, Group())
    moved = sum(
        float((a - b).detach().norm() ** 2) for a, b in zip(net.parameters(), Small().parameters(), strict=True)
    )
    assert 0 < moved**0.5 < 0.01 * 2 * 0.04 * 4


def test_a_captured_step_is_taken_on_a_device_alone() -> None:
    assert isinstance(learner_of(network(), recipe(), CPU, "voxels"), PlainLearner)
    captured = CapturedLearner(network("none"), recipe(most_voxels=400), CPU)  # the same step, launched one by one
    plain = PlainLearner(network("none"), recipe(), CPU, "none")
    sample = Batches(Slopes(), recipe()).at(0)
    assert float(captured(sample, 0)) == pytest.approx(float(plain(sample, 0)), rel=1e-5)
    for (name, a), (_, b) in zip(captured.net.named_parameters(), plain.net.named_parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("points", ["voxels", "raw"])
def test_points_train(points) -> None:
    net, how = network(points), recipe()
    loss = PlainLearner(net, how, CPU, points)(Batches(Slopes(2, 100), how).at(0), 0)
    assert float(loss) > 0 and all(float(each.grad.abs().sum()) > 0 for each in net.parameters())


def test_finished_means_settled() -> None:
    assert Curve(100).finished is None
    assert Curve(100, mious=[(50, 0.1), (80, 0.5), (100, 0.504)]).finished
    assert not Curve(100, mious=[(80, 0.5), (100, 0.51)]).finished


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_every_raw_point_counts(points) -> None:
    source, net = Slopes(2), network(points).eval()
    judge = Validation(source, voxel_m=0.4, points=points)
    found = judge.score(net)
    assert found.confusion.sum() == sum((source[number].labels != 255).sum() for number in range(2))
    predicted = np.concatenate([judge.predict(net, each.x, each.inverse).numpy() for each in judge._judges])
    labels = np.concatenate([source[number].labels for number in range(2)])
    counted = labels != 255
    assert found.accuracy == pytest.approx(float((predicted == labels)[counted].mean()))
    assert judge.part(1).score(net).confusion.sum() < found.confusion.sum()
    if points != "raw":  # points of one voxel have one class
        inverse = judge.samples[0].inverse.numpy()
        mine = judge.predict(net, judge._judges[0].x, judge._judges[0].inverse).numpy()
        assert len({(a, b) for a, b in zip(inverse, mine, strict=True)}) == len(set(inverse))


@pytest.mark.parametrize("points", ["none", "voxels"])
def test_padded_scans_judge_alike(points) -> None:
    net = network(points).eval()
    plain, padded = (Validation(Slopes(2), voxel_m=0.4, points=points, padded=each) for each in (False, True))
    rooms = {len(x.feats) for x in padded.inputs()}
    assert len(rooms) == 1 and rooms.pop() > max(len(x.feats) for x in plain.inputs())
    assert np.array_equal(plain.score(net).confusion, padded.score(net).confusion)
    for a, b in zip(plain._judges, padded._judges, strict=True):
        assert torch.equal(plain.predict(net, a.x, a.inverse), padded.predict(net, b.x, b.inverse))


def test_two_processes_train_as_one(tmp_path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path[:0] = {[str(Path(__file__).parents[4]), *sys.path]!r}
        from tests.spaces.spvnas.training.test_training import *
        torch.set_num_threads(1)
        group, how = Group.join("cpu"), recipe(batch=1, steps=4)
        torch.manual_seed(group.rank)  # process 0's weights become everybody's
        net = Small(seed=group.rank)
        batches = Batches(Slopes(), how, rank=group.rank, world=group.world)
        train(PlainLearner(net, how, CPU, "none"), batches, how, group, Checkpoints(Path({str(tmp_path)!r}), {{}}))
        digest = float(sum(p.double().abs().sum() for p in net.parameters()))
        print(f"rank {{group.rank}} of {{group.world}}: {{digest!r}}")
    """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", str(script)],
        check=False, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said = sorted(line for line in done.stdout.splitlines() if line.startswith("rank"))
    assert len(said) == 2 and said[0].split(": ")[1] == said[1].split(": ")[1]
    assert (tmp_path / "checkpoint.json").is_file()
