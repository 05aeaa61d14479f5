"""The files of an export, written and read: circuits in QPY, OpenQASM 3 and OpenQASM 2, and the weights."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, missing_extra
from coevo.spaces.quantumnas.export.documents import one_line

try:
    from qiskit import QuantumCircuit, qasm2, qasm3, qpy
except ImportError as error:
    raise missing_extra("qiskit", "quantum") from error

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
    """The circuit of a file by its suffix. InputError that names the file where it is none.

    OpenQASM 2 is read as its definition says, without Qiskit's additions to it.
    """
    complaints = io.StringIO()  # the reader of OpenQASM 3 says on the terminal where it stumbled
    try:
        if path.suffix == ".qasm3":
            with contextlib.redirect_stderr(complaints):
                return qasm3.loads(path.read_text(encoding="utf-8"))
        if path.suffix == ".qasm2":
            return qasm2.loads(path.read_text(encoding="utf-8"))
        return _read_qpy(path)
    except Exception as error:  # qiskit's readers raise errors of many kinds
        where = "".join(f" ({line.strip()})" for line in complaints.getvalue().splitlines()[:1])
        raise InputError(f"{path.name} cannot be read: {one_line(error)}{where}") from error


def plain_name(name: str) -> str:
    """A parameter's name as QPY keeps it: OpenQASM 3 has no `x[3]` as a name, so Qiskit writes `_x_3_`."""
    if name.startswith("_") and name.endswith("_"):
        vector, _, index = name[1:-1].rpartition("_")
        return f"{vector}[{index}]"
    return name


def write_weights(path: Path, theta: NDArray[np.float64]) -> None:
    """theta as safetensors."""
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise missing_extra("safetensors", "quantum") from error
    save_file({"theta": np.ascontiguousarray(theta)}, path)


def read_weights(path: Path) -> NDArray[np.float64]:
    """theta [angles]. InputError that names the file where it is none, or holds a number that is not finite."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise missing_extra("safetensors", "quantum") from error
    try:
        theta = load_file(path)["theta"]
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path.name} cannot be read: {one_line(error)}") from error
    if theta.dtype != np.float64 or theta.ndim != 1 or not np.isfinite(theta).all():
        raise InputError(
            f"{path.name}: expected theta as finite float64 [angles], got {theta.dtype} of shape {list(theta.shape)}"
        )
    return np.asarray(theta, dtype=np.float64)


def _read_qpy(path: Path) -> QuantumCircuit:
    with path.open("rb") as handle:
        head = handle.read(7)
        # Older versions of QPY keep expressions as Python text, which loading would run.
        if head[:6] != _QPY_MAGIC or len(head) < 7 or head[6] < _QPY_OLDEST:
            raise ValueError(f"expected QPY of version {_QPY_OLDEST} or newer")
        handle.seek(0)
        found = qpy.load(handle)
        if len(found) != 1 or not isinstance(found[0], QuantumCircuit):
            raise ValueError("expected one circuit")
        return found[0]


def _qasm2(circuit: QuantumCircuit, comment: str) -> str:
    text: str = qasm2.dumps(circuit)
    used = set(re.findall(r"[a-z]\w*", text))
    needed = [definition for name, definition in _DEFINITIONS.items() if name in used]
    include = 'include "qelib1.inc";\n'
    head, found, rest = text.partition(include)
    assert found
    comments = "".join(f"// {line}\n" for line in comment.splitlines())
    return comments + head + include + "".join(f"{definition}\n" for definition in needed) + rest
