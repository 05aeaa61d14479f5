"""Which tasks there are, and the one that the options ask for.

Nothing is read here that a task reads later: importing this file and constructing a task brings no heavy package and
no data. The exceptions are a Hamiltonian's file, and of arrays the labels and the number of columns: they say how many
qubits the task has.
"""

from __future__ import annotations

from coevo.errors import ConfigError, unknown_name
from coevo.spaces.quantumnas.tasks.digits import image_task
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState

TASKS = {
    "mnist2": "MNIST's digits 3 and 6, 4 qubits",
    "mnist4": "MNIST's digits 0 to 3, 4 qubits",
    "mnist10": "MNIST's ten digits, 10 qubits",
    "fashion2": "Fashion-MNIST's dress and shirt, 4 qubits; from IDX files",
    "fashion4": "Fashion-MNIST's T-shirt/top, trouser, pullover and dress, 4 qubits; from IDX files",
}
"""Names of tasks, a line each."""

IMAGE_TASKS = ("mnist2", "mnist4", "mnist10", "fashion2", "fashion4")


def task_of(
    data: str,
    data_path: str | None = None,
    data_seed: int = 1,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Classification | GroundState:
    """The task `data`. `train`, `validation` and `test` are examples over all classes; None is the task's own split."""
    for name, size in (("train", train), ("validation", validation), ("test", test)):
        if size is not None and size < 1:
            raise ConfigError(f"{name} = {size} examples; give at least one a class, or leave it out")
    if data in IMAGE_TASKS:
        return image_task(data, data_path, data_seed, (train, validation, test))
    raise unknown_name("data", data, TASKS, "option 'data'")


def qubits_of(data: str, data_path: str | None = None) -> int:
    """Qubits of the task `data`."""
    return task_of(data, data_path).n_qubits
