"""What AccelForge's own mapper is asked about a layer on an accelerator, and its answers as mapping texts.

Its mapper places storages in the order of the architecture file: where the scratchpads of a PE are three components,
tensors are nested in that order alone. A memory of ours has no order among its tensors, so the mapper is asked once for
each order of the storages that lie in one place (`storage_orders`); the best answer is AccelForge's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from coevo.cost_models.accelerator.interchange.accelforge import architecture_nodes, architecture_text, workload
from coevo.cost_models.accelerator.interchange.yaml_text import Tagged, dump
from coevo.cost_models.accelerator.layer import Layer
from coevo.errors import InputError
from coevo.hardware.accelerators import Accelerator

FIELDS = {
    "Storage": ("tensors", "component"),
    "Toll": ("tensors", "component"),
    "Temporal": ("rank_variable", "tile_shape"),
    "Spatial": ("rank_variable", "tile_shape", "name", "component"),
    "Compute": ("einsum", "component"),
}
"""What a node of a mapping says, by its kind."""


def question(layer: Layer, accelerator: Accelerator) -> dict[str, Any]:
    """`architectures` (texts, one for each order of the storages) and `workload`. Loops of size 1 are left out: they
    change no cost, and its mapper is several times as fast without them. Raises InputError for what AccelForge cannot
    be told."""
    loops = [name for name, size in layer.sizes.items() if size > 1]
    nodes = architecture_nodes(accelerator, layer, loops)
    return {
        "architectures": [architecture_text(order) for order in storage_orders(nodes)],
        "workload": workload(layer, accelerator, loops),
    }


def storage_orders(nodes: Sequence[Tagged]) -> Iterator[list[Tagged]]:
    """Every order of the memories that lie in one place: next to each other, with no axis or network between, and with
    no tensor in common. The given order comes first."""
    runs: list[list[Tagged]] = []
    for node in nodes:
        before = runs[-1] if runs else []
        apart = node.tag == "Memory" and all(
            other.tag == "Memory" and not _kept(node) & _kept(other) for other in before
        )
        if before and apart:
            before.append(node)
        else:
            runs.append([node])
    for choice in itertools.product(*(itertools.permutations(run) for run in runs)):
        yield [node for run in choice for node in run]


def _kept(memory: Tagged) -> set[str]:
    return set(memory.content["tensors"]["keep"].split(" | "))


def mapping_text(nodes: Sequence[Mapping[str, Any]]) -> str:
    """The mapping that a script in AccelForge's environment took apart: of each node its `kind` and its `FIELDS`."""
    tagged = []
    for node in nodes:
        kind = node.get("kind")
        if kind not in FIELDS or set(node) != {"kind", *FIELDS[kind]}:
            raise InputError(f"AccelForge's mapping: expected nodes with the fields of {', '.join(FIELDS)}, got {node}")
        tagged.append(Tagged(kind, {name: node[name] for name in FIELDS[kind]}))
    return dump({"mapping": {"nodes": tagged}})
