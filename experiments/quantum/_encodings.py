"""Occupation numbers as qubits: the parity and the Bravyi-Kitaev encoding of Jordan-Wigner strings (OpenFermion)."""

from __future__ import annotations

import numpy as np
from openfermion import QubitOperator, bravyi_kitaev_code

CUTOFF = 1e-8
"""Terms with smaller coefficients are left out."""
_DIGITS = 12  # decimals of what is written; rounding makes the files equal from run to run

# Pauli strings as (x mask, z mask), bit q for qubit q; P = i^|x & z| X^x Z^z
Strings = dict[tuple[int, int], complex]


def strings_of(operator: QubitOperator) -> Strings:
    out: Strings = {}
    for term, number in operator.terms.items():
        x = sum(1 << qubit for qubit, letter in term if letter in "XY")
        z = sum(1 << qubit for qubit, letter in term if letter in "YZ")
        out[x, z] = out.get((x, z), 0) + number
    return out


def _times(matrix: np.ndarray, mask: int) -> int:
    bits = np.array([mask >> q & 1 for q in range(len(matrix))])
    return sum(int(bit) << q for q, bit in enumerate(matrix @ bits % 2))


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Over GF(2), by elimination."""
    n = len(matrix)
    both = np.concatenate([matrix % 2, np.eye(n, dtype=int)], 1)
    for column in range(n):
        pivot = next(row for row in range(column, n) if both[row, column])
        both[[column, pivot]] = both[[pivot, column]]
        for row in range(n):
            if row != column and both[row, column]:
                both[row] ^= both[column]
    return both[:, n:]


class Encoding:
    """Occupations b -> qubits E b, and what becomes of Pauli strings: X^x Z^z -> X^(E x) Z^(E^-T z)."""

    def __init__(self, mapping: str, reduction: bool, modes: int, alpha: int, beta: int):
        code = np.tri(modes, dtype=int) if mapping == "parity" else bravyi_kitaev_code(modes).encoder.toarray()
        self.matrix = np.array(code, int)
        self.dual = _inverse(self.matrix).T
        # (qubit, its conserved value)
        self.fixed = [(modes // 2 - 1, alpha % 2), (modes - 1, (alpha + beta) % 2)] if reduction else []
        self.kept = [q for q in range(modes) if q not in dict(self.fixed)]
        self.n_qubits = len(self.kept)

    def state(self, occupied: int) -> str:
        bits = _times(self.matrix, occupied)
        assert all(bits >> q & 1 == value for q, value in self.fixed)
        return "".join(str(bits >> q & 1) for q in reversed(self.kept))

    def terms(self, strings: Strings, real: bool = True) -> list[tuple[str, float]]:
        """[(label, coefficient)], sorted; of `strings` the coefficients are real, or imaginary for generators."""
        out: dict[str, complex] = {}
        for (x, z), number in strings.items():
            new_x, new_z = _times(self.matrix, x), _times(self.dual, z)
            # X^x Z^z keeps no phase under the map, while a Pauli string carries i^|x & z|
            number *= 1j ** ((x & z).bit_count() - (new_x & new_z).bit_count())
            for qubit, value in self.fixed:
                assert not new_x >> qubit & 1, "the two-qubit reduction needs operators that conserve both spins"
                number *= (-1) ** (value * (new_z >> qubit & 1))
            label = "".join("IXZY"[(new_x >> q & 1) + 2 * (new_z >> q & 1)] for q in reversed(self.kept))
            out[label] = out.get(label, 0) + number
        numbers = {label: number if real else number / 1j for label, number in out.items()}
        assert all(abs(number.imag) < 1e-10 for number in numbers.values())
        kept = {k: round(v.real, _DIGITS) for k, v in numbers.items() if abs(v) >= CUTOFF or set(k) == {"I"}}
        return sorted(kept.items(), key=lambda term: (term[0].translate(str.maketrans("IXYZ", "0231")), term[1]))
