"""Spaces: replay, repair, climbing, refusal, enumeration and counting."""

import json
import math
import subprocess
import sys
from collections import Counter

import pytest

from coevo import Design, Pick, Space, Violation
from coevo.errors import InfeasibleSpace, InputError, SpaceError
from coevo.search.canonical import stream
from coevo.search.design import Origin
from coevo.search.variation import Variation
from coevo.testing import check_space


def network(pick: Pick):
    depth = pick.integer("depth", 1, 4)
    blocks = []
    for i in range(depth):
        kind = pick.one(f"kind{i}", ("conv", "attention", "skip"))
        width = pick.one(f"width{i}", (16, 32, 64)) if kind != "skip" else 0
        blocks.append((kind, width))
    layout = pick.order("layout", range(6), depth)
    rate = pick.real("rate", 1e-4, 1e-1, log=True) if depth > 2 else 0.0
    return blocks, layout, rate


NETWORK = Space("network/v1", network)


def narrow(blocks_layout_rate):
    width = sum(width for _, width in blocks_layout_rate[0])
    return None if width <= 64 else Violation(f"{width} channels are over 64", width - 64)


def child_of(space, mother, father, *seed):
    return space.child(stream(*seed), Variation(), mother, father, Origin("test"))


def test_the_network_space_keeps_the_contract():
    report = check_space(NETWORK)
    assert report.rejection_rate == 0 and report.distinct > 80
    assert check_space(Space("network/v1", network, narrow)).rejection_rate > 0.2


def test_a_design_holds_what_was_asked_and_nothing_else():
    for i in range(100):
        design = NETWORK.sample(stream(0, i))
        blocks, layout, _rate = NETWORK.build(design)
        names = [name for name, _ in design.answers]
        assert len([name for name in names if name.startswith("kind")]) == len(blocks)
        assert len([name for name in names if name.startswith("width")]) == sum(kind != "skip" for kind, _ in blocks)
        assert ("rate" in names) == (len(blocks) > 2)
        assert len(layout) == len(blocks)


def test_children_of_unlike_parents_are_repaired_by_drawing_anew():
    depths = Counter()
    for i in range(500):
        mother, father = NETWORK.sample(stream(1, i)), NETWORK.sample(stream(2, i))
        child = child_of(NETWORK, mother, father, 3, i)
        blocks, layout, _ = NETWORK.build(child)
        assert len(set(layout)) == len(blocks)
        depths[len(blocks)] += 1
    assert set(depths) == {1, 2, 3, 4}


def test_a_child_keeps_most_of_what_its_parents_agree_on():
    space = Space("wide/v1", lambda pick: [pick.one(f"c{i}", range(5)) for i in range(50)])
    for i in range(100):
        mother, father = space.sample(stream(4, i)), space.sample(stream(5, i))
        child = dict(child_of(space, mother, father, 6, i).answers)
        a, b = dict(mother.answers), dict(father.answers)
        assert sum(child[name] in (a[name], b[name]) for name in a) >= 43
        mutant = dict(child_of(space, mother, None, 7, i).answers)
        assert 1 <= sum(mutant[name] != a[name] for name in a) <= 8


def test_a_rejection_inside_build_is_a_refusal():
    def build(pick):
        a = pick.integer("a", 0, 9)
        if a % 2:
            pick.reject("odd")
        return a, pick.integer("b", 0, 9)

    space = Space("even/v1", build)
    assert all(space.build(space.sample(stream(0, i)))[0] % 2 == 0 for i in range(50))
    assert len(list(space.enumerate())) == 50


def test_sampling_climbs_on_the_violation_amount():
    space = Space(
        "tight/v1",
        lambda pick: [pick.integer(f"i{k}", 0, 99) for k in range(10)],
        lambda row: None if sum(row) <= 100 else Violation("too much", sum(row) - 100),
    )
    designs = {space.sample(stream(0, i)).key for i in range(20)}
    assert len(designs) == 20


def test_a_space_with_nothing_valid_ends_with_the_counts_of_the_reasons():
    def check(value):
        return f"{value} is even" if value % 2 == 0 else f"{value} is odd"

    space = Space("nothing/v1", lambda pick: pick.integer("a", 0, 99), check)
    with pytest.raises(InfeasibleSpace, match=r"none of 2000 designs was valid.*# is (even|odd)") as caught:
        space.sample(stream(0))
    assert set(caught.value.reasons) == {"# is even", "# is odd"}
    assert sum(caught.value.reasons.values()) == 2000


def test_climbing_gives_up_where_nothing_is_valid():
    space = Space("never/v1", lambda pick: pick.integer("a", 0, 9), lambda value: Violation("no", 1 + value))
    with pytest.raises(InfeasibleSpace):
        space.sample(stream(0))


def test_enumeration_walks_every_leaf_once():
    def build(pick):
        kind = pick.one("kind", ("a", "b"))
        return (kind, pick.some("s", range(4), 2)) if kind == "a" else (kind, pick.order("o", range(3)))

    values = [grown.value for grown in Space("leaves/v1", build).enumerate()]
    assert len(values) == len(set(values)) == 6 + 6


def test_counting_is_exact_where_it_can_be():
    space = Space(
        "binary/v1",
        lambda pick: [pick.one(f"b{i}", (0, 1)) for i in range(12)],
        lambda row: "no" if sum(row) % 2 else None,
    )
    count = space.count()
    assert count.exact and count.designs == 2**11 and count.valid_share == 0.5


def test_counting_beyond_the_bound_gives_an_interval_that_holds_the_truth():
    space = Space("digits/v1", lambda pick: [pick.integer(f"d{i}", 0, 9) for i in range(pick.integer("n", 1, 7))])
    truth = sum(10**n for n in range(1, 8))
    counts = [space.count(bound=1000, dives=400, seed=seed) for seed in range(40)]
    assert sum(count.low <= truth <= count.high for count in counts) >= 33
    assert not any(count.exact for count in counts) and max(count.high for count in counts) < 2 * truth
    assert "95 % interval" in str(counts[0])


def test_a_real_number_has_no_end_of_designs():
    count = NETWORK.count()
    assert count.designs == math.inf and count.reals == 1
    with pytest.raises(SpaceError, match="'rate' has no end of values"):
        list(NETWORK.enumerate())


def test_keys_are_the_same_in_every_process():
    script = "from coevo import Design; print(Design('s/v1', [('a', 1), ('b', (1, 'x', None, True)), ('c', 0.1)]).key)"
    keys = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "random")
    }
    assert keys == {"b1c97c6c1ec19a4d63b708199b0f2edc\n"}


def test_the_key_depends_on_space_names_answers_and_order():
    base = Design("s/v1", [("a", 1), ("b", 2)])
    others = [
        Design("s/v2", [("a", 1), ("b", 2)]),
        Design("s/v1", [("a", 1), ("c", 2)]),
        Design("s/v1", [("a", True), ("b", 2)]),
        Design("s/v1", [("b", 2), ("a", 1)]),
        Design("s/v1", [("a", 1)]),
    ]
    assert len({design.key for design in [base, *others]}) == 6
    assert Design("s/v1", [("a", 1), ("b", 2)], Origin("sample")) == base


def test_equal_numbers_have_one_key():
    space = Space("real/v1", lambda pick: pick.real("x", -1.0, 1.0))
    assert space.design({"x": 1}).key == space.design({"x": 1.0}).key
    assert space.design({"x": 0.0}).key == space.design({"x": -0.0}).key


def test_json_brings_a_design_back_and_shows_tampering():
    design = NETWORK.sample(stream(9))
    data = json.loads(json.dumps(design.to_json()))
    assert Design.from_json(data) == design
    data["answers"][0][1] = 4 if data["answers"][0][1] != 4 else 3
    with pytest.raises(InputError, match="it was altered"):
        Design.from_json(data)
    with pytest.raises(InputError, match="expected a design as"):
        Design.from_json({"space": "s/v1"})


def test_a_design_cannot_be_changed():
    with pytest.raises(AttributeError, match="frozen"):
        Design("s/v1", []).space = "t/v1"


def test_designs_of_other_spaces_and_versions_are_refused():
    design = NETWORK.sample(stream(10))
    with pytest.raises(SpaceError, match="belongs to space 'network/v1', not to 'other/v1'"):
        Space("other/v1", network).build(design)
    changed = Space("network/v1", lambda pick: pick.one("depth", ("shallow", "deep")))
    with pytest.raises(SpaceError, match="is none that the space offers"):
        changed.build(design)
    with pytest.raises(SpaceError, match="which was not asked"):
        Space("network/v1", lambda pick: pick.integer("depth", 1, 4)).build(design)
    with pytest.raises(SpaceError, match="has no answer for 'new'"):
        Space("network/v1", lambda pick: pick.one("new", (1, 2))).build(design)


def test_build_gives_every_caller_a_value_of_its_own():
    space = Space("list/v1", lambda pick: [pick.integer("a", 0, 9)])
    design = space.sample(stream(0))
    first = space.build(design)
    first.append("spoilt")
    assert len(space.build(design)) == 1


def test_options_that_change_between_builds_are_read_anew():
    def build(pick):
        n = pick.integer("n", 1, 3)
        options = [f"{n}-{i}" for i in range(n)]
        return pick.one("choice", options)

    space = Space("dynamic/v1", build)
    assert {grown.value for grown in space.enumerate()} == {"1-0", "2-0", "2-1", "3-0", "3-1", "3-2"}
    check_space(space)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda pick: (pick.one("a", (1, 2)), pick.one("a", (1, 2))), "space 'bad/v1': the name 'a' was asked twice"),
        (lambda pick: pick.one("a", {1, 2}), "space 'bad/v1': one\\('a'\\): the options are a set"),
        (lambda pick: pick.one("", (1, 2)), "a question's name must be a text that is not empty"),
        (lambda pick: pick.one(3, (1, 2)), "a question's name must be a text"),
    ],
)
def test_a_space_that_breaks_the_rules_is_named(build, message):
    with pytest.raises(SpaceError, match=message):
        Space("bad/v1", build).sample(stream(0))


def test_a_check_that_returns_something_else_is_named():
    with pytest.raises(SpaceError, match=r"check must return None, a reason .* got False"):
        Space("bad/v1", lambda pick: 1, lambda value: False).sample(stream(0))


def test_the_conformance_kit_catches_what_it_promises_to():
    state = iter(range(10**9))
    unstable = {
        "build\\(\\) asks differently|has no answer|is none that": lambda pick: pick.one(f"a{next(state) % 7}", (1, 2)),
        "different values for the same answers": lambda pick: (pick.one("a", (1, 2)), next(state)),
    }
    for message, build in unstable.items():
        with pytest.raises((AssertionError, SpaceError), match=message):
            check_space(Space("unstable/v1", build))
    with pytest.raises(AssertionError, match="carries no version"):
        check_space(Space("plain", network))
