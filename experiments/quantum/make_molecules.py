"""Writes the molecules of coevo/spaces/quantumnas/tasks/molecules: Hamiltonians, states and UCCSD excitations.

Runs in an environment of its own, since coevo needs none of these packages:

    python -m venv chemistry && chemistry/bin/pip install pyscf==2.14.0 openfermion==1.8.1
    OMP_NUM_THREADS=1 chemistry/bin/python experiments/quantum/make_molecules.py [--only h2 lih] [--date 2026-01-31]

The same versions write the same bytes (`--date` aside). The steps: restricted Hartree-Fock (PySCF, point group used so
that degenerate orbitals are fixed), an active space of canonical orbitals, spin orbitals in blocks (all alpha in
ascending energy, then all beta), Jordan-Wigner strings (OpenFermion), and from those the parity or the Bravyi-Kitaev
encoding by the linear map of occupation bits b -> E b over GF(2). In the parity encoding qubit m-1 holds the parity of
the alpha electrons and qubit 2m-1 that of all (m active orbitals); both are conserved and, in the two-qubit reduction,
replaced by their values. Every operator is checked against PySCF before it is written: Hartree-Fock's energy, and
CASCI's energy as the lowest of the operator among states of the right numbers of alpha and beta electrons.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import math
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openfermion
import pyscf
import scipy
from _encodings import CUTOFF, Encoding, strings_of
from openfermion import FermionOperator, InteractionOperator, QubitOperator, get_sparse_operator, jordan_wigner
from pyscf import ao2mo, fci, gto, mcscf, scf, symm

FOLDER = Path(__file__).parents[2] / "coevo" / "spaces" / "quantumnas" / "tasks" / "molecules"
BASIS = "sto-3g"

# What the paper's artifact says of its Hamiltonians, as far as it is public
_NO_FILE = (
    "the files of this molecule are not in the paper's artifact: neither its geometry nor its active orbitals are known"
)


@dataclass(frozen=True)
class System:
    """What is computed: geometry in angstrom, the Abelian point group used, and the orbitals by their SCF numbers."""

    name: str
    formula: str
    geometry: tuple[tuple[str, tuple[float, float, float]], ...]
    geometry_source: str
    point_group: str
    active: tuple[int, ...]
    why_active: str
    mapping: str  # "parity" or "bravyi_kitaev"
    reduction: bool
    comparable: bool
    comparison: str


def _water() -> tuple[tuple[str, tuple[float, float, float]], ...]:
    length, half = 0.9572, math.radians(104.52 / 2)
    y, z = round(length * math.sin(half), 6), round(length * math.cos(half), 6)
    return ("O", (0.0, 0.0, 0.0)), ("H", (0.0, y, z)), ("H", (0.0, -y, z))


def _methane() -> tuple[tuple[str, tuple[float, float, float]], ...]:
    a = round(1.087 / math.sqrt(3), 6)
    return (
        ("C", (0.0, 0.0, 0.0)), ("H", (a, a, a)), ("H", (a, -a, -a)), ("H", (-a, a, -a)), ("H", (-a, -a, a)),
    )  # fmt: skip


_BEH2 = (("Be", (0.0, 0.0, 0.0)), ("H", (0.0, 0.0, 1.326)), ("H", (0.0, 0.0, -1.326)))
_EXPERIMENT = "experimental equilibrium, rounded"

SYSTEMS = (
    System(
        "h2", "H2", (("H", (0.0, 0.0, 0.0)), ("H", (0.0, 0.0, 0.735))),
        "0.735 angstrom, the bond length whose operator the paper's artifact prints", "D2h", (0, 1),
        "all orbitals", "parity", True, True,
        "the operator is the one that the paper's artifact prints. Its energies multiply single-qubit expectations, "
        "which is not the energy of an entangled state; those here are joint expectations",
    ),
    System(
        "lih", "LiH", (("Li", (0.0, 0.0, 0.0)), ("H", (0.0, 0.0, 1.595))), _EXPERIMENT, "C2v", (1, 2, 5),
        "the 1s core of lithium is frozen and the two pi orbitals, which mix with no sigma orbital, are left out",
        "bravyi_kitaev", False, False, f"reduced active space (2 electrons in 3 of 6 orbitals); {_NO_FILE}",
    ),
    System(
        "h2o", "H2O", _water(), _EXPERIMENT, "C2v", (2, 3, 5, 6),
        "the two bonding and the two antibonding O-H orbitals; 1a1, 2a1 and the lone pair 1b1 are frozen",
        "parity", True, False, f"reduced active space (4 electrons in 4 of 7 orbitals); {_NO_FILE}",
    ),
    System(
        "ch4-6q", "CH4", _methane(), _EXPERIMENT, "D2", (2, 3, 5, 6),
        "two of the three degenerate bonding t2 orbitals and their antibonding partners; the tetrahedral symmetry is "
        "broken by that",
        "parity", True, False, f"reduced active space (4 electrons in 4 of 9 orbitals); {_NO_FILE}",
    ),
    System(
        "ch4-10q", "CH4", _methane(), _EXPERIMENT, "D2", (2, 3, 4, 5, 6, 7),
        "the three bonding t2 orbitals and the three antibonding t2 orbitals",
        "parity", True, False, f"reduced active space (6 electrons in 6 of 9 orbitals); {_NO_FILE}",
    ),
    System(
        "beh2-6q", "BeH2", _BEH2, _EXPERIMENT, "D2h", (1, 2, 5, 6),
        "the sigma valence orbitals; the 1s core of beryllium is frozen and the two pi orbitals are left out",
        "parity", True, False,
        "reduced active space (4 electrons in 4 of 7 orbitals) where the paper's artifact names 14 qubits",
    ),
    System(
        "beh2-14q", "BeH2", _BEH2, _EXPERIMENT, "D2h", tuple(range(7)), "all orbitals", "bravyi_kitaev", False, False,
        "all orbitals on 14 qubits, as in the paper, but the paper's geometry is not known",
    ),
)  # fmt: skip


def spin_blocks(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spin-orbital integrals in OpenFermion's order from h[p, q] and (pq|rs); all alpha modes come before all beta."""
    m = len(one)
    spin_one, spin_two = np.zeros((2 * m,) * 2), np.zeros((2 * m,) * 4)
    for s in (slice(0, m), slice(m, 2 * m)):
        spin_one[s, s] = one
        for t in (slice(0, m), slice(m, 2 * m)):
            # 1/2 sum (pq|rs) a+_p a+_r a_s a_q, which OpenFermion indexes [p, r, s, q]
            spin_two[s, t, t, s] = 0.5 * two.transpose(0, 2, 3, 1)
    return spin_one, spin_two


def excitations(m: int, alpha: int, beta: int, irreps: list[int]) -> list[dict[str, object]]:
    """All spin-conserving singles, then all doubles (alpha-alpha, beta-beta, alpha-beta), by mode numbers."""
    a_occ, a_vir = range(alpha), range(alpha, m)
    b_occ, b_vir = range(m, m + beta), range(m + beta, 2 * m)
    pairs = [((i,), (a,)) for i in a_occ for a in a_vir] + [((i,), (a,)) for i in b_occ for a in b_vir]
    for occ, vir in ((a_occ, a_vir), (b_occ, b_vir)):
        pairs += list(itertools.product(itertools.combinations(occ, 2), itertools.combinations(vir, 2)))
    pairs += [((i, j), (a, b)) for i in a_occ for j in b_occ for a in a_vir for b in b_vir]
    out = []
    for occupied, virtual in pairs:
        product = 0
        for mode in occupied + virtual:
            product ^= irreps[mode % m]
        out.append({"from": list(occupied), "to": list(virtual), "symmetry_allowed": product == 0})
    return out


def generator(excitation: dict[str, object]) -> FermionOperator:
    """T - T+ with T = a+_to ... a_from ..."""
    forward = [(a, 1) for a in excitation["to"]] + [(i, 0) for i in reversed(excitation["from"])]
    operator = FermionOperator(tuple(forward))
    return operator - openfermion.hermitian_conjugated(operator)


def number_operator(modes: range) -> FermionOperator:
    return sum((FermionOperator(((mode, 1), (mode, 0))) for mode in modes), FermionOperator())


def qubit_operator(terms: list[tuple[str, float]]) -> QubitOperator:
    out = QubitOperator()
    for label, number in terms:
        out += QubitOperator(tuple((q, letter) for q, letter in enumerate(reversed(label)) if letter != "I"), number)
    return out


def sector_energy(
    terms: list, alpha_terms: list, beta_terms: list, n: int, alpha: int, beta: int
) -> tuple[float, float]:
    """The operator's lowest eigenvalue, and its lowest among states of `alpha` and `beta` electrons.

    The number operators are diagonal, so the second is that of a block. OpenFermion's qubit 0 is the highest bit of an
    index, which does not matter to eigenvalues.
    """
    matrix = get_sparse_operator(qubit_operator(terms), n).tocsr()
    counts = [
        get_sparse_operator(qubit_operator(t), n).diagonal().real.round().astype(int) for t in (alpha_terms, beta_terms)
    ]
    inside = np.flatnonzero((counts[0] == alpha) & (counts[1] == beta))

    def lowest(block: scipy.sparse.csr_matrix) -> float:
        if block.shape[0] <= 1300:
            return float(np.linalg.eigvalsh(block.toarray())[0])
        start = np.random.default_rng(0).standard_normal(block.shape[0]).astype(complex)
        return float(scipy.sparse.linalg.eigsh(block, k=1, which="SA", v0=start)[0][0])

    return lowest(matrix), lowest(matrix[inside][:, inside])


def make(system: System, date: str) -> dict[str, object]:
    molecule = gto.M(atom=list(system.geometry), basis=BASIS, symmetry=system.point_group, verbose=0)
    field = scf.RHF(molecule)
    field.conv_tol, field.conv_tol_grad = 1e-13, 1e-8
    field.kernel()
    assert field.converged
    orbitals = field.mo_coeff.copy()
    largest = np.abs(orbitals).round(8).argmax(0)  # the sign of an orbital is free: its largest entry is positive
    orbitals *= np.sign(orbitals[largest, range(orbitals.shape[1])])
    labels = symm.label_orb_symm(molecule, molecule.irrep_name, molecule.symm_orb, orbitals)
    irreps = [molecule.irrep_id[molecule.irrep_name.index(label)] for label in labels]
    n_occupied, m = molecule.nelectron // 2, len(system.active)
    frozen = [i for i in range(n_occupied) if i not in system.active]
    removed = [i for i in range(n_occupied, len(labels)) if i not in system.active]
    alpha = beta = n_occupied - len(frozen)

    core = orbitals[:, frozen]
    density = 2 * core @ core.T
    bare = field.get_hcore()
    potential = field.get_veff(molecule, density) if frozen else np.zeros_like(bare)
    core_energy = float(np.einsum("ij,ji->", bare + 0.5 * potential, density))
    chosen = orbitals[:, list(system.active)]
    one = chosen.T @ (bare + potential) @ chosen
    two = ao2mo.restore(1, ao2mo.kernel(molecule, chosen), m)
    spin_one, spin_two = spin_blocks(one, two)

    encoding = Encoding(system.mapping, system.reduction, 2 * m, alpha, beta)
    n = encoding.n_qubits
    terms = encoding.terms(strings_of(jordan_wigner(InteractionOperator(0.0, spin_one, spin_two))))
    numbers = [
        encoding.terms(strings_of(jordan_wigner(number_operator(modes)))) for modes in (range(m), range(m, 2 * m))
    ]
    occupied = sum(1 << mode for mode in (*range(alpha), *range(m, m + beta)))
    state = encoding.state(occupied)
    pool = excitations(m, alpha, beta, [irreps[i] for i in system.active])
    for excitation in pool:
        excitation["terms"] = encoding.terms(strings_of(jordan_wigner(generator(excitation))), real=False)

    # Checks against PySCF
    nuclear = float(molecule.energy_nuc())
    constant = nuclear + core_energy
    signs = [
        math.prod(-1 for c, bit in zip(label, state, strict=True) if c == "Z" and bit == "1") for label, _ in terms
    ]
    start_energy = sum(c * s for (label, c), s in zip(terms, signs, strict=True) if not set(label) & set("XY"))
    lowest, ground = sector_energy(terms, *numbers, n, alpha, beta)
    casci = mcscf.CASCI(field, m, (alpha, beta))
    casci.fcisolver = fci.direct_spin1.FCI(molecule)
    casci.fcisolver.conv_tol = 1e-12
    casci_energy = float(casci.kernel(mcscf.sort_mo(casci, orbitals, [i + 1 for i in system.active]))[0])
    whole = fci.FCI(field)
    whole.conv_tol = 1e-12
    fci_energy = float(whole.kernel()[0])
    assert abs(start_energy + constant - field.e_tot) < 1e-7, (start_energy + constant, field.e_tot)
    assert abs(ground + constant - casci_energy) < 1e-7, (ground + constant, casci_energy)

    def described(numbers: list[int]) -> list[dict[str, object]]:
        return [
            {
                "number": i,
                "irrep": str(labels[i]),
                "energy_ha": round(float(field.mo_energy[i]), 8),
                "occupied": i < n_occupied,
            }
            for i in numbers
        ]

    def rounded(energy: float) -> float:
        return round(float(energy), 10)

    return {
        "name": system.name,
        "formula": system.formula,
        "n_qubits": n,
        "unit": "Ha",
        "identity": "electronic energy of the active space; nuclear repulsion and frozen electrons are kept apart",
        "energies_ha": {
            "nuclear_repulsion": rounded(nuclear),
            "frozen_core": rounded(core_energy),
            "hartree_fock": rounded(start_energy),
            "ground": rounded(lowest),
            "ground_of_the_electrons": rounded(ground),
            "total_hartree_fock": rounded(field.e_tot),
            "total_casci": rounded(casci_energy),
            "total_fci": rounded(fci_energy),
        },
        "energies_explained": "hartree_fock, ground and ground_of_the_electrons are the operator's, ground for "
        "any number of electrons; add nuclear_repulsion and frozen_core for the totals, which are PySCF's",
        "hartree_fock_state": state,
        "comparable_to_paper": system.comparable,
        "comparison": system.comparison,
        "geometry_angstrom": [[atom, list(place)] for atom, place in system.geometry],
        "geometry_source": system.geometry_source,
        "charge": 0,
        "spin_multiplicity": 1,
        "basis_set": "STO-3G",
        "method": "restricted Hartree-Fock orbitals, full configuration interaction within the active space",
        "point_group": system.point_group,
        "active_space": {
            "electrons": [alpha, beta],
            "orbitals": described(list(system.active)),
            "frozen": described(frozen),
            "removed": described(removed),
            "why": system.why_active,
        },
        "mapping": {
            "name": system.mapping,
            "two_qubit_reduction": system.reduction,
            "modes": "mode p is alpha electron in active orbital p, mode m + p beta; qubit j holds row j of the "
            "encoding matrix times the occupations, modulo 2",
            "encoding_matrix": ["".join(map(str, row)) for row in encoding.matrix],
            "fixed_qubits": [{"mode": qubit, "value": value} for qubit, value in encoding.fixed],
        },
        "cutoff_ha": CUTOFF,
        "software": {
            "pyscf": pyscf.__version__,
            "openfermion": openfermion.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
        "date": date,
        "script": "experiments/quantum/make_molecules.py",
        "terms": terms,
        "number_operators": {"alpha": numbers[0], "beta": numbers[1]},
        "uccsd": {
            "generators": "T - T+ = i sum_k c_k P_k with terms [P_k, c_k]; the strings of one generator commute",
            "order": "first-order Trotter product: the first excitation acts first on the Hartree-Fock state",
            "count": len(pool),
            "symmetry_allowed_count": sum(bool(e["symmetry_allowed"]) for e in pool),
            "excitations": pool,
        },
    }


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)


def text_of(document: dict[str, object]) -> str:
    """JSON with one term and one excitation a line, so that two versions can be compared by eye."""
    rows = []
    for key, value in document.items():
        if key == "terms":
            text = "[\n  " + ",\n  ".join(_line(term) for term in value) + "\n ]"
        elif key == "uccsd":
            inner = ",\n   ".join(_line(e) for e in value["excitations"])
            head = ",\n  ".join(f"{_line(k)}: {_line(v)}" for k, v in value.items() if k != "excitations")
            text = "{\n  " + head + ',\n  "excitations": [\n   ' + inner + "\n  ]\n }"
        else:
            text = _line(value)
        rows.append(f" {_line(key)}: {text}")
    return "{\n" + ",\n".join(rows) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=[system.name for system in SYSTEMS], help="these molecules alone")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="the date that the files state")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for system in SYSTEMS:
        if options.only and system.name not in options.only:
            continue
        document = make(system, options.date)
        text = text_of(document)
        json.loads(text)
        (options.folder / f"{system.name}.json").write_text(text, encoding="utf-8")
        energies, pool = document["energies_ha"], document["uccsd"]
        print(
            f"{system.name}: {document['n_qubits']} qubits, {len(document['terms'])} terms, "
            f"{pool['count']} excitations ({pool['symmetry_allowed_count']} allowed), {len(text) / 1e3:.0f} kB, "
            f"{energies}",
            flush=True,
        )


if __name__ == "__main__":
    main()
