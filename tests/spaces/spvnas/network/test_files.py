"""Networks in folders: what comes back, and what is refused."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import coevo  # noqa: E402
from coevo.errors import InputError  # noqa: E402
from coevo.kernels.sparse.modules import SPVCNN  # noqa: E402
from coevo.spaces.spvnas.design import Backbone, Bounds  # noqa: E402
from coevo.spaces.spvnas.network import files  # noqa: E402
from coevo.spaces.spvnas.network.files import design_of, load_network, read_backbone, save_network  # noqa: E402
from coevo.spaces.spvnas.network.static import build_network  # noqa: E402
from coevo.spaces.spvnas.network.supernet import Supernet  # noqa: E402

from .scans import CLASSES, SMALL, given  # noqa: E402


def saved(folder, points="voxels", design=None):
    torch.manual_seed(2)
    net = build_network(design or SMALL[points].smallest, CLASSES).double()
    net(given(points))
    save_network(net, folder, data="drawn voxels", space=SMALL[points].id, notes={"voxel_m": 0.05})
    return net.eval()


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_a_network_comes_back_in_one_call(tmp_path, points):
    net, x = saved(tmp_path / "out", points), given(points)
    found = coevo.load(tmp_path / "out")
    assert type(found) is type(net) and not found.training
    assert torch.equal(found(x), net(x))
    assert design_of(found) == SMALL[points].smallest
    assert read_backbone(tmp_path / "out")["data"] == "drawn voxels"
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["backbone.json", "weights.safetensors"]


def test_networks_without_a_design_of_their_own(tmp_path):
    net = SPVCNN(CLASSES, width=0.1)
    save_network(net, tmp_path, data="none: not trained")
    assert design_of(load_network(tmp_path)) == Backbone.uniform(0.1)


def test_a_network_of_another_space_or_version(tmp_path):
    saved(tmp_path)
    assert load_network(tmp_path, space=SMALL["voxels"].id)
    with pytest.raises(InputError, match=r"of the space 'spvnas/voxels-\w+/v1', expected 'spvnas/voxels/v1'"):
        load_network(tmp_path, space=Bounds().id)
    told = json.loads((tmp_path / "backbone.json").read_text())
    for key, value, message in (
        ("version", 2, "has version 2, this coevo reads 1"),
        ("format", "naas", "is no design of a network"),
        ("design", {"widths": []}, "is damaged: a Backbone in JSON has"),
        ("design", {**told["design"], "depths": [2] * 8}, "is damaged: each stage needs one number of middle"),
        ("num_classes", 4, r"does not hold the weights .*: classifier.0.weight is \(5, 4\), expected \(4, 4\)"),
        ("weights_blake2b", "00", "one was replaced, or copied in part"),
    ):
        (tmp_path / "backbone.json").write_text(json.dumps({**told, key: value}))
        with pytest.raises(InputError, match=message):
            load_network(tmp_path)
    (tmp_path / "backbone.json").write_text(json.dumps(told)[:40])
    with pytest.raises(InputError, match="is damaged"):
        load_network(tmp_path)


def test_files_that_are_missing_or_cut(tmp_path):
    saved(tmp_path)
    whole = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").write_bytes(whole[:-9])
    with pytest.raises(InputError, match="one was replaced, or copied in part"):
        load_network(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"weights.safetensors cannot be read"):
        load_network(tmp_path)
    (tmp_path / "backbone.json").unlink()
    with pytest.raises(InputError, match=r"holds no network: backbone\.json"):
        load_network(tmp_path)
    with pytest.raises(InputError, match=r"holds none of backbone\.json, .*layout\.json"):
        coevo.load(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        coevo.load(tmp_path / "nowhere")


def test_nothing_is_half_written(tmp_path, monkeypatch):
    saved(tmp_path)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(InputError, match="extract one"):
        save_network(Supernet(SMALL["voxels"], CLASSES), tmp_path, data="")
    monkeypatch.setattr(files.json, "dumps", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_network(build_network(SMALL["voxels"].largest, CLASSES), tmp_path, data="")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
