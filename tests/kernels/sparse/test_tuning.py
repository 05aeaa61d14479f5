"""The autotuner's choice, its candidates, and what it keeps. Its times need a device and are no test."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.sparse.convolution.plan import Plan  # noqa: E402
from coevo.kernels.sparse.hierarchy import Hierarchy, build_levels  # noqa: E402
from coevo.kernels.sparse.inference.static_unet import StaticUNet  # noqa: E402
from coevo.kernels.sparse.modules import MinkUNet  # noqa: E402
from coevo.kernels.sparse.tuning import candidates, store, tuned  # noqa: E402
from coevo.kernels.sparse.tuning import tune as tune_module  # noqa: E402
from coevo.kernels.sparse.tuning.tune import choose, groups_of, signature_of, tune  # noqa: E402

DEVICE = {"device": "a GPU", "torch": "2.11"}
TUNING = tuned.Tuning((1, 1, 1, 2, 3), {"stem.0": Plan(rows=64), "up1.0": Plan(splits=2)}, 2.0, 1.5, True)


def _groups() -> list[Any]:
    coords = torch.randint(0, 24, (200, 4), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    coords[:, 0] = 0
    made = build_levels(torch.unique(coords, dim=0), 5)
    return groups_of(StaticUNet(MinkUNet(19, width=0.5).eval(), torch.float32), made)


def test_groups_hold_every_convolution_once() -> None:
    groups = _groups()
    unet = StaticUNet(MinkUNet(19, width=0.5).eval(), torch.float32)
    names = [name for group in groups for name in group.layers]
    assert sorted(names) == sorted(unet.convolutions()) and len(names) == 42
    for group in groups:
        for layer in group.layers.values():
            assert layer.weight.shape[0] == group.kernel_map.volume


def test_the_least_sum_wins_with_the_sorting_that_it_takes() -> None:
    group = next(each for each in _groups() if each.name == "level 3")
    kinds = list(group.signatures())
    times = {("level 3", kind, Plan(splits=1, rows=64)): 10.0 for kind in kinds}
    times |= {("level 3", kind, Plan(splits=1, rows=128)): 9.0 for kind in kinds}
    times |= {("level 3", kind, Plan(splits=2, rows=64)): 5.0 for kind in kinds}
    layers = len(group.layers)
    splits, plans = choose([group], times, lambda level, number: (4.0 * layers - 1.0) * (number - 1))
    assert splits[3] == 2 and set(plans) == set(group.layers) and {plan.rows for plan in plans.values()} == {64}
    splits, plans = choose([group], times, lambda level, number: (4.0 * layers + 1.0) * (number - 1))
    assert splits[3] == 1 and {plan.rows for plan in plans.values()} == {128}


def test_a_split_that_lacks_a_layer_is_no_offer() -> None:
    group = next(each for each in _groups() if each.name == "level 3")
    kinds = list(group.signatures())
    assert len(kinds) > 1
    times = {("level 3", kind, Plan(splits=1)): 10.0 for kind in kinds} | {("level 3", kinds[0], Plan(splits=2)): 1.0}
    assert choose([group], times, lambda level, number: 0.0)[0][3] == 1
    assert choose([group], {}, lambda level, number: 0.0)[1] == {}


def test_layers_of_one_kind_share_a_signature() -> None:
    for group in _groups():
        for name, layer in group.layers.items():
            inputs, outputs, beside, residual = signature_of(name, layer)
            assert (inputs, outputs) == tuple(layer.weight.shape[1:])
            assert not (beside and residual)
            assert residual <= name.endswith(".net.3")


@pytest.mark.parametrize(("inputs", "outputs"), [(4, 32), (20, 61), (96, 96), (384, 256), (163, 81)])
def test_candidates_fit_their_layer(inputs: int, outputs: int) -> None:
    for splits in (1, 3):
        plans = candidates.plans_of(inputs, outputs, splits)
        assert 1 <= len(plans) <= len(candidates.TILES) and len(set(plans)) == len(plans)
        assert all(plan.splits == splits and plan.dataflow == "sorted" for plan in plans)
        assert all(plan.columns < 2 * max(32, outputs) and plan.depth < 2 * max(16, inputs) for plan in plans)
        assert all(
            plan.columns * 8 > outputs and inputs % (plan.depth + plan.extra) == 0 for plan in plans if plan.extra
        )
    assert candidates.splits_of(8, 256) == (1,) and candidates.splits_of(27, 32) == (1,)
    assert candidates.splits_of(27, 256) == (1, 2, 3)


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    entry = {"plans": {"stem.0": dataclasses.asdict(Plan(rows=64))}, "splits": [1, 1, 1, 2, 3], "default_ms": 2.0}
    assert store.read(DEVICE, tmp_path) == {} and store.state(tmp_path) == []
    path = store.write(DEVICE, "net", {**entry, "tuned_ms": 1.5, "complete": True, "name": "MinkUNet"}, tmp_path)
    store.write(DEVICE, "other", {"name": "x"}, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    found = tuned.read_entry(store.read(DEVICE, tmp_path)["net"])
    assert found.plans == {"stem.0": Plan(rows=64)} and found.splits == (1, 1, 1, 2, 3) and found.complete
    assert store.read({**DEVICE, "torch": "2.12"}, tmp_path) == {}
    told = store.state(tmp_path)
    assert told[0]["device"] == DEVICE and {each["name"] for each in told[0]["networks"]} == {"MinkUNet", "x"}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = store.write(DEVICE, "net", {}, tmp_path)
    for text in ("{", "[]", json.dumps({"version": 99, "networks": {}, "device": {}})):
        path.write_text(text)
        with pytest.raises(InputError, match=path.name):
            store.read(DEVICE, tmp_path)
        assert path.name in store.state(tmp_path)[0]["error"]
    with pytest.raises(InputError, match="damaged"):
        tuned.read_entry({"splits": [1], "plans": {"a": {"rows": 3}}})


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.delenv(store.FOLDER_VARIABLE, raising=False)
    assert store.folder() == tmp_path / "x" / "coevo" / "sparse"
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path))
    assert store.folder() == tmp_path / "sparse"


def test_off_a_device_nothing_is_tuned_and_nothing_found() -> None:
    net = MinkUNet(19, width=0.5).eval()
    with pytest.raises(InputError, match="CUDA device"):
        tune(net, [(torch.zeros(1, 4), torch.zeros((1, 4), dtype=torch.int32))], 100)
    assert tuned.stored(net, (100,) * 5, torch.float16) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a device the times are real: `gpu_sparse.py` tunes there")
def test_the_tuner_runs_every_layer_by_every_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under Triton's interpreter, with times that are made up: few rows and many splits are fast."""
    pytest.importorskip("triton")
    ran: list[Any] = []

    def made_up(work: Any, *_: int) -> float:
        found = work()
        if isinstance(found, Hierarchy):
            return 1.0
        ran.append(found)
        plan = work.plan
        return plan.rows / plan.splits

    def call_with_plan(group: Any, signature: Any, layer: Any, plan: Plan, features: Any) -> Any:
        call = original(group, signature, layer, plan, features)

        class Call:
            def __init__(self) -> None:
                self.plan = plan

            def __call__(self) -> Any:
                return call()

        return Call()

    original = tune_module._call
    monkeypatch.setattr(tune_module, "_call", call_with_plan)
    monkeypatch.setattr(tune_module, "graph_us", made_up)
    monkeypatch.setattr(tune_module, "_check_device", lambda device: None)
    monkeypatch.setattr(tune_module, "_compiled", lambda calls, deadline: [True] * len(calls))
    monkeypatch.setattr(tune_module, "_network_ms", lambda *given: 1.0 if given[-1] else 2.0)
    monkeypatch.setattr(candidates, "TILES", ((16, 32, 16, 0, 4, 2, None), (32, 32, 16, 0, 4, 2, None)))
    monkeypatch.setattr(candidates, "_WIDE", 16)
    tried = {"level 3", "level 4", "down 3", "up 3"}
    monkeypatch.setattr(
        tune_module, "groups_of", lambda *given: [each for each in groups_of(*given) if each.name in tried]
    )
    net = MinkUNet(3, channels=(4, 4, 4, 4, 16, 8, 4, 4, 4)).eval()
    coords = torch.tensor([[0, x, x // 2, 0] for x in range(9)], dtype=torch.int32)
    found = tune_module.tune(net, [(torch.randn(9, 4), coords)], 12, torch.float32, persist=False)
    assert found.complete and (found.default_ms, found.tuned_ms) == (2.0, 1.0)
    assert {plan.rows for plan in found.plans.values()} == {16}
    assert found.splits[4] == 3 and found.plans["stage4.1.net.3"].splits == 3
    assert found.plans["up1.1.0.net.0"].splits == found.splits[3]
    assert {"stage4.0", "up1.0"} < set(found.plans) and found.plans["stage4.0"].splits == 1
    assert "stem.0" not in found.plans and all(bool(torch.isfinite(each[:1]).all()) for each in ran)


def test_plans_tell_networks_apart() -> None:
    small, large = MinkUNet(19, width=0.5), MinkUNet(19)
    told = [
        store.digest(tuned.network_of(net, (rows,) * 5, dtype))
        for net in (small, large)
        for rows in (120_000, 480_000)
        for dtype in (torch.float16, torch.float32)
    ]
    assert len(set(told)) == 8
    assert tuned.network_of(small, (120_000,), torch.float16) == tuned.network_of(small, (131_072,), torch.float16)
    assert TUNING.options() == {"splits": TUNING.splits, "plans": TUNING.plans}
