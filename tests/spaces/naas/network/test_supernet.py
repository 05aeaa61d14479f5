import pytest

pytest.importorskip("torch")

import torch

from coevo.search.canonical import stream
from coevo.search.space import Space
from coevo.spaces.naas.network import FAMILIES, Scale, family
from coevo.spaces.naas.network.supernet import Supernet, largest, resized, smallest

SMALL = Scale((16, 32), 10, width=0.25, channels=1, stem_stride=1)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_design_runs_and_its_convolutions_are_the_layers_that_are_costed(name):
    torch.manual_seed(0)
    network = Supernet(name, SMALL)
    space = Space("test/v1", lambda pick: family(name)(pick, SMALL))
    designs = [space.build(space.sample(stream("test", index))) for index in range(6)]
    for design in [largest(name, SMALL), smallest(name, SMALL), *designs]:
        macs = _Macs()
        with torch.no_grad(), macs:
            found = network(torch.randn(2, 1, 28, 28), design)
        assert found.shape == (2, 10) and torch.isfinite(found).all()
        assert macs.total == sum(layer.macs * times for layer, times in design.runs(batch=2))


class _Macs(torch.overrides.TorchFunctionMode):
    """Multiplications and additions of convolutions and linear layers, from the tensors that went through."""

    total = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if function in (torch.nn.functional.conv2d, torch.nn.functional.linear):
            self.total += found.numel() * args[1][0].numel()
        return found


@pytest.mark.parametrize("name", FAMILIES)
def test_accuracy_is_learnt(name):
    """A few steps on two kinds of images that a person tells apart."""
    torch.manual_seed(0)
    scale = Scale((16,), 2, width=0.125, channels=1, stem_stride=1)
    network = Supernet(name, scale)
    images = torch.randn(160, 1, 16, 16) * 0.3
    labels = torch.arange(160) % 2
    images[labels == 1, :, :, 8:] += 2.0
    images[labels == 0, :, 8:, :] += 2.0
    design = smallest(name, scale)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(12):
        batch = slice(32 * (step % 4), 32 * (step % 4) + 32)
        loss = torch.nn.functional.cross_entropy(network(images[batch], design), labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert network.accuracy(design, images[:128], images[128:], labels[128:]) > 0.9


def test_resizing_leaves_images_of_the_right_size_alone():
    images = torch.randn(1, 1, 16, 16)
    assert resized(images, 16) is images
    assert resized(images, 32).shape == (1, 1, 32, 32)
