"""CAME as an optimiser of torch, its first moment in eight bits by blocks or in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from coevo.errors import ConfigError, InputError
from coevo.kernels.backend import resolve_backend
from coevo.kernels.came import reference
from coevo.kernels.came.blockwise import blocks_of, dequantized, quantized

_FACTORS = ("square_row", "square_column", "residual_row", "residual_column")


class CAME8bit(torch.optim.Optimizer):
    """CAME (Luo et al., 2023, arXiv:2307.02047, algorithm 2) with decoupled weight decay.

    Matrices, and convolutions of 1 x 1, have factored second moments and a factored confidence, float32 of their rows
    and columns; other tensors have one running square an entry and no confidence. The first moment of matrices of at
    least `least_elements` is int8 with a float32 scale for every 2048 entries as they lie in memory: truly by blocks
    (SANA-1.5's optimiser has a scale for every 2048 rows). All other moments are float32.

    Args:
        params: float32, bfloat16 or float16 tensors, or groups of them.
        lr: learning rate.
        betas: of the first moment, the squared gradient and the confidence, each in [0, 1).
        eps: added to squared gradients and to squared residuals.
        clip_threshold: the largest root mean square of an update.
        weight_decay: decoupled: weights shrink by lr * weight_decay.
        bits: of the first moment, 8 or 32.
        least_elements: smaller tensors keep a float32 first moment; the scales alone would not pay.
        backend: "triton", "reference", or None: the kernel (one launch a matrix) for tensors on a CUDA device.
        one_launch: the kernel's six phases as one cooperative launch; otherwise as six launches.

    Raises:
        ConfigError: a setting out of its range. InputError: sparse gradients.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        eps: tuple[float, float] = (1e-30, 1e-16),
        clip_threshold: float = 1.0,
        weight_decay: float = 0.0,
        *,
        bits: int = 8,
        least_elements: int = 4096,
        backend: str | None = None,
        one_launch: bool = True,
    ) -> None:
        if bits not in (8, 32):
            raise ConfigError(f"CAME's first moment has 8 or 32 bits, got bits={bits!r}")
        if not all(0 <= beta < 1 for beta in betas) or len(betas) != 3:
            raise ConfigError(f"CAME takes three betas in [0, 1), got {betas!r}")
        if lr < 0 or clip_threshold <= 0 or weight_decay < 0 or min(eps) < 0:
            raise ConfigError(
                f"CAME needs lr >= 0, clip_threshold > 0, weight_decay >= 0 and eps >= 0, got {lr}, {clip_threshold}, "
                f"{weight_decay}, {eps}"
            )
        self.backend, self.one_launch = backend, one_launch
        settings = {"lr": lr, "betas": betas, "eps": eps, "clip_threshold": clip_threshold}
        more = {"weight_decay": weight_decay, "bits": bits, "least_elements": least_elements}
        super().__init__(params, {**settings, **more})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step for every parameter with a gradient; returns what the closure returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            settings = reference.Settings(
                group["lr"], tuple(group["betas"]), tuple(group["eps"]), group["clip_threshold"], group["weight_decay"]
            )
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step_one(weight, weight.grad, group, settings)
        return loss

    def _step_one(
        self, weight: Tensor, gradient: Tensor, group: dict[str, Any], settings: reference.Settings
    ) -> None:  # fmt: skip
        if gradient.is_sparse:
            raise InputError("CAME takes dense gradients, got a sparse one; use torch.optim.SparseAdam for that tensor")
        shape = matrix_shape(weight)
        state = self.state[weight]
        if not state:
            self._begin(weight, shape, group, state)
        if shape is None:
            reference.step_other(weight, gradient, state["moment"], state["square"], settings)
            return
        factors = reference.Factors(*(state[name] for name in _FACTORS))
        scale = state.get("scale")
        flat = weight.view(shape) if weight.is_contiguous() else weight.reshape(shape).contiguous()
        gradient, moment = gradient.reshape(shape).contiguous(), state["moment"].view(shape)
        if resolve_backend(self.backend, weight) == "triton":
            from coevo.kernels.came import launch

            launch.step_matrix(flat, gradient, moment, scale, factors, settings, self.one_launch)
        else:
            held = moment if scale is None else dequantized(moment, scale)
            held = reference.step_matrix(flat, gradient, held, factors, settings)
            if scale is None:
                moment.copy_(held)
            else:
                codes, largest = quantized(held)
                moment.copy_(codes)
                scale.copy_(largest)
        if flat.data_ptr() != weight.data_ptr():
            weight.copy_(flat.view(weight.shape))

    @staticmethod
    def _begin(weight: Tensor, shape: tuple[int, int] | None, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Zeros for everything that a tensor keeps."""

        def zeros(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(size, dtype=dtype, device=weight.device)

        if shape is None:
            state["moment"], state["square"] = zeros(*weight.shape), zeros(*weight.shape)
            return
        if group["bits"] == 8 and weight.numel() >= group["least_elements"]:
            state["moment"] = zeros(*weight.shape, dtype=torch.int8)
            state["scale"] = zeros(blocks_of(weight.numel()))
        else:
            state["moment"] = zeros(*weight.shape)
        for name in _FACTORS:
            state[name] = zeros(shape[0] if name.endswith("row") else shape[1])

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but every tensor keeps its dtype: torch would turn what it keeps for a parameter of half
        precision into that precision, and codes of eight bits with it."""
        super().load_state_dict(state_dict)
        saved = [index for group in state_dict["param_groups"] for index in group["params"]]
        mine = [weight for group in self.param_groups for weight in group["params"]]
        for index, weight in zip(saved, mine, strict=True):
            for name, value in state_dict["state"].get(index, {}).items():
                if isinstance(value, Tensor):
                    self.state[weight][name] = value.to(device=weight.device, copy=True)

    def bytes_per_parameter(self) -> float:
        """Bytes of state over parameters that have one; 0 before the first step."""
        held = [(weight, state) for weight, state in self.state.items() if state]
        bytes_held = sum(
            each.numel() * each.element_size()
            for _, state in held
            for each in state.values()
            if isinstance(each, Tensor)
        )
        return bytes_held / max(1, sum(weight.numel() for weight, _ in held))


def matrix_shape(weight: Tensor) -> tuple[int, int] | None:
    """(rows, columns) of a matrix or of a 1 x 1 convolution; None for what is factored by neither."""
    squeezed = [size for size in weight.shape[2:] if size != 1]
    if weight.dim() >= 2 and not squeezed and min(weight.shape[:2]) > 1:
        return int(weight.shape[0]), int(weight.shape[1])
    return None
