"""What a training step is made of: the loss, copies of weights, pairs turned round, blocks as one step of autograd."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from coevo.kernels.sparse.convolution import dispatch  # noqa: E402
from coevo.kernels.sparse.convolution.autograd import convolve  # noqa: E402
from coevo.kernels.sparse.convolution.casts import WeightCopies, cast  # noqa: E402
from coevo.kernels.sparse.convolution.plan import Plan  # noqa: E402
from coevo.kernels.sparse.modules import BatchNorm, ResidualBlock, batch_norm, block_training, blocks  # noqa: E402
from coevo.kernels.sparse.tensors import SparseTensor  # noqa: E402
from coevo.kernels.sparse.training import cross_entropy  # noqa: E402

_spec = importlib.util.spec_from_file_location("conv_cases", Path(__file__).with_name("conv_cases.py"))
conv_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conv_cases)
maps = conv_cases.maps
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


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


@pytest.fixture
def on_kernels(monkeypatch):
    """Norms and convolutions of all but float64 on the kernels, in Triton's interpreter where there is no device."""
    pytest.importorskip("triton")
    if DEVICE == "cpu":
        tile = Plan(dataflow="sorted", splits=1, rows=16, columns=16, depth=16, warps=4, stages=1)
        chosen = dispatch.default_plan
        monkeypatch.setattr(
            dispatch, "default_plan", lambda x, *rest: chosen(x, *rest) if x.dtype == torch.float64 else tile
        )
        monkeypatch.setattr(batch_norm, "resolve_backend", lambda backend, tensor: "triton")


def block_case(channels, second, before):
    """A block, the norm before it, and its inputs: all float32, with leaves that take gradients."""
    torch.manual_seed(4)
    coords = conv_cases.voxels(6, 30).to(DEVICE)
    block, last = ResidualBlock(channels[0] + second, channels[1]), ResidualBlock(channels[1], channels[1])
    norm = BatchNorm(channels[0]) if before else None
    for layer in [*block.modules(), norm, *last.modules()]:
        if isinstance(layer, BatchNorm):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
    x = torch.randn(len(coords), channels[0])
    other = torch.randn(len(coords), second) if second else None
    return torch.nn.ModuleList([block, *([norm] if before else []), last]).to(DEVICE), coords, x, other


@pytest.mark.parametrize(
    ("channels", "second", "before", "chained"),
    [
        ((16, 16), 0, False, False),
        ((16, 16), 16, True, False),
        ((16, 16), 16, True, True),
        ((16, 16), 0, True, True),
        ((3, 5), 4, True, True),
    ],
)
def test_a_block_as_one_step_is_its_layers(on_kernels, monkeypatch, channels, second, before, chained):
    steps = []
    monkeypatch.setattr(blocks, "run_block", lambda *given: steps.append(1) or block_training.run_block(*given))
    layers, coords, x, other = block_case(channels, second, before)
    results = []
    for dtype in (torch.float64, torch.float32):
        made = copy.deepcopy(layers).to(dtype)
        leaves = [each.to(DEVICE, dtype).requires_grad_() for each in (x, other) if each is not None]
        tensor = SparseTensor.of(leaves[0], coords)
        beside = tensor.with_feats(leaves[1]) if second else None
        norm = made[1] if before else None
        if chained:  # what goes from the one to the other is not kept
            between, source = made[0].run(tensor, beside, norm, forgets=True)
            assert (source is not None) == (dtype == torch.float32)
            out = made[-1].run(between, source=source)[0].feats
        else:
            out = made[0](tensor, beside, before=norm).feats
        drawn = conv_cases.drawn(9, *out.shape).to(DEVICE, dtype)
        (out * drawn).sum().backward()
        used = made if chained else made[:-1]
        gradients = [each.grad for each in (*leaves, *used.parameters())]
        assert len({each.data_ptr() for each in gradients}) == len(gradients)  # optimizers unscale them in place
        results.append([out.detach(), *gradients, *used.buffers()])
    assert len(steps) == 1 + chained  # float64 ran layer by layer
    for wanted, found in zip(*results, strict=True):
        assert torch.allclose(found.double(), wanted.double(), rtol=1e-2, atol=2e-3 * float(wanted.abs().max() + 1))


def test_a_block_with_a_hook_runs_layer_by_layer(on_kernels, monkeypatch):
    monkeypatch.setattr(blocks, "run_block", lambda *given: pytest.fail("a hook would not be called"))
    layers, coords, x, _ = block_case((16, 16), 0, False)
    seen = []
    layers[0].net[0].register_forward_hook(lambda *given: seen.append(1))
    layers[0](SparseTensor.of(x.to(DEVICE).requires_grad_(), coords))
    assert seen == [1]


def test_gradients_of_a_fork_are_added(on_kernels):
    coords = conv_cases.voxels(6, 20).to(DEVICE)
    leaf = torch.randn(len(coords), 16, device=DEVICE, requires_grad=True)
    x = SparseTensor.of(torch.zeros(len(coords), 1, device=DEVICE), coords).with_feats(leaf)
    one, two = block_training.forked(x)
    wide = torch.cat([one.feats, torch.ones_like(leaf)], dim=1)
    drawn = conv_cases.drawn(1, len(coords), 32).to(DEVICE)
    ((wide * drawn).sum() + (two.feats * 3).sum()).backward()
    assert torch.allclose(leaf.grad, drawn[:, :16] + 3)
    leaf.grad = None
    block_training.forked(x)[1].feats.sum().backward()
    assert torch.equal(leaf.grad, torch.ones_like(leaf))
