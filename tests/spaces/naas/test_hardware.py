import itertools

import pytest

from coevo.errors import InputError
from coevo.search.canonical import stream
from coevo.search.pick import Pick
from coevo.search.space import Space
from coevo.spaces.naas.hardware import Resources, Template, build_hardware, check_resources
from coevo.spaces.naas.hardware.connectivity import ENCODINGS, LOOPS
from coevo.spaces.naas.hardware.resizing import exponent, points


@pytest.fixture(scope="module")
def template(small_chip):
    return Template.of(small_chip)


def space_of(template: Template, encoding: str = "importance", connectivity: bool = True) -> Space:
    return Space("test/v1", lambda pick: build_hardware(pick, template, encoding, connectivity))


def samples(space: Space, count: int):
    for index in range(count):
        yield space.build(space.sample(stream("test", index)))


def test_the_baseline_is_a_design_of_its_own_template(template, small_chip):
    own = template.own_design()
    chip = template.accelerator(own, name="small")
    assert chip.mac_units == small_chip.mac_units == 24
    assert chip.on_chip_bytes == small_chip.on_chip_bytes == template.on_chip_bytes(own) == 4096 + 24 * 96
    for before, after in zip(small_chip.memories, chip.memories, strict=True):
        assert after.read_pj_per_bit == pytest.approx(before.read_pj_per_bit)
        assert after.leakage_mw == pytest.approx(before.leakage_mw)
        assert after.network.fanout == before.network.fanout


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("connectivity", [True, False])
def test_every_design_is_within_the_resources(encoding, connectivity, template):
    for design in samples(space_of(template, encoding, connectivity), 200):
        chip = template.accelerator(design)
        assert chip.mac_units <= template.resources.mac_units
        assert template.on_chip_bytes(design) == chip.on_chip_bytes <= template.resources.on_chip_bytes
        assert 1 <= design.network_bytes_per_cycle <= 8
        assert all(size % 16 == 0 for size in design.sizes_bytes.values())
        assert all(size % 2 == 0 for _, size in design.axes)
        loops = [loops for loops, _ in design.axes]
        if connectivity:
            assert len(set(loops)) == len(loops) <= 3
        else:
            assert loops == [("R", "C"), ("Y", "K")]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_choice_of_parallel_loops_is_reached(encoding, template):
    seen = {tuple(loops[0] for loops, _ in design.axes) for design in samples(space_of(template, encoding), 3000)}
    pairs = {pair for pair in seen if len(pair) == 2}
    assert pairs == set(itertools.permutations(LOOPS, 2))


def test_importance_sorts_loops_and_settles_ties_by_their_order():
    from coevo.spaces.naas.hardware.connectivity import parallel_loops

    weights = {"C": 0.5, "K": 0.1, "Y": 0.9, "X": 0.5, "R": 0.2, "S": 0.0}
    pick = Pick(lambda name, question: weights[name.removeprefix("importance_")], {})
    assert parallel_loops(pick, "importance", 3) == ("Y", "C", "X")


def test_an_axis_of_input_channels_takes_the_channels_of_a_depthwise_convolution(template):
    for design in samples(space_of(template), 50):
        assert all(loops == (("C", "G") if "C" in loops else loops[:1]) for loops, _ in design.axes)


def test_energy_follows_the_line_through_the_baselines_own_memories(template, small_chip):
    known = sorted(set(points(small_chip)))
    assert known == [(16.0, 0.025), (64.0, 0.05), (4096.0, 0.4)]
    assert exponent(known) == pytest.approx(0.5, abs=0.01)
    own = template.own_design()
    larger = template.accelerator(type(own)(own.axes, {**own.sizes_bytes, "GLB": 4 * 4096}, 8))
    assert larger.memories[1].read_pj_per_bit[1] == pytest.approx(0.4 * 4**template.energy_exponent)
    assert larger.memories[1].leakage_mw == pytest.approx(2.0)


def test_memories_of_one_size_take_the_exponent_of_one_bank():
    assert exponent([(1024.0, 1.0)]) == 0.5
    assert exponent([(1024.0, 1.0), (2048.0, 0.5)]) == 0.0  # a larger memory is never cheaper


def test_resources_too_small_for_any_design_are_refused_with_what_is_short(small_chip):
    with pytest.raises(InputError, match=r"nothing fits into 60 bytes.* needs 112 \(GLB 16, PE.weights 32, .*52 more"):
        check_resources(Template.of(small_chip, Resources(24, 60, 8)))
    check_resources(Template.of(small_chip, Resources(24, 112, 8)))


def test_a_baseline_without_an_array_is_refused(small_chip):
    from dataclasses import replace

    from coevo.hardware.accelerators import Network

    flat = replace(small_chip, memories=tuple(replace(memory, network=Network()) for memory in small_chip.memories))
    with pytest.raises(InputError, match="no array"):
        Template.of(flat)
