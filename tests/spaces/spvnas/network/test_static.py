"""Static networks of any design: compiled for inference, and in a training step."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.sparse.inference import compile_for_inference  # noqa: E402
from coevo.kernels.sparse.modules import SPVCNN, ResidualBlock  # noqa: E402
from coevo.kernels.sparse.training import TrainingStep  # noqa: E402
from coevo.spaces.spvnas.design import Backbone  # noqa: E402
from coevo.spaces.spvnas.network.static import build_network  # noqa: E402

from .scans import CLASSES, SMALL, designs, given, make_scan  # noqa: E402


def odd_design(points):
    """Depths beyond the space's, channels that are no multiples of anything, and a shortcut that is the identity."""
    widths, transitions = (5, 6, 7, 9, 11, 7, 6, 5, 4), (6, 5, 7, 8, 9, 5, 6, 7)
    middles = ((3,), (7, 4), (5, 6, 7), (9,), (8, 3), (5,), (4,), (6, 2))
    return Backbone(widths, tuple(map(len, middles)), middles, transitions, points, projects=False)


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_every_design_compiles(points):
    feats, coords, of_points, places = make_scan()
    rows = (of_points, places) if points == "raw" else (feats, coords)
    for design in (designs(SMALL[points])[2], odd_design(points)):
        torch.manual_seed(1)
        net = build_network(design, CLASSES).double()
        net.train()
        net(given(points))  # statistics that are no identity
        net.eval()
        fast = compile_for_inference(net, (len(rows[0]),) * 5, torch.float64)
        x = given(points)
        wanted = net(x)
        wanted = wanted if points == "raw" else x.with_feats(wanted).in_given_order()
        assert torch.allclose(fast(*rows), wanted, atol=1e-5)


@pytest.mark.parametrize("points", ["none", "voxels"])
def test_every_design_trains_in_a_step(points):
    feats, coords, _, _ = make_scan(dtype=torch.float32)
    labels = torch.arange(len(coords)) % CLASSES
    nets = [build_network(odd_design(points), CLASSES) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    for net in nets:
        if points == "voxels":
            net.dropout.p = 0.0
    step = TrainingStep(nets[0], torch.nn.functional.cross_entropy, (len(feats),) * 5, dtype=None)
    x = given(points, dtype=torch.float32)
    wanted = torch.nn.functional.cross_entropy(nets[1](x), labels[x.caches.order])
    wanted.backward()
    assert step(feats, coords, labels) == pytest.approx(float(wanted.detach()), abs=1e-5)
    for (name, one), other in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-4), name


def test_raw_points_have_no_captured_step():
    with pytest.raises(InputError, match="of voxels"):
        TrainingStep(build_network(SMALL["raw"].smallest), torch.nn.functional.cross_entropy, 100)


def test_uniform_designs_are_the_networks_of_those_widths():
    wanted, found = SPVCNN(CLASSES, width=0.5).state_dict(), build_network(Backbone.uniform(0.5), CLASSES).state_dict()
    assert {name: each.shape for name, each in found.items()} == {name: each.shape for name, each in wanted.items()}


def test_shortcuts():
    assert ResidualBlock(4, 4, projects=True).downsample is not None
    with pytest.raises(InputError, match="from 4 to 5 channels needs a shortcut"):
        ResidualBlock(4, 5, projects=False)
