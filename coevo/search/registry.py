"""Finding a problem by its name: installed packages offer theirs under the entry-point group `coevo.spaces`.

A name with a colon, "package.module:attribute", is looked up as it stands and needs no entry point.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from coevo.errors import CoevoError, ConfigError, unknown_name
from coevo.search.options import Option, check_model, options_of_callable, options_of_model

if TYPE_CHECKING:
    from coevo.search.problem import Problem

GROUP = "coevo.spaces"


def problem_names() -> dict[str, str]:
    """Every problem that an installed package offers: {name: "module:attribute"}."""
    return {entry.name: entry.value for entry in sorted(_entries(), key=lambda entry: entry.name)}


def load_problem(name: str, options: Mapping[str, Any] | None = None) -> Problem:
    """The problem of this name, made with these options.

    Raises UnknownName for a problem or an option that nobody offers, ConfigError for an option of a wrong value and
    for code that cannot be loaded; MissingExtra and the problem's own InputErrors pass as they are.
    """
    from coevo.search.problem import Problem

    given = dict(options or {})
    where = f"problem {name!r}"
    offered = _offered(name)
    if isinstance(offered, Problem):
        _refuse_unknown(given, (), where)
        problem: Any = offered
    elif callable(offered):
        given = _checked(offered, given, where)
        try:
            problem = offered(**given)
        except CoevoError:
            raise
        except Exception as error:
            raise ConfigError(f"{where} cannot be made: {type(error).__name__}: {error}") from error
    else:
        problem = offered
    if not isinstance(problem, Problem):
        raise ConfigError(
            f"{where}: expected a Problem, or a function that makes one from its options, got {type(problem).__name__}"
        )
    # Workers make it anew from its name and options, so a problem that does not record its options gets them here.
    return dataclasses.replace(problem, options=problem.options or given, loaded_as=name)


def options_of(name: str) -> list[Option]:
    """What options the problem of this name takes, in their order."""
    from coevo.search.problem import Problem

    offered = _offered(name)
    if isinstance(offered, Problem) or not callable(offered):
        return []
    model = getattr(offered, "options_model", None)
    return options_of_callable(offered) if model is None else options_of_model(model)


def load_attribute(place: str) -> Any:
    """What stands at "package.module:attribute"; the attribute may be dotted."""
    module_name, colon, attribute = str(place).partition(":")
    if not (module_name and colon and attribute):
        raise ConfigError(f"expected 'package.module:attribute', got {place!r}")
    try:
        found: Any = importlib.import_module(module_name)
    except CoevoError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _broken(place, error) from error  # the module is there; one that it needs is not
        raise ConfigError(
            f"{place!r}: no module {error.name!r}. Is its package installed, or its folder on PYTHONPATH?"
        ) from None
    except Exception as error:
        raise _broken(place, error) from error
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            public = [known for known in dir(found) if not known.startswith("_")]
            raise unknown_name("attribute", part, public, repr(place)) from None
    return found


def _entries() -> list[importlib.metadata.EntryPoint]:
    # A package may be seen twice (an editable install beside its source folder): the same value is the same problem.
    return list({(entry.name, entry.value): entry for entry in importlib.metadata.entry_points(group=GROUP)}.values())


def _offered(name: str) -> Any:
    if not isinstance(name, str):
        raise ConfigError(f"problem: expected a name, got {name!r}")
    if ":" in name:
        return load_attribute(name)
    entries = _entries()
    values = [entry.value for entry in entries if entry.name == name]
    if not values:
        raise unknown_name("problem", name, {entry.name for entry in entries})
    if len(values) > 1:
        raise ConfigError(
            f"problem {name!r} is offered by more than one package: {', '.join(sorted(values))}. "
            "Say which: any of these is taken in place of the name"
        )
    try:
        return load_attribute(values[0])
    except ConfigError as error:
        raise ConfigError(f"problem {name!r} cannot be loaded: {error}") from error.__cause__


def _broken(place: str, error: Exception) -> ConfigError:
    return ConfigError(f"{place!r} cannot be imported: {type(error).__name__}: {error}")


def _checked(offered: Any, given: dict[str, Any], where: str) -> dict[str, Any]:
    """The options to call with: as the model reads them, or as they are where the signature takes them."""
    model = getattr(offered, "options_model", None)
    if model is not None:
        return check_model(model, given, where)
    known = options_of_callable(offered)
    if not _takes_anything(offered):
        _refuse_unknown(given, [option.name for option in known], where)
    missing = [option.name for option in known if option.required and option.name not in given]
    if missing:
        raise ConfigError(f"{where}: the option {missing[0]!r} is missing; it has no default")
    return given


def _refuse_unknown(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in given:
        if key not in known:
            raise unknown_name("option", key, known, where)


def _takes_anything(offered: Any) -> bool:
    try:
        parameters = inspect.signature(offered).parameters.values()
    except (TypeError, ValueError):  # some functions written in C have no signature
        return True
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
