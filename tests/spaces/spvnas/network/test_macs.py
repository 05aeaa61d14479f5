"""Counts in closed form: the published ones, and those of the networks themselves."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.sparse.modules.macs import count_macs  # noqa: E402
from coevo.kernels.sparse.tensors import SparseTensor  # noqa: E402
from coevo.spaces.spvnas.design import Backbone, Bounds  # noqa: E402
from coevo.spaces.spvnas.network.layers import layers_of  # noqa: E402
from coevo.spaces.spvnas.network.macs import (  # noqa: E402
    MEAN_FRAME,
    ONE_SWEEP,
    MapSizes,
    check_budget,
    macs_of,
    parameters_of,
    total_macs,
)
from coevo.spaces.spvnas.network.map_sizes import map_sizes, mean_map_sizes  # noqa: E402
from coevo.spaces.spvnas.network.static import build_network  # noqa: E402

from .scans import CLASSES, SMALL, designs, given, make_scan  # noqa: E402

PUBLISHED = [  # README of SPVNAS: points, width, parameters (M), GMACs a mean frame; and GMACs of the one sweep
    ("voxels", 0.5, 5.5, 30.0, 35.7),
    ("voxels", 0.64, 8.8, 47.4, 57.6),
    ("voxels", 1.0, 21.8, 118.6, 142.7),
    ("none", 0.5, 5.5, 28.5, 34.5),
    ("none", 0.64, 8.8, 45.9, 55.5),
    ("none", 1.0, 21.7, 113.9, 137.7),
]


@pytest.mark.parametrize(("points", "width", "millions", "mean_gmacs", "sweep_gmacs"), PUBLISHED)
def test_published_sizes(points, width, millions, mean_gmacs, sweep_gmacs):
    design = Backbone.uniform(width, points)
    assert parameters_of(design) / 1e6 == pytest.approx(millions, abs=0.07)  # one digit is published
    assert total_macs(design, ONE_SWEEP) / 1e9 == pytest.approx(sweep_gmacs, abs=0.06)
    assert total_macs(design, MEAN_FRAME) / 1e9 == pytest.approx(mean_gmacs, rel=0.015)


def test_ratios_between_widths_are_the_published_ones():
    for points in ("voxels", "none"):
        mine = [row for row in PUBLISHED if row[0] == points]
        whole = total_macs(Backbone.uniform(1.0, points))
        for _, width, _, gmacs, _ in mine[:2]:
            ratio = total_macs(Backbone.uniform(width, points)) / whole
            assert ratio == pytest.approx(gmacs / mine[2][3], rel=0.015)


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_counts_are_those_of_the_network(points):
    feats, coords, of_points, _ = make_scan()
    x = SparseTensor.of(feats, coords)
    count = len(of_points) if points == "raw" else None
    for design in [*designs(SMALL[points]), Backbone.uniform(0.1, points)]:
        with torch.device("meta"):
            net = build_network(design, CLASSES)
        assert parameters_of(design, CLASSES) == sum(each.numel() for each in net.parameters())
        counted = count_macs(net, x, count)
        assert macs_of(design, map_sizes(x, count), CLASSES) == counted
        assert {each.name for each in layers_of(design, CLASSES)} == set(counted)


def test_layers_come_in_the_order_in_which_they_run():
    design = SMALL["voxels"].largest
    torch.manual_seed(0)
    net = build_network(design, CLASSES).double()
    ran = []
    for name, module in net.named_modules():
        if hasattr(module, "kernel") or isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda *_, name=name: ran.append(name))
    net(given("voxels"))
    assert [each.name for each in layers_of(design, CLASSES)] == ran


def test_means_of_frames():
    scans = [SparseTensor.of(*make_scan(seed)[:2]) for seed in (1, 2)]
    one, other = (map_sizes(each) for each in scans)
    mean = mean_map_sizes(scans)
    assert mean.rows[0] == (one.rows[0] + other.rows[0]) / 2 and mean.pairs[4] == (one.pairs[4] + other.pairs[4]) / 2
    design = SMALL["voxels"].smallest
    assert total_macs(design, mean) == pytest.approx((total_macs(design, one) + total_macs(design, other)) / 2, abs=60)
    assert map_sizes(scans[0], num_scans=2).rows == tuple(each / 2 for each in one.rows)


def test_bad_input():
    least = total_macs(Bounds().smallest) / 1e9
    with pytest.raises(InputError, match=f"budget of 2.00 GMACs is below .* which has {least:.2f}"):
        check_budget(Bounds(), 2e9)
    check_budget(Bounds(), least * 1e9 + 1)
    with pytest.raises(InputError, match="the mean of the sizes of no frame"):
        MapSizes.mean([])
    with pytest.raises(InputError, match="5 numbers of rows"):
        MapSizes((1.0,), (1.0,), 1.0)
