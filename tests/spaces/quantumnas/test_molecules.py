"""The shipped molecules: their stated energies follow from their coefficients, without the packages that made them."""

import json
from pathlib import Path

import numpy as np
import pytest

from coevo.errors import InputError, UnknownName
from coevo.spaces.quantumnas.tasks import molecule as molecule_module
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
from coevo.spaces.quantumnas.tasks.molecule import MOLECULES, Molecule, read_molecule

FOLDER = Path(molecule_module.__file__).parent / "molecules"
SMALL = tuple(name for name in MOLECULES if name not in ("ch4-10q", "beh2-14q"))


def hartree_fock(molecule):
    state = np.zeros(2**molecule.hamiltonian.n_qubits, complex)
    state[int(molecule.hartree_fock_state, 2)] = 1
    return state


def test_every_file_has_a_name_and_the_other_way_round():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(MOLECULES)
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) < 1_000_000


@pytest.mark.parametrize("name", MOLECULES)
def test_stated_energies_follow_from_the_coefficients(name):
    molecule = read_molecule(name)
    energies, operator = molecule.energies, molecule.hamiltonian
    assert operator.unit == "Ha"
    assert operator.expectation(hartree_fock(molecule)) == pytest.approx(energies["hartree_fock"], abs=1e-9)
    assert operator.ground_energy() == pytest.approx(energies["ground"], abs=1e-9)
    assert energies["hartree_fock"] + molecule.constant == pytest.approx(energies["total_hartree_fock"], abs=1e-8)
    # The ground state of the operator over all numbers of electrons is the molecule's, which PySCF computed alone
    assert energies["ground"] == energies["ground_of_the_electrons"]
    assert energies["ground"] + molecule.constant == pytest.approx(energies["total_casci"], abs=1e-7)
    assert energies["total_fci"] <= energies["total_casci"] + 1e-9 < energies["total_hartree_fock"]


@pytest.mark.parametrize("name", MOLECULES)
def test_the_hartree_fock_state_has_the_electrons(name):
    molecule = read_molecule(name)
    electrons = molecule.provenance["active_space"]["electrons"]
    for spin, expected in zip(("alpha", "beta"), electrons, strict=True):
        number = molecule.number_operators[spin]
        assert number.expectation(hartree_fock(molecule)) == pytest.approx(expected, abs=1e-12)
        assert all(set(label) <= {"I", "Z"} for label in number.labels)


@pytest.mark.parametrize("name", SMALL)
def test_the_hamiltonian_conserves_electrons(name):
    molecule = read_molecule(name)
    h = molecule.hamiltonian.matrix()
    for number in molecule.number_operators.values():
        n = number.matrix()
        assert np.abs(h @ n - n @ h).max() < 1e-10
        values = np.diag(n).real
        np.testing.assert_allclose(values, values.round(), atol=1e-12)


def test_hydrogen_is_the_operator_of_the_artifact():
    molecule = read_molecule("h2")
    expected = {
        "II": -1.052373245772859, "IZ": 0.39793742484318045, "ZI": -0.39793742484318045,
        "ZZ": -0.01128010425623538, "XX": 0.18093119978423156,
    }  # fmt: skip
    found = dict(zip(molecule.hamiltonian.labels, molecule.hamiltonian.coefficients, strict=True))
    assert found == pytest.approx(expected, abs=1e-10)
    spectrum = np.linalg.eigvalsh(molecule.hamiltonian.matrix())
    np.testing.assert_allclose(spectrum, [-1.857275, -1.244585, -0.882722, -0.224911], atol=5e-7)


@pytest.mark.parametrize("name", MOLECULES)
def test_what_a_file_states(name):
    molecule = read_molecule(name)
    facts, active = molecule.provenance, molecule.provenance["active_space"]
    for key in (
        "geometry_angstrom", "charge", "basis_set", "method", "mapping", "cutoff_ha", "software", "date", "script",
        "identity", "point_group",
    ):  # fmt: skip
        assert facts[key] not in ("", None, [], {})
    assert {"pyscf", "openfermion"} <= facts["software"].keys()
    assert (Path(__file__).parents[3] / facts["script"]).is_file()
    qubits = 2 * len(active["orbitals"]) - 2 * facts["mapping"]["two_qubit_reduction"]
    assert molecule.hamiltonian.n_qubits == qubits
    smallest = min(abs(number) for number in molecule.hamiltonian.coefficients)
    assert smallest >= facts["cutoff_ha"]
    if active["frozen"] or active["removed"]:
        assert not molecule.comparable_to_paper
        assert "reduced active space" in molecule.comparison
    assert molecule.comparison


@pytest.mark.parametrize("name", MOLECULES)
def test_the_pool_has_all_spin_conserving_singles_and_doubles(name):
    molecule = read_molecule(name)
    (alpha, beta), orbitals = (molecule.provenance["active_space"][key] for key in ("electrons", "orbitals"))
    va, vb = len(orbitals) - alpha, len(orbitals) - beta

    def pairs(k):
        return k * (k - 1) // 2

    expected = alpha * va + beta * vb + pairs(alpha) * pairs(va) + pairs(beta) * pairs(vb) + alpha * va * beta * vb
    assert len(molecule.excitations) == expected
    document = json.loads((FOLDER / f"{name}.json").read_text())["uccsd"]
    assert document["count"] == expected
    assert document["symmetry_allowed_count"] == sum(e.symmetry_allowed for e in molecule.excitations)
    for excitation in molecule.excitations:
        x, z = excitation.generator.masks
        product = [
            [bin(x[i] & z[j]).count("1") + bin(z[i] & x[j]).count("1") for j in range(len(x))] for i in range(len(x))
        ]
        assert not np.any(np.array(product) % 2)  # every two strings of a generator commute
        # T - T+ is real, hence G = -i (T - T+) imaginary: an odd number of Y in every string
        assert all(label.count("Y") % 2 for label in excitation.generator.labels)


@pytest.mark.parametrize("name", SMALL)
def test_generators_are_antisymmetric_and_conserve_electrons(name):
    molecule = read_molecule(name)
    numbers = [number.matrix() for number in molecule.number_operators.values()]
    start = hartree_fock(molecule)
    for excitation in molecule.excitations:
        a = 1j * excitation.generator.matrix()
        assert np.abs(a + a.conj().T).max() < 1e-12
        assert np.abs(a.imag).max() < 1e-12
        np.testing.assert_allclose(a @ a @ a, -a, atol=1e-12)  # T excites once: eigenvalues 0 and +-i
        for number in numbers:
            assert np.abs(a @ number - number @ a).max() < 1e-12
        # From the Hartree-Fock state an excitation leads to one other basis state
        np.testing.assert_allclose(np.sort(np.abs(a @ start))[-2:], [0, 1], atol=1e-12)


def occupations(molecule):
    """Occupied modes [2^n, modes] of every basis state, by solving the file's encoding over GF(2)."""
    mapping, n = molecule.provenance["mapping"], molecule.hamiltonian.n_qubits
    encoding = np.array([[int(bit) for bit in row] for row in mapping["encoding_matrix"]])
    modes = len(encoding)
    everything = (np.arange(2**modes)[:, None] >> np.arange(modes)) & 1
    encoded = everything @ encoding.T % 2
    assert len(np.unique(encoded, axis=0)) == 2**modes
    fixed = {entry["mode"]: entry["value"] for entry in mapping["fixed_qubits"]}
    kept = [q for q in range(modes) if q not in fixed]
    inside = np.all([encoded[:, q] == value for q, value in fixed.items()], axis=0) & np.ones(2**modes, bool)
    out = np.empty((2**n, modes), int)
    out[encoded[inside][:, kept] @ (1 << np.arange(n))] = everything[inside]
    return out


@pytest.mark.parametrize("name", SMALL)
def test_the_stated_mapping_is_the_one_that_was_used(name):
    molecule = read_molecule(name)
    occupied = occupations(molecule)
    m = occupied.shape[1] // 2
    for spin, modes in (("alpha", slice(0, m)), ("beta", slice(m, 2 * m))):
        counted = np.diag(molecule.number_operators[spin].matrix()).real
        np.testing.assert_allclose(counted, occupied[:, modes].sum(1), atol=1e-12)
    alpha, beta = molecule.provenance["active_space"]["electrons"]
    start = occupied[int(molecule.hartree_fock_state, 2)]
    np.testing.assert_array_equal(np.flatnonzero(start), [*range(alpha), *range(m, m + beta)])
    for excitation in molecule.excitations:
        generator = excitation.generator.matrix()
        origin, target = list(excitation.occupied), list(excitation.virtual)
        moves = np.all(occupied[:, origin] == 1, 1) & np.all(occupied[:, target] == 0, 1)
        after = occupied.copy()
        after[:, origin], after[:, target] = 0, 1
        for column in np.flatnonzero(moves):
            row = np.flatnonzero(np.abs(generator[:, column]) > 1e-9)
            assert len(row) == 1
            np.testing.assert_array_equal(occupied[row[0]], after[column])
        assert np.count_nonzero(np.abs(generator) > 1e-9) == 2 * moves.sum()


@pytest.mark.parametrize("name", SMALL)
def test_what_symmetry_forbids_has_no_gradient(name):
    """A forbidden excitation leads to a state that the Hamiltonian does not couple to any allowed one."""
    molecule = read_molecule(name)
    h, start = molecule.hamiltonian.matrix(), hartree_fock(molecule)
    ground = np.linalg.eigh(h)[1][:, 0]
    forbidden = [e for e in molecule.excitations if not e.symmetry_allowed]
    for excitation in forbidden:
        assert abs(ground.conj() @ (excitation.generator.matrix() @ start)) < 1e-8
    doubles = [e for e in molecule.excitations if e.symmetry_allowed and len(e.occupied) == 2]
    assert any(abs(start.conj() @ (h @ (e.generator.matrix() @ start))) > 1e-3 for e in doubles)


def test_unknown_molecules_and_broken_files(tmp_path):
    with pytest.raises(UnknownName, match=r"unknown molecule 'beh2'.*beh2-6q"):
        read_molecule("beh2")
    document = json.loads((FOLDER / "h2.json").read_text())

    def refused(message, **changes):
        path = tmp_path / "m.json"
        path.write_text(json.dumps({key: value for key, value in (document | changes).items() if value is not None}))
        with pytest.raises(InputError, match=message) as caught:
            Molecule.read(path)
        assert str(path) in str(caught.value)

    refused("no molecule: KeyError: 'uccsd'", uccsd=None)
    refused("no molecule: KeyError: 'energies_ha'", energies_ha=None)
    refused("lacks nuclear_repulsion", energies_ha={"ground": 1.0})
    refused("hartree_fock_state is '012'", hartree_fock_state="012")
    refused("expected true or false", comparable_to_paper="yes")
    refused(
        "an operator has 3 qubits, the Hamiltonian 2", number_operators={"alpha": [["III", 1]], "beta": [["II", 1]]}
    )
    refused("complex|no number", terms=[["II", "1j"]])
    refused("is no molecule", uccsd={"excitations": [3]})


def test_a_molecule_file_is_a_hamiltonian_file():
    assert PauliSum.read(FOLDER / "lih.json").labels == read_molecule("lih").hamiltonian.labels
