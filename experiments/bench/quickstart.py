"""The quickstart as a user gets it: `coevo run experiments/quickstart.toml` in a new process, timed from the shell.

    python experiments/bench/quickstart.py [--out experiments/results/quickstart.json] [--json] [--keep FOLDER]

Bars: at most 5 minutes after installation, at least 300 distinct candidates on all validation images, an export that
`coevo verify` finds whole. The installation (`make install`) is not timed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _bench

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = ROOT / "experiments" / "quickstart.toml"
EXPORTED = ("circuit.qpy", "isa.qpy", "circuit.qasm3", "isa.qasm3", "layout.json", "design.json", "measurements.json")


def coevo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "coevo", *words], stdout=subprocess.PIPE, text=True, check=True)


def main() -> int:
    from coevo.search.run import Run

    options = _bench.parser(__doc__)
    options.add_argument("--keep", type=Path, help="a new folder to keep the run in")
    arguments = options.parse_args()
    result = _bench.Result("quickstart", packages=("torch", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "mlxtend"))
    with tempfile.TemporaryDirectory(prefix="coevo-quickstart-") as temporary:
        folder = arguments.keep or Path(temporary) / "run"
        began = time.perf_counter()
        said = json.loads(coevo("run", str(EXPERIMENT), "--out", str(folder), "--json").stdout)
        wall_s = time.perf_counter() - began
        run = Run.open(folder)
        trials = list(run.trials())
        exported = folder / "export"
        measured = json.loads((exported / "measurements.json").read_text(encoding="utf-8"))["export"]
        verified = json.loads(coevo("verify", str(exported), "--json").stdout)
        complete = all((exported / name).is_file() for name in (*EXPORTED, "SHA256SUMS"))
        result.settings = {"experiment": "experiments/quickstart.toml", "options": run.config["options"]}
        result.measurements = {
            "wall_s": round(wall_s, 1),
            "phases_s": said.get("seconds") or said.get("time"),
            "designs": len(trials),
            "failed": run.status["failed"],
            "front": [dict(row["metrics"]) for row in run.front().table()],
            "export": measured,
            "verified": {name: verified[name] for name in ("ok", "problems", "checked")},
        }
        distinct = len({trial.design.key for trial in trials if trial.outcome.ok})
        result.bars = [
            _bench.at_most("quickstart after installation, 2 cores", wall_s, "s", 300),
            _bench.at_least("distinct candidates judged", distinct, "1", 300),
            _bench.at_least("validation images a candidate", measured["validation_examples"], "1", 500),
            _bench.bar("export complete and verified", float(complete), "1", "= 1", complete),
        ]
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
