"""The supernet: any design of it gives what its static network gives, in training and in evaluation."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.spaces.spvnas.design import Backbone  # noqa: E402
from coevo.spaces.spvnas.network.channel_groups import channel_groups  # noqa: E402
from coevo.spaces.spvnas.network.supernet import Supernet  # noqa: E402
from coevo.supernets.elastic import calibrate, learn_together, sandwich, sort_channels  # noqa: E402

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


@pytest.mark.parametrize(("points", "by"), [("voxels", "readers"), ("none", "writers")])
def test_sorted_channels_give_the_same_answers(points, by):
    net, x = make_supernet(points), given(points)
    calibrate(net, [x], net)
    net.eval()
    before, kernel = net(x), net.get_parameter("stage2.1.net.0.kernel").detach().clone()
    groups = list(channel_groups(net))
    assert len(groups) == 1 + 8 + 16 + 9
    sort_channels(groups, by)
    assert torch.allclose(net(x), before, atol=1e-9)
    assert not torch.equal(net.get_parameter("stage2.1.net.0.kernel"), kernel)
    for group in groups:  # sorting a group moves no importance of another
        found = group.importance(by)
        assert torch.allclose(found, found.sort(descending=True).values)


def test_a_step_of_the_sandwich_trains_every_parameter():
    net = make_supernet("voxels").train()
    bounds, x = SMALL["voxels"], given("voxels")
    labels = torch.arange(len(x.feats)) % CLASSES
    draw = iter(designs(bounds)[2:])

    def run(design):
        net.set_design(design)
        return net(given("voxels"))

    trained = sandwich(bounds.largest, bounds.smallest, 1, lambda: next(draw))
    loss = learn_together(trained, run, lambda logits: torch.nn.functional.cross_entropy(logits, labels))
    assert torch.isfinite(loss)
    assert all(each.grad is not None and torch.isfinite(each.grad).all() for each in net.parameters())


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
