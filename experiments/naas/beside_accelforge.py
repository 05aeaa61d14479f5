"""ResNet50's layers on Eyeriss and NVDLA-1024: our mapping and AccelForge's own, both evaluated by AccelForge.

    make oracles
    python experiments/naas/beside_accelforge.py --out experiments/results/naas_beside_accelforge.json

Both mappers minimise the energy-delay product on the same architecture, under the same assumptions: the same memories,
capacities and bypasses, the same axes with the same loops along them.

- AccelForge's space has, beside ours, uneven mappings: a storage of one tensor may stand between the loops of a memory.
  It keeps the order of the storages in its file, so it is asked once for each order where a memory of ours has none
  (six for the scratchpads of Eyeriss), and its best answer counts. It is "not finished" unless all of them are.
- Ours has, beside AccelForge's, bounds that exceed the sizes (padding). AccelForge counts a last part that is smaller
  by its own size, so such a mapping is evaluated on the layer padded to the product of its bounds, which is what our
  model charges for it: never less than it costs. This is "answer", what the mapper gives when nothing is asked of it.
- "even" is the mapper's answer without padding: the same bounds as AccelForge's.
- AccelForge gives partial sums to every PE that adds to them, our model to one (tests/cost_models/accelerator/oracles/
  rules.py), so what is best by the model need not be best by AccelForge. And AccelForge is told of three scratchpads in
  a PE where we have one memory in three parts. "split" meets it there: our mapper has the three memories too, is asked
  once for each way to spread C, R and S over the axes that add partial sums, without padding, and of these answers and
  "even" the one counts that AccelForge's evaluation prefers.

`--imperfect` lets AccelForge use bounds that do not divide the sizes, which takes it much longer. `--rows FILE` keeps
every row as it comes, and a later run of the same commit takes from there what it has.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any

from _accelforge import Mapped, best_mapping, case_of, evaluate, interpreter

import _bench  # isort: skip

from coevo.cost_models.accelerator import Layer, Mapping
from coevo.cost_models.accelerator.interchange import accelforge, accelforge_mapper, read_accelforge_mapping
from coevo.cost_models.accelerator.workloads import load_workload
from coevo.errors import ConfigError, InputError
from coevo.hardware.accelerators import TENSORS, Accelerator, Memory, Network, load_accelerator
from coevo.spaces.naas.mapper import Constraints, MappedLayer, map_layer

ACCELERATORS = ("eyeriss", "nvdla_1024")
RATIOS = ("answer", "even", "split")
OVER = "over AccelForge's, both by AccelForge, worst layer"
LIMIT = 0.01
SECONDS = 90.0
NODES = 20_000
SAME = 1e-4
"""AccelForge's mapper sums in single precision: its own figures and its evaluation differ by less, relatively."""


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--oracles", type=Path, default=_bench.ROOT / ".oracles", help="the folder of `make oracles`")
    options.add_argument("--seconds", type=float, default=SECONDS, help="AccelForge's limit a layer")
    options.add_argument("--layers", nargs="+", metavar="LAYER", help="ResNet50's layers by name (all distinct ones)")
    options.add_argument("--accelerators", nargs="+", choices=ACCELERATORS, default=list(ACCELERATORS))
    options.add_argument("--imperfect", action="store_true", help="AccelForge's bounds need not divide the sizes")
    options.add_argument("--rows", type=Path, metavar="FILE", help="rows as they come; taken up by a later run")
    arguments = options.parse_args()
    python = interpreter(arguments.oracles)
    known = distinct_layers()
    names = arguments.layers or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"--layers: ResNet50 has {', '.join(known)}, got {', '.join(unknown)}")
    result = _bench.Result("naas_beside_accelforge", packages=("numba",))
    result.settings = {
        "network": "ResNet50, 224 x 224, batch 1",
        "accelerators": arguments.accelerators,
        "layers": names,
        "accelforge_limit_s": arguments.seconds,
        "accelforge_processes": 1,
        "accelforge_imperfect_loops": arguments.imperfect,
        "assumptions": accelforge.ASSUMPTIONS.as_dict(),
        "mapper": {"method": "exact", "goal": "edp", "nodes": NODES},
    }
    book = Book(arguments.rows, [_bench.commit(), arguments.seconds, arguments.imperfect])
    rows: list[dict[str, Any]] = []
    for name in arguments.accelerators:
        accelerator = load_accelerator(name)
        for layer in (known[each] for each in names):
            row = book.get(name, layer.name)
            if row is None:
                row = compared(python, layer, accelerator, arguments.seconds, arguments.imperfect)
                book.add(name, layer.name, row)
            rows.append(row)
            print(line(row), flush=True)
    finished = [row for row in rows if "edp_over_accelforge" in row]
    worst = {which: max((row["edp_over_accelforge"][which] - 1 for row in finished), default=None) for which in RATIOS}
    result.measurements = {
        "version": sorted({row["accelforge_version"] for row in rows}),
        "asked": len(rows),
        "finished": len(finished),
        "not_finished": [f"{row['accelerator']} {row['layer']}" for row in rows if row not in finished],
        "worst": worst,
        "layers": rows,
    }
    note = f"AccelForge finished {len(finished)} of {len(rows)} layers within {arguments.seconds:g} s each"
    alone = "" if worst["even"] is None else f"; the mapper's one answer without padding: {worst['even']:.4f}"
    result.bars = [
        _bench.at_most(f"EDP of the mapper's answer {OVER}", worst["answer"], "", LIMIT, note),
        _bench.at_most(f"EDP without padding, scratchpads split, {OVER}", worst["split"], "", LIMIT, note + alone),
    ]
    if set(names) != set(known) or set(arguments.accelerators) != set(ACCELERATORS):
        result.bars = [_bench.not_met(entry, "not all layers and accelerators were asked") for entry in result.bars]
    return result.finish(arguments)


class Book:
    """Rows as they come, one a line of a file with the run's `key`; those that a file of the same key has already."""

    def __init__(self, path: Path | None, key: list[Any]) -> None:
        self.path, self.key = path, key
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        if path is not None and path.exists():
            for text in path.read_text(encoding="utf-8").splitlines():
                found, accelerator, layer, row = json.loads(text)
                if found == key:
                    self.known[accelerator, layer] = row

    def get(self, accelerator: str, layer: str) -> dict[str, Any] | None:
        return self.known.get((accelerator, layer))

    def add(self, accelerator: str, layer: str, row: dict[str, Any]) -> None:
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as stream:
                print(json.dumps([self.key, accelerator, layer, row]), file=stream)


def distinct_layers() -> dict[str, Layer]:
    """ResNet50's layers by name, the first of each shape."""
    found: dict[tuple[object, ...], Layer] = {}
    for layer, _ in load_workload("resnet50").layers:
        found.setdefault(layer.shape, layer)
    return {layer.name: layer for layer in found.values()}


def compared(
    python: Path, layer: Layer, accelerator: Accelerator, seconds: float, imperfect: bool = False
) -> dict[str, Any]:
    """One row: our mappings and AccelForge's, by AccelForge's evaluation; the ratios where it finished."""
    answer = map_layer(layer, accelerator, accelforge.ASSUMPTIONS, nodes=NODES, certify=False)
    even = without_padding(layer, accelerator)
    told = split(accelerator)
    if accelforge.architecture(told, layer) != accelforge.architecture(accelerator, layer):
        raise RuntimeError(f"{accelerator.name}: split memories are told to AccelForge otherwise than parts of one")
    ours = [(accelerator, even.mapping)]
    for spatial in reductions(layer, told):
        with contextlib.suppress(InputError):  # nothing that fits is spread this way
            ours.append((told, without_padding(layer, told, spatial).mapping))
    theirs = best_mapping(python, layer, accelerator, seconds, imperfect)
    texts = {
        f"accelforge {place}": accelforge_mapper.mapping_text(found["nodes"])
        for place, found in enumerate(theirs.answers)
        if found["nodes"] is not None
    }
    cases = {"answer": case_of(padded_layer(layer, answer.mapping), accelerator, answer.mapping)}
    cases |= {f"ours {place}": case_of(layer, chip, mapping) for place, (chip, mapping) in enumerate(ours)}
    cases |= {name: case_of(layer, accelerator, even.mapping, text) for name, text in texts.items()}
    asked = evaluate(python, cases)
    costs = {name: priced(found, accelerator) for name, found in asked["answers"].items()}
    chosen = min(range(len(ours)), key=lambda place: costs[f"ours {place}"]["edp_js"])
    row: dict[str, Any] = {
        "accelerator": accelerator.name,
        "layer": layer.name,
        "sizes": dict(layer.sizes),
        "stride": list(layer.stride),
        "accelforge_version": asked["version"],
        "answer": {**costs["answer"], "mapping": answer.mapping.as_json(accelerator)},
        "even": {**costs["ours 0"], "mapping": even.mapping.as_json(accelerator)},
        "even_by_our_model": {"energy_pj": even.energy_pj, "cycles": even.cycles, "edp_js": even.edp_js},
        "split": {**costs[f"ours {chosen}"], "mapping": ours[chosen][1].as_json(ours[chosen][0])},
        "split_answers": len(ours),
        "accelforge_mapper": theirs.as_json(),
    }
    if not texts:
        return row
    check(theirs, costs)
    best = min(texts, key=lambda name: costs[name]["edp_js"])
    row["accelforge"] = {**costs[best], "uneven": is_uneven(texts[best], layer, accelerator), "mapping": texts[best]}
    if theirs.outcome == "finished":
        row["edp_over_accelforge"] = {which: row[which]["edp_js"] / costs[best]["edp_js"] for which in RATIOS}
    return row


def without_padding(
    layer: Layer, accelerator: Accelerator, spatial: dict[str, dict[str, int]] | None = None
) -> MappedLayer:
    """The mapper's answer with the given bounds along axes. Raises InputError where nothing has them and fits."""
    constraints = Constraints(spatial=spatial or {}, padding=False)
    return map_layer(layer, accelerator, accelforge.ASSUMPTIONS, nodes=NODES, certify=False, constraints=constraints)


def split(accelerator: Accelerator) -> Accelerator:
    """With one memory for each tensor, one below the other, where a memory is partitioned among them: as AccelForge is
    told it."""
    memories: list[Memory] = []
    for memory in accelerator.memories:
        if memory.partition_bytes is None or len(memory.keeps) == 1:
            memories.append(memory)
            continue
        parts = [
            dataclasses.replace(
                memory,
                name=f"{memory.name}_{tensor}",
                keeps=(tensor,),
                partition_bytes=None,
                size_bytes=size,
                leakage_mw=0.0,
                network=Network(),
            )
            for tensor, size in zip(TENSORS, memory.partition_bytes, strict=True)
            if tensor in memory.keeps
        ]
        parts[0] = dataclasses.replace(parts[0], leakage_mw=memory.leakage_mw)
        parts[-1] = dataclasses.replace(parts[-1], network=memory.network)
        memories += parts
    return dataclasses.replace(accelerator, memories=tuple(memories))


def reductions(layer: Layer, accelerator: Accelerator) -> list[dict[str, dict[str, int]]]:
    """Every way to spread the loops that add (C, R, S) over the axes above a memory that keeps outputs, by bounds that
    divide their sizes."""
    ways: list[dict[str, dict[str, int]]] = [{}]
    for level, axis in accelerator.axes:
        if not any("outputs" in memory.keeps for memory in accelerator.memories[level + 1 :]):
            continue
        adding = [name for name in "CRS" if name in axis.dimensions and layer.sizes[name] > 1]
        divisors = [[d for d in range(1, axis.size + 1) if layer.sizes[name] % d == 0] for name in adding]
        here = [bounds for bounds in itertools.product(*divisors) if math.prod(bounds) <= axis.size]
        name = f"{accelerator.memories[level].name}.{axis.name}"
        if adding:
            ways = [{**way, name: dict(zip(adding, bounds, strict=True))} for way in ways for bounds in here]
    return [way for way in ways if way]


def padded_layer(layer: Layer, mapping: Mapping) -> Layer:
    """The layer whose sizes are the products of the mapping's bounds."""
    groups = [*mapping.temporal, *mapping.spatial]
    sizes = {name: math.prod(dict(loops).get(name, 1) for loops in groups) for name in layer.sizes}
    return dataclasses.replace(layer, sizes=sizes)


def priced(answer: dict[str, Any], accelerator: Accelerator) -> dict[str, float]:
    seconds = answer["cycles"] / (accelerator.clock_mhz * 1e6)
    return {
        "energy_pj": answer["energy_pj"],
        "cycles": answer["cycles"],
        "edp_js": answer["energy_pj"] * 1e-12 * seconds,
    }


def check(theirs: Mapped, costs: dict[str, dict[str, float]]) -> None:
    """What AccelForge's mapper says its mapping costs is what AccelForge's evaluation of the written mapping says."""
    for place, answer in enumerate(theirs.answers):
        if answer["nodes"] is not None:
            own = answer["energy_pj"] * 1e-12 * answer["latency_ms"] * 1e-3
            found = costs[f"accelforge {place}"]["edp_js"]
            if not math.isclose(own, found, rel_tol=SAME):
                raise RuntimeError(f"AccelForge's mapper says EDP {own:.6g} Js, its evaluation {found:.6g} Js")


def is_uneven(text: str, layer: Layer, accelerator: Accelerator) -> bool:
    """Whether the mapping has no counterpart in our space."""
    try:
        read_accelforge_mapping(text, layer, accelerator)
    except InputError:
        return True
    return False


def line(row: dict[str, Any]) -> str:
    asked = row["accelforge_mapper"]
    ratios = row.get("edp_over_accelforge")
    text = ", ".join(f"{which} {ratio:.4f}" for which, ratio in ratios.items()) if ratios else asked["outcome"]
    return f"{row['accelerator']:10} {row['layer']:18} {text}  ({asked['wall_s']:g} s, CPU {asked['cpu_s']:g} s)"


if __name__ == "__main__":
    sys.exit(main())
