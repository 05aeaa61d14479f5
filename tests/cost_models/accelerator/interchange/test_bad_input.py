"""What a format cannot say, and texts that are not what they should be: an error that names it."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import pytest

from coevo.cost_models.accelerator import Mapping, evaluate_mapping, matrix_product
from coevo.cost_models.accelerator.interchange import (
    Record,
    accelforge,
    read_accelforge_mapping,
    timeloop,
    timeloop_architecture,
)
from coevo.cost_models.accelerator.interchange.yaml_text import load
from coevo.errors import InputError
from coevo.hardware.accelerators import Accelerator, Axis, Memory, Network

_spec = importlib.util.spec_from_file_location("cases", Path(__file__).parents[1] / "oracles" / "cases.py")
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)

LAYER, CHIP, MAPPING = cases.CASES["outputs_stay"]
FORGED = accelforge.mapping_text(LAYER, CHIP, MAPPING)
LOOPED = timeloop.mapping_text(LAYER, CHIP, MAPPING)
ARCHITECTURE = timeloop_architecture.architecture(CHIP)
PROBLEM = timeloop.problem(LAYER)


def with_memory(**changes):
    return dataclasses.replace(
        CHIP, memories=(CHIP.memories[0], dataclasses.replace(CHIP.memories[1], **changes), CHIP.memories[2])
    )


@pytest.mark.parametrize(
    ("chip", "part"),
    [
        (with_memory(network=Network(CHIP.memories[1].network.axes, bytes_per_cycle=8)), "8 bytes a cycle"),
        (with_memory(read_pj_per_bit=(1.0, 2.0, 3.0)), "share 1.04858e\\+06 bytes"),
        (
            with_memory(size_bytes=None, partition_bytes=(8, 8, 8), read_bytes_per_cycle=4.0),
            "share a bandwidth",
        ),
        (with_memory(keeps=()), "keeps no tensor"),
        (with_memory(name="RF "), "distinct|would stand for two"),
    ],
)
@pytest.mark.parametrize("write", [accelforge.architecture, timeloop_architecture.architecture])
def test_an_accelerator_that_others_cannot_be_told(chip, part, write):
    if chip.memories[1].name == "RF ":
        chip = dataclasses.replace(
            chip, memories=(*chip.memories[:2], dataclasses.replace(chip.memories[2], name="RF_"))
        )
    with pytest.raises(InputError, match=part):
        write(chip)


@pytest.mark.parametrize(
    ("chip", "part"),
    [
        (with_memory(network=Network(CHIP.memories[1].network.axes, pj_per_bit=0.1)), "0.1 pJ a bit"),
        (cases.UNICAST, "does not reduce|does not multicast"),
        (dataclasses.replace(CHIP, bits=(8, 8, 16)), "words of 8, 16 bits"),
        (with_memory(size_bytes=2.5), "2.5 words"),
    ],
)
def test_what_timeloop_alone_cannot_be_told(chip, part):
    assert accelforge.architecture(chip)
    with pytest.raises(InputError, match=part):
        timeloop_architecture.architecture(chip)


@pytest.mark.parametrize("write", [accelforge.mapping_text, timeloop.mapping_text])
@pytest.mark.parametrize("bound", [2, 5, 16])
def test_a_mapping_that_pads_or_does_not_cover(write, bound):
    other = Mapping(((("K", bound), ("Y", 4)), *MAPPING.temporal[1:]), MAPPING.spatial)
    with pytest.raises(InputError, match=r"loop K|of K do not cover"):
        write(LAYER, CHIP, other)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("!Temporal", "!Toll", "got !Toll"),
        ("!Temporal", "!!python/object/apply:os.getcwd", "not the YAML"),
        ("rank_variable: k", "rank_variable: z", "got 'z'"),
        ("tile_shape: 8}", "tile_shape: 3}", "must divide"),
        ("tile_shape: 8}", "tile_shape: 8, initial_tile_shape: 9}", "initial_tile_shape"),
        ("component: RF", "component: Cache", "'Cache'"),
        ("component: a", "component: elsewhere", "'elsewhere'"),
        ("tensors: [outputs]", "tensors: [biases]", "'biases'"),
        ("component: MAC", "component: GPU", "!Compute on MAC"),
        ("mapping:", "other:", "expected mapping: nodes"),
        ("  - !Storage\n    tensors: [weights]\n    component: GLB\n", "", "lacks the storage of weights in GLB"),
    ],
)
def test_an_accelforge_mapping_without_counterpart(old, new, part):
    assert old in FORGED
    with pytest.raises(InputError, match=part):
        read_accelforge_mapping(FORGED.replace(old, new), LAYER, CHIP)


def test_an_uneven_placement_is_named():
    """Weights stored below a loop that does not index them are fetched again, which no common boundary says."""
    layer = matrix_product("product", 4, 8, 2)
    text = accelforge.mapping_text(layer, cases.FLAT, Mapping(((), (("K", 8), ("N", 4)), (("C", 2),))))
    storage = "  - !Storage\n    tensors: [weights]\n    component: RF\n"
    loop = "  - !Temporal {rank_variable: n, tile_shape: 1}\n"
    assert storage + loop in text or storage in text
    moved = text.replace(storage, "").replace(loop, loop + storage)
    with pytest.raises(InputError, match="RF stores weights below 2 loops"):
        read_accelforge_mapping(moved, layer, cases.FLAT)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("target: GLB", "target: L2", "no target 'L2'"),
        ("type: temporal", "type: temporary", "'temporary'|expected a target"),
        ("M8", "M3", "does not divide|leave"),
        ("N1 G1", "N1 N1", "'N' twice"),
        ("N1 G1", "N1 Z1", "'Z'"),
        ("N1 G1", "N1 G", "factors are letters"),
        ("keep: [Weights, Inputs, Outputs]", "keep: [Weights, Inputs]\n  bypass: [Outputs]", "Outputs otherwise"),
        ("mapping:", "maps:", "expected mapping"),
    ],
)
def test_a_timeloop_mapping_without_counterpart(old, new, part):
    assert old in LOOPED
    text = LOOPED.replace(old, new)
    if "otherwise" in part:
        text = LOOPED.replace("keep: [Weights, Inputs, Outputs], bypass: []", "keep: [Weights], bypass: [Outputs]")
        text = text.replace(f"{old}\n  bypass: []", new)
    with pytest.raises(InputError, match=part):
        timeloop.read_mapping(text, LAYER, CHIP)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("name: Weights", "name: Kernels", "expected data spaces"),
        ("instance:", "instance:\n    densities: {Weights: 0.5}", "sparse"),
        ("instance:", "instance:\n    Z: 3", "unknown Z"),
        ("M: 64", "M: 0", "size K"),
        ("[R, Rdilation]", "[S, Rdilation]", "index S . P together"),
        ("problem:", "layer:", "expected problem"),
    ],
)
def test_a_timeloop_problem_without_counterpart(old, new, part):
    text = PROBLEM.replace("{version", "\n    {version")
    assert old in text, text
    if old == "instance:":
        text = text.replace(
            "instance: {", "instance: {densities: {Weights: 0.5}, " if "densit" in new else "instance: {Z: 3, "
        )
    else:
        text = text.replace(old, new)
    with pytest.raises(InputError, match=part):
        timeloop.read_problem(text, "layer")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda text: text.partition("ERT:")[0], "none are guessed"),
        (lambda text: text.replace("system.RF[", "system.Cache["), "ERT has no RF"),
        (lambda text: text.replace("name: write", "name: store"), "lacks the action write"),
        (lambda text: text.replace("datawidth: 8, depth", "depth", 1), "lacks attributes.datawidth"),
        (lambda text: text.replace("class: intmac", "class: adder"), "class ends in mac|ERT|datawidth"),
        (lambda text: text.replace("meshX", "meshZ"), "meshZ"),
        (lambda text: text.replace("keep: [Weights, Inputs, Outputs]", "keep: [Biases]", 1), "Biases"),
        (lambda text: text.replace("nodes:", "subtree:", 1), "nodes"),
        (lambda text: text.replace("multiple_buffering: 1", "multiple_buffering: 3"), "must be 1 or 2"),
    ],
)
def test_a_timeloop_architecture_without_counterpart(change, part):
    assert change(ARCHITECTURE) != ARCHITECTURE
    with pytest.raises(InputError, match=part):
        timeloop_architecture.read_architecture(change(ARCHITECTURE), "chip")


def test_an_architecture_as_people_write_it():
    """Scratchpads side by side, keeps alone, numbers that YAML 1.1 takes for text; the published mapping on it."""
    text = """
architecture:
  version: 0.4
  nodes:
  - !Container {name: system, attributes: {global_cycle_seconds: 1e-9}}
  - !Component {name: DRAM, class: DRAM, attributes: {type: LPDDR4, width: 64, datawidth: 8}}
  - !Component
    name: shared_glb
    class: smartbuffer_SRAM
    attributes: {depth: 16384, width: 64, n_banks: 32, datawidth: 8}
    constraints: {dataspace: {keep: [Inputs, Outputs], bypass: [Weights]}}
  - !Container {name: PE_column, spatial: {meshX: 14}, constraints: {spatial: {factors: [N=1, C=1], split: 7}}}
  - !Container {name: PE, spatial: {meshY: 12}, constraints: {spatial: {factors: [N=1, P=1, Q=1, R=1]}}}
  - !Parallel
    nodes:
    - !Component {name: ifmap_spad, class: RF, attributes: {depth: 12, width: 16, datawidth: 8},
                  constraints: {dataspace: {keep: [Inputs]}}}
    - !Component {name: weights_spad, class: RF, attributes: {depth: 192, width: 16, datawidth: 8},
                  constraints: {dataspace: {keep: [Weights]}}}
    - !Component {name: psum_spad, class: RF, attributes: {depth: 16, width: 16, datawidth: 16},
                  constraints: {dataspace: {keep: [Outputs]}}}
  - !Component {name: mac, class: intmac, attributes: {multiplier_width: 8}}
ERT:
  version: 0.4
  tables:
""" + "".join(
        f"  - {{name: 'system.{name}[1..1]', actions: [{{name: read, energy: {pj}}}, {{name: write, energy: {pj}}}]}}\n"
        for name, pj in (("DRAM", 512), ("shared_glb", 18), ("ifmap_spad", 0.2), ("weights_spad", 2), ("psum_spad", 1))
    ) + "  - {name: 'system.mac[1..168]', actions: [{name: compute, energy: 0.2}]}\n"  # fmt: skip
    chip = timeloop_architecture.read_architecture(text, "eyeriss_like")
    assert [memory.name for memory in chip.memories] == [
        "DRAM",
        "shared_glb",
        "ifmap_spad",
        "weights_spad",
        "psum_spad",
    ]
    assert (chip.clock_mhz, chip.mac_units, chip.bits) == (pytest.approx(1000), 168, (8, 8, 8))
    assert chip.memories[4].bits == (16, 16, 16)
    assert chip.memories[1].size_bytes == 128 * 1024
    assert "C" not in next(axis for _, axis in chip.axes if axis.name == "PE_column").dimensions
    entries = """
mapping:
- {target: psum_spad, type: datatype, keep: [Outputs], bypass: [Weights, Inputs]}
- {target: psum_spad, type: temporal, factors: C1 M8 R1 S1 N1 P1 Q1, permutation: MCRSNPQ}
- {target: weights_spad, type: temporal, factors: C1 M1 R3 S1 N1 P1 Q1, permutation: RCMSNPQ}
- {target: ifmap_spad, type: temporal, factors: C1 M1 R1 S1 N1 P1 Q1, permutation: CMRSNPQ}
- {target: inter_PE_spatial, type: spatial, factors: C3 M1 R1 S3 N1 P1 Q1, permutation: SCMRNPQ, split: 0}
- {target: inter_PE_column_spatial, type: spatial, factors: C1 M1 R1 S1 N1 P1 Q14, permutation: QCMRSNP, split: 1}
- {target: shared_glb, type: temporal, factors: [C=1, M=1, P=14, Q=4], permutation: QPCM}
- {target: DRAM, type: temporal, factors: C1 M4 R1 S1 N1 P8 Q2, permutation: MQPCRSN}
"""
    layer = cases.PUBLISHED
    mapping = timeloop.read_mapping(entries, layer, chip)
    evaluation = evaluate_mapping(layer, chip, mapping)
    assert evaluation.valid, evaluation.misfits
    assert evaluation.accesses["shared_glb", "inputs"].reads == 1_354_752
    assert evaluation.accesses["psum_spad", "outputs"].reads == 57_344 * 126
    assert evaluation.cycles == 86_016


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda record: record.pop("layer"), "lacks layer"),
        (lambda record: record.update(version=2), "version 1"),
        (lambda record: record["layer"]["sizes"].update(K=0), "size K"),
        (lambda record: record["accelerator"].update(colour="red"), "colour"),
        (lambda record: record["accelerator"]["memories"][0].pop("keeps"), "memory 0: lacks keeps"),
        (lambda record: record["accelerator"]["memories"][1]["network"]["axes"][0].update(size=0), "at least 1"),
        (lambda record: record["mapping"]["temporal"].update(L9=[]), "L9"),
        (lambda record: record["mapping"]["temporal"].update(RF=[3]), "loops are lists"),
        (lambda record: record["assumptions"].pop("halo_merge"), "lacks halo_merge"),
        (lambda record: record["assumptions"].update(more=True), "more"),
    ],
)
def test_a_record_that_is_not_whole(change, part):
    content = json.loads(Record.of(LAYER, CHIP, MAPPING).write())
    change(content)
    with pytest.raises(InputError, match=part):
        Record.read(json.dumps(content), "saved.json")


@pytest.mark.parametrize("text", ["{", "[]", "3", '"text"'])
def test_text_that_is_no_record(text):
    with pytest.raises(InputError, match=r"saved\.json"):
        Record.read(text, "saved.json")


@pytest.mark.parametrize(
    "text", ["a: [", "!!python/object/apply:os.getcwd []", "--- 1\n--- 2", "!Unknown {a: 1}", "[" * 3000]
)
def test_yaml_that_is_refused(text):
    with pytest.raises(InputError, match=r"file\.yaml"):
        load(text, "file.yaml", ("Known",))


def test_names_that_would_be_one():
    memories = (
        Memory("DRAM", ("weights", "inputs", "outputs")),
        Memory("L 1", ("weights",), network=Network((Axis("L-1", 2, ("K",)),))),
        Memory("L_1", ("inputs",)),
    )
    with pytest.raises(InputError, match="L_1"):
        accelforge.architecture(Accelerator("chip", 1, (8, 8, 8), 1.0, memories))
