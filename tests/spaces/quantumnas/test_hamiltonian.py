"""Sums of Pauli strings: against Qiskit's matrices, files, exact energies, and what is refused."""

import copy
import json

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.quantumnas.tasks import hamiltonian
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum

H2 = {
    "II": -1.052373245772859,
    "IZ": 0.39793742484318045,
    "ZI": -0.39793742484318045,
    "ZZ": -0.01128010425623538,
    "XX": 0.18093119978423156,
}


def random_op(rng, n, terms):
    from qiskit.quantum_info import SparsePauliOp

    labels = ["".join(rng.choice(list("IXYZ"), n)) for _ in range(terms)]
    return SparsePauliOp(labels, rng.standard_normal(terms))


@pytest.mark.parametrize(("n", "terms"), [(1, 6), (2, 1), (2, 40), (3, 20), (5, 60), (7, 30)])
def test_agrees_with_qiskit(n, terms):
    rng = np.random.default_rng(n * 100 + terms)
    op = random_op(rng, n, terms)
    found, expected = PauliSum.from_sparse_pauli_op(op, "J"), op.to_matrix()
    assert len(set(found.labels)) == len(found.labels)
    np.testing.assert_allclose(found.matrix(), expected, atol=1e-12)
    np.testing.assert_allclose(found.to_sparse_pauli_op().to_matrix(), expected, atol=1e-12)
    states = rng.standard_normal((2, 3, 2**n)) + 1j * rng.standard_normal((2, 3, 2**n))
    np.testing.assert_allclose(found.apply(states), states @ expected.T, atol=1e-12)
    energies = np.einsum("...i,ij,...j->...", states.conj(), expected, states)
    np.testing.assert_allclose(found.expectation(states), energies.real, atol=1e-11)
    assert found.ground_energy() == pytest.approx(np.linalg.eigvalsh(expected)[0], abs=1e-11)
    assert found.identity == pytest.approx(np.trace(expected).real / 2**n, abs=1e-12)


@pytest.mark.parametrize("n", [2, 4, 8])
def test_lanczos_finds_what_diagonalising_finds(n):
    found = PauliSum.from_sparse_pauli_op(random_op(np.random.default_rng(n), n, 50), "J")
    assert found.lanczos_ground_energy() == pytest.approx(found.ground_energy(), abs=1e-10)


def test_twelve_qubits_by_a_closed_form():
    """The transverse-field Ising ring at its critical point: E0 = -2 / sin(pi / 2n) (Pfeuty, 1970)."""
    n = 12
    zz = ["".join("Z" if q in (i, (i + 1) % n) else "I" for q in range(n)) for i in range(n)]
    x = ["I" * i + "X" + "I" * (n - i - 1) for i in range(n)]
    ising = PauliSum.from_terms(dict.fromkeys(zz + x, -1.0), "J")
    assert ising.ground_energy() == pytest.approx(-2 / np.sin(np.pi / (2 * n)), abs=1e-9)


def test_diagonals_that_do_not_fit_are_made_anew(monkeypatch):
    op = random_op(np.random.default_rng(5), 4, 30)
    monkeypatch.setattr(hamiltonian, "_KEPT_ENTRIES", 0)
    np.testing.assert_allclose(PauliSum.from_sparse_pauli_op(op, "J").matrix(), op.to_matrix(), atol=1e-12)


def test_spectrum_of_hydrogen():
    spectrum = np.linalg.eigvalsh(PauliSum.from_terms(H2, "Ha").matrix())
    np.testing.assert_allclose(spectrum, [-1.857275, -1.244585, -0.882722, -0.224911], atol=5e-7)


def test_the_leftmost_character_is_the_highest_qubit():
    found = PauliSum.from_terms({"ZI": 1.0}, "J")
    np.testing.assert_array_equal(np.diag(found.matrix()).real, [1, 1, -1, -1])
    x, z = PauliSum.from_terms({"IXYZ": 1.0}, "J").masks
    assert (x[0], z[0]) == (0b0110, 0b0011)


def test_equal_labels_are_merged_and_the_identity_is_kept():
    found = PauliSum.from_terms([("XX", 1.0), ("II", 0.5), ("XX", 2.0), ("ZZ", 1.0), ("II", -0.5), ("ZZ", -1.0)], "J")
    assert found.labels == ("XX", "II")
    np.testing.assert_array_equal(found.coefficients, [3.0, 0.0])


def test_it_is_frozen():
    found = PauliSum.from_terms(H2, "Ha")
    with pytest.raises(AttributeError):
        found.unit = "eV"
    with pytest.raises(ValueError, match="read-only"):
        found.coefficients[0] = 1.0
    given = np.array([1.0, 2.0])
    kept = PauliSum(("X", "Z"), given, "J")
    given[0] = 9.0
    assert kept.coefficients[0] == 1.0


def test_a_file_and_a_copy_keep_every_bit(tmp_path):
    found = PauliSum.from_sparse_pauli_op(random_op(np.random.default_rng(7), 3, 20), "meV")
    found.matrix()
    found.write(tmp_path / "h.json")
    for again in (PauliSum.read(tmp_path / "h.json"), copy.deepcopy(found)):
        assert (again.labels, again.unit, again.n_qubits) == (found.labels, "meV", 3)
        np.testing.assert_array_equal(again.coefficients, found.coefficients)
        assert not again.coefficients.flags.writeable


def test_rounding_in_an_imaginary_part_is_no_reason_to_refuse():
    assert PauliSum.from_terms({"XX": 1.0 + 1e-14j}, "J").coefficients[0] == 1.0


def test_complex_coefficients_name_the_first_such_term():
    from qiskit.quantum_info import SparsePauliOp

    with pytest.raises(InputError, match=r"'ZY' is complex: 1j"):
        PauliSum.from_sparse_pauli_op(SparsePauliOp(["XX", "ZY", "YY"], [1.0, 1j, 2j]), "J")


def test_an_unbound_parameter_is_no_coefficient():
    from qiskit.circuit import Parameter
    from qiskit.quantum_info import SparsePauliOp

    with pytest.raises(InputError, match="'XX' is no number"):
        PauliSum.from_sparse_pauli_op(SparsePauliOp(["XX"], np.array([Parameter("a")], object)), "J")


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([("XX", float("nan"))], "'XX' is .*nan.*finite"),
        ([("XX", 1.0), ("ZZ", float("-inf"))], "'ZZ' is .*inf.*finite"),
        ([("XX", 1.0), ("ZZZ", 1.0)], "unequal lengths: 'XX' is of 2 qubits, 'ZZZ' of 3"),
        ([("XA", 1.0)], "'XA' is not made of the characters I, X, Y and Z"),
        ([("xx", 1.0)], "'xx' is not made of"),
        ([("", 1.0)], "'' is not made of"),
        ([(5, 1.0)], "5 is not made of"),
        ([("XX", "1.0")], "'XX' is no number: '1.0'"),
        ([("XX", True)], "'XX' is no number: True"),
        ([("XX", None)], "'XX' is no number: None"),
        ([], "empty"),
        ([("XX", 1.0), ("XX", -1.0)], "empty: its 2 terms add up to nothing"),
        ([("I" * 15, 1.0)], "at most 14 qubits, got Pauli strings of 15"),
    ],
)
def test_bad_terms_are_named(terms, message):
    with pytest.raises(InputError, match=message):
        PauliSum.from_terms(terms, "J")


def test_other_bad_input_is_named(tmp_path):
    with pytest.raises(InputError, match="expected a SparsePauliOp, got dict"):
        PauliSum.from_sparse_pauli_op(H2, "Ha")
    with pytest.raises(InputError, match="2 Pauli strings come with 1 coefficients"):
        PauliSum(("X", "Z"), np.ones(1), "J")
    with pytest.raises(InputError, match="unit of a Hamiltonian is a string"):
        PauliSum.from_terms(H2, None)
    small = PauliSum.from_terms(H2, "Ha")
    with pytest.raises(InputError, match=r"expected states \[..., 4\], got shape \(8,\)"):
        small.expectation(np.zeros(8))
    with pytest.raises(InputError, match="at most 12 qubits for a matrix, got 13"):
        PauliSum.from_terms({"Z" * 13: 1.0}, "J").matrix()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "no JSON file"),
        ("[1, 2]", "expected a JSON object, got list"),
        (json.dumps({"unit": "Ha", "terms": []}), "lacks the key 'n_qubits'"),
        (json.dumps({"n_qubits": 2, "terms": []}), "lacks the key 'unit'"),
        (json.dumps({"n_qubits": 2, "unit": "Ha"}), "lacks the key 'terms'"),
        (json.dumps({"n_qubits": 2, "unit": "Ha", "terms": {"XX": 1}}), "terms is no list"),
        (
            json.dumps({"n_qubits": 2, "unit": "Ha", "terms": [["XX"]]}),
            r"expected \[label, coefficient\], got \['XX'\]",
        ),
        (json.dumps({"n_qubits": 3, "unit": "Ha", "terms": [["XX", 1]]}), "n_qubits is 3, .* have 2"),
        (json.dumps({"n_qubits": 2, "unit": "Ha", "terms": [["XX", float("nan")]]}), "finite"),
        (json.dumps({"n_qubits": 2, "unit": 1, "terms": [["XX", 1]]}), "unit"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        PauliSum.read(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the Hamiltonian file .*none\.json"):
        PauliSum.read(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no JSON file"):
        PauliSum.read(tmp_path / "binary.json")
