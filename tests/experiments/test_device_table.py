"""The device table keeps the cells that were not measured again, and MNIST-10's search begins with chains."""

from __future__ import annotations

import copy
import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "experiments" / "quantum"))
pytest.importorskip("qiskit_ibm_runtime")

import device_table  # noqa: E402
from _chains import chain_designs  # noqa: E402

from coevo.spaces.quantumnas import Options  # noqa: E402
from coevo.spaces.quantumnas.ansatz.space import make_space  # noqa: E402
from coevo.spaces.quantumnas.setting import Setting  # noqa: E402


def measured(task, devices, accuracy, seeds=2, **more):
    cell = {"noisy_test_accuracy": accuracy, "noise_free_test_accuracy": accuracy, "two_qubit_gates": 3}
    said = {"seeds": seeds, "trials": 5, "trained": 1, "chains": [], "options": {}} | more
    rows = [{"seed": seed, task: {device: dict(cell) for device in devices}} for seed in range(seeds)]
    return {"by_seed": rows, "settings": {task: said}}


def document(found):
    return {"settings": {"by_task": found["settings"]}, "measurements": {"by_seed": found["by_seed"]}}


def test_cells_that_were_not_measured_again_stay():
    kept = document(device_table.merged({}, measured("mnist4", ["FakeLimaV2", "FakeQuitoV2"], 0.5)))
    before = copy.deepcopy(kept)
    other = device_table.merged(kept, measured("vowel4", ["FakeLimaV2"], 0.6))
    again = device_table.merged(document(other), measured("mnist4", ["FakeQuitoV2"], 0.7))
    assert kept == before and set(again["settings"]) == {"mnist4", "vowel4"}
    cells = device_table.cells_of("mnist4", again["by_seed"])
    assert {device: cell["mean"] for device, cell in cells.items()} == {"FakeLimaV2": 0.5, "FakeQuitoV2": 0.7}
    assert (cells["FakeLimaV2"]["published"], cells["FakeQuitoV2"]["published"]) == (0.553, 0.74)
    assert device_table.cells_of("vowel4", again["by_seed"])["FakeLimaV2"]["best"] == 0.6


@pytest.mark.parametrize("other", [{"seeds": 1}, {"trials": 6}, {"options": {"sharpness": 1.0}}])
def test_cells_of_other_settings_do_not_stand_beside_new_ones(other):
    kept = document(measured("mnist4", ["FakeLimaV2", "FakeQuitoV2"], 0.5))
    with pytest.raises(SystemExit, match="mnist4: the cells to keep were measured by other settings"):
        device_table.merged(kept, measured("mnist4", ["FakeQuitoV2"], 0.7, **other))
    whole = device_table.merged(kept, measured("mnist4", ["FakeLimaV2", "FakeQuitoV2"], 0.7, trials=6))
    assert {cell["mean"] for cell in device_table.cells_of("mnist4", whole["by_seed"]).values()} == {0.7}


def test_the_published_document_says_by_what_each_task_was_measured():
    text = (ROOT / "experiments" / "results" / "device_table.json").read_text(encoding="utf-8")
    found = json.loads(text)
    rows, table = found["measurements"]["by_seed"], found["measurements"]["table"]
    assert set(found["settings"]["by_task"]) == set(table)
    for task, cells in table.items():
        assert device_table.cells_of(task, rows) == cells


@pytest.mark.parametrize("device", ["FakeMelbourneV2", "FakeMumbaiV2", "FakeTorino"])
def test_chains_are_designs_of_the_space_with_one_circuit_on_every_device(device):
    setting = Setting.make(Options(data="mnist10", gates="native", device=device, max_blocks=3))
    space = make_space(setting.template, setting.coupling)
    drawn = chain_designs(space, setting, (1, 3), 2, seed=0)
    assert len({design.key for design in drawn}) == 4
    coupled = {frozenset(edge) for edge in setting.coupling.edges}
    for design, blocks in zip(drawn, (1, 1, 3, 3), strict=True):
        value = space.build(design)
        assert all(frozenset(pair) in coupled for pair in pairwise(value.layout))
        gates = [(name, qubits) for name, qubits, _ in setting.template.gates_of(value.layers)]
        block = [("u3", (q,)) for q in range(10)] + [("cz", (q, q + 1)) for q in range(9)]
        assert gates == block * blocks
