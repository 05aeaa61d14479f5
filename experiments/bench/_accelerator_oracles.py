"""One mapping priced by AccelForge and by zigzag-dse, each in its own environment, beside ours.

Wires cost nothing here, since zigzag knows no energy of theirs. Ours is priced under AccelForge's assumptions, and with
the input rows of neighbouring PEs merged, as zigzag has them. What is left between the answers are rules, which
tests/cost_models/accelerator/oracles/rules.py states: AccelForge hands partial sums to every PE that adds to them,
zigzag reads the first ones too. zigzag's ports have whole bits, 118 a cycle for the 118.8 of the global buffer.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import _bench
from _accelerator_case import ACCELERATOR, LAYER, MAPPING, timed

from coevo.cost_models.accelerator import evaluate_mapping
from coevo.cost_models.accelerator.interchange import accelforge
from coevo.cost_models.accelerator.interchange.case import case
from coevo.errors import InputError

SCRIPTS = _bench.ROOT / "tests" / "cost_models" / "accelerator" / "oracles"
ENGINES = ("accelforge", "zigzag")
FREE_WIRES = dataclasses.replace(
    ACCELERATOR,
    memories=tuple(
        dataclasses.replace(memory, network=dataclasses.replace(memory.network, pj_per_bit=0.0))
        for memory in ACCELERATOR.memories
    ),
)


def beside_oracles(environments: Path, result: _bench.Result) -> None:
    """`environments`: the folder that `make oracles` filled."""
    ours = timed(lambda: evaluate_mapping(LAYER, FREE_WIRES, MAPPING, accelforge.ASSUMPTIONS), 20)
    priced = evaluate_mapping(LAYER, FREE_WIRES, MAPPING, accelforge.ASSUMPTIONS)
    if not priced.valid:
        raise InputError(f"the mapping of the comparison does not fit: {'; '.join(priced.misfits)}")
    merging = dataclasses.replace(accelforge.ASSUMPTIONS, halo_merge=True)
    merged = evaluate_mapping(LAYER, FREE_WIRES, MAPPING, merging)
    rows: dict[str, Any] = {
        "mapping": MAPPING.as_json(ACCELERATOR),
        "coevo": {
            "ms_one_mapping_alone": 1e3 * statistics.median(ours),
            "energy_uj": priced.energy_pj / 1e6,
            "cycles": priced.cycles,
        },
        "coevo, rows merged": {"energy_uj": merged.energy_pj / 1e6, "cycles": merged.cycles},
    }
    content = case(LAYER, FREE_WIRES, MAPPING)
    with tempfile.TemporaryDirectory() as folder:
        one, named = Path(folder) / "case.json", Path(folder) / "cases.json"
        one.write_text(json.dumps(content), encoding="utf-8")
        named.write_text(json.dumps({"mapping": content}), encoding="utf-8")
        for engine in ENGINES:
            python = (environments / engine / "bin" / "python").absolute()
            if not python.exists():
                raise InputError(f"{python} is not there: run `make oracles`, and give its folder with --oracles")
            took = _asked(python, engine, ["--time", one])
            answer = _asked(python, engine, [named])["answers"]["mapping"]
            rows[engine] = {
                "version": took["version"],
                "ms_an_evaluation": 1e3 * took["seconds_per_evaluation"],
                "per_s": 1 / took["seconds_per_evaluation"],
                "energy_uj": answer["energy_pj"] / 1e6,
                "cycles": answer["cycles"],
            }
            print(f"{engine}: {rows[engine]}", flush=True)
    result.measurements["oracles"] = rows


def _asked(python: Path, engine: str, arguments: list[Any]) -> Any:
    done = subprocess.run(
        [python, "-P", SCRIPTS / f"ask_{engine}.py", *arguments], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)
