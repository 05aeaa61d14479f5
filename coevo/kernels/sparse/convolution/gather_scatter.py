"""Gather-GEMM-scatter in torch, with TorchSparse's adaptive grouping (section 3.2 of its MLSys 2022 paper).

The pairs of each offset are gathered to a buffer and multiplied there. Offsets of similar size are multiplied together
as one batched product, padded to the largest: offsets are taken by falling size, and one joins the group while
1 - size / largest <= spread; a group whose largest size reaches `rows` is multiplied offset by offset instead. The
centre of an odd submanifold kernel is a dense product of the features. Sums are added offset after offset, so that
they do not depend on scheduling. Sizes are read by the host, once a map.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.convolution import reference
from coevo.kernels.sparse.convolution.epilogue import Epilogue
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.maps.kernel_map import KernelMap

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "cuda") from error

Tensor = Any
Lists = list[tuple[Tensor, Tensor]]


def forward(
    features: Tensor,
    weight: Tensor,
    kernel_map: KernelMap,
    second: Tensor | None,
    channels: Tensor | None,
    epilogue: Epilogue,
    plan: Plan,
) -> Tensor:
    """`convolve` by a plan of dataflow "gather_scatter"; its group_spread and group_rows are epsilon and S."""
    if second is not None:
        features = torch.cat([features, second], dim=1)
    if channels is not None:
        weight = weight.index_select(1, channels)
    wide = torch.float32 if features.dtype in (torch.float16, torch.bfloat16) else features.dtype
    sums = torch.zeros((kernel_map.capacity_out, weight.shape[2]), dtype=wide, device=features.device)
    lists = _lists(kernel_map)
    sizes = [len(inputs) for inputs, _ in lists]
    centre = kernel_map.volume // 2 if kernel_map.symmetric else -1
    products: dict[int, Tensor] = {}
    for group in groups([size if k != centre else 0 for k, size in enumerate(sizes)], plan.group_spread):
        if len(group) == 1 or sizes[group[0]] >= plan.group_rows:
            for k in group:
                products[k] = features[lists[k][0]] @ weight[k]
            continue
        buffer = features.new_zeros((len(group), sizes[group[0]], features.shape[1]))
        for place, k in enumerate(group):
            torch.index_select(features, 0, lists[k][0], out=buffer[place, : sizes[k]])
        multiplied = torch.bmm(buffer, weight[torch.tensor(group, device=weight.device)])
        products.update({k: multiplied[place, : sizes[k]] for place, k in enumerate(group)})
    if centre >= 0:
        used = int(kernel_map.count_out)
        sums[:used] = (features[:used] @ weight[centre]).to(wide)
    for k in sorted(products):
        outputs = lists[k][1]
        sums[outputs] = sums[outputs] + products[k].to(wide)  # an output row has one pair an offset: no two add at once
    return reference.finish(sums, kernel_map, epilogue).to(features.dtype)


def groups(sizes: list[int], spread: float) -> list[list[int]]:
    """Offsets with pairs, by falling size, in groups whose smallest has at least (1 - spread) of the largest's."""
    made: list[list[int]] = []
    for k in sorted((k for k, size in enumerate(sizes) if size), key=lambda k: (-sizes[k], k)):
        if made and 1 - sizes[k] / sizes[made[-1][0]] <= spread:
            made[-1].append(k)
        else:
            made.append([k])
    return made


def _lists(kernel_map: KernelMap) -> Lists:
    """(input rows, output rows), int64, of every offset."""
    if "lists" not in kernel_map.made:
        pairs = kernel_map.pairs()
        starts = pairs.starts.tolist()
        kernel_map.made["lists"] = [
            (pairs.inputs[begin:end].to(torch.int64), pairs.outputs[begin:end].to(torch.int64))
            for begin, end in pairwise(starts)
        ]
    lists: Lists = kernel_map.made["lists"]
    return lists
