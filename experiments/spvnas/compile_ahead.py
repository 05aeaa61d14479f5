"""Compiles the kernels that a supernet and networks of its space ask for, in processes side by side.

    python experiments/spvnas/compile_ahead.py --processes 14 --seconds 90

Triton compiles a kernel where it is first launched, one after another; a supernet asks for others with every update,
and on a new machine its first minutes would be compilation. Here each process trains other designs of the space on a
few generated scans until the time is up; what they compile lies in Triton's cache (TRITON_CACHE_DIR), which the
experiments after that read. The last part of the time goes to networks compiled for inference, as `latency_model.py`
and `searched.py` time them. Say the same --width, --quantum and --points as they do.
"""

from __future__ import annotations

import subprocess
import sys
import time

import _work
import torch
from _work import Work, spread_designs

from coevo.spaces.spvnas.judging.measuring import design_ms, drawn_designs
from coevo.spaces.spvnas.network.capacity import capacity_of
from coevo.spaces.spvnas.network.static import build_network
from coevo.spaces.spvnas.network.supernet import Supernet
from coevo.spaces.spvnas.training import Batches, learner_of
from coevo.spaces.spvnas.training.supernet import Plan, SandwichLearner

SCENES = 3
RANKED = 12
"""Networks that `ranking.py` trains by default."""


def main() -> int:
    options = _work.parser(__doc__)
    options.add_argument("--processes", type=int, default=8)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--training-share", type=float, default=0.6, help="of the time, for what training launches")
    options.add_argument("--share", type=int, help="the number of one of these processes")
    arguments = options.parse_args()
    if arguments.share is not None:
        return compile_share(arguments)
    command = [sys.executable, __file__, *sys.argv[1:], "--share"]
    began = time.perf_counter()
    under_way = [subprocess.Popen([*command, str(share)]) for share in range(arguments.processes)]
    failed = sum(each.wait() != 0 for each in under_way)
    print(f"{arguments.processes} processes, {failed} failed, {time.perf_counter() - began:.0f} s")
    return 1 if failed else 0


def compile_share(arguments: object) -> int:
    """Updates of a supernet and of networks of its space, of which other processes take other ones."""
    given = vars(arguments)
    began = time.perf_counter()
    torch.set_num_threads(1)
    given.update(scenes=SCENES, validation_scenes=1, threads=0)
    work = Work(arguments)  # type: ignore[arg-type]
    recipe, large = work.recipe(10_000, work.seed), work.recipe(10_000, work.seed, given["supernet_batch"])
    one, many = (Batches(work.train, each, work.teaching).at(0).to(work.device) for each in (recipe, large))
    for design in spread_designs(work.bounds, RANKED, work.seed)[given["share"] :: given["processes"]]:
        net = build_network(design).to(work.device).train()
        learner_of(net, recipe, work.device, design.points)(one, 0)
        work.validating.score(net, work.precision)
    sandwiches = SandwichLearner(Supernet(work.bounds).to(work.device).train(), large, Plan(0.0, 0.0, 2), work.device)
    done = 0
    while time.perf_counter() - began < given["training_share"] * given["seconds"]:
        sandwiches(many, 1_000 * given["share"] + done)
        done += 1
    samples, dtype = work.judging.samples, torch.float16 if work.device.type == "cuda" else torch.float32
    capacity, compiled = capacity_of(samples, work.bounds.points), 0
    timed = [work.bounds.largest, work.bounds.smallest]
    for purpose, count in (("calibration", 22), ("unseen", 50)):
        timed += drawn_designs(work.bounds, count, 0, purpose)
    for design in timed[given["share"] :: given["processes"]]:
        if time.perf_counter() - began > given["seconds"]:
            break
        design_ms(design, samples, dtype, capacity, 1)
        compiled += 1
    print(f"share {given['share']}: {done} updates of a supernet, {compiled} networks compiled", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
