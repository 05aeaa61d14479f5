"""One of the processes that train networks side by side: a share of the tasks that another experiment wrote.

    python experiments/spvnas/standalone.py TASKS.json SHARE OF

`ranking.py` and `searched.py` start it; what it trained they read back from their folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from _work import Work

from coevo.spaces.spvnas.design import Backbone

PATHS = ("folder", "dataset", "out")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("tasks", type=Path)
    options.add_argument("share", type=int)
    options.add_argument("of", type=int)
    own = options.parse_args()
    told = json.loads(own.tasks.read_text(encoding="utf-8"))
    given = argparse.Namespace(**told["arguments"])
    for name in PATHS:
        value = getattr(given, name, None)
        setattr(given, name, None if value is None else Path(value))
    torch.set_num_threads(1)
    given.threads = 1
    work = Work(given, quiet=True)
    for task in told["tasks"][own.share :: own.of]:
        found = work.standalone(task["name"], Backbone.from_json(task["design"]), task["steps"], work.seed)
        print(f"{task['name']}: {100 * found['miou']:.2f} mIoU in {found['seconds']} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
