"""What a checkpoint keeps beside weights and momenta: numbers of an optimizer, and tensors that the caller names."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from coevo.errors import InputError  # noqa: E402
from coevo.supernets.checkpoints import Checkpoints  # noqa: E402


class Counting(torch.optim.SGD):
    """Its state has a plain number, which counts."""

    def step(self):
        super().step()
        for group in self.param_groups:
            for each in group["params"]:
                self.state[each]["updates"] = self.state[each].get("updates", 0) + 1


def trained(updates: int) -> tuple[torch.nn.Module, Counting]:
    torch.manual_seed(0)
    net = torch.nn.Linear(2, 1)
    optimizer = Counting(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(updates):
        optimizer.zero_grad()
        net(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    return net, optimizer


def test_numbers_and_tensors_beside_come_back(tmp_path):
    net, optimizer = trained(3)
    beside = {"average": torch.arange(3.0)}
    Checkpoints(tmp_path, {}).save(3, net, optimizer, None, {"a": [1]}, beside)
    other, empty = trained(0)
    held = {"average": torch.zeros(3)}
    assert Checkpoints(tmp_path, {}).load(other, empty, None, held) == (3, {"a": [1]})
    assert torch.equal(held["average"], beside["average"])
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two) and empty.state[two]["updates"] == 3
        assert torch.equal(empty.state[two]["momentum_buffer"], optimizer.state[one]["momentum_buffer"])
    for wrong in ({}, {"average": torch.zeros(2)}):
        before = [each.clone() for each in other.parameters()]
        with pytest.raises(InputError, match="average is"):
            Checkpoints(tmp_path, {}).load(other, empty, None, wrong)
        assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))
