"""torchquantum's lists give the same circuits on both sides, and bad lists are refused by index."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.kernels.statevector import product_states, run_gates, zero_state
from coevo.kernels.statevector.circuit import GATES
from coevo.spaces.quantumnas.export.torchquantum import (
    encoder_from_op_list,
    encoder_to_op_list,
    from_op_list,
    read_op_list,
    reverse_bits,
    to_op_list,
    write_op_list,
)

# A simulator of its own, big-endian throughout as torchquantum: axis q of the state is wire q, the first wire of a gate
# is the more significant bit of its matrix, and the matrices are written out as torchquantum's functional package does.
ROOT = np.sqrt(0.5)
FIXED = {
    "hadamard": [[ROOT, ROOT], [ROOT, -ROOT]],
    "shadamard": [[np.cos(np.pi / 8), -np.sin(np.pi / 8)], [np.sin(np.pi / 8), np.cos(np.pi / 8)]],
    "paulix": [[0, 1], [1, 0]],
    "pauliy": [[0, -1j], [1j, 0]],
    "pauliz": [[1, 0], [0, -1]],
    "s": [[1, 0], [0, 1j]],
    "sdg": [[1, 0], [0, -1j]],
    "t": [[1, 0], [0, np.exp(0.25j * np.pi)]],
    "tdg": [[1, 0], [0, np.exp(-0.25j * np.pi)]],
    "sx": [[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]],
    "sxdg": [[0.5 - 0.5j, 0.5 + 0.5j], [0.5 + 0.5j, 0.5 - 0.5j]],
    "cnot": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]],
    "cz": np.diag([1, 1, 1, -1]),
    "swap": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
    "sswap": [[1, 0, 0, 0], [0, 0.5 + 0.5j, 0.5 - 0.5j, 0], [0, 0.5 - 0.5j, 0.5 + 0.5j, 0], [0, 0, 0, 1]],
}
SHORT = {"h": "hadamard", "sh": "shadamard", "x": "paulix", "y": "pauliy", "z": "pauliz", "cx": "cnot"}
SHORT |= {"p": "u1", "phaseshift": "u1", "u": "u3", "xx": "rxx", "yy": "ryy", "zz": "rzz", "zx": "rzx"}


def matrix(name, params):
    name = SHORT.get(name, name)
    if name in FIXED:
        return np.array(FIXED[name], dtype=complex)
    if name in ("u1", "u2", "u3", "cu3"):
        theta, phi, lam = {"u1": (0, 0, *params), "u2": (np.pi / 2, *params)}.get(name, tuple(params))
        c, s = np.cos(theta / 2), np.sin(theta / 2)
        turn = np.array([[c, -np.exp(1j * lam) * s], [np.exp(1j * phi) * s, np.exp(1j * (phi + lam)) * c]])
        return np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), turn]]) if name == "cu3" else turn
    (theta,) = params
    c, j = np.cos(theta / 2), 1j * np.sin(theta / 2)
    return {
        "rx": np.array([[c, -j], [-j, c]]),
        "ry": np.array([[c, 1j * j], [-1j * j, c]]),
        "rz": np.diag([c - j, c + j]),
        "rzz": np.diag([c - j, c + j, c + j, c - j]),
        "rxx": np.array([[c, 0, 0, -j], [0, c, -j, 0], [0, -j, c, 0], [-j, 0, 0, c]]),
        "ryy": np.array([[c, 0, 0, j], [0, c, -j, 0], [0, -j, c, 0], [j, 0, 0, c]]),
        "rzx": np.array([[c, -j, 0, 0], [-j, c, 0, 0], [0, 0, c, j], [0, 0, j, c]]),
    }[name]


def run_big_endian(ops, n_wires, state=None):
    if state is None:
        state = np.eye(2**n_wires)[0]
    tensor = state.astype(complex).reshape([2] * n_wires)
    for op in ops:
        wires = [op["wires"]] if isinstance(op["wires"], int) else list(op["wires"])
        params = op.get("params")
        gate = matrix(op["name"], [] if params is None else np.atleast_1d(params))
        gate = gate.conj().T if op.get("inverse") else gate
        tensor = np.tensordot(gate.reshape([2] * 2 * len(wires)), tensor, (range(len(wires), 2 * len(wires)), wires))
        tensor = np.moveaxis(tensor, range(len(wires)), wires)
    return tensor.reshape(-1)


def run_ours(gates, angles, n_qubits, state=None):
    state = zero_state(n_qubits) if state is None else state
    return run_gates([(name, qubits, [angles[slot] for slot in slots]) for name, qubits, slots in gates], state)


ANGLES = {"u3": 3, "cu3": 3} | dict.fromkeys(("rx", "ry", "rz", "u1", "rzz", "rxx", "ryy", "rzx"), 1)
TWO_QUBITS = {"cu3", "rzz", "rxx", "ryy", "rzx", "cx", "cz", "swap", "sqrtswap"}


def shape(name):
    """(qubits, angles) of a gate."""
    return 1 + (name in TWO_QUBITS), ANGLES.get(name, 0)


def random_gates(n_qubits, rng):
    gates, slot = [], 0
    for name in [*GATES, *rng.choice(GATES, 20)]:
        qubits, angles = shape(name)
        gates.append((str(name), tuple(rng.permutation(n_qubits)[:qubits].tolist()), tuple(range(slot, slot + angles))))
        slot += angles
    return gates, rng.uniform(-4, 4, slot)


@pytest.mark.parametrize("n_qubits", [2, 3, 5])
def test_a_body_gives_the_same_state_there_and_comes_back(n_qubits, tmp_path):
    rng = np.random.default_rng(n_qubits)
    gates, angles = random_gates(n_qubits, rng)
    path = tmp_path / "body.json"
    write_op_list(path, to_op_list(gates, angles))
    ops = read_op_list(path)
    ours = run_ours(gates, angles, n_qubits)
    np.testing.assert_allclose(reverse_bits(run_big_endian(ops, n_qubits)), ours, rtol=0, atol=1e-12)
    back, values = from_op_list(ops, n_qubits)
    np.testing.assert_array_equal(values, angles)
    assert back == gates


def test_entries_are_written_as_torchquantum_records_them():
    ops = to_op_list([("u3", (1,), (0, 1, 2)), ("ry", (0,), (3,)), ("cx", (2, 0), ()), ("sdg", (0,), ())], range(4))
    common = {"inverse": False, "trainable": True, "has_params": True, "n_wires": 1}
    assert ops[0] == {"name": "u3", "wires": 1, "params": [0.0, 1.0, 2.0], **common}
    assert ops[1] == {"name": "ry", "wires": 0, "params": 3.0, **common}
    fixed = {"params": None, "trainable": False, "has_params": False}
    assert ops[2] == {"name": "cnot", "wires": [2, 0], "inverse": False, "n_wires": 2, **fixed}
    assert ops[3] == {"name": "s", "wires": 0, "inverse": True, "n_wires": 1, **fixed}
    assert not to_op_list([("ry", (0,), (0,))], [1.0], trainable=False)[0]["trainable"]
    json.dumps(ops)


NAMES = [*FIXED, *SHORT, "rx", "ry", "rz", "rxx", "ryy", "rzz", "rzx", "u1", "u2", "u3", "cu3"]


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_theirs_is_read(name, inverse):
    rng = np.random.default_rng(len(name))
    full = SHORT.get(name, name)
    wires = [2, 0] if full in ("cnot", "cz", "swap", "sswap", "rxx", "ryy", "rzz", "rzx", "cu3") else 1
    count = {"u2": 2, "u3": 3, "cu3": 3}.get(full, 0 if full in FIXED else 1)
    params = rng.uniform(-3, 3, count).tolist()
    op = {"name": name, "wires": wires, "inverse": inverse}
    op["params"] = None if not count else params[0] if count == 1 else params
    state = rng.normal(size=8) + 1j * rng.normal(size=8)
    gates, angles = from_op_list([op], 3)
    found = run_ours(gates, angles, 3, reverse_bits(state))
    np.testing.assert_allclose(reverse_bits(found), run_big_endian([op], 3, state), rtol=0, atol=1e-12)


def test_other_ways_of_writing_params_and_wires():
    plain = from_op_list([{"name": "rx", "wires": [1], "params": [0.3], "trainable": True}])
    for op in (
        {"name": "RX", "wires": 1, "params": 0.3},
        {"name": "rx", "wires": np.array([1]), "params": np.array([[0.3]], dtype=np.float64)},
    ):
        gates, angles = from_op_list([op])
        assert gates == plain[0] == [("rx", (1,), (0,))]
        assert angles.tolist() == plain[1].tolist() == [0.3]
    assert from_op_list([{"name": "h", "wires": 0}])[0] == [("h", (0,), ())]
    gates, angles = from_op_list([])
    assert gates == [] and angles.shape == (0,)


def test_shared_angles_become_copies():
    ops = to_op_list([("rx", (0,), (0,)), ("ry", (0,), (0,))], [0.5])
    gates, angles = from_op_list(ops)
    assert gates == [("rx", (0,), (0,)), ("ry", (0,), (1,))] and angles.tolist() == [0.5, 0.5]


def test_an_encoder_gives_the_same_states_there_and_comes_back(tmp_path):
    rotations = (("ry", 0, 0), ("ry", 2, 1), ("rz", 1, 2), ("rx", 1, 0), ("rx", 0, 3))
    ops = encoder_to_op_list(rotations)
    assert ops[1] == {"input_idx": [1], "func": "ry", "wires": [2]}
    write_op_list(tmp_path / "encoder.json", ops)
    assert encoder_from_op_list(read_op_list(tmp_path / "encoder.json"), 3) == rotations
    inputs = np.random.default_rng(0).uniform(-3, 3, (5, 4))
    states = reverse_bits(product_states(inputs, rotations, 3))
    for row, state in zip(inputs, states, strict=True):
        bound = [{"name": op["func"], "wires": op["wires"], "params": row[op["input_idx"]]} for op in ops]
        np.testing.assert_allclose(state, run_big_endian(bound, 3), rtol=0, atol=1e-12)


def test_reversing_bits():
    states = np.arange(16).reshape(2, 8)
    assert reverse_bits(states)[0].tolist() == [0, 4, 2, 6, 1, 5, 3, 7]
    np.testing.assert_array_equal(reverse_bits(reverse_bits(states)), states)
    with pytest.raises(InputError, match=r"expected states \[..., 2\^n\]"):
        reverse_bits(np.zeros(6))


GOOD = {"name": "rx", "wires": 0, "params": 0.1}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"name": "rxz", "wires": 0}, r"unknown name 'rxz' in op 1\. Did you mean"),
        ({"wires": 0}, "op 1: expected the key 'name'"),
        ({"name": "rx", "params": 0.1}, "op 1: expected the key 'wires'"),
        ({"name": "cnot", "wires": [0]}, r"op 1 \('cnot'\): expected 2 wires, got \[0\]"),
        ({"name": "rx", "wires": [0, 1], "params": 0.1}, "expected 1 wire, got"),
        ({"name": "cnot", "wires": [1, 1]}, r"op 1 .*distinct wires"),
        ({"name": "h", "wires": 3}, "op 1 .*expected wires 0 to 2, got 3"),
        ({"name": "h", "wires": -1}, "op 1 .*expected wires 0 to 2, got -1"),
        ({"name": "h", "wires": 0.5}, r"op 1 .*got 0\.5"),
        ({"name": "h", "wires": True}, "op 1 .*got True"),
        ({"name": "rx", "wires": 0, "params": float("nan")}, "op 1 .*finite params, got nan"),
        ({"name": "rx", "wires": 0, "params": float("inf")}, "op 1 .*finite params"),
        ({"name": "rx", "wires": 0}, "op 1 .*expected 1 param, got None"),
        ({"name": "u3", "wires": 0, "params": [0.1, 0.2]}, "op 1 .*expected 3 params"),
        ({"name": "h", "wires": 0, "params": 0.2}, r"op 1 .*expected 0 params, got 0\.2"),
        ({"name": "rx", "wires": 0, "params": [0.1, 0.2]}, "op 1 .*expected 1 param,"),
        ({"name": "u3", "wires": 0, "params": [[0.1], [0.2], [0.3]]}, "op 1 .*expected 3 params"),
        ({"name": "rx", "wires": 0, "params": "a lot"}, "op 1 .*numbers as params"),
        ("rx", "op 1: expected an object"),
    ],
)
def test_bad_entries_are_refused_by_index(bad, says):
    with pytest.raises(InputError, match=says):
        from_op_list([GOOD, bad], 3)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"input_idx": [0, 1, 2], "func": "u3", "wires": [0]}, "op 1: expected rx, ry or rz"),
        ({"input_idx": None, "func": "rx", "wires": [0]}, "op 1 .*1 column of the inputs, got None"),
        ({"input_idx": [0, 1], "func": "rx", "wires": [0]}, "op 1 .*1 column"),
        ({"input_idx": [-1], "func": "rx", "wires": [0]}, "op 1 .*1 column"),
        ({"input_idx": [0], "func": "ryx", "wires": [0]}, "unknown func 'ryx' in op 1"),
        ({"input_idx": [0], "func": "ry", "wires": [4]}, "op 1 .*wires 0 to 3, got 4"),
        ({"input_idx": [0], "name": "ry", "wires": [0]}, "op 1: expected the key 'func'"),
    ],
)
def test_bad_encoders_are_refused_by_index(bad, says):
    with pytest.raises(InputError, match=says):
        encoder_from_op_list([{"input_idx": [0], "func": "ry", "wires": [0]}, bad], 4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: to_op_list([("ecr", (0, 1), ())], []), "unknown gate 'ecr' in gate 0"),
        (lambda: to_op_list([("rx", (0,), (1,))], [0.1]), "gate 0: expected angles 0 to 0"),
        (lambda: to_op_list([("rx", (0,), (0,))], [np.nan]), "gate 0 .*finite angles"),
        (lambda: to_op_list([("u3", (0,), (0,))], [0.1]), "expected 3 params"),
        (lambda: to_op_list([("cx", (1, 1), ())], []), "distinct wires"),
        (lambda: encoder_to_op_list([("u1", 0, 0)]), "op 0: expected rx, ry or rz"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(call, says):
    with pytest.raises(InputError, match=says):
        call()


@pytest.mark.parametrize(("text", "says"), [("{", "JSON"), ('{"name": "rx"}', "got dict"), ("[1]", "op 0")])
def test_bad_files_are_refused(tmp_path, text, says):
    path = tmp_path / "ops.json"
    with pytest.raises(InputError, match=r"ops\.json"):
        read_op_list(path)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        read_op_list(path)
