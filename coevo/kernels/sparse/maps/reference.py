"""Kernel maps in plain torch, on any device: the reference of the kernels. It waits for the device."""

from __future__ import annotations

from coevo.errors import missing_extra
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.coordinates.reference import rows_at
from coevo.kernels.sparse.maps.kernel_map import KernelMap, Pairs, SortedRows
from coevo.kernels.sparse.maps.offsets import Triple, offsets, sort_places

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

from typing import Any

Tensor = Any


def kernel_map(inputs: Level, outputs: Level, kernel_size: Triple, stride: Triple, dilation: Triple) -> KernelMap:
    """The map of a convolution from the voxels `inputs` to the voxels `outputs`: output q meets at offset d the input
    at q + d * dilation * inputs.stride. The stride is noted, not used."""
    device = inputs.keys.device
    steps = torch.tensor(offsets(kernel_size), device=device).reshape(-1, 3)
    steps = steps * torch.tensor(dilation, device=device) * torch.tensor(inputs.stride, device=device)
    used = int(outputs.count)
    coords = outputs.coords[:used].to(torch.int64)
    neighbours = torch.full((len(steps), outputs.capacity), -1, dtype=torch.int32, device=device)
    for k, step in enumerate(steps):
        at = torch.cat([coords[:, :1], coords[:, 1:] + step], dim=1)
        neighbours[k, :used] = rows_at(inputs, at).to(torch.int32)
    return KernelMap(
        neighbours,
        count_in=inputs.count,
        count_out=outputs.count,
        capacity_in=inputs.capacity,
        kernel_size=kernel_size,
        stride=stride,
        dilation=dilation,
        symmetric=inputs is outputs and all(size % 2 for size in kernel_size),
    )


def inverse_neighbours(forward: KernelMap) -> Tensor:
    """int32 [K, capacity_in]: the output row that meets an input row at offset k, or -1."""
    shape = (forward.volume, forward.capacity_in + 1)
    back = torch.full(shape, -1, dtype=torch.int32, device=forward.neighbours.device)
    rows = torch.arange(forward.capacity_out, dtype=torch.int32, device=back.device).expand_as(forward.neighbours)
    found = forward.neighbours.to(torch.int64)
    back.scatter_(1, torch.where(found >= 0, found, forward.capacity_in), rows)  # the last column is for nobody
    return back[:, :-1].contiguous()


def sorted_rows(forward: KernelMap, splits: int, width: int) -> SortedRows:
    """Rows in use by falling Gray ranks of their sort words (`offsets.sort_places`), equal ones in their order; then
    the others. Nothing here waits for the device."""
    device, capacity = forward.neighbours.device, forward.capacity_out
    order = torch.empty((splits, capacity), dtype=torch.int32, device=device)
    masks = torch.zeros((splits, capacity), dtype=torch.int32, device=device)
    unused = torch.arange(capacity, device=device) >= forward.count_out
    places = sort_places(forward.kernel_size, splits)
    for split in range(splits):
        mask = torch.zeros(capacity, dtype=torch.int64, device=device)
        word = torch.zeros_like(mask)
        start = split * width
        for k in range(start, min(start + width, forward.volume)):
            present = (forward.neighbours[k] >= 0).to(torch.int64)
            mask |= present << (k - start)
            word |= present << (places[k] - start)
        rows = torch.sort(gray_rank(word).masked_fill(unused, -1), descending=True, stable=True).indices
        order[split], masks[split] = rows, mask.masked_fill(unused, 0)[rows]
    return SortedRows(order, masks, width)


def gray_rank(word: Tensor) -> Tensor:
    """The number of a word (int64, 31 bits) in the order of Gray codes, in which neighbours differ in one bit."""
    for places in (1, 2, 4, 8, 16):
        word = word ^ (word >> places)
    return word


def compacted_pairs(forward: KernelMap) -> Pairs:
    """The pairs, offset after offset. Nothing here waits for the device."""
    flat = forward.neighbours.reshape(-1)
    device = flat.device
    present = flat >= 0
    place = torch.cumsum(present, dim=0)
    starts = torch.zeros(forward.volume + 1, dtype=torch.int32, device=device)
    if forward.capacity_out:
        starts[1:] = place.reshape(forward.volume, -1)[:, -1]
    inputs = torch.zeros(len(flat) + 1, dtype=torch.int32, device=device)
    outputs = torch.zeros_like(inputs)
    rows = torch.arange(forward.capacity_out, dtype=torch.int32, device=device).repeat(forward.volume)
    where = torch.where(present, place - 1, len(flat))
    inputs.scatter_(0, where, flat)
    outputs.scatter_(0, where, rows)
    return Pairs(inputs[:-1], outputs[:-1], starts)
