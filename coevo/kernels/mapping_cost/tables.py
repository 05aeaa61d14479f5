"""What the cost of a mapping depends on beside the mapping: a layer on an accelerator, as plain arrays.

L memories from the outermost (0) to the innermost (L-1); A axes; eight loops (N, G, K, C, Y, X, R, S); three tensors
(weights, inputs, outputs). Loops at memory l run over what that memory sends to the next one; the axes of memory l lie
between it and memory l+1, those of memory L-1 between it and the MAC units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOOPS = 8
TENSORS = 3
N, G, K, C, Y, X, R, S = range(LOOPS)
WEIGHTS, INPUTS, OUTPUTS = range(TENSORS)

RELEVANT = np.zeros((TENSORS, LOOPS), dtype=bool)
RELEVANT[WEIGHTS, [G, K, C, R, S]] = True
RELEVANT[INPUTS, [N, G, C, Y, X, R, S]] = True
RELEVANT[OUTPUTS, [N, G, K, Y, X]] = True


@dataclass(frozen=True, eq=False)
class Tables:
    """Plain arrays; infinities stand for "no limit".

    `sizes` int64 [8]. `window` int64 [2, 2]: (a, b) for rows and columns, the stride and the dilation divided by their
    greatest common divisor; `step` int64 [2, 2] keeps (stride, dilation) as given. `keeps` bool [L, 3]. `axis_level`
    int64 [A], `axis_size` int64 [A], `axis_allowed` bool [A, 8]. `multicast`, `reduction` bool [L]. `bits` float64
    [L, 3]. `read_pj`, `write_pj`, `hop_pj` float64 [L, 3], a word each (hop: a word delivered below memory l).
    `capacity_bits` float64 [L, 4]: of weights, inputs, outputs and of all together, of one instance, halved where
    double buffered. `read_bits_per_cycle`, `write_bits_per_cycle`, `port_bits_per_cycle` (reads and writes together),
    `network_bits_per_cycle` float64 [L], of one instance. `leakage_pj_per_cycle`, `mac_pj`: of the whole chip, of one
    MAC. The switches are those of `Assumptions`.
    """

    sizes: np.ndarray
    step: np.ndarray
    window: np.ndarray
    keeps: np.ndarray
    axis_level: np.ndarray
    axis_size: np.ndarray
    axis_allowed: np.ndarray
    multicast: np.ndarray
    reduction: np.ndarray
    bits: np.ndarray
    read_pj: np.ndarray
    write_pj: np.ndarray
    hop_pj: np.ndarray
    capacity_bits: np.ndarray
    read_bits_per_cycle: np.ndarray
    write_bits_per_cycle: np.ndarray
    port_bits_per_cycle: np.ndarray
    network_bits_per_cycle: np.ndarray
    leakage_pj_per_cycle: float
    mac_pj: float
    halo_merge: bool
    sliding_window: bool
    charge_drain: bool
    fetch_holes: bool
    count_ramp: bool

    @property
    def levels(self) -> int:
        return len(self.keeps)

    @property
    def axes(self) -> int:
        return len(self.axis_level)


@dataclass(frozen=True, eq=False)
class MappingArrays:
    """B mappings. `temporal` int64 [B, L, 8]: bounds of the loops at each memory. `rank` int64 [B, L, 8]: a permutation
    of 0..7 a memory, 0 the innermost loop, 7 the outermost. `spatial` int64 [B, A, 8]: bounds of the loops along each
    axis. The product of all bounds of a loop covers its size; what it exceeds it by is padding, and is counted."""

    temporal: np.ndarray
    rank: np.ndarray
    spatial: np.ndarray

    def __len__(self) -> int:
        return len(self.temporal)
