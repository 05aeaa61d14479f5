"""Asks the engines, and keeps their answers: `python asking.py` writes accelforge.json and zigzag.json beside it.

The engines are in environments of their own (`make oracles`): COEVO_ORACLES names the folder, else the root's .oracles.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from coevo.cost_models.accelerator.interchange.case import case

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
ENGINES = ("accelforge", "zigzag")


def interpreter(engine):
    """The engine's Python; FileNotFoundError says how to get it."""
    python = Path(os.environ.get("COEVO_ORACLES", ROOT / ".oracles")) / engine / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(f"{python} is not there: run `make oracles`, or set COEVO_ORACLES to its folder")
    return python


def ask(engine, cases):
    """What `engine` says of {name: (layer, accelerator, mapping)}: {engine, version, answers}."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.json"
        path.write_text(json.dumps({name: case(*parts) for name, parts in cases.items()}))
        # -P: a package called `tests` lies in AccelForge's environment; nothing of the folder it runs in is meant.
        answer = subprocess.run(
            [interpreter(engine), "-P", HERE / f"ask_{engine}.py", path],
            cwd=folder, check=True, capture_output=True, text=True,
        )  # fmt: skip
    return json.loads(answer.stdout)


def kept(engine):
    return json.loads((HERE / f"{engine}.json").read_text())


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    from cases import CASES

    for name in ENGINES:
        text = json.dumps(ask(name, CASES), indent=1, sort_keys=True)
        (HERE / f"{name}.json").write_text(text + "\n")
