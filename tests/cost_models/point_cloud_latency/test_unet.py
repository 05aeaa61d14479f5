"""A U-Net's launches: as many as the compiled network has, with the same channels."""

import pytest
import torch

from coevo.cost_models.point_cloud_latency.unet import layers_of_unet
from coevo.errors import InputError
from coevo.kernels.sparse.inference.static_unet import StaticUNet
from coevo.kernels.sparse.modules import SPVCNN, MinkUNet
from coevo.spaces.spvnas.design import Backbone, Bounds
from coevo.spaces.spvnas.network.static import build_network


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
@pytest.mark.parametrize("which", ["uniform", "largest", "smallest"])
def test_every_convolution_is_there(points: str, which: str) -> None:
    bounds = Bounds.scaled(0.25, points)
    design = Backbone.uniform(0.5, points) if which == "uniform" else getattr(bounds, which)
    layers = layers_of_unet(design, points)
    static = StaticUNet(build_network(design), torch.float32)
    folded = list(static.convolutions().values())
    mine = [each for each in layers if each.kind in ("conv3", "down", "up")]
    assert len(mine) == len(folded)
    expected = sorted((len(each.weight), each.weight.shape[2]) for each in folded)
    assert sorted((27 if each.kind == "conv3" else 8, each.outputs) for each in mine) == expected
    shortcuts = [each for each in layers if each.kind == "shortcut"]
    assert len(shortcuts) == sum(each.shortcut_weight is not None for each in folded)
    linears = [each for each in layers if each.kind == "linear"]
    assert len(linears) == len(static.transforms)
    assert sum(each.kind == "corners" for each in layers) == {"none": 0, "voxels": 2, "raw": 3}[points]


def test_points_must_be_known() -> None:
    with pytest.raises(InputError):
        layers_of_unet(Backbone.uniform(1.0), "other")
    assert isinstance(build_network(Backbone.uniform(0.5, "none")), MinkUNet)
    assert isinstance(build_network(Backbone.uniform(0.5)), SPVCNN)
