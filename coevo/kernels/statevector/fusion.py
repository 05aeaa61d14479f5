"""Gates that mix the same pairs of rows, gathered into groups: a group is applied, and undone, in one pass.

A group is multiplexed: pairs (row, row ^ mask) are mixed by one [2, 2] matrix where its branch bit is 0 and by another
where it is 1. Any one-qubit gate, a controlled gate and the conjugated half of a rotation about ZZ or ZX fit in, so a
U3 and the CU3 that ends on its qubit are one group, and so is any row of one-qubit gates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]


def fuse(gates: Integers) -> tuple[Integers, Integers]:
    """(groups [N, 5]: pivot, mask, branch bit or 0, first and last + 1 of its members; members [G]: gates in the order
    of groups) for `gates` [G, 8], see `coevo.kernels.statevector.adjoint`.

    A gate joins the newest group on the rows that it mixes where nothing later touches its qubits; it may bring along
    the branch bit, and then the group moves behind everything so far.
    """
    order: list[dict[str, Any]] = []
    newest: dict[int, dict[str, Any]] = {}  # bit -> the newest group that touches it
    for number, row in enumerate(gates.tolist()):
        pivot, mask, branch = row[0], row[1], row[2] | row[4]  # control or variant
        mixed, touched = _bits(pivot | mask), _bits(pivot | mask | branch)
        group = newest.get(mixed[0])
        members: list[int] = []
        if group and group["rows"] == (pivot, mask) and all(newest.get(bit) is group for bit in mixed):
            if not branch or (group["branch"] == branch and newest[branch] is group):
                group["members"].append(number)
                continue
            if not group["branch"]:
                members = group["members"]
                order.remove(group)
        group = {"rows": (pivot, mask), "branch": branch, "members": [*members, number]}
        order.append(group)
        newest |= dict.fromkeys(touched, group)
    rows: list[tuple[int, ...]] = []
    flat: list[int] = []
    for group in order:
        rows.append((*group["rows"], group["branch"], len(flat), len(flat) + len(group["members"])))
        flat += group["members"]
    return np.array(rows, np.int32).reshape(-1, 5), np.array(flat, np.int32)


def _bits(number: int) -> list[int]:
    return [1 << place for place in range(number.bit_length()) if number >> place & 1]
