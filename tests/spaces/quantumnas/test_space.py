"""The design space: conditional blocks, ordered layouts, the human design, its drawing."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from coevo.errors import InfeasibleSpace
from coevo.search.canonical import stream
from coevo.search.space import Violation
from coevo.spaces.quantumnas import CoDesign, problem
from coevo.spaces.quantumnas.devices import Coupling, coupling_of
from coevo.spaces.quantumnas.drawing import draw
from coevo.spaces.quantumnas.space import RING, full_width, make_space
from coevo.testing import check_space

QUITO = make_space(coupling_of("FakeQuitoV2"), 8)


def test_the_space_keeps_its_contract():
    report = check_space(QUITO, samples=60)
    assert report.rejection_rate == 0.0  # every layout of a 5-qubit device is near enough
    assert report.questions[0] >= 4 and report.questions[1] <= 18


def test_blocks_that_are_not_used_are_not_asked():
    for index in range(20):
        design = QUITO.sample(stream(0, "blocks", index))
        answers = dict(design.answers)
        assert len(answers) == 2 + 2 * answers["blocks"]
        assert len(QUITO.build(design).widths) == answers["blocks"]


def test_how_many_designs_there_are():
    small = make_space(coupling_of("FakeQuitoV2"), 1)
    count = small.count()
    assert count.exact and count.designs == 120 * 16


def test_gates_mask_and_parameters_agree():
    design = CoDesign((3, 1, 0, 4), ((2, 3), (1, 4)))
    assert [gate[:2] for gate in design.gates[:5]] == [
        ("u3", (0,)),
        ("u3", (1,)),
        ("cu3", (0, 1)),
        ("cu3", (1, 2)),
        ("cu3", (2, 3)),
    ]
    assert design.gates[-1] == ("cu3", (3, 0), (1, 1, 3))
    assert design.parameters == 30 == 3 * len(design.gates) == 3 * int(design.mask().sum())
    assert all(design.mask()[place] == 1 for _, _, place in design.gates)
    assert RING == ((0, 1), (1, 2), (2, 3), (3, 0))


@pytest.mark.parametrize("parameters", [3, 12, 15, 24, 36, 39, 192])
def test_the_human_design_has_exactly_the_parameters(parameters):
    design = full_width(parameters, (0, 1, 2, 3))
    assert design.parameters == parameters
    assert all(widths == (4, 4) for widths in design.widths[:-1])


def test_scattered_layouts_are_refused_by_an_amount_and_climbed_out_of():
    large = problem(device="FakeMontrealV2").space
    for index in range(5):
        large.sample(stream(0, "montreal", index))
    far = make_space(Coupling(16, tuple((qubit, qubit + 1) for qubit in range(15))), 1)
    refused = far._check(CoDesign((0, 15, 1, 14), ((1, 1),)))
    assert isinstance(refused, Violation) and refused.amount == 15 + 14 + 13 + 14 - 12
    apart = make_space(Coupling(4, ((0, 1), (2, 3))), 1)
    with pytest.raises(InfeasibleSpace, match="couplings long"):
        apart.sample(stream(0, "apart", 0))


@pytest.mark.parametrize("widths", [((1, 1),), ((4, 4),) * 8, ((4, 0), (0, 2))])
def test_a_drawing_is_wholesome_and_always_the_same(widths):
    design = CoDesign((2, 1, 0, 4), widths)
    picture = draw(design)
    assert picture == draw(design)
    root = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    texts = [element.text for element in root.iter(f"{space}text")]
    assert texts.count("U3") == len(design.gates)
    assert {"qubit 2", "qubit 4", "encoder"} <= set(texts)
    width = float(root.attrib["width"])
    assert all(float(element.attrib["x"]) <= width for element in root.iter(f"{space}text"))
    assert not list(root.iter(f"{space}style"))
    assert np.isfinite(width)
