"""Checkpoints of the released code: names and layout as its modules give them, written out here independently."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.sparse.modules import SPVCNN, MinkUNet  # noqa: E402
from coevo.spaces.spvnas.design import Backbone, Bounds  # noqa: E402
from coevo.spaces.spvnas.network.files import design_of  # noqa: E402
from coevo.spaces.spvnas.network.released import (  # noqa: E402
    load_released,
    load_released_supernet,
    read_net_config,
    translated,
)
from coevo.spaces.spvnas.network.static import build_network  # noqa: E402
from coevo.spaces.spvnas.network.supernet import Supernet  # noqa: E402

from .scans import CLASSES, SMALL, designs, given  # noqa: E402


def copied(found, own, prefix, theirs, infix=""):
    """A convolution and its norm, or a linear layer and its norm."""
    for place, kind in ((0, "conv"), (1, "bn")):
        head = f"{prefix}.{place}." if "{}" not in prefix else prefix.format(place) + "."
        inner = infix if kind == "bn" else ""
        for name, each in own.items():
            if name.startswith(head):
                found[f"{theirs}.net.{kind}{inner}.{name.removeprefix(head)}"] = each


def as_released(net, design, most_width=32, elastic=False):
    """The state dict of a determinised SPVNAS (or with `elastic` of the supernet) with the weights of `net`."""
    own, found = net.state_dict(), {}
    layers, bn = ("layers.", ".bn") if elastic else ("", "")
    found |= {name: each for name, each in own.items() if name.startswith("stem.")}
    for stage in range(8):
        up, number = stage >= 4, stage % 4
        mine, theirs = f"{'up' if up else 'stage'}{number + 1}", f"{'up' if up else 'down'}sample.{number}"
        copied(found, own, f"{mine}.0.net", f"{theirs}.transition", bn)
        for block in range(design.depths[stage]):
            inner = f"{mine}.1.{block}" if up else f"{mine}.{block + 1}"
            outer = f"{theirs}.feature.{layers}{block}"
            for conv in range(2):
                for place, kind in ((3 * conv, "conv"), (3 * conv + 1, f"bn{bn}")):
                    head = f"{inner}.net.{place}."
                    names = [name for name in own if name.startswith(head)]
                    target = f"{outer}.net.{layers}{conv}.net.{kind}."
                    found |= {target + name.removeprefix(head): own[name] for name in names}
            if f"{inner}.downsample.0.kernel" in own:
                copied(found, own, f"{inner}.downsample", f"{outer}.downsample", bn)
    for number in range(3):
        for place, kind in ((0, "conv.linear" if elastic else "conv"), (1, f"bn{bn}")):
            head = f"point_transforms.{number}.{place}."
            names = [name for name in own if name.startswith(head)]
            found |= {f"point_transforms.{number}.net.{kind}.{name.removeprefix(head)}": own[name] for name in names}
    weight = own["classifier.0.weight"]
    wide = torch.cat([weight, torch.randn(len(weight), max(0, most_width - weight.shape[1]), dtype=weight.dtype)], 1)
    return found | {"classifier.linear.weight": wide, "classifier.linear.bias": own["classifier.0.bias"]}


def config_of(design):
    found = {"output_channels": list(design.widths), "num_classes": CLASSES, "pres": 0.05, "vres": 0.05}
    for stage in range(8):
        name = f"{'up' if stage >= 4 else 'down'}sample.{stage % 4}"
        found |= {f"{name}.transition": design.transitions[stage], f"{name}.feature": design.depths[stage]}
        for block in range(2):
            there = block < design.depths[stage]
            inner = f"{name}.feature.layers.{block}"
            found[f"{inner}.net"] = 2 if there else None
            found[f"{inner}.net.layers.0"] = design.middles[stage][block] if there else None
            found[f"{inner}.net.layers.1"] = design.widths[stage + 1] if there else None
            found[f"{inner}.downsample"] = design.widths[stage + 1] if there and not block else None
    return found


def test_names_of_the_released_modules():
    for theirs, mine in {
        "downsample.0.transition.net.conv.kernel": "stage1.0.net.0.kernel",
        "upsample.3.transition.net.bn.running_var": "up4.0.net.1.running_var",
        "downsample.2.feature.1.net.0.net.conv.kernel": "stage3.2.net.0.kernel",
        "downsample.2.feature.0.net.1.net.bn.weight": "stage3.1.net.4.weight",
        "upsample.0.feature.1.net.1.net.conv.kernel": "up1.1.1.net.3.kernel",
        "upsample.0.feature.0.downsample.net.bn.bias": "up1.1.0.downsample.1.bias",
        "point_transforms.2.net.conv.weight": "point_transforms.2.0.weight",
        "classifier.linear.bias": "classifier.0.bias",
        "downsample.0.feature.layers.1.net.layers.1.net.bn.bn.running_mean": "stage1.2.net.4.running_mean",
        "point_transforms.0.net.conv.linear.weight": "point_transforms.0.0.weight",
        "stem.4.bias": "stem.4.bias",
    }.items():
        assert translated(theirs) == mine


def test_a_specialised_network_comes_in():
    for design in designs(SMALL["voxels"]):
        net = build_network(design, CLASSES)
        net(given("voxels", dtype=torch.float32))
        released = {f"module.{name}": each for name, each in as_released(net, design).items()}
        for name in released:
            if name.endswith("downsample.net.conv.kernel"):
                released[name] = released[name][None]
        found = load_released({"model": released}, config_of(design))
        assert design_of(found) == design and read_net_config(config_of(design)) == design
        x = given("voxels", dtype=torch.float32)
        assert torch.equal(found(x), net.eval()(x))
    raw = load_released({"model": released}, points="raw")
    assert raw.points == "raw"


@pytest.mark.parametrize(("kind", "points"), [(SPVCNN, "voxels"), (MinkUNet, "none")])
def test_uniform_networks_come_in(kind, points):
    net = kind(CLASSES, width=0.1)
    found = load_released({"model": net.state_dict()}, points=points)
    assert type(found) is kind and design_of(found) == Backbone.uniform(0.1, points)
    assert all(torch.equal(each, net.state_dict()[name]) for name, each in found.state_dict().items())
    if kind is SPVCNN:  # the released MinkUNet carries perceptrons too
        assert type(load_released(net.state_dict(), points="none")) is MinkUNet


def test_the_released_supernet_comes_in():
    bounds = SMALL["voxels"]
    net, other = Supernet(bounds, CLASSES), Supernet(bounds, CLASSES)
    load_released_supernet(other, {"model": as_released(net, bounds.largest, most_width=0, elastic=True)})
    assert all(torch.equal(each, net.state_dict()[name]) for name, each in other.state_dict().items())
    with torch.device("meta"):
        shapes = {name: tuple(each.shape) for name, each in Supernet(Bounds()).state_dict().items()}
    assert shapes["up1.1.0.net.0.kernel"] == (27, 384 + 192, 384) and shapes["up4.0.net.0.kernel"] == (8, 128, 128)
    assert shapes["point_transforms.0.0.weight"] == (384, 32)


def test_what_does_not_fit_is_refused():
    design = designs(SMALL["voxels"])[2]
    state = as_released(build_network(design, CLASSES), design)
    config = config_of(design)
    with pytest.raises(InputError, match=r"not of its net\.config: transitions are"):
        load_released(state, {**config, "downsample.0.transition": config["downsample.0.transition"] + 4})
    with pytest.raises(InputError, match=r"whole number under 'upsample.1.feature', got None"):
        load_released(state, {**config, "upsample.1.feature": None})
    with pytest.raises(InputError, match="nine numbers under 'output_channels'"):
        load_released(state, {})
    with pytest.raises(InputError, match=r"has no stage1.0.net.0.kernel .*of no SPVNAS"):
        load_released({name: each for name, each in state.items() if "downsample.0.transition" not in name})
    with pytest.raises(InputError, match=r"the checkpoint does not fit SPVCNN; missing: stem\.1\.weight"):
        load_released({name: each for name, each in state.items() if name != "stem.1.weight"})
    with pytest.raises(InputError, match="expected a state dict"):
        load_released({"model": 3})
    with pytest.raises(InputError, match="no classifier"):
        load_released({name: each for name, each in state.items() if "classifier" not in name})
