"""Fetch-on-demand for tiny maps: one launch that needs no sorted rows and no lists of pairs.

TorchSparse's kernel of this name walks the pairs of each offset and adds to the outputs with float atomics, so that its
sums depend on scheduling. Here a program owns its output rows instead: it reads its neighbours as it goes, fetches the
features of those there are, skips an offset that none of its rows has, and stores each sum once, so that results are
bitwise the same from run to run. Small tiles keep the products with zeros few where there are few rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coevo.kernels.sparse.convolution import implicit_gemm
from coevo.kernels.sparse.convolution.epilogue import Epilogue
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.maps.kernel_map import KernelMap

Tensor = Any
MOST_ROWS = 16
"""Output rows a tile."""


def forward(
    features: Tensor,
    weight: Tensor,
    kernel_map: KernelMap,
    second: Tensor | None,
    channels: Tensor | None,
    epilogue: Epilogue,
    plan: Plan,
    out: Tensor | None,
) -> Tensor:
    """`convolve` by a plan of dataflow "fetch_on_demand"."""
    small = replace(
        plan, dataflow="unsorted", splits=1, rows=min(plan.rows, MOST_ROWS), columns=min(plan.columns, 64), warps=2
    )
    return implicit_gemm.forward(features, weight, kernel_map, second, channels, epilogue, small, out)
