"""The design space: conditional blocks, ordered layouts, seven gate sets, designs that nobody searched for."""

from __future__ import annotations

from itertools import pairwise, permutations
from xml.etree import ElementTree

import numpy as np
import pytest

from coevo.errors import InfeasibleSpace, InputError
from coevo.search.canonical import stream
from coevo.search.design import Origin
from coevo.search.space import Violation
from coevo.search.variation import Variation
from coevo.spaces.quantumnas import CoDesign, Options, problem
from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS
from coevo.spaces.quantumnas.ansatz.human import full_width, random_layers
from coevo.spaces.quantumnas.ansatz.space import make_space
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.export.drawing import draw
from coevo.spaces.quantumnas.mapping.couplings import Coupling, coupling_of
from coevo.spaces.quantumnas.setting import Setting
from coevo.testing import check_space

QUITO = coupling_of("FakeQuitoV2")
LINE = Coupling(16, tuple((qubit, qubit + 1) for qubit in range(15)))
RING = ((0, 1), (1, 2), (2, 3), (3, 0))


def template_of(name, blocks=None, widths="front", n_qubits=4, **more):
    gate_set = GATE_SETS[name]
    return Template(gate_set, n_qubits, blocks or gate_set.blocks(widths), widths, **more)


def co_design(layout, *widths):
    """Front shares of every layer."""
    return CoDesign(layout, tuple(tuple(range(width)) for width in widths))


@pytest.mark.parametrize("name", GATE_SETS)
@pytest.mark.parametrize("widths", ["front", "arbitrary"])
def test_every_space_keeps_its_contract(name, widths):
    space = make_space(template_of(name, widths=widths), QUITO)
    report = check_space(space, samples=25)
    assert report.rejection_rate == 0.0 or name == "native"  # every layout of a 5-qubit device is near enough


# Section 1.1 of the facts: gates a layer at full width on 4 qubits, and trained angles of the whole SuperCircuit.
@pytest.mark.parametrize(
    ("name", "widths", "layers", "angles"),
    [
        ("u3cu3", "front", [4, 4], 192),
        ("zzry", "front", [4, 4], 64),
        ("rxyz", "front", [4, 4, 4, 3], 96),
        ("zxxx", "front", [4, 4], 64),
        ("rxyzu1cu3", "front", [4] * 11, 112),
        ("ibmq", "front", [4] * 6, 96),
        ("ibmq", "arbitrary", [4] * 6, 240),
    ],
)
def test_the_papers_spaces_have_the_papers_sizes(name, widths, layers, angles):
    template = template_of(name, widths=widths)
    block = template.block_layers[: len(template.gate_set.block)]
    assert [len(entry.places) for entry in block] == layers
    whole = tuple(tuple(range(len(entry.places))) for entry in template.block_layers)
    assert template.parameters(whole) == angles
    assert template.actives_of_genes([[options[-1] for options in template.gene_choices]]).all()


def test_the_order_of_gates():
    pairs = [place for _, place, _ in template_of("u3cu3", 1).gates[4:]]
    assert tuple(pairs) == RING
    alternating = [qubits for gate, qubits, _ in template_of("rxyz", 1).gates if gate == "cz"]
    assert alternating == [(0, 1), (2, 3), (1, 2)]
    prologue = template_of("rxyz", 1)
    assert [gate[0] for gate in prologue.gates[:4]] == ["ry"] * 4
    assert prologue.constants[:4] == pytest.approx(np.pi / 4) and np.isnan(prologue.constants[4:]).all()
    assert [layer.gate for layer in GATE_SETS["rxyzu1cu3"].block] == [
        "rx", "s", "cx", "ry", "t", "swap", "rz", "t", "sqrtswap", "u1", "cu3",
    ]  # fmt: skip


def test_the_artifacts_depth_cuts_the_last_layer():
    ours, theirs = template_of("rxyz"), template_of("rxyz", artifact_depth=True)
    assert len(ours.used_layers(8)) == 32 and len(theirs.used_layers(8)) == 31
    gene = [[options[-1] for options in theirs.gene_choices]]
    assert ours.actives_of_genes(gene).sum() - theirs.actives_of_genes(gene).sum() == 3  # the last CZ layer


def test_blocks_that_are_not_used_are_not_asked():
    space = make_space(template_of("u3cu3"), QUITO)
    for index in range(20):
        design = space.sample(stream(0, "blocks", index))
        answers = dict(design.answers)
        assert len(answers) == 2 + 2 * answers["blocks"]
        assert len(space.build(design).layers) == 2 * answers["blocks"]


@pytest.mark.parametrize(
    ("name", "widths", "circuits"), [("u3cu3", "front", 16), ("rxyz", "front", 64 * 3), ("zzry", "arbitrary", 225)]
)
def test_how_many_designs_there_are(name, widths, circuits):
    count = make_space(template_of(name, 1, widths), QUITO).count()
    assert count.exact and count.designs == 120 * circuits


def test_a_native_circuit_uses_the_devices_couplings_alone():
    template = template_of("native")
    space = make_space(template, QUITO)
    coupled = {frozenset(edge) for edge in QUITO.edges}
    seen = set()
    for index in range(30):
        design = space.build(space.sample(stream(0, "native", index)))
        assert len(QUITO.parts(design.layout)) == 1
        pairs = [qubits for gate, qubits, _ in template.gates_of(design.layers) if gate == "cz"]
        assert all(frozenset(design.layout[qubit] for qubit in pair) in coupled for pair in pairs)
        seen |= set(pairs)
    assert len(seen) == 6  # any pair of logical qubits may lie on a coupling


def test_searching_one_side_alone():
    template = template_of("u3cu3", 2)
    circuits = make_space(template, QUITO, fixed_layout=(3, 1, 0, 4))
    assert circuits.build(circuits.sample(stream(0, "a", 0))).layout == (3, 1, 0, 4)
    assert circuits.count().designs == 16 + 16**2
    qiskits = make_space(template, QUITO, fixed_layout="qiskit")
    assert qiskits.build(qiskits.sample(stream(0, "a", 0))).layout is None
    layers = co_design(None, 4, 3).layers
    mappings = make_space(template, QUITO, fixed_layers=layers)
    assert mappings.count().designs == 120
    assert mappings.build(mappings.sample(stream(0, "a", 0))).layers == layers
    chosen = make_space(template, LINE, qubits=(4, 5, 6, 7), fixed_layers=layers)
    assert chosen.count().designs == 24


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"fixed_layout": (0, 1, 2, 16)}, "'layout' names qubit 16; the device has qubits 0 to 15"),
        ({"fixed_layout": (0, 1, 2)}, "'layout' names 3 qubits; the task needs exactly 4"),
        ({"fixed_layout": (0, 1, 1, 2)}, "'layout' names a qubit twice"),
        ({"qubits": (0, 1, 2)}, "'qubits' names 3 qubits; the task needs 4"),
        ({"qubits": (0, 1, 4, 5)}, r"disconnected.*largest part has 2 qubits.*\[0, 1\]; \[4, 5\]"),
        ({"fixed_layers": ((0, 4),)}, "block0.u3 has places 0 to 3, got 4"),
    ],
)
def test_wrong_places_are_refused(arguments, says):
    with pytest.raises(InputError, match=says):
        make_space(template_of("u3cu3", 2), LINE, **arguments)


def test_a_disconnected_device_is_refused_only_where_the_task_does_not_fit():
    apart = Coupling(4, ((0, 1), (2, 3)))
    with pytest.raises(InputError, match="coupling map is disconnected"):
        make_space(template_of("u3cu3", 1), apart)
    with pytest.raises(InputError, match="which no chain of the device's couplings joins"):
        make_space(template_of("u3cu3", 1), apart, fixed_layout=(0, 1, 2, 3))
    larger = Coupling(8, ((0, 1), (1, 2), (2, 3), (4, 5)))
    space = make_space(template_of("u3cu3", 1), larger)
    for index in range(5):
        assert set(space.build(space.sample(stream(0, "part", index))).layout) == {0, 1, 2, 3}


def test_scattered_layouts_are_refused_by_an_amount_and_climbed_out_of():
    large = problem(device="FakeMontrealV2").space
    for index in range(5):
        large.sample(stream(0, "montreal", index))
    far = make_space(template_of("u3cu3", 1), LINE)
    refused = far._check(co_design((0, 15, 1, 14), 1, 1))
    assert isinstance(refused, Violation) and refused.amount == 15 + 14 + 13 + 14 - 12
    tight = make_space(template_of("native", 1), Coupling(6, ((0, 1), (2, 3), (4, 5), (1, 2))))
    assert isinstance(tight._check(CoDesign((0, 1, 2, 4), ())), Violation)
    with pytest.raises(InfeasibleSpace):
        nothing = make_space(template_of("u3cu3", 1), LINE)
        nothing._check = lambda design: "never"
        nothing.sample(stream(0, "never", 0))


def test_layouts_on_a_large_device_lie_around_a_centre():
    """Six qubits among 133: drawn from the whole device they would never be near one another."""
    made = problem(data="lih", device="FakeTorino")
    layouts = {made.space.build(made.space.sample(stream(0, "torino", index))).layout for index in range(30)}
    assert len(layouts) == 30 and max(map(max, layouts)) > 100 and min(map(min, layouts)) < 30
    distances = coupling_of("FakeTorino").distances()
    assert max(distances[a][b] for layout in layouts for a in layout for b in layout) <= 10


@pytest.mark.parametrize("device", ["FakeCairoV2", "FakeTorino"])
def test_native_layouts_grow_along_the_couplings_of_a_large_device(device):
    """Ten qubits among 27 or 133: connected by the way they are asked for, and none is refused."""
    space, coupling = problem(data="mnist10", device=device, gates="native", max_blocks=1).space, coupling_of(device)
    near = coupling.neighbours(range(coupling.num_qubits))
    assert space.id == "quantumnas/native-grown/v1" and space._check is None
    drawn = [space.sample(stream(0, "grown", index)) for index in range(40)]
    layouts = {space.build(design).layout for design in drawn}
    assert len(layouts) > 30
    for layout in layouts:
        assert len(set(layout)) == 10
        assert all(set(near[qubit]) & set(layout[:place]) for place, qubit in enumerate(layout) if place)
    assert len({layout[0] for layout in layouts}) > 10
    # Changed or crossed, a layout stays connected, and most of it stays.
    for first, second in pairwise(drawn):
        child = space.build(space.child(stream(1, first.key), Variation(), first, second, Origin("crossover")))
        assert len(coupling.parts(child.layout)) == 1


def test_every_grown_layout_is_asked_for_once_and_within_the_given_qubits():
    line = Coupling(30, tuple((q, q + 1) for q in range(29) if q != 9))  # ten qubits and twenty
    whole = make_space(template_of("native", 1, n_qubits=12), line)
    assert {whole.build(whole.sample(stream(0, "b", index))).layout[0] for index in range(60)} <= set(range(10, 30))
    line = Coupling(20, tuple((q, q + 1) for q in range(19)))
    space = make_space(template_of("native", 1, n_qubits=3), line, qubits=tuple(range(17)), fixed_layers=((0,), ()))
    layouts = [space.build(grown.design).layout for grown in space.enumerate()]
    wanted = {
        order for order in permutations(range(17), 3)
        if abs(order[0] - order[1]) == 1 and 1 in (abs(order[2] - order[0]), abs(order[2] - order[1]))
    }  # fmt: skip
    assert len(layouts) == len(set(layouts)) and set(layouts) == wanted


def test_an_unconnected_native_layout_is_refused_by_the_couplings_it_lacks():
    line = Coupling(12, tuple((q, q + 1) for q in range(11)))
    check = make_space(template_of("native", 1), line)._check
    amounts = [check(CoDesign((0, 1, 2, far), ())).amount for far in (11, 8, 4)]
    assert amounts == [8, 5, 1] and check(CoDesign((0, 1, 2, 3), ())) is None
    assert check(CoDesign((0, 2, 4, 6), ())).amount == 3


@pytest.mark.parametrize("parameters", [3, 12, 15, 24, 36, 39, 192])
def test_the_human_design_has_exactly_the_parameters(parameters):
    template = template_of("u3cu3")
    layers = full_width(template, parameters)
    assert template.parameters(layers) == parameters
    assert all(len(places) == 4 for places in layers[:-1])


@pytest.mark.parametrize(("name", "budget"), [("rxyz", 26), ("zxxx", 15), ("rxyzu1cu3", 17), ("zzry", 7)])
def test_human_and_random_designs_of_other_sets(name, budget):
    template = template_of(name)
    assert template.parameters(full_width(template, budget)) == budget
    first, second = (random_layers(template, budget, np.random.default_rng(seed)) for seed in (0, 1))
    assert template.parameters(first) == template.parameters(second) == budget
    assert first != second


def test_a_budget_below_one_gate_is_refused():
    with pytest.raises(InputError, match="a budget of 2 parameters is less than one gate's"):
        full_width(template_of("u3cu3"), 2)


def test_genes_and_layers_say_the_same():
    for name, widths in (("rxyz", "front"), ("ibmq", "arbitrary"), ("native", "front")):
        template = template_of(name, 2, widths)
        rng = np.random.default_rng(0)
        for _ in range(5):
            gene = [int(rng.choice(options)) for options in template.gene_choices]
            active = template.actives_of_genes([gene])[0]
            layers = tuple(
                tuple(np.flatnonzero(active[entry.first : entry.first + len(entry.places)]).tolist())
                for entry in template.block_layers
            )
            assert np.array_equal(template.active(layers), active)


def test_sizes_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="entangles pairs"):
        template_of("u3cu3", 1, n_qubits=1)
    with pytest.raises(InputError, match="every subset of a layer"):
        template_of("u3cu3", 1, "arbitrary", 14)


@pytest.mark.parametrize("name", GATE_SETS)
def test_a_drawing_is_wholesome_and_always_the_same(name):
    setting = Setting.make(Options(gates=name))
    space = make_space(setting.template, setting.coupling)
    for index in range(3):
        design = space.build(space.sample(stream(0, "draw", index)))
        picture = draw(setting, design)
        assert picture == draw(setting, design)
        root = ElementTree.fromstring(picture)
        name_space = "{http://www.w3.org/2000/svg}"
        texts = [element.text for element in root.iter(f"{name_space}text")]
        assert {f"qubit {design.layout[0]}", "encoder"} <= set(texts)
        gates = sum(
            1 if len(qubits) == 1 or gate in ("cu3", "cx", "cz") else 2
            for gate, qubits, _ in setting.template.gates_of(design.layers)
        )
        boxes = [element for element in root.iter(f"{name_space}rect") if element.attrib.get("rx") == "4"]
        assert len(boxes) == 16 + gates + 4
        width = float(root.attrib["width"])
        assert all(float(element.attrib["x"]) <= width for element in root.iter(f"{name_space}text"))
        assert not list(root.iter(f"{name_space}style"))
