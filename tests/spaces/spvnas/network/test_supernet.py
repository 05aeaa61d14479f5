"""The supernet: any design of it gives what its static network gives, in training and in evaluation."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.spaces.spvnas.design import Backbone  # noqa: E402
from coevo.spaces.spvnas.network.supernet import Supernet  # noqa: E402
from coevo.supernets.elastic import calibrate  # noqa: E402

from .scans import CLASSES, SMALL, designs, given  # noqa: E402


def make_supernet(points, seed=0):
    torch.manual_seed(seed)
    net = Supernet(SMALL[points], CLASSES).double()
    for module in net.modules():  # norms that are no identity
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    return net


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_a_design_taken_out_gives_what_the_supernet_gave(points):
    net = make_supernet(points)
    if points != "none":
        net.dropout.p = 0.0
    for number, design in enumerate(designs(SMALL[points])):
        net.train()
        net.set_design(design)
        static = net.extract()
        if points != "none":
            static.dropout.p = 0.0
        x = given(points, number)
        wanted = net(x)
        assert torch.allclose(static(x), wanted, atol=1e-10) and wanted.shape[1] == CLASSES
        calibrate(net, [given(points, 7)], net)
        net.eval()
        taken = net.extract()
        assert not taken.training
        assert torch.allclose(taken(x), net(x), atol=1e-10)
        assert not torch.allclose(net(x), wanted, atol=1e-3)


def test_gradients_reach_the_parts_in_use_alone():
    net = make_supernet("voxels")
    net.dropout.p = 0.0
    design = designs(SMALL["voxels"])[2]
    net.set_design(design)
    static = net.extract()
    static.dropout.p = 0.0
    weights = torch.randn(CLASSES, dtype=torch.float64)
    for each in (net, static):
        (each(given("voxels")) @ weights).square().sum().backward()
    copies = Supernet(SMALL["voxels"], CLASSES).double()
    copies.set_design(design)
    with torch.no_grad():
        for one, other in zip(copies.parameters(), net.parameters(), strict=True):
            one.copy_(torch.zeros_like(other) if other.grad is None else other.grad)
    for name, grad in copies.extract().named_parameters():
        assert torch.allclose(grad, static.get_parameter(name).grad, atol=1e-9), name
    total = sum(float(each.grad.abs().sum()) for each in net.parameters() if each.grad is not None)
    assert total == pytest.approx(sum(float(each.grad.abs().sum()) for each in static.parameters()))


def test_a_design_is_calibrated_before_it_is_judged():
    net = make_supernet("voxels").eval()
    with pytest.raises(InputError, match="calibrate the supernet"):
        net(given("voxels"))
    calibrate(net, [given("voxels")], net)
    net(given("voxels"))
    net.set_design(SMALL["voxels"].smallest)
    with pytest.raises(InputError, match="calibrate the supernet"):
        net(given("voxels"))
    calibrate(net, [given("voxels")], net)
    net.train()(given("voxels"))  # the weights may move after this
    with pytest.raises(InputError, match="calibrate the supernet"):
        net.eval()(given("voxels"))
    with pytest.raises(InputError, match="at least one batch"):
        calibrate(net, [], net)


def test_what_is_no_part_of_the_space():
    net = make_supernet("voxels")
    with pytest.raises(InputError, match="identity"):
        net.set_design(Backbone.uniform(0.5))
    other = SMALL["none"].smallest
    with pytest.raises(InputError, match="its points are 'none'"):
        net.extract(other)
    with pytest.raises(InputError, match="takes a SparseTensor, got a PointTensor"):
        net(given("raw"))
    with pytest.raises(InputError, match="with 4 channels"):
        x = given("voxels")
        net(x.with_feats(x.feats[:, :3]))
