"""coevo's search inside Ray Tune: a conditional space, two objectives, trials that report as they train.

    pip install 'coevo[ray]'
    python experiments/ray_tune.py [--trials 12] [--folder DIR]

Each trial "trains" a small network that exists on paper alone: its accuracy grows with its channels and its epochs, its
latency with its channels. Prints the front, and resumes the experiment where DIR holds one that was interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # a local Ray on loopback alone

import ray
from ray import tune

from coevo import Pick, Space
from coevo.search.tune import CoevoSearch, value_of

GOALS = {"accuracy": "max", "latency_ms": "min"}
EPOCHS = 3


def build(pick: Pick) -> dict[str, Any]:
    depth = pick.integer("depth", 1, 4)
    widths = [pick.one(f"width{i}", (8, 16, 32)) for i in range(depth)]
    return {"widths": widths, "rate": pick.real("rate", 0.001, 0.1, log=True)}


SPACE = Space("example/tune/v1", build)


def train(config: dict[str, Any]) -> None:
    value = value_of(SPACE, config)
    channels = sum(value["widths"])
    for epoch in range(1, EPOCHS + 1):
        accuracy = (1 - 1 / (1 + channels * epoch / 40)) - abs(value["rate"] - 0.01)
        tune.report({"accuracy": accuracy, "latency_ms": 0.1 * channels + len(value["widths"])})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=12)
    options.add_argument("--folder", type=Path, help="where Tune keeps its experiment; a temporary one otherwise")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        storage = (arguments.folder or Path(temporary)).resolve()
        ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", logging_level=logging.ERROR)
        search = CoevoSearch(SPACE, GOALS, algorithm_options={"population": 6}, seed=0, lag=1)
        if tune.Tuner.can_restore(str(storage / "coevo")):
            tuner = tune.Tuner.restore(str(storage / "coevo"), trainable=train)
        else:
            tuner = tune.Tuner(
                train,
                tune_config=tune.TuneConfig(search_alg=search, num_samples=arguments.trials),
                run_config=tune.RunConfig(name="coevo", storage_path=str(storage), verbose=0),
            )
        results = tuner.fit()
        tried = [(result.config["design"], result.metrics["accuracy"]) for result in results]
        ray.shutdown()
    print(json.dumps({"trials": len(tried), "best": max(accuracy for _, accuracy in tried)}))
    for design, accuracy in sorted(tried, key=lambda pair: -pair[1])[:3]:
        print(f"{accuracy:.3f}  {design}")


if __name__ == "__main__":
    main()
