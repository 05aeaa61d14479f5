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
from coevo.kernels.sparse.hierarchy import build_levels  # noqa: E402
from coevo.kernels.sparse.inference.static_unet import StaticUNet  # noqa: E402
from coevo.kernels.sparse.modules import MinkUNet  # noqa: E402
from coevo.kernels.sparse.tuning import candidates, store, tuned  # noqa: E402
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
        assert all(plan.columns < 2 * max(32, outputs) and plan.depth < 2 * max(32, inputs) for plan in plans)
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
