"""The front of a run with two objectives as a picture: `python experiments/front_picture.py RUN OUT.png`."""

from __future__ import annotations

import sys
from pathlib import Path

from coevo.search.run import Run


def main(folder: Path, out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    run = Run.open(folder)
    first, second = (objective.metric for objective in run.goals.objectives)
    front = run.front()
    found = [trial.outcome.metrics for trial in run.trials() if trial.outcome.ok]
    figure, axes = pyplot.subplots(figsize=(7.2, 3.8), dpi=130)
    axes.scatter([m[first] for m in found], [m[second] for m in found], s=9, color="#b8bfc9", label="all designs")
    points = sorted((trial.outcome.metrics[first], trial.outcome.metrics[second]) for trial in front)
    axes.step(*zip(*points, strict=True), where="pre", color="#1f6fd6", linewidth=1.2)
    axes.scatter(*zip(*points, strict=True), s=26, color="#1f6fd6", label=f"the front ({len(points)})", zorder=3)
    units = run.config.get("units", {})
    for label, name in ((axes.set_xlabel, first), (axes.set_ylabel, second)):
        unit = units.get(name, "")
        label(name.replace("_", " ") + (f" [{unit}]" if unit not in ("", "1") else ""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
