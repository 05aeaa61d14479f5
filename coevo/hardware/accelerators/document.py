"""A TOML file read key by key: every message names the file and the key, what came and what is expected."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from coevo.errors import ConfigError, nearest, unknown_name
from coevo.hardware.accelerators.units import quantity


def bundled_or_path(given: str | Path, folder: Path, kind: str) -> Path:
    """The file that `given` names: one of the bundled `folder/NAME.toml`, or a path that ends in .toml."""
    if str(given).endswith(".toml"):
        return Path(given)
    names = sorted(path.stem for path in folder.glob("*.toml"))
    if str(given) not in names:
        raise ConfigError(f"{unknown_name(kind, str(given), names)} A file of your own is named by a path to a .toml.")
    return folder / f"{given}.toml"


def read_document(path: Path) -> Section:
    """The whole file as a section; what cannot be read or is no TOML is a ConfigError."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        beside = sorted(other.name for other in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        close = nearest(path.name, beside)
        raise ConfigError(f"no file {str(path)!r}.{f' Did you mean {close!r}?' if close else ''}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error}") from None
    return parse_document(text, str(path))


def parse_document(text: str, file: str) -> Section:
    """`read_document` for a text; `file` is what messages call it."""
    try:
        return Section(tomllib.loads(text.replace("\r\n", "\n")), file)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None


class Section:
    """One table of the file. `only` states its keys; they are then read one by one."""

    def __init__(self, values: Mapping[str, Any], file: str, place: str = ""):
        self.values = values
        self.file = file
        self.place = place

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def only(self, *keys: str) -> None:
        """ConfigError, with the nearest name, for the first key that is none of `keys`."""
        for key in self.values:
            if key not in keys:
                raise ConfigError(str(unknown_name("key", key, keys, self.where())))

    def where(self, key: str = "") -> str:
        """What a message begins with: the file, the table and the key."""
        return ": ".join(part for part in (self.file, self.place, key) if part)

    def fail(self, key: str, said: str) -> ConfigError:
        return ConfigError(f"{self.where(key)}: {said}")

    def take(self, key: str, example: str) -> Any:
        """The value of a key that must be there."""
        if key not in self.values:
            raise ConfigError(f"{self.where()}: {key!r} is missing; for example {key} = {example}")
        return self.values[key]

    def text(self, key: str, default: str | None = None, example: str = '"..."') -> str:
        if default is not None and key not in self.values:
            return default
        value = self.take(key, example)
        if not isinstance(value, str) or not value:
            raise self.fail(key, f"expected a text, got {value!r}")
        return value

    def whole(self, key: str, default: int | None = None, at_least: int = 1) -> int:
        if default is not None and key not in self.values:
            return default
        value = self.take(key, "1")
        if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
            raise self.fail(key, f"expected a whole number of at least {at_least}, got {value!r}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, f"expected true or false, got {value!r}")
        return value

    def names(self, key: str, allowed: Iterable[str]) -> tuple[str, ...]:
        """A list of texts out of `allowed`."""
        allowed = tuple(allowed)
        value = self.take(key, f'["{allowed[0]}"]')
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self.fail(key, f"expected a list of names out of {', '.join(allowed)}, got {value!r}")
        for position, name in enumerate(value):
            if name not in allowed:
                raise ConfigError(str(unknown_name("name", name, allowed, self.where(key))))
            if name in value[:position]:
                raise self.fail(key, f"{name!r} stands twice in {value!r}")
        return tuple(value)

    def quantity(self, key: str, kind: str, clock_mhz: float | None = None) -> float | None:
        """A quantity with its unit, None where the key is absent."""
        if key not in self.values:
            return None
        return quantity(self.values[key], kind, self.where(key), clock_mhz)

    def section(self, key: str) -> Section | None:
        """A table, None where the key is absent."""
        if key not in self.values:
            return None
        return self._inner(self.values[key], key)

    def sections(self, key: str, what: str) -> list[Section]:
        """A list of tables; each is called by its name where it has one."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise self.fail(key, f"expected a list of tables, got {value!r}")
        found = []
        for position, item in enumerate(value):
            name = item.get("name") if isinstance(item, dict) else None
            found.append(self._inner(item, f"{what} {name!r}" if isinstance(name, str) else f"{what} {position}"))
        return found

    def _inner(self, value: Any, place: str) -> Section:
        if not isinstance(value, dict):
            raise self.fail(place, f"expected a table, got {value!r}")
        return Section(value, self.file, f"{self.place}: {place}" if self.place else place)
