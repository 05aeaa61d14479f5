"""Torch modules as workloads: layers by hand, names, and what is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from coevo.cost_models.accelerator import Layer
from coevo.cost_models.accelerator.workloads import import_torch
from coevo.errors import InputError


class Function(nn.Module):
    """A module around a function, with one stored matrix."""

    def __init__(self, function, *shape):
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.empty(*shape)) if shape else None

    def forward(self, *given):
        return self.function(*given) if self.w is None else self.function(*given, self.w)


def sizes(workload):
    return [({k: v for k, v in layer.sizes.items() if v > 1}, repeats) for layer, repeats in workload.layers]


@pytest.mark.parametrize(
    ("function", "shapes", "stored", "expected"),
    [
        (lambda x, w: functional.conv1d(x, w, stride=2, padding=1), [(2, 6, 9)], (4, 6, 3),
         {"N": 2, "K": 4, "C": 6, "X": 5, "S": 3}),
        (lambda x, w: functional.conv2d(x, w, None, 1, "same"), [(3, 5, 5)], (4, 3, 3, 3),
         {"K": 4, "C": 3, "Y": 5, "X": 5, "R": 3, "S": 3}),
        (lambda x, w: functional.conv_transpose2d(x, w, stride=2), [(2, 6, 4, 5)], (6, 3, 2, 2),
         {"N": 2, "K": 12, "C": 6, "Y": 4, "X": 5}),
        (lambda x, w: torch.addmm(x[0], x, w), [(3, 3)], (3, 3), {"N": 3, "K": 3, "C": 3}),
        (lambda x, w: torch.mm(w.t(), x), [(3, 7)], (3, 5), {"N": 7, "K": 5, "C": 3}),
        (torch.bmm, [(4, 2, 3), (4, 3, 5)], (), {"G": 4, "N": 2, "K": 5, "C": 3}),
        (lambda x, y: torch.baddbmm(x, x, y), [(4, 3, 3), (4, 3, 3)], (), {"G": 4, "N": 3, "K": 3, "C": 3}),
        (torch.mv, [(4, 3)], (3,), {"N": 4, "C": 3}),
        (torch.dot, [(9,)], (9,), {"C": 9}),
        (lambda x, w: torch.einsum("bchw,cd->bdhw", x, w), [(2, 6, 4, 5)], (6, 7), {"N": 40, "K": 7, "C": 6}),
    ],
)  # fmt: skip
def test_operators(function, shapes, stored, expected):
    found = import_torch(Function(function, *stored), [torch.empty(shape) for shape in shapes])
    assert sizes(found) == [(expected, 1)]
    assert found.parameters == (torch.Size(stored).numel() if stored else 0)


def test_attention_of_torch_itself():
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    found = import_torch(layer, (torch.empty(3, 10, 32),))
    assert found.macs == 3 * 10 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * 3 * 10 * 10 * 32
    assert found.parameters == 4 * 32 * 32 + 2 * 32 * 64


def test_values_of_another_width_than_keys():
    given = [torch.empty(2, 4, 6, 8), torch.empty(2, 4, 9, 8), torch.empty(2, 4, 9, 5)]
    found = import_torch(Function(functional.scaled_dot_product_attention), given)
    assert sizes(found) == [({"N": 6, "G": 8, "K": 9, "C": 8}, 1), ({"N": 6, "G": 8, "K": 5, "C": 9}, 1)]


def test_layers_are_named_after_their_modules_and_training_is_left_as_it_was():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.Conv2d(4, 4, 3)

        def forward(self, x):
            return self.shared(self.shared(x))

    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.Dropout(), Twice()), nn.Flatten(), nn.Linear(4, 2))
    module.train()
    found = import_torch(module, (torch.empty(1, 3, 5, 5),), name="net")
    assert module.training and found.name == "net"
    assert [layer.name for layer, _ in found.layers] == ["0", "1.1.shared", "1.1.shared.2", "3"]
    assert found.layers[2][0] == Layer("1.1.shared.2", {"K": 4, "C": 4, "R": 3, "S": 3})


def test_keywords_reach_the_module():
    class Scaled(nn.Linear):
        def forward(self, x, *, scale):
            return super().forward(x * scale)

    assert import_torch(Scaled(3, 4), (torch.empty(2, 3),), {"scale": torch.empty(1)}).macs == 24


@pytest.mark.parametrize(
    ("module", "shape", "said"),
    [
        (nn.LSTM(3, 4), (5, 1, 3), r"LSTM: node 'lstm' in .*: the operator aten\.lstm has no rule"),
        (nn.Conv3d(2, 3, 1), (1, 2, 4, 4, 4), r"operator aten\.conv3d has no rule"),
        (Function(torch.linalg.inv), (3, 3), r"operator aten\.linalg_inv has no rule"),
        (nn.ConvTranspose2d(2, 3, 3, 2), (1, 2, 4, 4), "a transposed convolution is mapped as a plain one"),
        (nn.ReLU(), (3,), "no layer multiplies and accumulates"),
        (nn.Linear(3, 4), (2, 5), "torch.export cannot export this module"),
        (Function(lambda x: x[x > 0] if x.sum() > 0 else x), (3,), "torch.export cannot export this module"),
        (Function(lambda x: x[x > 0][None] @ x[x > 0][:, None]), (3,), "depends on its data|cannot export"),
    ],
)
def test_what_cannot_be_mapped_is_an_error_that_names_it(module, shape, said):
    with pytest.raises(InputError, match=said):
        import_torch(module, (torch.empty(shape),))


def test_without_torch_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"coevo\[quantum\]"):
        import_torch(None, ())


@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), (2, 2)), ((4, 6), (2, 3)), ((3, 1), (1, 1))])
def test_a_transposed_convolution_is_the_plain_one_that_it_is_mapped_as(kernel, stride):
    """The phases of the output as channels, put into place, are torch's own result."""
    x = torch.randn(2, 3, 4, 5)
    weights = torch.randn(3, 7, *kernel)  # [inputs, outputs, rows, columns]
    whole = functional.conv_transpose2d(x, weights, stride=stride)
    taps = [k // s for k, s in zip(kernel, stride, strict=True)]
    phases = weights.unflatten(3, (taps[1], stride[1])).unflatten(2, (taps[0], stride[0]))  # i, o, r, sy, s, sx
    plain = phases.flip(2, 4).permute(1, 3, 5, 0, 2, 4).flatten(0, 2)  # outputs and phases, inputs, r, s
    found = functional.conv2d(x, plain, padding=[tap - 1 for tap in taps])
    rows, columns = found.shape[2:]
    placed = found.unflatten(1, (7, *stride)).permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)
    torch.testing.assert_close(placed, whole)

    ((layer, _),) = import_torch(nn.ConvTranspose2d(3, 7, kernel, stride), (x,)).layers
    assert layer.macs == found.numel() * 3 * taps[0] * taps[1]
    assert (layer.sizes["Y"], layer.sizes["X"], layer.sizes["K"]) == (rows, columns, plain.shape[0])
