"""YAML, safely: the one file that imports PyYAML. Tags that a format uses (`!Memory`) become `Tagged` and back; nothing
else of a document becomes an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coevo.errors import InputError, missing_extra


@dataclass(frozen=True, slots=True)
class Tagged:
    """A node with a tag of its own: `!Memory {name: DRAM}` is Tagged("Memory", {"name": "DRAM"})."""

    tag: str
    content: Any


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise missing_extra("PyYAML", "naas") from error
    return yaml


def dump(content: Any) -> str:
    """YAML text of lists, dictionaries, numbers, strings and `Tagged`; the order of keys is kept."""
    yaml = _yaml()
    safe: Any = yaml.SafeDumper

    class Dumper(safe):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    Dumper.add_representer(Tagged, lambda dumper, node: dumper.represent_mapping(f"!{node.tag}", node.content))
    text: str = yaml.dump(content, Dumper=Dumper, sort_keys=False, width=4096, default_flow_style=None)
    return text


def load(text: str, source: str, tags: Sequence[str] = ()) -> Any:
    """The document in `text`; `tags` are those of the format. Any other tag, and text that is no YAML, is an error that
    names `source`."""
    yaml = _yaml()
    safe: Any = yaml.SafeLoader

    class Loader(safe):  # type: ignore[misc]
        pass

    for tag in tags:
        Loader.add_constructor(
            f"!{tag}", lambda loader, node, tag=tag: Tagged(tag, loader.construct_mapping(node, deep=True))
        )
    try:
        loader = Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        known = f"; tags that may stand there: {', '.join(f'!{tag}' for tag in tags)}" if tags else ""
        raise InputError(f"{source}: not the YAML that is expected: {reason}{known}") from error
