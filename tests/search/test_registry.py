"""Problems by name: what is found, what is refused, and in which words."""

import dataclasses
import sys
import textwrap

import pytest

from coevo.errors import ConfigError, InputError, MissingExtra, UnknownName
from coevo.search.options import Option
from coevo.search.registry import load_attribute, load_problem, options_of, problem_names

SPACES = """
    from typing import Literal
    from pydantic import BaseModel, Field, model_validator
    from coevo.errors import ConfigError
    from coevo.search.evaluator import FunctionEvaluator
    from coevo.search.problem import Problem, Stage
    from coevo.search.space import Space

    def made(**options):
        space = Space("mine/v1", lambda pick: pick.integer("i", 0, 9))
        return Problem("mine", space, [Stage("full", FunctionEvaluator(len, {"x": ""}))], {"x": "max"}, **options)

    ready = made()

    def plain(depth: int, width: Literal["narrow", "wide"] = "wide", *, seed=0):
        return made(description=f"{depth} {width} {seed}")

    def open_ended(**options):
        return made(description=str(sorted(options)))

    def recording(depth=1):
        return made(options={"depth": depth, "data": "all"})

    class Noise(BaseModel, extra="forbid"):
        level: float = 0.0

    class Options(BaseModel):
        gates: Literal["u3cu3", "zzry"] = Field("u3cu3", description="the gate set")
        blocks: int = Field(ge=1, le=9)
        noise: Noise | None = None
        names: list[str] = []

        @model_validator(mode="after")
        def check(self):
            if self.blocks == 7:
                raise ValueError("7 blocks bring bad luck")
            return self

    def modelled(**options):
        return made(description=repr(options))

    modelled.options_model = Options

    def refusing(depth=1):
        raise ConfigError("depth is odd")

    def failing(depth=1):
        raise KeyError("layout")

    def nothing():
        return {}

    number = 3
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install(distribution, {name: place}, module=source): a package with entry points on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(distribution, entries, **modules):
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = "".join(f"{name} = {place}\n" for name, place in entries.items())
        (info / "entry_points.txt").write_text(f"[coevo.spaces]\n{lines}")

    yield write
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


@pytest.fixture
def mine(install):
    names = "ready plain open_ended recording modelled refusing failing nothing number"
    install("mine", {name: f"mine_spaces:{name}" for name in names.split()}, mine_spaces=SPACES)


def refusal(kind, name, options=None):
    with pytest.raises(kind) as caught:
        load_problem(name, options)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.usefixtures("mine")
def test_installed_problems_are_listed_and_loaded():
    assert problem_names()["plain"] == "mine_spaces:plain"
    assert load_problem("plain", {"depth": 2, "seed": 5}).description == "2 wide 5"
    assert load_problem("mine_spaces:plain", {"depth": 1}).description == "1 wide 0"
    assert load_problem("open_ended", {"anything": 1}).description == "['anything']"
    assert load_problem("ready").name == "mine"
    assert "nearly" not in problem_names()
    said = refusal(UnknownName, "plane")
    assert said.startswith("unknown problem 'plane'. Did you mean 'plain'? Offered: ")


@pytest.mark.usefixtures("mine")
def test_a_loaded_problem_says_how_a_worker_makes_it_again():
    for name, options in (("plain", {"depth": 2}), ("mine_spaces:plain", {"depth": 2}), ("ready", {})):
        problem = load_problem(name, options)
        assert (problem.loaded_as, problem.options) == (name, options)
        again = load_problem(problem.loaded_as, problem.options)
        assert again.description == problem.description
    assert load_problem("recording", {"depth": 3}).options == {"depth": 3, "data": "all"}, "its own record stands"


@pytest.mark.usefixtures("mine")
def test_options_of_a_plain_function_are_those_of_its_signature():
    assert refusal(UnknownName, "plain", {"depht": 3}) == (
        "unknown option 'depht' in problem 'plain'. Did you mean 'depth'? Offered: depth, seed, width."
    )
    assert refusal(ConfigError, "plain") == "problem 'plain': the option 'depth' is missing; it has no default"
    assert refusal(UnknownName, "ready", {"depth": 3}) == ("unknown option 'depth' in problem 'ready'. Offered: none.")


@pytest.mark.usefixtures("mine")
def test_options_of_a_model_are_validated_by_it():
    assert load_problem("modelled", {"blocks": 2, "noise": {"level": 0.5}}).description == (
        "{'gates': 'u3cu3', 'blocks': 2, 'noise': Noise(level=0.5), 'names': []}"
    )
    assert refusal(UnknownName, "modelled", {"blocks": 2, "gate": "zzry"}) == (
        "unknown option 'gate' in problem 'modelled'. Did you mean 'gates'? Offered: blocks, gates, names, noise."
    )
    assert refusal(UnknownName, "modelled", {"blocks": 2, "noise": {"leval": 1.0}}) == (
        "unknown option 'leval' in noise of problem 'modelled'. Did you mean 'level'? Offered: level."
    )
    assert refusal(ConfigError, "modelled", {"gates": "zzyr"}) == (
        "problem 'modelled', option 'gates': expected 'u3cu3' or 'zzry', got 'zzyr'\n"
        "problem 'modelled': the option 'blocks' is missing; it has no default"
    )
    assert refusal(ConfigError, "modelled", {"blocks": 0}) == (
        "problem 'modelled', option 'blocks': expected greater than or equal to 1, got 0"
    )
    assert refusal(ConfigError, "modelled", {"blocks": 7}) == "problem 'modelled': 7 blocks bring bad luck"
    assert "option 'names.1': expected a valid string, got 4" in refusal(
        ConfigError, "modelled", {"blocks": 1, "names": ["a", 4]}
    )


@pytest.mark.usefixtures("mine")
def test_options_are_described():
    assert options_of("plain") == [
        Option("depth", "int", required=True),
        Option("width", "'narrow' | 'wide'", "wide"),
        Option("seed", "", 0),
    ]
    assert options_of("modelled") == [
        Option("gates", "'u3cu3' | 'zzry'", "u3cu3", description="the gate set"),
        Option("blocks", "int", required=True),
        Option("noise", "Noise | None"),
        Option("names", "list[str]", []),
    ]
    assert options_of("ready") == options_of("open_ended") == options_of("nothing") == []
    assert dataclasses.asdict(options_of("plain")[0])["name"] == "depth"
    with pytest.raises(UnknownName):
        options_of("plane")


@pytest.mark.usefixtures("mine")
def test_what_a_problem_raises_and_returns_is_told():
    assert refusal(ConfigError, "refusing") == "depth is odd"
    assert refusal(ConfigError, "failing") == "problem 'failing' cannot be made: KeyError: 'layout'"
    expected = "expected a Problem, or a function that makes one from its options"
    assert refusal(ConfigError, "nothing") == f"problem 'nothing': {expected}, got dict"
    assert refusal(ConfigError, "number") == f"problem 'number': {expected}, got int"
    assert refusal(ConfigError, 7) == "problem: expected a name, got 7"


def test_a_broken_package_is_named(install):
    install(
        "broken",
        {
            "absent": "not_there.spaces:problem",
            "needing": "broken_needing:problem",
            "wrong": "broken_wrong:problem",
            "extra": "broken_extra:problem",
            "renamed": "broken_fine:problem",
        },
        broken_needing="import surely_not_installed",
        broken_wrong="1 / 0",
        broken_extra="from coevo.errors import missing_extra\nraise missing_extra('torch', 'quantum')",
        broken_fine="def problems(): ...",
    )
    assert refusal(ConfigError, "absent") == (
        "problem 'absent' cannot be loaded: 'not_there.spaces:problem': no module 'not_there'. "
        "Is its package installed, or its folder on PYTHONPATH?"
    )
    assert refusal(ConfigError, "needing") == (
        "problem 'needing' cannot be loaded: 'broken_needing:problem' cannot be imported: "
        "ModuleNotFoundError: No module named 'surely_not_installed'"
    )
    assert refusal(ConfigError, "wrong").endswith("cannot be imported: ZeroDivisionError: division by zero")
    assert refusal(MissingExtra, "extra").startswith("torch is not installed")
    assert "Did you mean 'problems'" in refusal(UnknownName, "renamed")


def test_a_name_offered_twice_must_be_said_in_full(install):
    install("one", {"same": "same_a:problem", "shared": "same_a:problem"}, same_a=SPACES + "\n    problem = ready\n")
    install("two", {"same": "same_b:problem", "shared": "same_a:problem"}, same_b="problem = 1")
    assert load_problem("shared").name == "mine", "the same place seen twice is one problem"
    assert "offered by more than one package: same_a:problem, same_b:problem" in refusal(ConfigError, "same")


@pytest.mark.parametrize("place", ["", "math", "math:", ":pi", 3])
def test_an_attribute_needs_a_module_and_a_name(place):
    with pytest.raises(ConfigError, match=r"expected 'package\.module:attribute'"):
        load_attribute(place)


def test_attributes_are_found_or_refused():
    assert load_attribute("math:pi") > 3
    assert load_attribute("os:path.join")("a", "b")
    with pytest.raises(InputError, match=r"unknown attribute 'jion' in 'os:path\.jion'\. Did you mean 'join'"):
        load_attribute("os:path.jion")
    with pytest.raises(ConfigError, match=r"no module 'os\.nothing'"):
        load_attribute("os.nothing:x")
