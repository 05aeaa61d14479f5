"""Linear attention's step of autograd: keeps its inputs, the small states and the keys' scales."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coevo.kernels.linear_attention import launch

PLAN = launch.Plan()


class LinearAttention(torch.autograd.Function):
    """`relu_linear_attention` on kernels."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        query_weight: Tensor | None,
        key_weight: Tensor | None,
        heads: int,
        norm_epsilon: float,
        epsilon: float,
    ) -> Tensor:
        """[B, N, D]."""
        query, key, value = (launch.rowwise(each) for each in (query, key, value))
        shape = launch.shape_of(query, heads, PLAN)
        if not query.numel():
            ctx.save_for_backward(query, key, value, query_weight, key_weight, None, None)
            return torch.empty_like(query)
        scale = None if key_weight is None else launch.key_scales(key, norm_epsilon)
        state = launch.state_of(key, value, scale, key_weight, shape, PLAN)
        ctx.save_for_backward(query, key, value, query_weight, key_weight, scale, state)
        ctx.shape, ctx.epsilon = shape, epsilon
        return launch.output_of(query, query_weight, state, epsilon, shape, PLAN)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Gradients of query, key, value and the norm's weights."""
        query, key, value, query_weight, key_weight, scale, state = ctx.saved_tensors
        if state is None:
            weights = [None if each is None else torch.zeros_like(each) for each in (query_weight, key_weight)]
            return torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(value), *weights, None, None, None
        shape = ctx.shape
        to_query, slopes = launch.query_gradient(gradient, query, query_weight, state, ctx.epsilon, shape, PLAN)
        to_query_weight = to_key_weight = None
        if query_weight is not None:
            along = _along(state, slopes, shape)
            to_query_weight = (torch.sign(query_weight.float()) * along.sum(dim=0)).to(query_weight.dtype)
            magnitude = query_weight.float().abs()
            slopes = slopes * torch.cat((magnitude.repeat_interleave(shape.head), magnitude))
            # The state holds the key's weights' magnitudes: what it would be without them is it over them.
            w = key_weight.float()
            to_key_weight = torch.where(w == 0, 0.0, magnitude * along.sum(dim=0) / w).to(key_weight.dtype)
        to_key, to_value = launch.key_value_gradients(key, value, scale, key_weight, slopes, shape, PLAN)
        return to_query, to_key, to_value, to_query_weight, to_key_weight, None, None, None


def _along(state: Tensor, slopes: Tensor, shape: launch.Shape) -> Tensor:
    """float32 [B, D]: the state times its gradient, summed over each of its rows."""
    products = shape.width * shape.head
    made = (state * slopes)[:, :products].reshape(shape.batch, shape.width, shape.head).sum(dim=2)
    return made + state[:, products:] * slopes[:, products:]
