"""How fast a report opens: a run of 50,000 designs with a ladder, conditional choices, failures and a constraint.

Opening is measured in a headless Chromium on this machine, by the page's own clock from the start of the navigation:
until the front, the table and the curves are drawn, and until the main thread is free, which is the end of the last
task over 50 ms (the page takes clicks then). Each opening is a new browser process with an empty profile. Beside it:
the seconds that making the page takes, its size, and how long a filter and a pointer move take in it.

    python experiments/bench/report.py [--trials 50000] [--openings 5] [--keep FOLDER] [--json] [--out FILE]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _bench
import _browser
import _report_run

READY = "document.documentElement?.dataset.ready"
FILTER = """new Promise((done) => {
  const box = document.getElementById("filter-text"), began = performance.now();
  box.value = "depth=3 accuracy>0.8";
  const before = document.getElementById("filter-count").textContent;
  const look = () => {
    if (document.getElementById("filter-count").textContent !== before) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  box.dispatchEvent(new Event("input"));
  look();
})"""
POINT = """(() => {
  const plot = document.getElementById("front-plot"), canvas = plot.querySelector("canvas"), took = [];
  for (const index of plot.drawn().slice(0, 400).filter((_, at) => at % 40 === 0)) {
    const [x, y] = plot.where(index), began = performance.now();
    canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: y, bubbles: true }));
    took.push(performance.now() - began);
  }
  return took.sort((a, b) => a - b)[took.length >> 1];
})()"""


def make_page(folder: Path) -> tuple[Path, float, float]:
    """The page of a run, with the CPU and wall seconds that it took."""
    from coevo.report import write_report
    from coevo.search.run import Run

    cpu, wall = time.process_time(), time.perf_counter()
    page = write_report(Run.open(folder))
    return page, time.process_time() - cpu, time.perf_counter() - wall


def opening(page: Path) -> dict[str, Any]:
    """One opening in a browser of its own."""
    load = os.getloadavg()[0]
    with _browser.Browser() as browser:
        browser.call("Performance.enable", timeDomain="threadTicks")
        browser.open(page, READY)
        free = browser.interactive_s()
        metrics = {one["name"]: one["value"] for one in browser.call("Performance.getMetrics")["metrics"]}
        drawn = float(browser.ask("performance.getEntriesByName('coevo-ready')[0].startTime")) / 1000
        found = {
            "drawn_s": drawn,
            "interactive_s": max(free, drawn),
            "main_thread_cpu_s": metrics["TaskDuration"],
            "filter_ms": float(browser.ask(FILTER)),
            "pointer_ms": float(browser.ask(POINT)),
            "load_1min": load,
        }
        if browser.console:
            raise SystemExit(f"the page complained: {browser.console}")
        return found


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--trials", type=int, default=50_000)
    options.add_argument("--openings", type=int, default=5)
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="make the run here, or take the one that is there")
    arguments = options.parse_args()
    if _browser.chromium() is None:
        raise SystemExit("no Chromium: apt-get install chromium, or name the program in $CHROMIUM")

    result = _bench.Result("report", packages=())
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch) / "run"
        began = time.perf_counter()
        if not (folder / "study.sqlite").exists():
            _report_run.make_run(folder, arguments.trials)
        searched = time.perf_counter() - began
        page, cpu, wall = make_page(folder)
        print(
            f"the search took {searched:.1f} s, the page {wall:.1f} s and {page.stat().st_size / 1e6:.2f} MB",
            flush=True,
        )
        openings = []
        for _ in range(arguments.openings):
            openings.append(opening(page))
            print(
                f"drawn {openings[-1]['drawn_s']:.2f} s, interactive {openings[-1]['interactive_s']:.2f} s", flush=True
            )
        size = page.stat().st_size
    names = ("drawn_s", "interactive_s", "main_thread_cpu_s", "filter_ms", "pointer_ms", "load_1min")
    summaries = {name: _bench.summary([one[name] for one in openings]) for name in names}
    with _browser.Browser() as browser:
        version = browser.call("Browser.getVersion")["product"]
    result.settings = {
        "trials": arguments.trials,
        "openings": arguments.openings,
        "browser": version,
        "window": [1280, 900],
    }
    result.measurements = {**summaries, "making_cpu_s": cpu, "making_wall_s": wall, "page_bytes": size}
    median = summaries["interactive_s"]["median"]
    full = arguments.trials >= 50_000
    bars = [
        _bench.at_most(
            "a report over 50,000 trials opens", median, "s", 3.0, note="median; drawn and main thread free"
        ),
        _bench.at_most("its size", size / 1e6, "MB", 10.0),
    ]
    result.bars = bars if full else [_bench.not_met(one, f"{arguments.trials} trials only") for one in bars]
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
