"""Asks zigzag-dse what a mapping costs. Runs inside its own environment (`make oracles`), without coevo.

    python ask_zigzag.py CASES.json          the answers of the cases by name, as JSON
    python ask_zigzag.py --time CASE.json    how long one evaluation of one case takes, as JSON

A case is what `coevo.cost_models.accelerator.interchange.case.case` gives. An answer has, by component and tensor, four
counts of words (`rd_out_to_low`, `wr_in_by_low`, `rd_out_to_high`, `wr_in_by_high`) as zigzag prices them, its energy
in pJ, its cycles without stalls (`ideal_cycles`) and with them, before and after loading and unloading.
"""

import importlib.metadata
import json
import logging
import statistics
import sys
import time
from pathlib import Path

from zigzag.cost_model.cost_model import CostModelEvaluation
from zigzag.datatypes import LayerDim, LayerOperand
from zigzag.mapping.data_movement import DataDirection, DataMoveAttr
from zigzag.mapping.spatial_mapping_internal import SpatialMappingInternal
from zigzag.mapping.temporal_mapping import TemporalMapping, TemporalMappingType
from zigzag.parser.accelerator_factory import AcceleratorFactory
from zigzag.parser.workload_factory import LayerNodeFactory

logging.disable(logging.WARNING)

# zigzag's names. Its loops: OX with FX, OY with FY.
LOOPS = {"N": "B", "G": "G", "K": "K", "C": "C", "Y": "OY", "X": "OX", "R": "FY", "S": "FX"}
OPERANDS = {"weights": ("W", "I2"), "inputs": ("I", "I1"), "outputs": ("O", "O")}
UNLIMITED_BITS = 2**60
UNLIMITED_BITS_PER_CYCLE = 2**40


class Case:
    """One case in zigzag's objects."""

    def __init__(self, case):
        record = case["record"]
        self.parts = case["components"]
        self.bits = case["bits"]
        self.accelerator = record["accelerator"]
        self.layer = record["layer"]
        self.memories = self.accelerator["memories"]
        self.temporal = list(record["mapping"]["temporal"].values())
        axes = [(level, axis) for level, m in enumerate(self.memories) for axis in m["network"]["axes"]]
        spatial = record["mapping"]["spatial"].values()
        self.axes = [(level, axis["size"], loops) for (level, axis), loops in zip(axes, spatial, strict=True)]
        self.node = self.layer_node()

    def chain(self, tensor):
        """The storages of `tensor` from the innermost out."""
        return [part for part in reversed(self.parts) if tensor in part["tensors"]]

    def layer_node(self):
        sizes, stride, dilation = self.layer["sizes"], self.layer["stride"], self.layer["dilation"]
        widths = self.layer["bits"] or self.accelerator["bits"]
        return LayerNodeFactory(
            {
                "id": 0,
                "name": "layer",
                "operator_type": "Conv",
                "equation": "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
                "dimension_relations": [
                    f"ix={stride[1]}*ox+{dilation[1]}*fx",
                    f"iy={stride[0]}*oy+{dilation[0]}*fy",
                ],
                "loop_dims": list(LOOPS.values()),
                "loop_sizes": [sizes[name] for name in LOOPS],
                "operand_precision": {"W": widths[0], "I": widths[1], "O": widths[2], "O_final": widths[2]},
                "operand_source": {"W": 0, "I": 0},
            },
            [{
                "name": "default",
                "spatial_mapping": None,
                "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
            }],
        ).create()  # fmt: skip

    def hardware(self, unlimited):
        """With `unlimited` ports, or with ports of one bit, so that an energy is exact and cycles mean nothing."""
        memories = {}
        for part in reversed(self.parts):
            memory = self.memories[part["level"]]
            read, write = memory["read_bytes_per_cycle"], memory["write_bytes_per_cycle"]
            widths = [UNLIMITED_BITS_PER_CYCLE if rate is None else int(rate * 8) for rate in (read, write)]
            if not unlimited:
                widths = [1, 1]
            operands = [OPERANDS[tensor][1] for tensor in part["tensors"]]
            read_lines = [f"{op}, tl" for op in operands] + (["O, th"] if "O" in operands else [])
            write_lines = [f"{op}, fh" for op in operands] + (["O, fl"] if "O" in operands else [])
            if memory["shared_port"]:
                ports = [("rw_port_1", "read_write", widths[0], read_lines + write_lines)]
            else:
                ports = [("r_port_1", "read", widths[0], read_lines), ("w_port_1", "write", widths[1], write_lines)]
            memories[part["name"]] = {
                "size": UNLIMITED_BITS if part["size_bits"] is None else int(part["size_bits"]),
                "r_cost": part["read_pj_per_bit"] * (widths[0] if not unlimited else 1),
                "w_cost": part["write_pj_per_bit"] * (widths[1] if not unlimited else 1),
                "area": 0,
                "latency": 1,
                "mem_type": "sram",
                "auto_cost_extraction": False,
                "force_double_buffering": False,
                "operands": operands,
                "ports": [
                    {"name": name, "type": kind, "bandwidth_min": width, "bandwidth_max": width, "allocation": lines}
                    for name, kind, width, lines in ports
                ],
                "served_dimensions": [
                    f"D{place + 1}" for place, (level, _, _) in enumerate(self.axes) if level >= part["level"]
                ],
            }
        return AcceleratorFactory(
            {
                "name": "accelerator",
                "operational_array": {
                    "is_imc": False,
                    "unit_energy": self.accelerator["mac_pj"],
                    "unit_area": 0,
                    "dimensions": [f"D{place + 1}" for place in range(max(len(self.axes), 1))],
                    "sizes": [size for _, size, _ in self.axes] or [1],
                    "systolic_dimensions": [],
                },
                "memories": memories,
            }
        ).create()

    def mappings(self):
        spatial, temporal = {}, {}
        for tensor, (name, _) in OPERANDS.items():
            levels = [part["level"] for part in self.chain(tensor)]
            spatial[LayerOperand(name)] = []
            temporal[LayerOperand(name)] = []
            inside = len(self.memories)
            for level in levels:
                along = {}
                for at, _, loops in self.axes:
                    if level <= at < inside:
                        for loop, bound in loops:
                            along[loop] = along.get(loop, 1) * bound
                spatial[LayerOperand(name)].append([(LayerDim(LOOPS[n]), b) for n, b in along.items() if b > 1])
                temporal[LayerOperand(name)].append([
                    (LayerDim(LOOPS[loop]), bound)
                    for at in range(inside - 1, level - 1, -1)
                    if at >= level
                    for loop, bound in reversed(self.temporal[at])
                    if bound > 1
                ])  # fmt: skip
                inside = level
            spatial[LayerOperand(name)].append([])
        return spatial, temporal


def run(case, unlimited):
    spatial, temporal = case.mappings()
    inner = SpatialMappingInternal(spatial, case.node)
    return CostModelEvaluation(
        accelerator=case.hardware(unlimited),
        layer=case.node,
        spatial_mapping=inner,
        spatial_mapping_int=inner,
        temporal_mapping=TemporalMapping(temporal, case.node, TemporalMappingType.UNEVEN),
        access_same_data_considered_as_no_access=False,
    )


def evaluate(content):
    case = Case(content)
    priced, timed = run(case, False), run(case, True)
    counts = {}
    for tensor, (name, _) in OPERANDS.items():
        operand = LayerOperand(name)
        units = priced.mapping.spatial_mapping.unit_count[operand]
        for place, part in enumerate(case.chain(tensor)):
            moves = priced.mapping.unit_mem_data_movement[operand][place]
            amount = moves.get_attribute(DataMoveAttr.DATA_TRANS_AMOUNT_PER_PERIOD)
            periods = moves.get_attribute(DataMoveAttr.DATA_TRANS_PERIOD_COUNT)
            counts.setdefault(part["name"], {})[tensor] = {
                way.name.lower(): float(amount.get(way) * periods.get(way) * units[place + 1]) for way in DataDirection
            }
    return {
        "counts": counts,
        "energy_pj": float(priced.energy_total),
        "ideal_cycles": float(timed.ideal_temporal_cycle),
        "cycles": float(timed.latency_total0),
        "cycles_with_loading": float(timed.latency_total2),
    }


def main(arguments):
    head = {"engine": "zigzag-dse", "version": importlib.metadata.version("zigzag-dse")}
    if arguments[0] == "--time":
        case = Case(json.loads(Path(arguments[1]).read_text()))
        seconds = []
        for _ in range(21):
            begin = time.perf_counter()
            run(case, True)
            seconds.append(time.perf_counter() - begin)
        print(json.dumps({**head, "seconds_per_evaluation": statistics.median(seconds[1:]), "evaluations": 20}))
        return
    cases = json.loads(Path(arguments[0]).read_text())
    print(json.dumps({**head, "answers": {name: evaluate(content) for name, content in cases.items()}}))


main(sys.argv[1:])
