"""Networks in plain operators, and exported: the same logits, for scans of other sizes too."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.spaces.spvnas.network.portable import PortableUNet, export_program, scan_tables  # noqa: E402
from coevo.spaces.spvnas.network.static import build_network  # noqa: E402

from .scans import CLASSES, SMALL, designs, given, make_scan  # noqa: E402


def trained(points, design):
    torch.manual_seed(5)
    net = build_network(design, CLASSES).double()
    net(given(points))  # statistics that are no identity
    return net.eval()


def rows_of(points, seed=0, **options):
    feats, coords, of_points, places = make_scan(seed, **options)
    return (of_points, places) if points == "raw" else (feats, coords)


def wanted(net, points, seed=0, **options):
    x = given(points, seed, **options)
    return net(x) if points == "raw" else x.with_feats(net(x)).in_given_order()


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_plain_operators_give_the_same_logits(points):
    for design in designs(SMALL[points])[1:]:
        net = trained(points, design)
        feats, coords = rows_of(points)
        moved = torch.randperm(len(feats))
        feats, coords = feats[moved], coords[moved]
        found = PortableUNet(net, torch.float64)(feats, scan_tables(coords, points))
        assert torch.allclose(found, wanted(net, points)[moved], atol=1e-5)


def test_an_exported_program_takes_other_scans():
    points = "raw"  # which has every operator
    net = trained(points, SMALL[points].smallest)
    program = export_program(net, rows_of(points, most=30)[1], torch.float64)
    for seed, most in ((1, 24), (2, 17)):
        feats, coords = rows_of(points, seed, most=most)
        found = program.module()(feats, scan_tables(coords, points))
        assert torch.allclose(found, wanted(net, points, seed, most=most), atol=1e-5)


def test_a_scan_to_trace_with():
    net = trained("none", SMALL["none"].smallest)
    with pytest.raises(InputError, match="at least two voxels at every stride"):
        export_program(net, torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1]], dtype=torch.int32))
