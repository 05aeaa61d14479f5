"""An experiment as a TOML file: read, overridden, and checked as far as the file alone can tell.

Syntax, keys and types are checked here; what needs the code that the file names (the problem and its options, metrics,
the algorithm and its options) is checked by `coevo.cli.checking`. Every message names the place, and nothing is written
before all is right.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from coevo.errors import ConfigError, nearest, unknown_name

if TYPE_CHECKING:
    from coevo.search.objectives import Constraint

BUDGETS = ("trials", "seconds", "cost_s")


class Section(BaseModel):
    """Types are taken as written: "40" is no number and 1 is no truth value."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class SearchSection(Section):
    """`[search]`: the algorithm, its budget, its seed. Any other key is an option of the algorithm."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    algorithm: str = "nsga2"
    trials: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    cost_s: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)
    lag: int = Field(default=15, ge=0)
    deterministic: bool = True
    warm_start: str | None = None
    enqueue: list[str] = []

    @property
    def algorithm_options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @property
    def budget(self) -> dict[str, Any]:
        """The budgets that were given, as `Study.run` takes them."""
        return {name: getattr(self, name) for name in BUDGETS if getattr(self, name) is not None}


class RunSection(Section):
    """`[run]`: what carries the search out; it never changes which designs are found."""

    workers: int = Field(default=1, ge=1)
    runner: str = "local"
    durability: Literal["normal", "power"] = "normal"
    export: Literal["best", "none"] = "best"


class Experiment(Section):
    """A whole experiment, as `coevo run` takes it."""

    problem: str
    options: dict[str, Any] = {}
    objectives: dict[str, Literal["max", "min"]] = {}
    constraints: dict[str, str | list[str]] = {}
    search: SearchSection = SearchSection()
    run: RunSection = RunSection()
    _places: Places | None = PrivateAttr(None)

    @property
    def limits(self) -> list[Constraint]:
        """The constraints, one an entry."""
        from coevo.search.objectives import Constraint

        pairs = ((metric, [said] if isinstance(said, str) else said) for metric, said in self.constraints.items())
        return [Constraint.parse(metric, text) for metric, texts in pairs for text in texts]

    def where(self, *path: str) -> str:
        """Where a key stands, as a message's beginning: "file.toml:12", "--set search.trials" or the key alone."""
        return self._places.of(path) if self._places else ".".join(path)


class Places:
    """Where each key of the configuration came from."""

    def __init__(self, file: str, text: str, overridden: Iterable[tuple[str, ...]] = ()):
        self.file = file
        self.text = text
        self.overridden = tuple(overridden)

    def of(self, path: Sequence[str]) -> str:
        path = tuple(path)
        for key in self.overridden:
            if path[: len(key)] == key:
                return f"--set {'.'.join(key)}"
        line = line_of(self.text, path)
        return f"{self.file}:{line}" if line else self.file


def line_of(text: str, path: Sequence[str]) -> int | None:
    """The line at which a key starts, asked of the TOML parser itself by handing it ever longer beginnings."""
    lines = text.split("\n")
    whole = 0  # the beginning that parses and does not hold the key yet
    for count in range(1, len(lines) + 1):
        try:
            node: Any = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        for key in path:
            node = node.get(key, None) if isinstance(node, dict) else None
            if node is None:
                break
        else:
            return whole + 1
        whole = count
    return None


def load(path: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a TOML file with `section.key=value` overrides; ConfigError says file, line and remedy."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        beside = sorted(other.name for other in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        close = nearest(path.name, beside)
        raise ConfigError(f"no file {str(path)!r}.{f' Did you mean {close!r}?' if close else ''}") from None
    except IsADirectoryError:
        raise ConfigError(
            f"{str(path)!r} is a folder, expected a TOML file (`coevo resume` goes on with a run)"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error}") from None
    # TOML allows CRLF, but tomllib reads text as given; a lone form of line end keeps line numbers right.
    return parse(text.replace("\r\n", "\n"), str(path), overrides)


def parse(text: str, file: str, overrides: Sequence[str] = ()) -> Experiment:
    """`load` for a text; `file` is what messages call it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax(error, text, file)) from None
    changed = []
    for override in overrides:
        key, value = parse_override(override)
        _put(data, key, value, override)
        changed.append(key)
    return _experiment(data, Places(file, text, changed))


def from_run(config: Mapping[str, Any], folder: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that a run folder froze; keys that only the run folder has are left aside.

    `overrides` may give another budget and other keys of [run]: whatever else is changed would be another study.
    """
    data: dict[str, Any] = {name: config[name] for name in Experiment.model_fields if name in config}
    data["search"] = dict(data.get("search", {}))
    data["run"] = {key: value for key, value in data.get("run", {}).items() if key in RunSection.model_fields}
    changed = []
    for override in overrides:
        key, value = parse_override(override)
        if key[0] != "run" and key not in {("search", name) for name in BUDGETS}:
            allowed = ", ".join(f"search.{name}" for name in BUDGETS)
            raise ConfigError(
                f"--set {override}: a resumed run may change {allowed} and run.*; the rest makes another run"
            )
        _put(data, key, value, override)
        changed.append(key)
    file = Path(folder) / "run.toml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return _experiment(data, Places(str(file), text, changed))


def parse_override(text: str) -> tuple[tuple[str, ...], Any]:
    """`search.trials=200` as (("search", "trials"), 200); a value that is no TOML stands for itself, as text."""
    name, equals, value = text.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    if not equals or not all(key):
        raise ConfigError(f"--set {text}: expected section.key=value, for example search.trials=200")
    if key[0] not in Experiment.model_fields:
        raise unknown_name("section", key[0], Experiment.model_fields, f"--set {text}")
    return key, parse_value(value, f"--set {text}")


def parse_value(text: str, where: str) -> Any:
    """A TOML value; what is none stands for itself, as text, unless it begins like one."""
    text = text.strip()
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError as error:
        if text[:1] in ("[", "{", '"', "'"):  # meant as TOML: a typing error in it must not become a text
            raise ConfigError(f"{where}: {error}") from None
        return text
    return parsed["value"] if set(parsed) == {"value"} else text


def _put(data: dict[str, Any], key: tuple[str, ...], value: Any, override: str) -> None:
    node = data
    for part in key[:-1]:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise ConfigError(f"--set {override}: {part!r} is {described(node)}, no table")
    if key == ("problem",) and not isinstance(value, str):
        value = str(value)
    node[key[-1]] = value


def _syntax(error: tomllib.TOMLDecodeError, text: str, file: str) -> str:
    said = str(error)
    place = re.search(r"\(at line (\d+), column (\d+)\)", said)
    lines = text.split("\n")
    number = int(place[1]) if place else max(len(text.rstrip("\n").split("\n")), 1)
    what = re.sub(r"\s*\(at .*\)$", "", said)
    quoted = lines[number - 1].strip() if number <= len(lines) else ""
    return f"{file}:{number}: not valid TOML: {what}" + (f"\n    {quoted}" if quoted else "")


def _experiment(data: Mapping[str, Any], places: Places) -> Experiment:
    try:
        experiment = Experiment.model_validate(data)
    except ValidationError as error:
        problems = [_told(item, data, places) for item in _distinct(error)]
        raise ConfigError("\n".join(problems)) from None
    experiment._places = places
    return experiment


def _distinct(error: ValidationError) -> list[Any]:
    """One error a key: where a key may be one of several types, pydantic reports each of them."""
    seen: dict[tuple[Any, ...], Any] = {}
    for item in error.errors(include_url=False):
        location = tuple(item["loc"])
        if location[:1] == ("constraints",):
            location = location[:2]
        seen.setdefault(location, {**item, "loc": location})
    return list(seen.values())


EXPECTED = {
    "string_type": "a text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "list_type": "a list",
}


def _told(item: Mapping[str, Any], data: Mapping[str, Any], places: Places) -> str:
    path = tuple(str(part) for part in item["loc"])
    name, where = ".".join(path), places.of(path)
    prefix = f"{where}: " if where.startswith("--set ") else f"{where}: {name}: "
    if item["type"] == "missing":
        return f'{places.file}: {name!r} is missing; for example problem = "quantumnas" (`coevo spaces` lists them)'
    if item["type"] == "extra_forbidden":
        return f"{where}: {unknown_key(path, data)}"
    came = described(item["input"])
    context = item.get("ctx", {})
    if path[:1] == ("constraints",):
        return f"{prefix}expected '<= NUMBER' or '>= NUMBER' (or a list of them), got {came}"
    if "expected" in context:
        return f"{prefix}expected {context['expected']}, got {came}"
    bound = {"greater_than_equal": ("ge", "at least"), "greater_than": ("gt", "more than")}.get(item["type"])
    if bound:
        return f"{prefix}expected {bound[1]} {context[bound[0]]:g}, got {came}"
    return f"{prefix}expected {EXPECTED.get(item['type'], item['msg'])}, got {came}"


def unknown_key(path: tuple[str, ...], data: Mapping[str, Any]) -> str:
    """The message for a key that nobody reads: names the nearest one, also where it stands in another section."""
    *section, key = path
    model: Any = {(): Experiment, ("run",): RunSection}.get(tuple(section), Experiment)
    place = f"[{'.'.join(section)}]" if section else "the top of the file"
    said = str(unknown_name("key", key, model.model_fields, place))
    for name, other in (("search", SearchSection), ("run", RunSection)):
        if key in other.model_fields and (name,) != tuple(section):
            said += f" {key!r} belongs to [{name}]."
    return said


def described(value: Any) -> str:
    """A value in TOML's own words: true, "text", 3, [1, 2]."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{value}"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"the list {value}"
    return str(value)
