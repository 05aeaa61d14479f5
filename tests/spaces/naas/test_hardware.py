import itertools

import pytest

from coevo.errors import InputError
from coevo.hardware.accelerators.resizing import Resizable, load_resizable
from coevo.search.canonical import stream
from coevo.search.pick import Pick
from coevo.search.space import Space
from coevo.spaces.naas.hardware import Resources, Template, answers_of, build_hardware, check_resources
from coevo.spaces.naas.hardware.connectivity import ENCODINGS, LOOPS


@pytest.fixture(scope="module")
def template(small_chip):
    return Template.of(Resizable(small_chip, {}), energy_exponent=0.5)


def space_of(
    template: Template, encoding: str = "importance", connectivity: bool = True, loops_per_axis: int | str = 1
) -> Space:
    return Space("test/v1", lambda pick: build_hardware(pick, template, encoding, connectivity, loops_per_axis))


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
        assert 0.5 <= design.network_bytes_per_cycle <= 8
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
    assert parallel_loops(pick, "importance", 3) == (("Y",), ("C",), ("X",))


def test_an_axis_of_output_channels_takes_groups_too(template):
    for design in samples(space_of(template), 50):
        assert all(loops == (("K", "G") if "K" in loops else loops[:1]) for loops, _ in design.axes)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_several_loops_share_an_axis_and_one_may_run_along_two(encoding, template):
    designs = list(samples(space_of(template, encoding, True, 2), 2000))
    carried = [tuple(loop for loop in loops if loop != "G") for design in designs for loops, _ in design.axes]
    assert {frozenset(loops) for loops in carried} == {frozenset(pair) for pair in itertools.combinations(LOOPS, 2)}
    assert all(loops == tuple(sorted(loops, key=LOOPS.index)) for loops in carried)  # one chip has one spelling
    assert all(("G" in loops) == ("K" in loops) for design in designs for loops, _ in design.axes)
    pairs = [design.axes for design in designs if len(design.axes) == 2]
    assert any("K" in first and "K" in second for (first, _), (second, _) in pairs)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_eyeriss_is_among_the_designs_that_may_share_axes_as_it_does(encoding):
    template = Template.of(load_resizable("eyeriss"))
    space = space_of(template, encoding, True, "baseline")
    value = space.build(space.design(answers_of(template, encoding, True, "baseline")))
    for (mine, size), (baseline, own_size) in zip(value.axes, template.own_design().axes, strict=True):
        assert set(baseline) <= set(mine) and size == own_size
        assert len(set(mine) - {"G"}) == 3
    chips = {tuple(len(loops) for loops, _ in design.axes) for design in samples(space, 50)}
    assert all(3 <= count <= 4 for counts in chips for count in counts)


def test_an_exponent_scales_energies_and_leakage(template):
    own = template.own_design()
    larger = template.accelerator(type(own)(own.axes, {**own.sizes_bytes, "GLB": 4 * 4096}, 8.0))
    assert larger.memories[1].read_pj_per_bit[1] == pytest.approx(0.4 * 2)
    assert larger.memories[1].leakage_mw == pytest.approx(2.0)
    parted = template.accelerator(type(own)(own.axes, {**own.sizes_bytes, "PE.inputs": 64}, 8.0))
    assert parted.memories[2].read_pj_per_bit == pytest.approx((0.05, 0.05, 0.025))


def test_energies_follow_the_tables_of_the_file():
    template = Template.of(load_resizable("eyeriss"))
    own = template.own_design()
    assert template.accelerator(own, name="eyeriss").memories[2] == template.baseline.memories[2]
    larger = template.accelerator(type(own)(own.axes, {**own.sizes_bytes, "GLB": 2 * own.sizes_bytes["GLB"]}, None))
    assert larger.memories[1].read_pj_per_bit[1] > template.baseline.memories[1].read_pj_per_bit[1]


def test_a_register_grows_into_a_register_file_and_may_stay_what_it_is():
    template = Template.of(load_resizable("nvdla_256"))
    own = template.own_design()
    register = next(part for part in template.parts if part.key == "register")
    assert register.own_too and register.component == "register_file" and register.own_bytes == 2
    grown = template.accelerator(type(own)(own.axes, {**own.sizes_bytes, "register": 64}, None))
    assert grown.memories[-1].read_pj_per_bit[0] > 10 * template.baseline.memories[-1].read_pj_per_bit[0]
    sizes = {design.sizes_bytes["register"] for design in samples(space_of(template), 60)}
    assert 2 in sizes and len(sizes) > 5


def test_energies_that_do_not_say_how_they_change_are_refused(small_chip):
    with pytest.raises(InputError, match=r"energies of GLB are quantities.*energy_exponent"):
        Template.of(Resizable(small_chip, {}))


@pytest.mark.parametrize(
    "name", ["eyeriss", "nvdla_1024", "nvdla_256", "edge_tpu", "shidiannao", "simba_like", "tpu_like"]
)
def test_every_bundled_accelerator_is_a_baseline(name):
    template = Template.of(load_resizable(name))
    check_resources(template)
    for design in samples(space_of(template), 20):
        chip = template.accelerator(design)
        assert chip.mac_units <= template.resources.mac_units
        assert template.on_chip_bytes(design) == chip.on_chip_bytes <= template.resources.on_chip_bytes


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["eyeriss", "nvdla_1024", "edge_tpu", "shidiannao"])
def test_a_search_can_begin_with_the_baseline(name, encoding):
    template = Template.of(load_resizable(name))
    space = space_of(template, encoding)
    value = space.build(space.design(answers_of(template, encoding, True)))
    own = template.own_design()
    assert [size for _, size in value.axes] == [size for _, size in own.axes]
    assert [loops[0] for loops, _ in value.axes] == [loops[0] for loops, _ in own.axes]
    assert value.network_bytes_per_cycle == own.network_bytes_per_cycle
    for part in template.parts:
        assert abs(value.sizes_bytes[part.key] - part.own_bytes) <= max(16, 0.02 * part.own_bytes)


def test_resources_too_small_for_any_design_are_refused_with_what_is_short(small_chip):
    with pytest.raises(InputError, match=r"nothing fits into 60 bytes.* needs 112 \(GLB 16, PE.weights 32, .*52 more"):
        check_resources(Template.of(Resizable(small_chip, {}), Resources(24, 60, 8), 0.5))
    check_resources(Template.of(Resizable(small_chip, {}), Resources(24, 112, 8), 0.5))


def test_the_rate_of_a_network_without_a_limit_is_that_of_the_memory_above(small_chip):
    from dataclasses import replace

    memories = list(small_chip.memories)
    free = replace(memories[1].network, bytes_per_cycle=None)
    memories[1] = replace(memories[1], network=free, read_bytes_per_cycle=14.0, write_bytes_per_cycle=7.0)
    template = Template.of(Resizable(replace(small_chip, memories=tuple(memories)), {}), energy_exponent=0.5)
    assert template.resources.network_bytes_per_cycle == 14.0
    own = template.own_design()
    half = template.accelerator(replace(own, network_bytes_per_cycle=7.0)).memories[1]
    assert (half.read_bytes_per_cycle, half.write_bytes_per_cycle) == (7.0, 3.5)
    assert template.accelerator(own).memories[1] == replace(memories[1], network=half.network)


def test_a_baseline_without_an_array_is_refused(small_chip):
    from dataclasses import replace

    from coevo.hardware.accelerators import Network

    flat = replace(small_chip, memories=tuple(replace(memory, network=Network()) for memory in small_chip.memories))
    with pytest.raises(InputError, match="no array"):
        Template.of(Resizable(flat, {}), energy_exponent=0.5)
