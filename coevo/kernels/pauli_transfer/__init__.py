"""Noisy circuits in the Pauli basis, as arrays: compiled sweeps and batched ones for GPUs, beside a plain reference.

What the arrays mean, here and in every module of this package:

- a state of k qubits is its Pauli vector r [4^k], r[j] = Tr(P_j rho); an operator is its coefficients c [4^k],
  O = sum_j c[j] P_j; the expectation of O is their inner product. The digits of j in base 4 (0..3 = I, X, Y, Z) belong
  to the qubits in the order that is stated, the first the most significant.
- a channel is a real matrix R with r -> R r and c -> R^T c. On a pair the index is 4 * (first's digit) + (second's).
- a circuit is `rows` int32 [G, 4] with `angles` [G]. A row is (first qubit, second qubit or -1, rotation or -1, matrix
  or -1) and means the rotation `basis[rotation]` by its angle (constant + cos(angle) cosine + sin(angle) sine), then
  the matrix: `singles` [S, 4, 4] with `single_basis` [R, 3, 4, 4], `doubles` [D, 16, 16] with `double_basis`
  [R', 3, 16, 16]. -1 is the identity.
- an encoded sample is a product state: `vectors` [samples, m, 4].

`sweep`, `encode` and `training` need numba (extra `quantum`) and `torch_sweep` needs torch; both are imported by those
modules alone.
"""

from coevo.kernels.pauli_transfer.reference import encode_states, pull_back, push_forward, row_matrices

__all__ = ["encode_states", "pull_back", "push_forward", "row_matrices"]
