"""The edge cases' own checks: they hold where both sides are the plain reference, and tell sides that are apart."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments" / "bench"))

import sparse_edges  # noqa: E402

SMALL = [(name, coords) for name, coords in sparse_edges.clouds() if len(coords) < 130]


@pytest.mark.parametrize(("name", "coords"), SMALL, ids=[name for name, _ in SMALL])
def test_a_layer_agrees_with_itself(name: str, coords: torch.Tensor) -> None:
    for _, made in sparse_edges.layers(4, 6):
        sparse_edges.check(made, coords, 4, torch.float32, device="cpu")


def test_sides_that_are_apart_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _, made = next(sparse_edges.layers(4, 6))
    calls = []

    def forward(x):
        calls.append(x)
        return x.with_feats(made(x).feats * (1.0 + 0.01 * (len(calls) == 2)))

    net = torch.nn.Module()
    net.layer, net.forward = made, forward
    with pytest.raises(AssertionError):
        sparse_edges.check(net, SMALL[-1][1], 4, torch.float32, device="cpu")


def test_shares_are_all_cases_once() -> None:
    names = [name for name, _ in sparse_edges.cases()]
    dealt = [name for share in range(7) for name, _ in sparse_edges.cases()[share::7]]
    assert len(names) == len(set(names)) and sorted(dealt) == sorted(names)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize(
    "name", ["no voxel, 3x3x3, 4 to 61 channels", "one voxel, 3x3x3 by 2, 4 to 61 channels", "raw points"]
)
def test_cases_pass_on_a_device(name: str) -> None:
    chosen = [work for case, work in sparse_edges.cases() if name in case]
    assert chosen
    chosen[0]()
