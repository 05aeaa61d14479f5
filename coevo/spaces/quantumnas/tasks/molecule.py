"""Molecules as qubits: the shipped coefficient files, with their Hartree-Fock states and UCCSD excitations.

The files in `molecules/` were made by `experiments/quantum/make_molecules.py`, which names the packages and the steps;
reading them needs neither. Each states its geometry, active orbitals, mapping and software.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coevo.errors import InputError, unknown_name
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
from coevo.spaces.quantumnas.tasks.pauli_strings import read_document, read_terms

MOLECULES = ("h2", "lih", "h2o", "ch4-6q", "ch4-10q", "beh2-6q", "beh2-14q")
"""Names that `read_molecule` knows."""

_ENERGIES = ("nuclear_repulsion", "frozen_core", "hartree_fock", "ground", "total_casci", "total_fci")


@dataclass(frozen=True, eq=False)
class Excitation:
    """One spin-conserving excitation T of one or two electrons between spin orbitals, as the unitary exp(t (T - T+)).

    `generator` is the Hermitian G of T - T+ = i G; its Pauli strings commute with each other, so exp(i t G) is the
    product of exp(i t c_k P_k) exactly. `symmetry_allowed` is false where it leads from the Hartree-Fock state
    to one of another symmetry (irreducible representation of the file's point group), which the exact ground state does
    not contain.
    """

    occupied: tuple[int, ...]
    virtual: tuple[int, ...]
    symmetry_allowed: bool
    generator: PauliSum


@dataclass(frozen=True, eq=False)
class Molecule:
    """A molecule's operator on qubits and what its baselines start from.

    `energies` are in Ha: `hartree_fock` and `ground` are those of the operator (electrons of the active space);
    `constant` (nuclear repulsion plus frozen electrons) comes on top for the totals, of which `total_casci` is exact
    within the active space and `total_fci` within the basis set. `hartree_fock_state` is a computational basis state,
    leftmost character for the highest qubit. `comparable_to_paper` says whether QuantumNAS's energies belong to
    the same operator, and `comparison` why or why not; a table of results prints it.
    """

    name: str
    formula: str
    hamiltonian: PauliSum
    hartree_fock_state: str
    energies: Mapping[str, float]
    number_operators: Mapping[str, PauliSum]
    excitations: tuple[Excitation, ...]
    comparable_to_paper: bool
    comparison: str
    provenance: Mapping[str, Any]

    @property
    def constant(self) -> float:
        """Ha to add to the operator's energies for total energies."""
        return self.energies["nuclear_repulsion"] + self.energies["frozen_core"]

    @classmethod
    def read(cls, path: str | Path) -> Molecule:
        """The molecule of a file that `make_molecules.py` wrote."""
        document, where = read_document(path), str(path)
        hamiltonian = PauliSum.from_document(document, where)
        try:
            energies = {key: float(value) for key, value in document["energies_ha"].items()}
            state = document["hartree_fock_state"]
            numbers = {
                spin: PauliSum.from_terms(
                    read_terms(document["number_operators"][spin], f"{spin} electrons"), "electrons"
                )
                for spin in ("alpha", "beta")
            }
            excitations = tuple(_excitation(entry) for entry in document["uccsd"]["excitations"])
            name, formula = str(document["name"]), str(document["formula"])
            comparable, comparison = document["comparable_to_paper"], str(document["comparison"])
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise InputError(f"{where} is no molecule: {type(e).__name__}: {e}") from e
        except InputError as e:
            raise InputError(f"{where}: {e}") from e
        if missing := [key for key in _ENERGIES if key not in energies]:
            raise InputError(f"{where}: energies_ha lacks {', '.join(missing)}")
        n = hamiltonian.n_qubits
        if not isinstance(state, str) or len(state) != n or set(state) - set("01"):
            raise InputError(f"{where}: hartree_fock_state is {state!r}; expected {n} characters 0 or 1")
        if not isinstance(comparable, bool):
            raise InputError(f"{where}: comparable_to_paper is {comparable!r}; expected true or false")
        for operator in (*numbers.values(), *(excitation.generator for excitation in excitations)):
            if operator.n_qubits != n:
                raise InputError(f"{where}: an operator has {operator.n_qubits} qubits, the Hamiltonian {n}")
        facts = {k: v for k, v in document.items() if k not in ("terms", "uccsd", "number_operators", "energies_ha")}
        return cls(name, formula, hamiltonian, state, energies, numbers, excitations, comparable, comparison, facts)


def read_molecule(name: str) -> Molecule:
    """A shipped molecule by its name."""
    if name not in MOLECULES:
        raise unknown_name("molecule", name, MOLECULES)
    return Molecule.read(Path(__file__).parent / "molecules" / f"{name}.json")


def _excitation(entry: Mapping[str, Any]) -> Excitation:
    generator = PauliSum.from_terms(read_terms(entry["terms"], f"excitation {entry['from']} to {entry['to']}"), "")
    return Excitation(tuple(entry["from"]), tuple(entry["to"]), bool(entry["symmetry_allowed"]), generator)
