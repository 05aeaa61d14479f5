import pytest

pytest.importorskip("torch")

import torch

from coevo.supernets.elastic import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear, recording, settled


def test_a_subnet_uses_the_first_channels_and_the_middle_of_the_kernel():
    torch.manual_seed(0)
    layer = ElasticConv2d(6, 8, (3, 5))
    x = torch.randn(2, 4, 9, 9)
    expected = torch.nn.functional.conv2d(x, layer.weight[:5, :4, 1:4, 1:4], padding=1, stride=2)
    assert torch.equal(layer(x, 5, 3, 2), expected)  # the matrix over positions starts as the identity
    assert torch.equal(layer(x, 5, 5), torch.nn.functional.conv2d(x, layer.weight[:5, :4], padding=2))


def test_the_smallest_kernel_passes_through_every_matrix():
    layer = ElasticConv2d(2, 2, (7, 3, 5), depthwise=True)
    with torch.no_grad():
        layer.transforms["to_5"].mul_(2.0)
        layer.transforms["to_3"].mul_(3.0)
    assert torch.allclose(layer.sliced(2, 2, 3), 6.0 * layer.weight[:, :, 2:5, 2:5])
    assert torch.allclose(layer.sliced(2, 2, 5), 2.0 * layer.weight[:, :, 1:6, 1:6])
    assert torch.equal(layer.sliced(2, 1, 7), layer.weight[:1])


def test_linear_slices_both_sides():
    layer = ElasticLinear(6, 5)
    x = torch.randn(3, 4)
    assert torch.allclose(layer(x, 2), x @ layer.weight[:2, :4].T + layer.bias[:2])


def test_statistics_are_those_recorded_last_and_training_does_not_touch_them():
    norm = ElasticBatchNorm2d(4)
    first, second = torch.randn(8, 3, 5, 5) * 3 + 1, torch.randn(2, 3, 5, 5)
    with recording(norm):
        assert torch.allclose(norm(first).mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    norm(second)  # training
    with settled(norm):
        found = norm(second)
    plain = torch.nn.functional.batch_norm(
        second, first.mean(dim=(0, 2, 3)), first.var(dim=(0, 2, 3), correction=0), training=False
    )
    assert torch.allclose(found, plain, atol=1e-6)
    assert norm.mode == "batch"


def test_judging_without_recorded_statistics_is_an_error():
    norm = ElasticBatchNorm2d(4)
    with settled(norm), pytest.raises(RuntimeError, match="3 channels"):
        norm(torch.randn(2, 3, 4, 4))
