"""Every way of carrying out a convolution against the plain one; under Triton's interpreter where there is no GPU."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.sparse.convolution import gather_scatter, operands, reference  # noqa: E402
from coevo.kernels.sparse.convolution.autograd import convolve  # noqa: E402
from coevo.kernels.sparse.convolution.epilogue import Epilogue  # noqa: E402
from coevo.kernels.sparse.convolution.plan import Plan  # noqa: E402

_spec = importlib.util.spec_from_file_location("conv_cases", Path(__file__).with_name("conv_cases.py"))
conv_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conv_cases)
drawn, maps, padded, relative_error = (conv_cases.drawn, conv_cases.maps, conv_cases.padded, conv_cases.relative_error)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SMALL = {"rows": 32, "columns": 16, "depth": 16, "warps": 4, "stages": 2}
PLANS = {
    "sorted": Plan(**SMALL),
    "three splits": Plan(splits=3, **SMALL),
    "three splits, not permuted": Plan(splits=3, permuted=False, **SMALL),
    "two splits": Plan(splits=2, **SMALL),
    "descriptors": Plan(described=True, **SMALL),
    "unsorted": Plan(dataflow="unsorted", **SMALL),
    "one tile for every width": Plan(rows=32, columns=64, depth=32, warps=4, stages=2, fixed=True),
    "fetch on demand": Plan(dataflow="fetch_on_demand", **SMALL),
    "gather-scatter": Plan(dataflow="gather_scatter", group_spread=0.5, group_rows=30),
}
TOLERANCE = {torch.float32: 1e-6, torch.float16: 1e-3}


def on_device(made):
    if DEVICE == "cpu":
        return made
    moved = {name: getattr(made, name).to(DEVICE) for name in ("neighbours", "count_in", "count_out")}
    return type(made)(
        **moved,
        capacity_in=made.capacity_in,
        kernel_size=made.kernel_size,
        stride=made.stride,
        dilation=made.dilation,
        symmetric=made.symmetric,
    )


def operands_of(made, num_inputs, num_outputs, dtype):
    features = drawn(1, made.capacity_in, num_inputs).to(DEVICE, dtype)
    weight = (0.2 * drawn(2, made.volume, num_inputs, num_outputs)).to(DEVICE, dtype)
    return features, weight


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
@pytest.mark.parametrize("name", PLANS)
def test_each_way_gives_the_plain_result(name, dtype):
    made = on_device(maps(3, 45))
    features, weight = operands_of(made, 19, 23, dtype)
    found = convolve(features, weight, made, plan=PLANS[name])
    expected = reference.forward(features.double(), weight.double(), made)
    assert found.dtype == dtype
    assert relative_error(found, expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", ["sorted", "three splits", "two splits", "gather-scatter"])
def test_epilogues_are_fused(name):
    made = on_device(maps(4, 40))
    features, weight = operands_of(made, 12, 17, torch.float32)
    second, rows = drawn(5, made.capacity_in, 7).to(DEVICE), made.capacity_out
    weight = (0.2 * drawn(2, 27, 19, 17)).to(DEVICE)
    given = [drawn(6, 17), drawn(7, 17), drawn(8, rows, 17), drawn(9, rows, 5), drawn(10, 5, 17)]
    scale, shift, residual, shortcut, by = (each.to(DEVICE) for each in given)
    epilogue = Epilogue(scale, shift, residual, True, shortcut, by)
    found = convolve(features, weight, made, second=second, epilogue=epilogue, plan=PLANS[name])
    expected = reference.forward(features, weight, made, second=second, epilogue=epilogue)
    assert relative_error(found, expected) < 1e-6 and float(found.min()) == 0.0


@pytest.mark.parametrize("name", ["sorted", "three splits", "unsorted", "gather-scatter"])
@pytest.mark.parametrize("outputs", [16, 40])
def test_what_stands_beside_the_result_is_copied_on_the_way(name, outputs):
    exact = maps(4, 40)
    made = on_device(padded(exact, 9))
    features, weight = operands_of(made, 16, outputs, torch.float32)
    rows, used = made.capacity_out, exact.capacity_out
    copied = drawn(8, rows, 9).to(DEVICE)[:, 1:7]
    whole = torch.full((rows, outputs + 6), 5.0, device=DEVICE)
    epilogue = Epilogue(relu=True, copied=copied, copied_to=whole[:, outputs:])
    convolve(features, weight, made, epilogue=epilogue, plan=PLANS[name], out=whole[:, :outputs])
    expected = reference.forward(features, weight, made, epilogue=Epilogue(relu=True))
    torch.testing.assert_close(whole[:used, :outputs], expected[:used], rtol=1e-4, atol=1e-5)
    assert torch.equal(whole[:used, outputs:], copied[:used])


def test_what_is_copied_must_fit():
    made = on_device(maps(4, 40))
    features, weight = operands_of(made, 16, 16, torch.float32)
    copied, to = drawn(8, made.capacity_out, 6).to(DEVICE), torch.zeros(made.capacity_out, 5, device=DEVICE)
    for epilogue in (Epilogue(copied=copied, copied_to=to), Epilogue(copied=copied)):
        with pytest.raises(InputError, match="what is copied and where to must be"):
            convolve(features, weight, made, epilogue=epilogue)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("count", [0, 1, 32])
def test_empty_single_and_whole_tiles(name, count):
    made = on_device(maps(11, count, side=1 if count == 1 else 4))
    features, weight = operands_of(made, 16, 16, torch.float32)
    found = convolve(features, weight, made, plan=PLANS[name])
    assert found.shape == (made.capacity_out, 16)
    torch.testing.assert_close(found, reference.forward(features, weight, made), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["sorted", "three splits", "unsorted", "two splits"])
def test_poisoned_rows_beyond_the_counts_are_not_read(name):
    exact = maps(12, 37)
    made = on_device(padded(exact, 41))
    features, weight = operands_of(exact, 8, 9, torch.float32)
    poisoned = torch.cat([features, torch.full((41, 8), float("nan"), device=DEVICE)])
    out = torch.full((made.capacity_out, 9), 7.0, device=DEVICE)
    convolve(poisoned, weight, made, plan=PLANS[name], out=out)
    rows = exact.capacity_out
    expected = reference.forward(poisoned, weight, made)
    torch.testing.assert_close(out[:rows], expected[:rows], rtol=1e-4, atol=1e-5)
    assert (out[rows:] == 7.0).all()


@pytest.mark.parametrize("name", ["sorted", "descriptors", "fetch on demand"])
def test_slices_and_index_lists_are_read_without_copies(name):
    made = on_device(maps(13, 30))
    features, wide = drawn(1, made.capacity_in, 16).to(DEVICE), drawn(2, 27, 48, 32).to(DEVICE)
    found = convolve(features, wide[:, :16, :24], made, plan=PLANS[name])
    assert relative_error(found, reference.forward(features, wide[:, :16, :24].contiguous(), made)) < 1e-6
    channels = torch.arange(47, 15, -2, dtype=torch.int32, device=DEVICE)
    found = convolve(features, wide[:, :, :24], made, channels=channels, plan=PLANS[name])
    assert relative_error(found, reference.forward(features, wide[:, channels.long(), :24], made)) < 1e-6


def test_joined_slices_have_the_plain_gradients():
    """As a supernet's stages up use them: leading channels of two tensors side by side, of a wider weight."""
    made = on_device(maps(13, 30))
    channels = torch.cat([torch.arange(16), torch.arange(32, 48)]).to(DEVICE)
    found = []
    for plan in (PLANS["sorted"], Plan(dataflow="reference")):
        first, second = (drawn(seed, made.capacity_in, 16).to(DEVICE).requires_grad_() for seed in (1, 2))
        wide = drawn(3, 27, 48, 32).to(DEVICE).requires_grad_()
        y = convolve(first, wide[..., :24], made, second=second, channels=channels, plan=plan)
        (y * drawn(4, *y.shape).to(DEVICE)).sum().backward()
        found.append((y.detach(), first.grad, second.grad, wide.grad))
    for mine, plain in zip(*found, strict=True):
        assert relative_error(mine, plain) < 1e-5
    assert not found[0][3][:, 16:32].any() and not found[0][3][..., 24:].any()


@pytest.mark.parametrize(
    ("kernel", "stride", "transposed"), [(2, 2, False), (2, 2, True), (1, 1, False), (3, 2, False)]
)
def test_other_kernels(kernel, stride, transposed):
    made = on_device(maps(14, 40, kernel, stride, transposed))
    features, weight = operands_of(made, 16, 16, torch.float32)
    for name in ("sorted", "unsorted", "gather-scatter"):
        found = convolve(features, weight, made, plan=PLANS[name])
        assert relative_error(found, reference.forward(features, weight, made)) < 1e-6


def test_five_cubed_kernels_need_five_ranges_or_no_sort():
    made = on_device(maps(15, 20, 5, side=3))
    features, weight = operands_of(made, 16, 16, torch.float32)
    expected = reference.forward(features, weight, made)
    for plan in (Plan(splits=5, **SMALL), PLANS["unsorted"]):
        assert relative_error(convolve(features, weight, made, plan=plan), expected) < 1e-6
    with pytest.raises(InputError, match="at least 5 splits"):
        convolve(features, weight, made, plan=PLANS["sorted"])


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (2, 2)])
@pytest.mark.parametrize("name", ["sorted", "three splits", "unsorted", "descriptors"])
def test_gradients_are_the_plain_ones(name, kernel, stride):
    if kernel == 2 and name == "three splits":
        pytest.skip("eight offsets are not cut")
    made = on_device(padded(maps(16, 40, kernel, stride), 5))
    grads = []
    for plan in (PLANS[name], Plan(dataflow="reference")):
        features, weight = operands_of(made, 12, 16, torch.float32)
        second, weight = drawn(5, made.capacity_in, 4).to(DEVICE), (drawn(6, made.volume, 16, 16)).to(DEVICE)
        leaves = [each.requires_grad_() for each in (features, weight, second)]
        out = convolve(features, weight, made, second=second, plan=plan)
        used = int(made.count_out)
        (out[:used] * drawn(7, used, 16).to(DEVICE)).sum().backward()
        inner = int(made.count_in)
        grads.append([leaves[0].grad[:inner], leaves[1].grad, leaves[2].grad[:inner]])
    for found, expected in zip(*grads, strict=True):
        assert relative_error(found, expected) < 2e-6


def test_half_weights_get_half_gradients_and_long_lists_are_cut():
    made = on_device(maps(17, 60))
    from coevo.kernels.sparse.convolution import weight_gradient as kernels

    features, gradient = drawn(1, made.capacity_in, 16).half().to(DEVICE), drawn(2, made.capacity_out, 16).half()
    gradient = gradient.to(DEVICE)
    expected = reference.weight_gradient(features.double(), gradient.double(), made)
    least = kernels.LEAST_CHUNK_PAIRS
    try:
        kernels.LEAST_CHUNK_PAIRS = 16  # several chunks an offset
        cut = kernels.weight_gradient(features, gradient, made)
        again = kernels.weight_gradient(features, gradient, made)
    finally:
        kernels.LEAST_CHUNK_PAIRS = least
    assert relative_error(cut, expected) < 1e-3 and torch.equal(cut, again)
    assert relative_error(kernels.weight_gradient(features, gradient, made), expected) < 1e-3


@pytest.mark.parametrize("name", PLANS)
def test_results_repeat_bit_by_bit(name):
    made = on_device(maps(18, 40))
    features, weight = operands_of(made, 16, 16, torch.float16)
    assert torch.equal(
        convolve(features, weight, made, plan=PLANS[name]), convolve(features, weight, made, plan=PLANS[name])
    )


def test_adaptive_groups_hold_offsets_of_similar_size():
    assert gather_scatter.groups([10, 0, 100, 9, 95, 60], 0.1) == [[2, 4], [5], [0, 3]]
    assert gather_scatter.groups([10, 0, 100, 9, 95, 60], 1.0) == [[2, 4, 5, 0, 3]]
    assert gather_scatter.groups([3, 3, 2], 0.0) == [[0, 1], [2]]


def test_what_the_kernels_cannot_take_is_an_error_before_any_launch():
    features = torch.zeros((3, 4))
    with pytest.raises(InputError, match="need a CUDA tensor, got features on cpu"):
        operands.check_device(features, interpreted=False)
    with pytest.raises(InputError, match=r"take float16, bfloat16 and float32, got torch\.float64"):
        operands.check_device(features.double(), interpreted=True)
    with pytest.raises(InputError, match="no bfloat16 product"):
        operands.check_device(features.bfloat16(), interpreted=True)


@pytest.mark.parametrize("splits", [1, 2])
def test_wide_tiles_are_stored_by_halves(splits):
    made = on_device(maps(19, 40))
    features, weight = operands_of(made, 48, 100, torch.float16)
    residual = drawn(20, made.capacity_out, 100).to(DEVICE, torch.float16)
    epilogue = Epilogue(shift=drawn(21, 100).to(DEVICE), residual=residual, relu=True)
    plan = Plan(splits=splits, rows=64, columns=128, depth=32, extra=16, warps=4, stages=2, described=True)
    found = convolve(features, weight, made, epilogue=epilogue, plan=plan)
    expected = reference.forward(features, weight, made, epilogue=epilogue)
    assert relative_error(found, expected) < 1e-3


@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(70, 35), (5, 37), (16, 19)])
def test_odd_channels_are_padded_and_have_the_plain_gradients(num_inputs, num_outputs):
    made = on_device(maps(22, 25))
    grads = []
    for plan in (Plan(rows=32, columns=64, depth=32, warps=4, stages=2, described=True), Plan(dataflow="reference")):
        features, weight = operands_of(made, num_inputs, num_outputs, torch.float32)
        leaves = [features.requires_grad_(), weight.requires_grad_()]
        found = convolve(features, weight, made, plan=plan)
        assert found.shape == (made.capacity_out, num_outputs)
        (found * drawn(23, *found.shape).to(DEVICE)).sum().backward()
        grads.append([found.detach(), *(each.grad for each in leaves)])
    for found, expected in zip(*grads, strict=True):
        assert relative_error(found, expected) < 2e-6


def test_odd_channels_have_all_epilogues():
    made = on_device(maps(24, 25))
    features, weight = operands_of(made, 21, 37, torch.float32)
    rows = made.capacity_out
    given = [drawn(25, 37), drawn(26, 37), drawn(27, rows, 37), drawn(28, rows, 5), drawn(29, 5, 37)]
    scale, shift, residual, shortcut, by = (each.to(DEVICE) for each in given)
    epilogue = Epilogue(scale, shift, residual, True, shortcut, by)
    out = torch.empty((rows, 37), device=DEVICE)
    assert convolve(features, weight, made, epilogue=epilogue, plan=PLANS["three splits"], out=out) is out
    assert relative_error(out, reference.forward(features, weight, made, epilogue=epilogue)) < 1e-6
