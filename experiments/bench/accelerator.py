"""How many mappings of a layer onto an accelerator are judged a second, beside AccelForge and zigzag-dse.

    python experiments/bench/accelerator.py --oracles .oracles --json
    python experiments/bench/accelerator.py --device cuda --out experiments/results/accelerator_h200.json

The layer is a 3 x 3 convolution of ResNet50 (64 channels, 56 x 56), the accelerator Eyeriss (12 x 14 PEs): sizes and
bounds are no powers of two. "Search" is everything from the random word to the best mapping: sampling, validity,
counts, costs and selection. Its rate counts distinct valid mappings alone: the draws of a whole run are hashed
afterwards, and what occurs again, or does not fit, is not counted. Every switch of the cost model is compiled in; a
bar takes the slowest of the settings measured. With `--oracles FOLDER` (what `make oracles` made) AccelForge and
zigzag-dse price one mapping, each in its own environment.
"""

from __future__ import annotations

import sys
from pathlib import Path

import _bench
from _accelerator_case import described


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="processors (cpu) or a CUDA device")
    options.add_argument("--oracles", type=Path, metavar="FOLDER", help="the environments that `make oracles` made")
    options.add_argument("--threads", type=int, default=2, help="on processors (2, which the bars are defined on)")
    options.add_argument("--batch", type=int, default=1_000_000, help="mappings that are costed alone (1,000,000)")
    options.add_argument("--samples", type=int, default=10_000_000, help="draws of a search on processors (10 million)")
    options.add_argument("--device-draws", type=int, default=2**34, help="draws of a search on the device (2^34)")
    options.add_argument("--repeats", type=int, default=5, help="timed runs of each row (5)")
    arguments = options.parse_args()
    packages = ("numba", "torch", "triton")
    result = _bench.Result("accelerator", packages, {**described(), "threads": arguments.threads})
    if arguments.device == "cuda":
        from _accelerator_device import on_device

        on_device(arguments, result)
    else:
        from _accelerator_cpu import on_processors

        on_processors(arguments, result)
    if arguments.oracles is not None:
        from _accelerator_oracles import beside_oracles

        beside_oracles(arguments.oracles, result)
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
