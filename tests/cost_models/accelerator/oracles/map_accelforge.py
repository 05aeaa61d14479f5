"""Lets AccelForge's mapper find the mapping of a layer with the least EDP. Runs inside its own environment
(`make oracles`), without coevo, in one process.

    python map_accelforge.py QUESTION.json

A question is what `coevo.cost_models.accelerator.interchange.accelforge_mapper.question` gives, with `imperfect`:
whether bounds need not divide the sizes. The first line of the answer names the version; then comes one line of JSON
for each architecture, as soon as it is mapped: the best mapping's nodes, its energy and latency by the mapper's own
account, how many mappings the mapper covered, and the time it took. Where nothing fits, `nodes` is null.
"""

import importlib.metadata
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import accelforge
from accelforge.frontend.mapper.metrics import Metrics
from accelforge.util.parallel import set_n_parallel_jobs

logging.disable(logging.WARNING)
set_n_parallel_jobs(1)

ANSWERS = os.fdopen(os.dup(1), "w")  # its mapper prints; what it prints goes to the other stream
os.dup2(2, 1)

SIMPLE = {"Storage": ("tensors", "component"), "Toll": ("tensors", "component"), "Compute": ("einsum", "component")}


def say(content):
    print(json.dumps(content), file=ANSWERS, flush=True)


def plain(node):
    kind = type(node).__name__
    if kind == "Reservation":  # what a storage above it holds, for drawing
        return None
    if kind in SIMPLE:
        fields = {name: getattr(node, name) for name in SIMPLE[kind]}
    elif kind in ("Temporal", "Spatial"):
        if node.initial_tile_shape not in (None, node.tile_shape):
            raise ValueError(f"a first tile of another size: {node}")
        fields = {"rank_variable": str(node.rank_variable), "tile_shape": int(node.tile_shape)}
        if kind == "Spatial":
            fields |= {"name": str(node.name), "component": str(node.component)}
    else:
        raise ValueError(f"a node that this script does not know: {kind}")
    if "tensors" in fields:
        fields["tensors"] = sorted(str(tensor) for tensor in fields["tensors"])
    return {"kind": kind, **{name: str(value) if name == "einsum" else value for name, value in fields.items()}}


def solve(architecture, workload, imperfect):
    Path("arch.yaml").write_text(architecture)
    Path("workload.yaml").write_text(workload)
    wall, cpu = time.perf_counter(), time.process_time()
    spec = accelforge.Spec.from_yaml("arch.yaml", "workload.yaml")
    spec.mapper.metrics = Metrics.ENERGY_DELAY_PRODUCT
    spec.mapper.explore_imperfect_temporal_loops = imperfect
    spec.mapper.explore_imperfect_spatial_loops = imperfect
    try:
        found = spec.map_workload_to_arch(print_progress=False)
    except ValueError as error:
        if "pmapping" not in str(error):
            raise
        found = None
    took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    if found is None or len(found) == 0:
        return {"nodes": None, **took}
    energies, latencies = (list(map(float, found.data[f"Total<SEP>{name}"])) for name in ("energy", "latency"))
    products = [energy * latency for energy, latency in zip(energies, latencies, strict=True)]
    best = products.index(min(products))
    nodes = found.data.iloc[best]["Total<SEP>mapping"]().nodes
    return {
        "nodes": [node for node in map(plain, nodes) if node is not None],
        "energy_pj": energies[best] * 1e12,
        "latency_ms": latencies[best] * 1e3,
        "mappings_covered": float(found.total_mappings),
        **took,
    }


def main(arguments):
    question = json.loads(Path(arguments[0]).read_text())
    say({"engine": "accelforge", "version": importlib.metadata.version("accelforge")})
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # its mapper leaves a drawing where it runs
        for architecture in question["architectures"]:
            say(solve(architecture, question["workload"], question["imperfect"]))


main(sys.argv[1:])
