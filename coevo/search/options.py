"""The options of a problem: what there are, and what a wrong one is told.

They are the keywords of the function that makes the problem, or the fields of the pydantic model that the function
carries as `options_model`. pydantic itself is imported only where there is such a model.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from coevo.errors import ConfigError, unknown_name


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its type and default as text and value, for people to read. A required one has default None."""

    name: str
    type: str
    default: Any = None
    required: bool = False
    description: str = ""


def options_of_callable(function: Callable[..., Any]) -> list[Option]:
    """The keywords of a plain function."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    empty = inspect.Parameter.empty
    return [
        Option(
            parameter.name,
            "" if parameter.annotation is empty else type_text(parameter.annotation),
            None if parameter.default is empty else parameter.default,
            parameter.default is empty,
        )
        for parameter in parameters
        if parameter.kind in named
    ]


def options_of_model(model: Any) -> list[Option]:
    """The fields of a pydantic model, under the names that a user writes."""
    return [
        Option(
            field.alias or name,
            type_text(field.annotation),
            None if field.is_required() else field.get_default(call_default_factory=True),
            field.is_required(),
            field.description or "",
        )
        for name, field in model.model_fields.items()
    ]


def check_model(model: Any, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Every option as the model reads it, defaults included, or UnknownName or ConfigError in the user's own words."""
    from pydantic import ValidationError

    fields = model.model_fields
    known = {field.alias or name for name, field in fields.items()} | set(fields)
    if model.model_config.get("extra") != "allow":  # a model that ignores unknown keys must not hide a typing error
        for key in given:
            if key not in known:
                raise unknown_name("option", key, [option.name for option in options_of_model(model)], where)
    try:
        read = model.model_validate(dict(given))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        for problem in problems:
            if problem["type"] == "extra_forbidden":
                *path, key = (str(part) for part in problem["loc"])
                inside = f"{'.'.join(path)} of {where}" if path else where
                raise unknown_name("option", key, _keys_at(model, path), inside) from None
        raise ConfigError("\n".join(_told(problem, where) for problem in problems)) from None
    # By attribute and not by `model_dump`: nested models stay models.
    return {name: getattr(read, name) for name in fields} | dict(read.model_extra or {})


def type_text(annotation: Any) -> str:
    """A type as a user reads it: `int`, `'a' | 'b'`, `list[str] | None`."""
    if annotation is None or annotation is types.NoneType:
        return "None"
    if isinstance(annotation, str):
        return annotation
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " | ".join(map(repr, arguments))
    if origin is typing.Annotated:
        return type_text(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(type_text, arguments))
    if origin is not None:
        inner = ", ".join("..." if argument is Ellipsis else type_text(argument) for argument in arguments)
        return f"{getattr(origin, '__name__', origin)}[{inner}]"
    return str(getattr(annotation, "__name__", annotation))


def _told(problem: Mapping[str, Any], where: str) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{where}: the option {name!r} is missing; it has no default"
    said = problem["msg"]
    for theirs, ours in (("Input should be ", "expected "), ("Value error, ", ""), ("Assertion failed, ", "")):
        if said.startswith(theirs):
            said = ours + said.removeprefix(theirs)
    if not name:  # a check over the whole model
        return f"{where}: {said}"
    return f"{where}, option {name!r}: {said}, got {_short(problem['input'])}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _keys_at(model: Any, path: list[str]) -> list[str]:
    """The keys that a nested model offers, as far as its annotations tell."""
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        annotation = None if field is None else field.annotation
        candidates = [annotation, *typing.get_args(annotation)]
        model = next((candidate for candidate in candidates if hasattr(candidate, "model_fields")), None)
    return list(getattr(model, "model_fields", {}))
