"""Sandwich steps, distillation, progressive depth and sorting on plain tensors."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import ConfigError, InputError  # noqa: E402
from coevo.supernets.elastic import (  # noqa: E402
    ChannelGroup,
    Channels,
    ProgressiveDepth,
    learn_together,
    sandwich,
    soft_cross_entropy,
    sort_channels,
)


def test_a_step_trains_both_ends_and_some_between():
    drawn = iter("abc")
    assert sandwich("whole", "least", 2, lambda: next(drawn)) == ["whole", "least", "a", "b"]
    with pytest.raises(InputError, match="0 or more designs"):
        sandwich(1, 2, -1, lambda: 3)


def test_the_others_learn_the_first_ones_answers():
    torch.manual_seed(0)
    inputs, labels = torch.randn(7, 4), torch.randint(3, (7,))
    used = torch.tensor([True] * 5 + [False] * 2)
    weight = torch.randn(4, 3, requires_grad=True)
    found = learn_together(
        [4, 2], lambda size: inputs[:, :size] @ weight[:size],
        lambda logits: torch.nn.functional.cross_entropy(logits, labels), used=used, scale=lambda loss: 8 * loss,
    )  # fmt: skip
    other = weight.detach().clone().requires_grad_()
    whole = torch.nn.functional.cross_entropy(inputs @ other, labels)
    soft = (inputs @ other).detach().softmax(dim=1)[:5]
    part = torch.nn.functional.cross_entropy(inputs[:5, :2] @ other[:2], soft)
    (8 * (whole + part)).backward()
    assert torch.allclose(weight.grad, other.grad, atol=1e-6)
    assert torch.allclose(found, whole.detach()) and not found.requires_grad
    with pytest.raises(InputError, match="at least one design"):
        learn_together([], lambda _: inputs, lambda _: inputs.sum())


def test_rows_that_do_not_count():
    logits, teacher = torch.randn(4, 3), torch.randn(4, 3)
    assert soft_cross_entropy(logits, teacher, torch.zeros(4, dtype=torch.bool)) == 0
    every = soft_cross_entropy(logits, teacher, torch.ones(4, dtype=torch.bool))
    assert torch.allclose(every, soft_cross_entropy(logits, teacher))
    assert soft_cross_entropy(teacher, teacher) < soft_cross_entropy(logits, teacher)


def test_smaller_depths_open_one_after_another():
    shrinking = ProgressiveDepth(most=4, least=2, start=0.5)
    assert [shrinking.lowest(each) for each in (0, 0.49, 0.5, 0.74, 0.75, 1)] == [4, 4, 3, 3, 2, 2]
    assert [ProgressiveDepth().lowest(each) for each in (0, 0.49, 0.5, 1)] == [2, 2, 1, 1]
    assert ProgressiveDepth(start=0).lowest(0) == 1 and ProgressiveDepth(start=1).lowest(1) == 1
    assert ProgressiveDepth(most=2, least=2).lowest(1) == 2
    with pytest.raises(InputError, match="1 <= least <= most"):
        ProgressiveDepth(most=1, least=2)


@pytest.mark.parametrize("by", ["readers", "writers"])
def test_sorting_moves_momenta_and_keeps_answers(by):
    torch.manual_seed(0)
    first, bias, last = (torch.randn(each, dtype=torch.float64) for each in ((5, 4), (5,), (3, 2 + 5)))
    parameters = [each.requires_grad_() for each in (first, bias, last)]
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    inputs, beside = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)

    def run():
        return torch.cat([beside, torch.relu(inputs @ first.T + bias)], dim=1) @ last.T

    def step():
        optimizer.zero_grad()
        run().square().sum().backward()
        optimizer.step()

    step()
    group = ChannelGroup((Channels(first, 0, 5),), (Channels(bias, 0, 5),), (Channels(last, 1, 5, 2),))
    before, weights = run().detach(), first.detach().clone()
    copies = [each.detach().clone() for each in parameters]
    momenta = [optimizer.state[each]["momentum_buffer"].clone() for each in parameters]
    sort_channels([group], by, optimizer)
    assert torch.allclose(run(), before) and not torch.equal(first, weights)
    found = group.importance(by)
    assert torch.equal(found, found.sort(descending=True).values)
    step()
    after = run().detach()
    with torch.no_grad():
        for each, copy, momentum in zip(parameters, copies, momenta, strict=True):
            each.copy_(copy)
            optimizer.state[each]["momentum_buffer"].copy_(momentum)
    step()  # the same step without sorting
    assert torch.allclose(run(), after)
    with pytest.raises(ConfigError, match="one of readers, writers"):
        group.importance("names")


def test_what_an_optimizer_keeps_in_another_form_is_forgotten():
    first, last = torch.randn(3, 4, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    optimizer = torch.optim.SGD([first, last], lr=0.1)
    optimizer.state[first] = {"step": torch.tensor(1.0), "moment": torch.arange(12).view(3, 4).to(torch.int8)}
    optimizer.state[last] = {"moment": last.detach().clone(), "rows": torch.ones(2)}
    plain = torch.randn(3, requires_grad=True)
    optimizer.state[plain] = {"step": torch.tensor(1.0), "moment": plain.detach().clone()}
    sort_channels([ChannelGroup((Channels(first, 0, 3),), (Channels(plain, 0, 3),), (Channels(last, 1, 3),))],
                  optimizer=optimizer)  # fmt: skip
    assert list(optimizer.state) == [plain] and torch.equal(optimizer.state[plain]["moment"], plain)


def test_a_distillation_of_ones_own():
    torch.manual_seed(0)
    inputs, labels = torch.randn(7, 4), torch.randn(7, 3)
    weight = torch.randn(4, 3, requires_grad=True)
    squares = torch.nn.functional.mse_loss
    run = {4: lambda w: inputs @ w, 2: lambda w: inputs[:, :2] @ w[:2]}
    learn_together([4, 2], lambda size: run[size](weight), lambda y: squares(y, labels), distil=squares)
    other = weight.detach().clone().requires_grad_()
    whole = run[4](other)
    (squares(whole, labels) + squares(run[2](other), whole.detach())).backward()
    assert torch.allclose(weight.grad, other.grad, atol=1e-6)
    with pytest.raises(InputError, match="leaves rows out itself"):
        learn_together([4], run[4], squares, used=torch.ones(7, dtype=torch.bool), distil=squares)
