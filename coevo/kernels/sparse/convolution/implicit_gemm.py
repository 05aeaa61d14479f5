"""Masked implicit GEMM: each tile of output rows walks the offsets that any of its rows has, and gathers features.

Sorted (`KernelMap.sorted`), rows that miss the same offsets stand in the same tiles, so that few products are with
zeros. With several splits, each range of offsets has an order of its own; ranges run beside each other and add their
sums to the output in their turns. Unsorted, rows stay in their order and tiles read their masks off the map.
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.convolution import alignment, triton_gemm
from coevo.kernels.sparse.convolution.epilogue import Epilogue
from coevo.kernels.sparse.convolution.operands import check_device
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.maps.kernel_map import KernelMap, SortedRows
from coevo.kernels.sparse.maps.triton_permute import permute
from coevo.kernels.sparse.recorded.streams import constant

try:
    import torch
    import triton
    from triton.tools.tensor_descriptor import TensorDescriptor
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any


def forward(
    features: Tensor,
    weight: Tensor,
    kernel_map: KernelMap,
    second: Tensor | None,
    channels: Tensor | None,
    epilogue: Epilogue,
    plan: Plan,
    out: Tensor | None,
    *,
    mirrored: bool = False,
) -> Tensor:
    """`convolve` by a plan of dataflow "sorted" or "unsorted". With `mirrored`, offset k takes weight[K - 1 - k]:
    the input gradient over a symmetric map. Channels that are no multiples of 16 are padded with zeros, in copies."""
    check_device(features, triton_gemm.INTERPRETED)
    num_outputs, capacity = int(weight.shape[2]), kernel_map.capacity_out
    if out is None:
        out = torch.empty((capacity, num_outputs), dtype=features.dtype, device=features.device)
    if not capacity or not num_outputs:
        return out
    num_inputs = int(features.shape[1]) + (0 if second is None else int(second.shape[1]))
    inputs, outputs = alignment.missing(num_inputs), alignment.missing_outputs(num_outputs)
    if inputs or outputs:
        whole = features if second is None else torch.cat([features, second], dim=1)
        selected = weight if channels is None else weight.index_select(1, channels)
        wide = forward(
            alignment.widened(whole, inputs),
            alignment.widened_weight(selected, inputs, outputs),
            kernel_map,
            None,
            None,
            alignment.aligned_epilogue(epilogue, outputs),
            plan,
            None if outputs else out,
            mirrored=mirrored,
        )
        return wide if wide is out else out.copy_(wide[:, :num_outputs])
    order = kernel_map.sorted(plan.splits) if plan.dataflow == "sorted" else None
    splits = plan.splits if order is not None else 1
    launch = _Launch(features, weight, kernel_map, order, second, channels, epilogue, plan, out, mirrored)
    launch.run(splits, out)
    return out


class _Launch:
    """What the launches of one convolution share."""

    def __init__(
        self,
        features: Tensor,
        weight: Tensor,
        kernel_map: KernelMap,
        order: SortedRows | None,
        second: Tensor | None,
        channels: Tensor | None,
        epilogue: Epilogue,
        plan: Plan,
        out: Tensor,
        mirrored: bool,
    ):
        self.features, self.second = _rowwise(features), None if second is None else _rowwise(second)
        self.epilogue = epilogue
        self.num_inputs = features.shape[1] + (0 if second is None else second.shape[1])
        self.num_outputs = int(weight.shape[2])
        self.kernel_map, self.order, self.plan = kernel_map, order, plan
        self.channels = None if channels is None else channels.contiguous()
        self.columns, self.depth, self.extra = plan.columns, plan.depth, 0
        self.even_depth = self.even_columns = False
        if not plan.fixed:
            self.columns = min(self.columns, max(16, triton.next_power_of_2(self.num_outputs)))
            self.depth = min(self.depth, max(16, triton.next_power_of_2(self.num_inputs)))
            self.extra = plan.extra if self.num_inputs % (self.depth + plan.extra) == 0 else 0
            self.even_depth = self.num_inputs % (self.depth + self.extra) == 0
            self.even_columns = self.num_outputs % self.columns == 0
        self.mirrored = mirrored
        self.permuted = order is not None and plan.permuted
        self.neighbours = permuted_neighbours(kernel_map, order) if self.permuted and order else kernel_map.neighbours
        self.weight, self.offset_stride, self.described = weight, weight.stride(0), ""
        self.weight_extra = weight if self.extra else None
        if plan.described and channels is None and (triton_gemm.INTERPRETED or on_hopper(features)):
            self._describe(weight)

    def _describe(self, weight: Tensor) -> None:
        """Weights as a tensor descriptor, where their layout allows it."""
        rows_first = weight.stride(2) == 1
        inner, outer = (2, 1) if rows_first else (1, 2)
        pitch = weight.stride(outer)
        aligned = weight.data_ptr() % 16 == 0 and pitch * weight.element_size() % 16 == 0
        if weight.stride(inner) != 1 or weight.stride(0) % pitch or not aligned:
            return
        per_offset = weight.stride(0) // pitch
        rows = (weight.shape[0] - 1) * per_offset + weight.shape[outer]

        def described(depth: int) -> Any:
            block = [depth, self.columns] if rows_first else [self.columns, depth]
            return TensorDescriptor(weight, [rows, weight.shape[inner]], [pitch, 1], block)

        self.weight = described(self.depth)
        self.weight_extra = described(self.extra) if self.extra else None
        self.offset_stride, self.described = per_offset, "rows" if rows_first else "columns"

    def run(self, splits: int, output: Tensor) -> None:
        plan, epilogue, order, weight = self.plan, self.epilogue, self.order, self.weight
        capacity = self.kernel_map.capacity_out
        shortcut = None if epilogue.shortcut is None else _rowwise(epilogue.shortcut)
        residual = None if epilogue.residual is None else _rowwise(epilogue.residual)
        copied, copied_to = epilogue.copied, epilogue.copied_to
        by = epilogue.shortcut_weight
        turns = None
        if splits > 1:
            turns = constant(lambda: torch.zeros(splits, dtype=torch.int32, device=output.device))
        tiles = triton.cdiv(capacity, plan.rows) * triton.cdiv(self.num_outputs, self.columns) * splits
        strides = (0, 0) if self.described else (weight.stride(1), weight.stride(2))
        triton_gemm.implicit_gemm[(tiles,)](
            self.features,
            self.second,
            weight,
            self.weight_extra,
            self.channels,
            self.neighbours,
            None if order is None else order.order,
            None if order is None else order.masks,
            self.kernel_map.count_out,
            shortcut,
            None if shortcut is None else by,
            epilogue.scale,
            epilogue.shift,
            residual,
            turns,
            copied,
            copied_to,
            output,
            self.features.stride(0),
            0 if self.second is None else self.second.stride(0),
            self.offset_stride,
            *strides,
            0 if shortcut is None else shortcut.stride(0),
            0 if by is None else by.stride(0),
            0 if by is None else by.stride(1),
            0 if residual is None else residual.stride(0),
            output.stride(-2),
            0 if copied is None else copied.stride(0),
            0 if copied_to is None else copied_to.stride(0),
            self.num_inputs,
            self.features.shape[1],
            0 if shortcut is None else shortcut.shape[1],
            self.num_outputs,
            capacity,
            splits,
            volume=self.kernel_map.volume,
            width=0 if order is None else order.width,
            tile_rows=plan.rows,
            tile_columns=self.columns,
            depth=self.depth,
            extra=self.extra,
            num_copied=0 if copied is None else copied.shape[1],
            copied_columns=16 if copied is None else max(16, triton.next_power_of_2(copied.shape[1])),
            even_depth=self.even_depth,
            even_columns=self.even_columns,
            described=self.described,
            mirrored=self.mirrored,
            relu=epilogue.relu,
            is_permuted=self.permuted,
            precision=precision_of(self.features),
            stages=plan.stages,
            num_warps=plan.warps,
            num_stages=plan.stages,
            maxnreg=plan.registers,
        )


def permuted_neighbours(kernel_map: KernelMap, order: SortedRows) -> Tensor:
    """int32 [K, capacity_out]: the map's neighbours with the rows of every range in its order, made once a map."""
    if order.neighbours is None:
        order.neighbours = permute(kernel_map.neighbours, order.order, order.width)
    return order.neighbours


def on_hopper(features: Tensor) -> bool:
    """Whether the device has a tensor memory accelerator."""
    return features.is_cuda and torch.cuda.get_device_capability(features.device) >= (9, 0)


def precision_of(features: Tensor) -> str:
    """How float32 is multiplied: as torch was told for its own products."""
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"


def _rowwise(tensor: Tensor) -> Tensor:
    """The tensor with its channels side by side."""
    return tensor if tensor.stride(1) == 1 else tensor.contiguous()
