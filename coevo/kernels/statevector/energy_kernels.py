"""`Energy`, compiled: one call for all candidates."""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled
from coevo.kernels.statevector.adjoint import make_matrices, run_backward, run_forward


@compiled
def apply_sum(flips: Any, d_re: Any, d_im: Any, re: Any, im: Any, out_re: Any, out_im: Any) -> None:
    """out = H psi: sum over flips x of diagonal [x, i] psi[i ^ x]; d_im may be empty for a real diagonal."""
    out_re[:] = 0
    out_im[:] = 0
    real = len(d_im) == 0
    for k in range(len(flips)):
        flip = flips[k]
        for i in range(len(re)):
            x, y = re[i ^ flip], im[i ^ flip]
            out_re[i] += d_re[k, i] * x
            out_im[i] += d_re[k, i] * y
            if not real:
                out_re[i] -= d_im[k, i] * y
                out_im[i] += d_im[k, i] * x


@compiled
def energy_all(
    gates: Any, slots: Any, fixed: Any, angles: Any, active: Any, flips: Any, d_re: Any, d_im: Any, values: Any,
    gradient: Any,
) -> None:  # fmt: skip
    """Energies [C] and their gradient [C, A] (left alone where it has no rows), from |0...0>."""
    kind, dim = d_re.dtype, d_re.shape[1]
    matrices = np.empty((len(gates), 10), kind)
    re, im, l_re, l_im = np.empty(dim, kind), np.empty(dim, kind), np.empty(dim, kind), np.empty(dim, kind)
    for candidate in range(len(angles)):
        make_matrices(gates, slots, angles[candidate], active[candidate], fixed, matrices)
        re[:] = 0
        im[:] = 0
        re[0] = 1
        run_forward(gates, active[candidate], matrices, re, im, 1)
        apply_sum(flips, d_re, d_im, re, im, l_re, l_im)
        total = 0.0
        for i in range(dim):
            total += re[i] * l_re[i] + im[i] * l_im[i]
        values[candidate] = total
        if len(gradient):
            for i in range(dim):
                l_re[i] *= 2
                l_im[i] *= 2
            run_backward(gates, slots, active[candidate], matrices, re, im, l_re, l_im, 1, gradient[candidate])
