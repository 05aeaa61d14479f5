"""AccelForge's YAML (version 1.0): architecture, workload and mapping of one layer.

AccelForge (T. Andrulis, M. Gilbert; MIT licence) follows LoopTree: a mapping is one list of loops and storages, and a
storage holds its tile while the loops below it run. What stays where is therefore the place of a storage: a tensor that
stays through the innermost loops of a memory is stored above them. All energies are explicit (J), sizes in bits,
throughputs in actions of one bit a second, so that none of its component models is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coevo.cost_models.accelerator.assumptions import Assumptions
from coevo.cost_models.accelerator.interchange.components import Component, axis_names, components, plain_name
from coevo.cost_models.accelerator.interchange.yaml_text import Tagged, dump
from coevo.cost_models.accelerator.layer import Layer
from coevo.cost_models.accelerator.mapping import Mapping
from coevo.errors import InputError
from coevo.hardware.accelerators import DIMENSIONS, RELEVANT, TENSORS, Accelerator, Memory

ASSUMPTIONS = Assumptions(charge_drain=True, fetch_holes=True)
"""What AccelForge assumes, in our switches: draining is charged, an input tile is its bounding box, the
rows of neighbours are fetched by each, a tile that moves is fetched whole, transfers hide behind the work."""

EINSUM = "layer"
COMPUTE = "MAC"


def documents(layer: Layer, accelerator: Accelerator, mapping: Mapping) -> dict[str, str]:
    """The YAML texts `arch`, `workload` and `mapping`. Raises InputError for what AccelForge cannot be told."""
    return {
        "arch": architecture(accelerator, layer),
        "workload": workload(layer, accelerator),
        "mapping": mapping_text(layer, accelerator, mapping),
    }


def architecture(accelerator: Accelerator, layer: Layer | None = None) -> str:
    """`layer` matters where its widths differ from the accelerator's."""
    return architecture_text(architecture_nodes(accelerator, layer))


def architecture_text(nodes: Sequence[Tagged]) -> str:
    return dump({"arch": {"nodes": list(nodes)}})


def architecture_nodes(
    accelerator: Accelerator, layer: Layer | None = None, loops: Sequence[str] = DIMENSIONS
) -> list[Tagged]:
    """From the outermost in. `loops`: those that the workload names."""
    base = (layer.bits if layer else None) or accelerator.bits
    parts = components(accelerator, "AccelForge", network_energy=True)
    names = dict(zip(range(len(accelerator.axes)), axis_names(accelerator), strict=True))
    nodes: list[Tagged] = []
    for level, memory in enumerate(accelerator.memories):
        for part in (part for part in parts if part.level == level):
            nodes.append(_memory(part, accelerator, base))
        for position, (at, axis) in enumerate(accelerator.axes):
            if at == level:
                passes = [name for name in TENSORS if _reuses(memory.network, name)]
                spatial: dict[str, Any] = {
                    "name": "children",
                    "fanout": axis.size,
                    "may_reuse": " | ".join(passes) or "Nothing",
                }
                stray = [name.lower() for name in loops if name not in axis.dimensions]
                if stray:
                    spatial["loop_bounds"] = [{"expression": " | ".join(stray), "operator": "==", "value": 1}]
                nodes.append(Tagged("Container", {"name": names[position], "spatial": [spatial]}))
        if memory.network.pj_per_bit:
            nodes.append(_toll(level, accelerator, base))
    nodes.append(
        Tagged(
            "Compute",
            {
                "name": COMPUTE,
                "area": 0,
                "leak_power": accelerator.mac_leakage_mw * 1e-3,
                "actions": [
                    {
                        "name": "compute",
                        "energy": accelerator.mac_pj * 1e-12,
                        "throughput": accelerator.clock_mhz * 1e6,
                    }
                ],
            },
        )
    )
    return nodes


def _reuses(network: Any, tensor: str) -> bool:
    return bool(network.reduction if tensor == "outputs" else network.multicast)


def toll_name(accelerator: Accelerator, level: int) -> str:
    """What the network below memory `level` is called: every word that it delivers to a child pays there."""
    return f"{plain_name(accelerator.memories[level].name)}_network"


def _toll(level: int, accelerator: Accelerator, base: tuple[int, int, int]) -> Tagged:
    """Sums are added at the memory, so only products travel up from MAC units."""
    memory = accelerator.memories[level]
    sums_below = any("outputs" in inner.keeps for inner in accelerator.memories[level + 1 :])
    content: dict[str, Any] = {
        "name": toll_name(accelerator, level),
        "area": 0,
        "leak_power": 0,
        "direction": {"weights": "down", "inputs": "down", "outputs": "up_and_down" if sums_below else "up"},
        "tensors": {"keep": " | ".join(TENSORS)},
        "actions": [
            {
                "name": "read",
                "energy": memory.network.pj_per_bit * 1e-12,
                "throughput": "inf",
                "bits_per_action": 1,
            }
        ],
    }
    widths = _own_widths(memory, base, TENSORS)
    if widths:
        content["bits_per_value"] = widths
    return Tagged("Toll", content)


def _own_widths(memory: Memory, base: tuple[int, int, int], tensors: tuple[str, ...]) -> dict[str, int]:
    """By tensor, where they differ from the workload's."""
    return {
        tensor: own
        for tensor, own, width in zip(TENSORS, memory.bits, base, strict=True)
        if tensor in tensors and own is not None and own != width
    }


def _memory(part: Component, accelerator: Accelerator, base: tuple[int, int, int]) -> Tagged:
    memory = accelerator.memories[part.level]
    clock_hz = accelerator.clock_mhz * 1e6
    rates = [
        "inf" if rate is None else rate * 8 * clock_hz
        for rate in (
            memory.read_bytes_per_cycle,
            memory.read_bytes_per_cycle if memory.shared_port else memory.write_bytes_per_cycle,
        )
    ]
    widths = _own_widths(memory, base, part.tensors)
    together = "sum" if memory.shared_port else "max"
    content: dict[str, Any] = {
        "name": part.name,
        "size": "inf" if part.size_bits is None else part.size_bits,
        "area": 0,
        "leak_power": part.leakage_mw * 1e-3,
        "tensors": {"keep": " | ".join(part.tensors)},
        "total_latency": f"{together}(a.n_calls / a.throughput for a in actions)",
        "actions": [
            {"name": "read", "energy": part.read_pj_per_bit * 1e-12, "throughput": rates[0], "bits_per_action": 1},
            {"name": "write", "energy": part.write_pj_per_bit * 1e-12, "throughput": rates[1], "bits_per_action": 1},
        ],
    }
    if widths:
        content["bits_per_value"] = widths
    return Tagged("Memory", content)


def workload(layer: Layer, accelerator: Accelerator, loops: Sequence[str] = DIMENSIONS) -> str:
    """One einsum over `loops` (lower case), the others of size 1; inputs are indexed by row and column with stride and
    dilation."""
    bits = layer.bits or accelerator.bits

    def named(names: str) -> dict[str, str]:
        return {name: name.lower() for name in names if name in loops}

    def window(rank: str, axis: int) -> dict[str, str]:
        steps = (layer.stride[axis], "YX"[axis]), (layer.dilation[axis], "RS"[axis])
        terms = [f"{step} * {name.lower()}" for step, name in steps if name in loops]
        return {rank: " + ".join(terms)} if terms else {}

    accesses = [
        {"name": "weights", "projection": named("GKCRS")},
        {"name": "inputs", "projection": {**named("NGC"), **window("H", 0), **window("W", 1)}},
        {"name": "outputs", "projection": named("NGKYX"), "output": True},
    ]
    return dump(
        {
            "workload": {
                "iteration_space_shape": {
                    name.lower(): f"0 <= {name.lower()} < {size}" for name, size in layer.sizes.items() if name in loops
                },
                "bits_per_value": dict(zip(TENSORS, bits, strict=True)),
                "einsums": [{"name": EINSUM, "tensor_accesses": accesses}],
            }
        }
    )


def mapping_text(layer: Layer, accelerator: Accelerator, mapping: Mapping) -> str:
    """The loops from the outermost in, each storage as far up as its tensor stays. Bounds multiply to the sizes."""
    mapping.arrays(accelerator)  # its shape
    left = dict(layer.sizes)
    parts = components(accelerator, "AccelForge", network_energy=True)
    names = axis_names(accelerator)
    nodes: list[tuple[str, str, Tagged]] = []  # (kind, loop, node)

    def loops(kind: str, content: dict[str, Any], group: tuple[tuple[str, int], ...]) -> None:
        for name, bound in group:
            if left[name] % bound:
                raise InputError(
                    f"AccelForge: bounds of loop {name} do not divide its size {layer.sizes[name]}, which it counts "
                    "in another way; pad the layer to the product of its bounds and exchange that"
                )
            left[name] //= bound
            if bound > 1:
                nodes.append(
                    (kind, name, Tagged(kind, {"rank_variable": name.lower(), "tile_shape": left[name], **content}))
                )

    for level in range(len(accelerator.memories)):
        for part in (part for part in parts if part.level == level):
            for tensor in part.tensors:
                place = _place(nodes, tensor)
                outer = max((at for at in range(level) if tensor in accelerator.memories[at].keeps), default=level)
                nodes[place:place] = [
                    *_tolls(accelerator, tensor, outer, level),
                    ("Storage", "", Tagged("Storage", {"tensors": [tensor], "component": part.name})),
                ]
        loops("Temporal", {}, mapping.temporal[level])
        for position, (at, _) in enumerate(accelerator.axes):
            if at == level:
                loops("Spatial", {"name": "children", "component": names[position]}, mapping.spatial[position])
    for tensor in TENSORS:
        inner = max(at for at, memory in enumerate(accelerator.memories) if tensor in memory.keeps)
        nodes += _tolls(accelerator, tensor, inner, len(accelerator.memories))
    short = [name for name, rest in left.items() if rest != 1]
    if short:
        raise InputError(
            f"AccelForge: the bounds of {', '.join(short)} do not cover their sizes in layer {layer.name!r}"
        )
    compute = Tagged("Compute", {"einsum": EINSUM, "component": COMPUTE})
    return dump({"mapping": {"nodes": [*(node for _, _, node in nodes), compute]}})


def _tolls(accelerator: Accelerator, tensor: str, upper: int, lower: int) -> list[tuple[str, str, Tagged]]:
    """The networks that `tensor` passes between memory `upper` and memory `lower`, those that cost energy."""
    return [
        ("Toll", "", Tagged("Toll", {"tensors": [tensor], "component": toll_name(accelerator, level)}))
        for level in range(upper, lower)
        if accelerator.memories[level].network.pj_per_bit
    ]


def _place(nodes: list[tuple[str, str, Tagged]], tensor: str) -> int:
    """Where a storage of `tensor` goes into `nodes`: above the outermost of the innermost temporal loops that do not
    index it. Spatial loops on the way are passed, but none is the last one passed."""
    place = len(nodes)
    for position in range(len(nodes) - 1, -1, -1):
        kind, loop, node = nodes[position]
        if kind == "Storage" and tensor in node.content["tensors"]:
            break
        if kind == "Temporal":
            if loop in RELEVANT[tensor]:
                break
            place = position
    return place
