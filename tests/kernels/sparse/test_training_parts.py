"""What a training step is made of: the loss, copies of weights, gradients of two inputs without a copy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from coevo.kernels.sparse.convolution.autograd import convolve  # noqa: E402
from coevo.kernels.sparse.convolution.casts import WeightCopies, cast  # noqa: E402
from coevo.kernels.sparse.training import cross_entropy  # noqa: E402

_spec = importlib.util.spec_from_file_location("conv_cases", Path(__file__).with_name("conv_cases.py"))
conv_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conv_cases)
maps = conv_cases.maps


@pytest.mark.parametrize("rows", [1, 40])
def test_the_loss_is_torchs(rows):
    torch.manual_seed(rows)
    labels = torch.randint(5, (rows,))
    labels[1::3] = 255
    found, wanted = (torch.randn(rows, 5, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    for logits, loss in (
        (found.requires_grad_(), cross_entropy(found, labels)),
        (wanted.requires_grad_(), torch.nn.functional.cross_entropy(wanted, labels, ignore_index=255)),
    ):
        (3 * loss).backward()
        logits.loss = loss
    assert torch.allclose(found.loss, wanted.loss, rtol=1e-6)
    assert torch.allclose(found.grad, wanted.grad, atol=1e-7)
    assert not found.grad[labels == 255].any()


def test_the_loss_of_no_labels_is_no_number():
    assert torch.isnan(cross_entropy(torch.randn(3, 5), torch.full((3,), 7), ignored=7))


def test_copies_stand_in_for_casts_until_they_are_left():
    weights = [torch.nn.Parameter(torch.randn(27, 4, 8)), torch.nn.Parameter(torch.randn(8))]
    copies = WeightCopies(weights, torch.bfloat16)
    assert len(copies.copies) == 1  # biases and norms stay as they are
    copies.refresh()
    with copies.used():
        assert cast(weights[0], torch.bfloat16) is copies.copies[0]
        assert cast(weights[0], torch.float16).dtype == torch.float16
        assert torch.equal(cast(weights[1], torch.bfloat16), weights[1].detach().bfloat16())
    assert torch.equal(copies.copies[0], weights[0].detach().bfloat16())
    assert cast(weights[0], torch.bfloat16) is not copies.copies[0]


def test_gradients_with_copies_are_those_without():
    made = maps(3, 30)
    features = torch.randn(made.capacity_in, 4)
    grads = []
    for with_copies in (False, True):
        weight = torch.nn.Parameter(torch.randn(27, 4, 8, generator=torch.Generator().manual_seed(1)))
        copies = WeightCopies([weight], torch.bfloat16)
        copies.refresh()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if with_copies:
                with copies.used():
                    out = convolve(features, weight, made)
            else:
                out = convolve(features, weight, made)
        out.float().square().sum().backward()
        grads.append(weight.grad)
    assert grads[0].dtype == torch.float32 and torch.equal(*grads)


def test_pairs_of_an_inverse_are_the_maps_turned_round():
    made = maps(5, 50, 2, 2)
    pairs = made.pairs()
    back = made.inverse()
    turned = back.pairs()
    assert turned.inputs is pairs.outputs and turned.outputs is pairs.inputs and turned.starts is pairs.starts
    for offset in range(8):
        span = slice(int(turned.starts[offset]), int(turned.starts[offset + 1]))
        rows = turned.outputs[span].long()
        assert torch.equal(back.neighbours[offset][rows], turned.inputs[span])
        assert len(rows) == int((back.neighbours[offset] >= 0).sum())
