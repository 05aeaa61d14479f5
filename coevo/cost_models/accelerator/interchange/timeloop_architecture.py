"""Timeloop's architecture, version 0.4, with the table of energies (ERT) that takes Accelergy's place.

Out: a container for each axis, a component for each storage. In: the same and what people write that way, each storage
a memory of its own. Energies are never guessed: a storage without a table entry is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from typing import Any

from coevo.cost_models.accelerator.interchange.components import Component, axis_names, components
from coevo.cost_models.accelerator.interchange.timeloop import ENGINE, LETTERS, LOOPS, SPACES
from coevo.cost_models.accelerator.interchange.yaml_text import Tagged, dump, load
from coevo.errors import InputError
from coevo.hardware.accelerators import DIMENSIONS, TENSORS, Accelerator, Axis, Memory, Network

TAGS = ("Container", "Component", "Parallel", "Nothing", "Hierarchical", "Pipelined")
MAC = "mac"
INSTANCES = re.compile(r"\[.*\]$")


def attributes(part: Component, accelerator: Accelerator, bits: tuple[int, int, int]) -> dict[str, Any]:
    """Of one storage: one word a row, so that an access is a word."""
    memory = accelerator.memories[part.level]
    widths = {own or width for name, own, width in zip(TENSORS, memory.bits, bits, strict=True) if name in part.tensors}
    if len(widths) > 1:
        raise InputError(
            f"{ENGINE}: {part.name} keeps words of {', '.join(map(str, sorted(widths)))} bits, which {ENGINE} cannot "
            "say: a storage has one datawidth; split it into memories of one tensor each"
        )
    width = widths.pop()
    found: dict[str, Any] = {"width": width, "datawidth": width}
    if part.size_bits is not None:
        buffers = 2 if memory.double_buffered else 1
        depth = part.size_bits * buffers / width
        if depth != int(depth):
            raise InputError(
                f"{ENGINE}: {part.name} holds {depth:g} words of {width} bits; {ENGINE} takes whole words alone"
            )
        found |= {"depth": int(depth), "multiple_buffering": buffers}
    if memory.shared_port:
        found["shared_bandwidth"] = None if (rate := memory.read_bytes_per_cycle) is None else rate * 8 / width
    else:
        for key in ("read", "write"):
            rate = getattr(memory, f"{key}_bytes_per_cycle")
            found[f"{key}_bandwidth"] = None if rate is None else rate * 8 / width
    return {key: value for key, value in found.items() if value is not None}


def refuse_unicast(accelerator: Accelerator) -> None:
    for memory in accelerator.memories:
        network = memory.network
        if network.axes and not (network.multicast and network.reduction):
            lacks = " or ".join(word for word, has in (("multicast", network.multicast), ("reduce", network.reduction))
                                if not has)  # fmt: skip
            raise InputError(f"{ENGINE}: the network below {memory.name!r} does not {lacks}, which is not written here")


def architecture(accelerator: Accelerator, bits: tuple[int, int, int] | None = None) -> str:
    """Architecture and energies in one document. `bits`: a layer's widths where they differ from the accelerator's."""
    refuse_unicast(accelerator)
    widths = bits or accelerator.bits
    parts, axes = components(accelerator, ENGINE), axis_names(accelerator)
    cycle = {"global_cycle_seconds": 1e-6 / accelerator.clock_mhz}
    nodes = [Tagged("Container", {"name": "system", "attributes": cycle})]
    for level in range(len(accelerator.memories)):
        storages = []
        for part in (part for part in parts if part.level == level):
            keep = [SPACES[tensor] for tensor in part.tensors]
            bypass = [space for space in SPACES.values() if space not in keep]
            storages.append(
                Tagged(
                    "Component",
                    {
                        "name": part.name,
                        "class": "DRAM" if level == 0 else "SRAM",
                        "attributes": attributes(part, accelerator, widths),
                        "constraints": {"dataspace": {"keep": keep, "bypass": bypass}},
                    },
                )
            )
        nodes += storages if len(storages) == 1 else [Tagged("Parallel", {"nodes": storages})]
        for position, (at, axis) in enumerate(accelerator.axes):
            if at == level:
                still = [f"{LETTERS[name]}=1" for name in DIMENSIONS if name not in axis.dimensions]
                content: dict[str, Any] = {
                    "name": axes[position],
                    "spatial": {"meshY" if position % 2 else "meshX": axis.size},
                }
                if still:
                    content["constraints"] = {"spatial": {"factors": still}}
                nodes.append(Tagged("Container", content))
    nodes.append(Tagged("Component", {"name": MAC, "class": "intmac", "attributes": {"datawidth": max(widths)}}))
    return dump(
        {
            "architecture": {"version": 0.4, "nodes": nodes},
            "ERT": {"version": "0.4", "tables": energies(accelerator, widths, {})},
        }
    )


def energies(accelerator: Accelerator, bits: tuple[int, int, int], counts: MappingType[str, int]) -> list[Any]:
    """The table: pJ an action. A word is read, written (a fill) or updated (an output from below); leakage is of an
    instance and cycle. `counts`: how many instances a name stands for, 1 unless given."""
    tables = []
    for part in components(accelerator, ENGINE):
        width = attributes(part, accelerator, bits)["datawidth"]
        tables.append(
            {
                "name": f"system.{part.name}[1..{counts.get(part.name, 1)}]",
                "actions": [
                    {"name": "read", "energy": part.read_pj_per_bit * width},
                    {"name": "write", "energy": part.write_pj_per_bit * width},
                    {"name": "update", "energy": part.write_pj_per_bit * width},
                    {"name": "leak", "energy": part.leakage_mw * 1000.0 / accelerator.clock_mhz},
                ],
            }
        )
    tables.append(
        {
            "name": f"system.{MAC}[1..{counts.get(MAC, 1)}]",
            "actions": [
                {"name": "compute", "energy": accelerator.mac_pj},
                {"name": "leak", "energy": accelerator.mac_leakage_mw * 1000.0 / accelerator.clock_mhz},
            ],
        }
    )
    return tables


def read_architecture(text: str, name: str, source: str = "Timeloop's architecture") -> Accelerator:
    """The accelerator in `text`, which has `architecture` (nodes) and `ERT` (tables), as Accelergy or `architecture`
    write them. Each storage becomes a memory. Raises InputError for what is missing or has no counterpart."""
    content = load(text, source, TAGS)
    try:
        nodes = list(content["architecture"]["nodes"])
    except (TypeError, KeyError) as error:
        raise InputError(f"{source}: expected architecture: nodes: [...] (version 0.4); {error!r}") from error
    tables = _tables(content.get("ERT"), source)
    clock_mhz = 1000.0  # Timeloop's own cycle, 1 ns, where none is given
    memories: list[dict[str, Any]] = []
    axes: list[list[Axis]] = []
    mac: str | None = None
    for node in _flat(nodes, source):
        label = str(node.content.get("name"))
        where = f"{source}: {label}"
        own = node.content.get("attributes") or {}
        if "global_cycle_seconds" in own:
            clock_mhz = _number(own["global_cycle_seconds"], f"{where}: global_cycle_seconds") ** -1 * 1e-6
        fanout = _axes(node.content, where)
        if fanout:
            if not memories or mac is not None:
                raise InputError(f"{where}: an array must stand below a storage and above the MAC unit")
            axes[-1] += fanout
        if node.tag == "Container":
            continue
        if mac is not None:
            raise InputError(f"{where}: one MAC unit ends the hierarchy, {mac} came before it")
        if "mac" in str(node.content.get("class", "")).lower():
            mac = label
            continue
        memories.append(_storage(node.content, tables, where))
        axes.append([])
    if mac is None or not memories:
        raise InputError(f"{source}: a storage and a component whose class ends in mac are needed")
    width = memories[0].pop("width")
    found = []
    for memory, along in zip(memories, axes, strict=True):
        bits = memory.pop("width", width)
        leak = memory.pop("leak_pj") * clock_mhz / 1000.0
        memory["bits"] = (None if bits == width else bits,) * 3
        found.append(Memory(**memory, leakage_mw=leak, network=Network(tuple(along))))
    table = _of(tables, mac, source)
    return Accelerator(
        name=name,
        clock_mhz=clock_mhz,
        bits=(width,) * 3,
        mac_pj=_action(table, "compute", f"{source}: {mac}"),
        memories=tuple(found),
        mac_leakage_mw=table.get("leak", 0.0) * clock_mhz / 1000.0,
        provenance={"energies": f"ERT of {source}"},
    )


def _flat(nodes: list[Any], source: str) -> list[Tagged]:
    """Storages side by side are written one after the other: each keeps other tensors."""
    found: list[Tagged] = []
    for node in nodes:
        if not isinstance(node, Tagged) or node.tag not in ("Container", "Component", "Parallel"):
            given = f"!{node.tag}" if isinstance(node, Tagged) else f"{node!r:.60}"
            raise InputError(f"{source}: nodes are !Container, !Component and !Parallel, got {given}")
        if node.tag != "Parallel":
            found.append(node)
            continue
        inside = _flat(list(node.content.get("nodes") or ()), source)
        kept = [space for each in inside for space in _keeps(each.content, source)]
        if len(set(kept)) != len(kept) or any(_axes(each.content, source) for each in inside):
            raise InputError(
                f"{source}: storages in !Parallel must keep different tensors and have no arrays of their own"
            )
        found += inside
    return found


def _axes(content: MappingType[str, Any], where: str) -> list[Axis]:
    spatial = content.get("spatial") or {}
    unknown = [key for key in spatial if key not in ("meshX", "meshY")]
    if unknown:
        raise InputError(f"{where}: spatial has meshX and meshY, got {', '.join(unknown)}")
    rules = (content.get("constraints") or {}).get("spatial") or {}
    for key in rules:
        if key not in ("factors", "permutation", "split"):
            raise InputError(f"{where}: the spatial constraint {key!r} has no counterpart here")
    still = set()
    for factor in rules.get("factors") or ():
        letter, _, bound = str(factor).partition("=")
        if LOOPS.get(letter.strip()) is None or bound.strip() != "1":
            raise InputError(f"{where}: a spatial factor {factor!r} has no counterpart here; only loops held at 1 do")
        still.add(LOOPS[letter.strip()])
    free = tuple(name for name in DIMENSIONS if name not in still)
    sizes = [(key, int(_number(size, f"{where}: {key}"))) for key, size in spatial.items()]
    many = len([size for _, size in sizes if size > 1]) > 1
    return [Axis(f"{content.get('name')}{key[-1] if many else ''}", size, free) for key, size in sizes]


def _keeps(content: MappingType[str, Any], where: str) -> tuple[str, ...]:
    rule = (content.get("constraints") or {}).get("dataspace") or {}
    names = {space: tensor for tensor, space in SPACES.items()}
    unknown = [space for space in (*(rule.get("keep") or ()), *(rule.get("bypass") or ())) if space not in names]
    if unknown:
        raise InputError(f"{where}: data spaces are {', '.join(names)}, got {', '.join(map(str, unknown))}")
    keep = rule.get("keep")
    kept = [names[space] for space in keep] if keep is not None else [
        tensor for space, tensor in names.items() if space not in (rule.get("bypass") or ())
    ]  # fmt: skip
    return tuple(tensor for tensor in TENSORS if tensor in kept)


def _storage(content: MappingType[str, Any], tables: dict[str, dict[str, float]], where: str) -> dict[str, Any]:
    own = dict(content.get("attributes") or {})
    if "datawidth" not in own:
        raise InputError(f"{where}: lacks attributes.datawidth, the bits of a word")
    bits = int(_number(own["datawidth"], f"{where}: datawidth"))
    row = _number(own.get("width", bits), f"{where}: width")
    table = _of(tables, str(content.get("name")), where)
    read = _action(table, "read", where) / row
    write = _action(table, "write", where) / row
    if table.get("update", write * row) != write * row:
        raise InputError(
            f"{where}: update costs {table['update']:g} pJ and write {write * row:g}; here they are the same"
        )
    buffers = _number(own.get("multiple_buffering", 1), f"{where}: multiple_buffering")
    if buffers not in (1, 2):
        raise InputError(f"{where}: multiple_buffering must be 1 or 2, got {buffers:g}")
    memory: dict[str, Any] = {
        "name": str(content.get("name")),
        "keeps": _keeps(content, where),
        "width": bits,
        "leak_pj": table.get("leak", 0.0),
        "read_pj_per_bit": (read,) * 3,
        "write_pj_per_bit": (write,) * 3,
        "double_buffered": buffers == 2,
    }
    if "depth" in own:
        memory["size_bytes"] = _number(own["depth"], f"{where}: depth") * row / 8

    def rate(key: str) -> float:
        return _number(own[key], f"{where}: {key}") * bits / 8

    if "shared_bandwidth" in own:
        memory |= {"shared_port": True, "read_bytes_per_cycle": rate("shared_bandwidth")}
    for key in ("read", "write"):
        if f"{key}_bandwidth" in own:
            if "shared_bandwidth" in own:
                raise InputError(f"{where}: a shared bandwidth beside {key}_bandwidth has no counterpart here")
            memory[f"{key}_bytes_per_cycle"] = rate(f"{key}_bandwidth")
    return memory


def _tables(content: Any, source: str) -> dict[str, dict[str, float]]:
    if not isinstance(content, dict) or not isinstance(content.get("tables"), list):
        raise InputError(
            f"{source}: energies are needed and none are guessed: give ERT: tables: [...], which Accelergy writes as "
            "timeloop-model.ERT.yaml"
        )
    found: dict[str, dict[str, float]] = {}
    for table in content["tables"]:
        label = INSTANCES.sub("", str(table.get("name"))).rsplit(".", 1)[-1]
        where = f"{source}: ERT of {label}"
        found[label] = {
            str(action.get("name")): _number(action.get("energy"), f"{where}: {action.get('name')}")
            for action in table.get("actions") or ()
        }
    return found


def _of(tables: dict[str, dict[str, float]], label: str, where: str) -> dict[str, float]:
    if label not in tables:
        raise InputError(f"{where}: the ERT has no {label}; it has {', '.join(tables)}")
    return tables[label]


def _action(table: dict[str, float], action: str, where: str) -> float:
    if action not in table:
        raise InputError(f"{where}: the ERT lacks the action {action}; it has {', '.join(table)}")
    return table[action]


def _number(value: Any, where: str) -> float:
    """PyYAML reads 1e-9 as text (YAML 1.1 wants 1.0e-9); Timeloop's files have it."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise InputError(f"{where}: expected a number of at least 0, got {value!r}")
    return number
