"""A small table measured on this machine's CPU."""

import numpy as np
import pytest
import torch

from coevo.cost_models.point_cloud_latency import Axes, Layer, axes_over, fingerprint
from coevo.cost_models.point_cloud_latency.measuring import measure_table
from coevo.errors import InputError


def scan(rows: int, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    found = torch.unique(torch.randint(0, 12, (rows, 4), dtype=torch.int32) * torch.tensor([0, 1, 1, 1]), dim=0)
    return found.to(torch.int32)


@pytest.mark.parametrize("points", ["voxels", "raw"])
def test_every_kind_is_measured(points: str) -> None:
    layers = [Layer("conv3", 0, 16, 32), Layer("conv3", 4, 32, 16), Layer("shortcut", 1, 16, 16)]
    layers += [Layer("down", 0, 16, 16), Layer("up", 3, 16, 16), Layer("linear", 0, 16, 32)]
    layers += [Layer("gather", 2, 16, 16), Layer("scatter", 4, 16, 16), Layer("corners", 2, 16, 16)]
    scans = [scan(200, 0), scan(400, 1)]
    if points == "raw":
        scans = [each + torch.rand(each.shape) * torch.tensor([0.0, 0.9, 0.9, 0.9]) for each in scans]
    said = []
    made = measure_table(
        scans, axes_over(layers), dtype=torch.float32, capacity=[600] * 5, points=points, said="random voxels",
        repeats=1, progress=lambda done, total, text: said.append((done, total)),
    )  # fmt: skip
    assert set(made.grids) == {(each.kind, each.level) for each in layers}
    assert made.rows.shape == (2, 5) and (np.diff(made.rows, axis=1) <= 0).all()
    assert (made.pairs >= made.rows).all()
    assert made.rows[:, 0].tolist() == [len(each) for each in scans]
    assert (made.ms(layers) > made.maps_ms).all() and (made.maps_ms > 0).all()
    made.check_device(fingerprint("cpu"))
    assert said[-1][0] == said[-1][1] == 10


def test_bad_scans_are_refused() -> None:
    axes = {("conv3", 0): Axes((16,), (16,))}
    for scans in ([], [torch.zeros((0, 4), dtype=torch.int32)], [scan(500, 0)]):
        with pytest.raises(InputError):
            measure_table(scans, axes, dtype=torch.float32, capacity=[100] * 5)
