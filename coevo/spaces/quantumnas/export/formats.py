"""The files of an export, written and read: circuits in QPY, OpenQASM 3 and OpenQASM 2, JSON, and the weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import missing_extra

try:
    from qiskit import QuantumCircuit, qasm2, qasm3, qpy
except ImportError as error:
    raise missing_extra("qiskit", "quantum") from error

FORMAT = 2
_QPY_MAGIC, _QPY_OLDEST = b"QISKIT", 13
# What Qiskit's writer takes for granted and qelib1.inc, as OpenQASM 2 defines it (arXiv:1707.03429), lacks. Qiskit's
# readers let a file define them, so a file with them is read everywhere. The later ones use the earlier.
_DEFINITIONS = {
    "sx": "gate sx a { sdg a; h a; sdg a; }",
    "sxdg": "gate sxdg a { s a; h a; s a; }",
    "p": "gate p(lambda) a { u1(lambda) a; }",
    "u": "gate u(theta, phi, lambda) a { u3(theta, phi, lambda) a; }",
    "cu": "gate cu(theta, phi, lambda, gamma) a, b { u1(gamma) a; cu3(theta, phi, lambda) a, b; }",
    "swap": "gate swap a, b { cx a, b; cx b, a; cx a, b; }",
    "rxx": "gate rxx(theta) a, b { h a; h b; cx a, b; u1(theta) b; cx a, b; h a; h b; }",
    "rzz": "gate rzz(theta) a, b { cx a, b; u1(theta) b; cx a, b; }",
}


def write_circuit(path: Path, circuit: QuantumCircuit, comment: str = "") -> None:
    """Writes by the suffix: .qpy, .qasm3 or .qasm2. OpenQASM 2 has no parameters, so `circuit` must be bound there;
    `comment` goes on top of a .qasm2."""
    if path.suffix == ".qpy":
        with path.open("wb") as handle:
            qpy.dump(circuit, handle)
    elif path.suffix == ".qasm3":
        path.write_text(qasm3.dumps(circuit), encoding="utf-8")
    else:
        path.write_text(_qasm2(circuit, comment), encoding="utf-8")


def read_circuit(path: Path) -> QuantumCircuit:
    """The circuit of a file by its suffix. ValueError that names the file where it is none.

    OpenQASM 2 is read as its definition says, without Qiskit's additions to it.
    """
    try:
        if path.suffix == ".qasm3":
            return qasm3.loads(path.read_text(encoding="utf-8"))
        if path.suffix == ".qasm2":
            return qasm2.loads(path.read_text(encoding="utf-8"))
        head = path.read_bytes()[:7]
        # Older versions of QPY keep expressions as Python text, which loading would run.
        if head[:6] != _QPY_MAGIC or head[6] < _QPY_OLDEST:
            raise ValueError(f"expected QPY of version {_QPY_OLDEST} or newer")
        with path.open("rb") as handle:
            circuit = qpy.load(handle)[0]
        assert isinstance(circuit, QuantumCircuit)
        return circuit
    except Exception as error:  # qiskit's readers raise errors of many kinds
        raise ValueError(f"{path.name}: {type(error).__name__}: {error}") from error


def plain_name(name: str) -> str:
    """A parameter's name as QPY keeps it: OpenQASM 3 has no `x[3]` as a name, so Qiskit writes `_x_3_`."""
    if name.startswith("_") and name.endswith("_"):
        vector, _, index = name[1:-1].rpartition("_")
        return f"{vector}[{index}]"
    return name


def write_json(path: Path, content: Any) -> None:
    """JSON with a line an entry, floats to their last bit."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """ValueError that names the file where it holds no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def write_weights(path: Path, theta: NDArray[np.float64]) -> None:
    """theta as safetensors."""
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise missing_extra("safetensors", "quantum") from error
    save_file({"theta": np.ascontiguousarray(theta)}, path)


def read_weights(path: Path) -> NDArray[np.float64]:
    """theta. ValueError that names the file where it is none."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise missing_extra("safetensors", "quantum") from error
    try:
        return np.asarray(load_file(path)["theta"], dtype=np.float64)
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path.name}: {type(error).__name__}: {error}") from error


def _qasm2(circuit: QuantumCircuit, comment: str) -> str:
    text: str = qasm2.dumps(circuit)
    used = set(re.findall(r"[a-z]\w*", text))
    needed = [definition for name, definition in _DEFINITIONS.items() if name in used]
    include = 'include "qelib1.inc";\n'
    head, found, rest = text.partition(include)
    assert found
    comments = "".join(f"// {line}\n" for line in comment.splitlines())
    return comments + head + include + "".join(f"{definition}\n" for definition in needed) + rest
