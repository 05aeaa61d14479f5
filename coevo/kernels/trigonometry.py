"""Cosines and sines of many angles, compiled: arithmetic without calls, so that it becomes vector instructions."""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled

LARGEST = 8192.0
"""Radians; beyond, the library's functions take over: the quarter turns that are taken off would lose digits."""


@compiled
def cosines_sines(angles: Any, factor: float, cosines: Any, sines: Any) -> None:
    """cosines, sines [A] of factor * angles [A], radians, to one unit in the last place of 1; float64 or float32.

    The quarter turns are taken off in three parts (Cody and Waite); the rest goes into the polynomials of the Cephes
    library. Which of the two is the cosine, and the signs, come from arithmetic: a branch is no vector instruction.
    """
    kind = cosines.dtype.type
    for n in range(len(angles)):
        if not abs(angles[n] * factor) <= LARGEST:
            for m in range(len(angles)):
                cosines[m] = np.cos(angles[m] * factor)
                sines[m] = np.sin(angles[m] * factor)
            return
    scale, ratio, half, one, two = kind(factor), kind(0.6366197723675814), kind(0.5), kind(1), kind(2)
    if cosines.itemsize == 8:
        a, b, c = kind(1.5707962512969971), kind(7.549789415861596e-8), kind(5.390302858158119e-15)
        s1, s2, s3 = kind(-1.66666666666666307295e-1), kind(8.33333333332211858878e-3), kind(-1.98412698295895385996e-4)
        s4, s5, s6 = kind(2.75573136213857245213e-6), kind(-2.50507477628578072866e-8), kind(1.58962301576546568060e-10)
        c1, c2, c3 = kind(4.16666666666665929218e-2), kind(-1.38888888888730564116e-3), kind(2.48015872888517045348e-5)
        c4, c5, c6 = (
            kind(-2.75573141792967388112e-7),
            kind(2.08757008419747316778e-9),
            kind(-1.13585365213876817300e-11),
        )
        for n in range(len(angles)):
            x = kind(angles[n]) * scale
            k = np.floor(x * ratio + half)
            r = ((x - k * a) - k * b) - k * c
            z = r * r
            s = r + r * z * (s1 + z * (s2 + z * (s3 + z * (s4 + z * (s5 + z * s6)))))
            t = one - half * z + z * z * (c1 + z * (c2 + z * (c3 + z * (c4 + z * (c5 + z * c6)))))
            sines[n], cosines[n] = s, t
    else:
        a, b, c = kind(1.5703125), kind(4.837512969970703125e-4), kind(7.54978995489188216e-8)
        s1, s2, s3 = kind(-1.6666654611e-1), kind(8.3321608736e-3), kind(-1.9515295891e-4)
        c1, c2, c3 = kind(4.166664568298827e-2), kind(-1.388731625493765e-3), kind(2.443315711809948e-5)
        for n in range(len(angles)):
            x = kind(angles[n]) * scale
            k = np.floor(x * ratio + half)
            r = ((x - k * a) - k * b) - k * c
            z = r * r
            sines[n] = r + r * z * (s1 + z * (s2 + z * s3))
            cosines[n] = one - half * z + z * z * (c1 + z * (c2 + z * c3))
    for n in range(len(angles)):
        k = np.floor(kind(angles[n]) * scale * ratio + half)
        turns = k - kind(4) * np.floor(k * kind(0.25))  # quarters: 0, 1, 2 or 3
        high = np.floor(turns * half)
        odd = turns - two * high
        middle = np.floor((turns + one) * half)
        even, s, t = one - odd, sines[n], cosines[n]
        cosines[n] = (one - two * middle * (two - middle)) * (even * t + odd * s)
        sines[n] = (one - two * high) * (even * s + odd * t)
