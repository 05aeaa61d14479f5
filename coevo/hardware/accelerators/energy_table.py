"""Energy tables: what one access of a memory, one hop or one multiply-accumulate takes, as data with its source.

A table has components ("sram", "register_file", "dram", "mac_8bit") and each component has actions ("read", "write",
"hop", "compute"). What a table does not have is an error that names it: nothing is filled in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from coevo.errors import ConfigError, nearest
from coevo.hardware.accelerators.document import Section, bundled_or_path, read_document

TABLES_FOLDER = Path(__file__).parent / "energy_tables"
ACTIONS = ("read", "write", "hop", "compute")
RULES = ("linear", "power")
RELATIVE_UNITS = ("pJ", "MAC")


@dataclass(frozen=True, slots=True)
class Point:
    """The energies of `bits` bits at one size; `size_bytes` is None where a component has but one point."""

    size_bytes: float | None
    energies: dict[str, float]


@dataclass(frozen=True, slots=True)
class Component:
    """`bits` that one action moves (or, of a MAC, the width of its operands), and points of rising size. Between two
    points energies follow `rule`: "linear" in the size, or "power", a straight line of the logarithms. It goes on
    outside them as far as `range_bytes`."""

    name: str
    bits: int
    points: tuple[Point, ...]
    rule: str | None
    range_bytes: tuple[float, float] | None
    source: str


@dataclass(frozen=True, slots=True)
class EnergyTable:
    """`unit`: "pJ", or "MAC" where energies are multiples of one multiply-accumulate. `file`: for messages."""

    name: str
    file: str
    unit: str
    technology_nm: float | None
    components: dict[str, Component]

    def pj_per_bit(
        self,
        component: str,
        action: str,
        size_bytes: float | None = None,
        mac_pj: float | None = None,
        where: str = "energy",
    ) -> float:
        """Energy of `action` in pJ a bit, of a memory of `size_bytes` where the component depends on it.

        `mac_pj`: what one MAC takes, for tables in units of it. ConfigError names `where`, the action and the table.
        """
        found = self._component(component, action, where)
        energy = self._at(found, action, size_bytes, where)
        return self._scaled(energy, mac_pj, where) / found.bits

    def compute_pj(self, component: str, bits: tuple[int, int], where: str = "mac") -> float:
        """Energy of one multiply-accumulate of operands of `bits` (weights, inputs)."""
        found = self._component(component, "compute", where)
        if set(bits) != {found.bits}:
            raise ConfigError(
                f"{where}: {component!r} of the energy table {self.name!r} is for operands of {found.bits} bit, the "
                f"accelerator has weights of {bits[0]} bit and inputs of {bits[1]} bit; name another component, or "
                "give the energy in pJ"
            )
        if self.unit != "pJ":
            raise ConfigError(
                f"{where}: the energy table {self.name!r} counts in units of one MAC; give the energy of a MAC in pJ"
            )
        return self._at(found, "compute", None, where)

    def _component(self, name: str, action: str, where: str) -> Component:
        found = self.components.get(name)
        if found is None:
            close = nearest(name, self.components)
            hint = f"; did you mean {close!r}?" if close else ""
            raise ConfigError(
                f"{where}: needs the action {name}.{action}, and the energy table {self.name!r} ({self.file}) has no "
                f"component {name!r}{hint} It has {', '.join(sorted(self.components))}"
            )
        if action not in found.points[0].energies:
            raise ConfigError(
                f"{where}: needs the action {name}.{action}, and the energy table {self.name!r} ({self.file}) has only "
                f"{', '.join(f'{name}.{known}' for known in found.points[0].energies)}"
            )
        return found

    def _at(self, component: Component, action: str, size_bytes: float | None, where: str) -> float:
        points = component.points
        if component.rule is None or component.range_bytes is None:
            return points[0].energies[action]
        if size_bytes is None:
            raise ConfigError(
                f"{where}: {component.name}.{action} of the energy table {self.name!r} depends on the size of the "
                "memory, and this memory has none"
            )
        low, high = component.range_bytes
        if not low <= size_bytes <= high:
            raise ConfigError(
                f"{where}: {component.name}.{action} of the energy table {self.name!r} holds for sizes of {low:g} to "
                f"{high:g} bytes, this memory has {size_bytes:g}"
            )
        sizes = [point.size_bytes or 0.0 for point in points]
        segment = next((pair for pair in pairwise(range(len(sizes))) if size_bytes <= sizes[pair[1]]), (-2, -1))
        (x0, y0), (x1, y1) = ((sizes[i], points[i].energies[action]) for i in segment)
        if component.rule == "linear":
            return y0 + (y1 - y0) * (size_bytes - x0) / (x1 - x0)
        return y0 * math.exp(math.log(y1 / y0) * math.log(size_bytes / x0) / math.log(x1 / x0))

    def _scaled(self, energy: float, mac_pj: float | None, where: str) -> float:
        if self.unit == "pJ":
            return energy
        if mac_pj is None:
            raise ConfigError(
                f"{where}: the energy table {self.name!r} counts in units of one MAC; give the energy of a MAC in pJ"
            )
        return energy * mac_pj


def load_energy_table(name_or_path: str | Path, beside: Path | None = None) -> EnergyTable:
    """A bundled table by its name, or the user's by the path of a TOML file (relative to `beside`)."""
    path = bundled_or_path(name_or_path, TABLES_FOLDER, "energy table")
    if beside is not None and str(name_or_path).endswith(".toml"):
        path = beside / path
    return parse_energy_table(read_document(path), path.stem)


def parse_energy_table(document: Section, stem: str) -> EnergyTable:
    """`load_energy_table` for a document that has been read; `stem` is its name where it states none."""
    document.only("name", "unit", "source", "technology", "component")
    name = document.text("name", stem)
    unit = document.text("unit", example='"pJ"')
    if unit not in RELATIVE_UNITS:
        raise document.fail("unit", f"expected 'pJ' or 'MAC' (multiples of one multiply-accumulate), got {unit!r}")
    source = document.text("source", example='"a paper and its table"')
    technology = document.quantity("technology", "length")
    components = {}
    for section in document.sections("component", "component"):
        component = _component(section, unit, source)
        if component.name in components:
            raise section.fail("name", f"{component.name!r} stands twice")
        components[component.name] = component
    if not components:
        raise document.fail("component", "expected at least one [[component]], got none")
    return EnergyTable(name, document.file, unit, technology, components)


def _component(section: Section, unit: str, source: str) -> Component:
    if "points" not in section:
        section.only("name", "bits", "source", *ACTIONS)
        point = _point(section, unit, sized=False)
        return Component(section.text("name"), _width(section), (point,), None, None, section.text("source", source))
    section.only("name", "bits", "source", "points", "between", "smallest", "largest")
    points = []
    for inner in section.sections("points", "point"):
        inner.only("size", *ACTIONS)
        points.append(_point(inner, unit, sized=True))
    rule = section.text("between", example='"power"')
    if rule not in RULES:
        raise section.fail("between", f"expected one of {', '.join(RULES)}, got {rule!r}")
    limits = []
    for key in ("smallest", "largest"):
        limit = section.quantity(key, "size")
        if not limit:
            raise section.fail(key, "expected the size to which the points may be continued, such as '64 KiB'")
        limits.append(limit)
    sizes = [point.size_bytes or 0.0 for point in points]
    if len(points) < 2 or any(one >= other for one, other in pairwise(sizes)) or limits[0] >= limits[1]:
        raise section.fail("points", "expected at least two points of rising size, and smallest below largest")
    actions = set(points[0].energies)
    if any(set(point.energies) != actions for point in points):
        raise section.fail("points", "every point needs the same actions")
    between = (limits[0], limits[1])
    return Component(
        section.text("name"), _width(section), tuple(points), rule, between, section.text("source", source)
    )


def _width(section: Section) -> int:
    width = section.quantity("bits", "width")
    if width is None:
        raise section.fail("bits", "is missing; for example bits = '16 bit', what one action moves")
    if width < 1 or width != int(width):
        raise section.fail("bits", f"expected a whole number of bits, got {section.values['bits']!r}")
    return int(width)


def _point(section: Section, unit: str, sized: bool) -> Point:
    size = section.quantity("size", "size") if sized else None
    if sized and not size:
        raise section.fail("size", "expected a positive size such as '64 KiB'")
    kind = "energy" if unit == "pJ" else "relative energy"
    energies = {action: section.quantity(action, kind) for action in ACTIONS}
    given = {action: energy for action, energy in energies.items() if energy is not None}
    if not given:
        raise section.fail("", f"expected at least one of {', '.join(ACTIONS)}")
    if sized and not all(given.values()):
        raise section.fail("", "energies of points must be positive")
    return Point(size, given)
