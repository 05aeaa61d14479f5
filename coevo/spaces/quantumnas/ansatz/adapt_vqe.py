"""Products of excitations without noise, their best amplitudes, and ADAPT-VQE's greedy growth.

ADAPT-VQE: Grimsley, Economou, Barnes, Mayhall, Nature Communications 10, 3007 (2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.errors import InputError, missing_extra
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


class Rotation:
    """exp(i t G) of a G that flips one set of qubits and whose eigenvalues are 0, 1 and -1, applied to states in place.

    Fermionic excitations are such in every linear encoding (Jordan-Wigner, parity, Bravyi-Kitaev), and so are single
    Pauli strings. G pairs basis states and leaves most of them alone, so exp(i t G) = 1 + i sin(t) G - (1 - cos(t)) G^2
    is a rotation of the pairs.
    """

    def __init__(self, generator: PauliSum):
        flips = list(generator.flips())
        if len(flips) != 1:
            raise InputError(f"its strings flip {len(flips)} different sets of qubits, those of an excitation flip one")
        flip, diagonal = flips[0]
        size = np.abs(diagonal)
        if np.any(np.minimum(size, np.abs(size - 1)) > 1e-9):
            raise InputError(
                "it has eigenvalues other than 0, 1 and -1: it is neither an excitation nor a Pauli string"
            )
        self._into = np.flatnonzero(size > 0.5)
        self._out_of = self._into ^ flip
        self._factors = 1j * diagonal[self._out_of]  # i G|out_of> = factors |into>

    def turn(self, state: Complex, t: float) -> None:
        """state [2^n] becomes exp(i t G) state."""
        state[self._into] = math.cos(t) * state[self._into] + math.sin(t) * self._factors * state[self._out_of]

    def slope(self, state: Complex, costate: Complex) -> float:
        """d/dt <state| e^(-itG) H e^(itG) |state> at 0, where costate = H state: 2 Re <costate| i G |state>."""
        return float(2 * np.vdot(costate[self._into], self._factors * state[self._out_of]).real)


class GeneratorProduct:
    """|psi> = exp(i t_P G_P) ... exp(i t_1 G_1) |state>, as `chemistry.generator_product` in gates, without gates.

    The generators are those of fermionic excitations or single Pauli strings (see `Rotation`), all of the state's size.
    `state` is a basis state, leftmost character for the highest qubit.
    """

    def __init__(self, state: str, generators: Sequence[PauliSum]):
        if not state or set(state) - set("01"):
            raise InputError(f"expected a basis state of characters 0 and 1, got {state!r}")
        self.state, self.rotations = state, _rotations(generators, len(state))

    def final_state(self, amplitudes: ArrayLike) -> Complex:
        """complex128 [2^n] at amplitudes [P]."""
        state = np.zeros(2 ** len(self.state), np.complex128)
        state[int(self.state, 2)] = 1
        for rotation, t in zip(self.rotations, self._checked(amplitudes), strict=True):
            rotation.turn(state, t)
        return state

    def energy_and_gradient(self, hamiltonian: PauliSum, amplitudes: ArrayLike) -> tuple[float, Real]:
        """<psi|H|psi> and its gradient [P], by undoing the product factor by factor."""
        amplitudes = self._checked(amplitudes)
        state = self.final_state(amplitudes)
        costate = hamiltonian.apply(state)
        energy = float(np.vdot(state, costate).real)
        gradient = np.empty(len(amplitudes))
        for k in range(len(amplitudes) - 1, -1, -1):
            gradient[k] = self.rotations[k].slope(state, costate)
            self.rotations[k].turn(state, -amplitudes[k])
            self.rotations[k].turn(costate, -amplitudes[k])
        return energy, gradient

    def minimise(self, hamiltonian: PauliSum, start: ArrayLike | None = None) -> tuple[Real, float]:
        """Amplitudes [P] of a local minimum of the energy, by BFGS from `start` (default: zeros), and its energy."""
        try:
            from scipy.optimize import minimize
        except ImportError as e:
            raise missing_extra("scipy", "quantum") from e
        begin = np.zeros(len(self.rotations)) if start is None else self._checked(start)
        if not len(begin):
            return begin, self.energy_and_gradient(hamiltonian, begin)[0]
        found: Any = minimize(
            lambda t: self.energy_and_gradient(hamiltonian, t), begin, jac=True, method="BFGS", options={"gtol": 1e-8}
        )
        return np.asarray(found.x, np.float64), float(found.fun)

    def _checked(self, amplitudes: ArrayLike) -> Real:
        given = np.asarray(amplitudes, np.float64)
        if given.shape != (len(self.rotations),) or not np.isfinite(given).all():
            raise InputError(f"expected {len(self.rotations)} finite amplitudes, got {given!r}")
        return given


@dataclass(frozen=True, eq=False)
class AdaptResult:
    """What ADAPT-VQE grew.

    Attributes:
        operators: numbers in the pool, in the order in which they act; one may stand there more than once.
        amplitudes: float64 [len(operators)].
        energies: float64 [len(operators) + 1], the bare state's and after each growth step; in the Hamiltonian's unit.
        gradient_norm: of the pool's gradients at the end, in the Hamiltonian's unit.
        converged: whether the norm is below the tolerance, rather than the number of operators exhausted.
    """

    operators: tuple[int, ...]
    amplitudes: Real
    energies: Real
    gradient_norm: float
    converged: bool

    @property
    def energy(self) -> float:
        return float(self.energies[-1])


def adapt_vqe(
    hamiltonian: PauliSum, pool: Sequence[PauliSum], state: str, max_operators: int, tolerance: float
) -> AdaptResult:
    """Grow exp(i t G) by the pool's steepest operator until the norm of all gradients is below `tolerance`.

    The gradient of appending G at t = 0 is <psi|[H, i G]|psi>, without noise. After each step all amplitudes are
    optimised again from where they are; of equal gradients the first operator is taken.
    """
    if not pool:
        raise InputError("the pool of operators is empty")
    if max_operators < 1 or not (math.isfinite(tolerance) and tolerance > 0):
        raise InputError(
            f"expected at least 1 operator and a tolerance above 0, got max_operators = {max_operators} and "
            f"tolerance = {tolerance}"
        )
    if hamiltonian.n_qubits != len(state):
        raise InputError(f"the Hamiltonian is of {hamiltonian.n_qubits} qubits, the state {state!r} of {len(state)}")
    steepness = _rotations(pool, len(state))
    operators: list[int] = []
    amplitudes = np.zeros(0)
    product = GeneratorProduct(state, [])
    energies = [product.energy_and_gradient(hamiltonian, amplitudes)[0]]
    while True:
        psi = product.final_state(amplitudes)
        costate = hamiltonian.apply(psi)
        slopes = np.array([rotation.slope(psi, costate) for rotation in steepness])
        norm = float(np.linalg.norm(slopes))
        if norm < tolerance or len(operators) == max_operators:
            break
        # Rounded, so that which of equal gradients comes first is not a matter of the last bit
        operators.append(int(np.argmax(np.abs(slopes).round(10))))
        product = GeneratorProduct(state, [pool[k] for k in operators])
        amplitudes, energy = product.minimise(hamiltonian, np.append(amplitudes, 0.0))
        energies.append(energy)
    return AdaptResult(tuple(operators), amplitudes, np.array(energies), norm, norm < tolerance)


def _rotations(generators: Sequence[PauliSum], n_qubits: int) -> tuple[Rotation, ...]:
    out = []
    for number, generator in enumerate(generators):
        if generator.n_qubits != n_qubits:
            raise InputError(f"generator {number} is of {generator.n_qubits} qubits, the state of {n_qubits}")
        try:
            out.append(Rotation(generator))
        except InputError as e:
            raise InputError(f"generator {number} ({generator.labels[0]}, ...): {e}") from e
    return tuple(out)
