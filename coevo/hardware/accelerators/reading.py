"""An accelerator as a TOML file: every figure with its unit, every energy from a named table or in pJ.

docs/accelerators.md describes the keys.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from coevo.errors import ConfigError, InputError
from coevo.hardware.accelerators.accelerator import Accelerator, Axis, Memory, Network, PerTensor
from coevo.hardware.accelerators.document import Section, bundled_or_path, parse_document, read_document
from coevo.hardware.accelerators.energy_table import EnergyTable, load_energy_table
from coevo.hardware.accelerators.loops import DIMENSIONS, TENSORS

FOLDER = Path(__file__).parent
ACCELERATORS = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""The bundled accelerators."""


def load_accelerator(name_or_path: str | Path, energy_table: str | Path | None = None) -> Accelerator:
    """A bundled accelerator by its name, or the user's by the path of a TOML file.

    `energy_table`: another table than the file names, by name or path; it needs the components that the file names.
    ConfigError says file, key, what came and what is expected.
    """
    return read_with_rules(name_or_path, energy_table)[0]


def parse_accelerator(text: str, file: str = "accelerator.toml") -> Accelerator:
    """`load_accelerator` for a text; `file` is what messages call it, and where its tables are looked for."""
    path = Path(file)
    return _accelerator(parse_document(text, file), path.stem, path.parent, None)[0]


def read_with_rules(
    name_or_path: str | Path, energy_table: str | Path | None = None
) -> tuple[Accelerator, dict[tuple[str, str, str], tuple[EnergyTable, str]]]:
    """The accelerator, and by (memory, tensor, action) the table and component of every energy that came from one."""
    path = bundled_or_path(name_or_path, FOLDER, "accelerator")
    return _accelerator(read_document(path), path.stem, path.parent, energy_table)


class _Energies:
    """Where energies come from: a quantity in pJ, "component" of the file's table, or "table/component"."""

    def __init__(self, default: EnergyTable | None, folder: Path):
        self.default = default
        self.folder = folder
        self.tables: dict[str, EnergyTable] = {}
        self.mac_pj: float | None = None
        self.named: dict[str, str] = {}  # what used which component, for the accelerator's provenance
        self.rules: dict[tuple[str, str, str], tuple[EnergyTable, str]] = {}

    def find(self, reference: str, where: str) -> tuple[EnergyTable, str]:
        table_name, slash, component = reference.rpartition("/")
        if slash:
            if table_name not in self.tables:
                self.tables[table_name] = load_energy_table(table_name, beside=self.folder)
            return self.tables[table_name], component
        if self.default is None:
            raise ConfigError(
                f"{where}: expected an energy such as '0.21 pJ/bit', or a component {component!r} of an energy table: "
                f"name the table by energy_table at the top of the file, or write 'TABLE/{component}'"
            )
        return self.default, component

    def pj_per_bit(self, reference: str, action: str, size_bytes: float | None, where: str) -> float:
        table, component = self.find(reference, where)
        self.named.setdefault(where.partition(": ")[2], f"{table.name}/{component}")
        return table.pj_per_bit(component, action, size_bytes, self.mac_pj, where)

    def of_memory(self, reference: str, key: tuple[str, str, str], size_bytes: float | None, where: str) -> float:
        """`key`: (memory, tensor, action)."""
        self.rules[key] = self.find(reference, where)
        return self.pj_per_bit(reference, key[2], size_bytes, where)


def _accelerator(
    document: Section, stem: str, folder: Path, table: str | Path | None
) -> tuple[Accelerator, dict[tuple[str, str, str], tuple[EnergyTable, str]]]:
    document.only("name", "technology", "clock", "bits", "macs", "energy_table", "mac", "memory", "provenance")
    stated = document.text("energy_table", default="")
    chosen: EnergyTable | None = None
    if table is not None:
        chosen = load_energy_table(table)
    elif stated:
        chosen = load_energy_table(stated, beside=folder)
    energies = _Energies(chosen, folder)
    clock_mhz = document.quantity("clock", "frequency")
    if not clock_mhz:
        raise document.fail("clock", "expected a frequency such as '200 MHz'")
    bits = _bits(document, "bits")
    if None in bits:
        raise document.fail("bits", f"expected a width such as '16 bit', or one for each of {', '.join(TENSORS)}")
    widths = (bits[0] or 0, bits[1] or 0, bits[2] or 0)
    mac_pj, mac_leakage_mw = _mac(document, energies, widths)
    energies.mac_pj = mac_pj
    memories = tuple(_memory(section, energies, clock_mhz) for section in document.sections("memory", "memory"))
    provenance = _provenance(document)
    name = document.text("name", stem)
    macs = document.whole("macs")
    technology = document.quantity("technology", "length")
    try:
        found = Accelerator(
            name,
            clock_mhz,
            widths,
            mac_pj,
            memories,
            mac_leakage_mw,
            technology,
            {**provenance, **{key: value for key, value in energies.named.items() if key not in provenance}},
        )
    except InputError as error:
        raise ConfigError(f"{document.file}: {error}") from None
    if found.mac_units > macs:
        axes = " x ".join(f"{axis.name} {axis.size}" for _, axis in found.axes)
        raise document.fail("macs", f"{axes} is an array of {found.mac_units} MAC units, larger than the stated {macs}")
    return found, energies.rules


def _mac(document: Section, energies: _Energies, bits: tuple[int, int, int]) -> tuple[float, float]:
    section = document.section("mac")
    if section is None:
        raise document.fail("mac", "is missing; a table with the energy of one multiply-accumulate is expected")
    section.only("energy", "leakage")
    where = section.where("energy")
    text = section.text("energy", example='"0.21 pJ"')
    if _is_quantity(text):
        energy = section.quantity("energy", "energy") or 0.0
    else:
        table, component = energies.find(text, where)
        energy = table.compute_pj(component, bits[:2], where)
        energies.named["mac: energy"] = f"{table.name}/{component}"
    leakage = section.quantity("leakage", "power") or 0.0
    return energy, leakage


def _memory(section: Section, energies: _Energies, clock_mhz: float) -> Memory:
    section.only(
        "name", "keeps", "size", "energy", "read_energy", "write_energy", "bandwidth", "read_bandwidth",
        "write_bandwidth", "double_buffered", "leakage", "bits", "network",
    )  # fmt: skip
    name = section.text("name", example='"DRAM"')
    keeps = section.names("keeps", TENSORS)
    size, partition = _sizes(section)
    sizes: tuple[float | None, ...] = partition or (size, size, size)

    def energy(action: str) -> PerTensor:
        key = f"{action}_energy" if f"{action}_energy" in section else "energy"
        return _per_tensor(section, key, keeps, lambda text, position, where: (
            energies.of_memory(text, (name, TENSORS[position], action), sizes[position], where)
        ))  # fmt: skip

    read_pj, write_pj = energy("read"), energy("write")
    shared = "bandwidth" in section
    rates = {key: section.quantity(key, "bandwidth", clock_mhz) for key in ("read_bandwidth", "write_bandwidth")}
    if shared and any(rate is not None for rate in rates.values()):
        raise section.fail(
            "bandwidth", "is of reads and writes together; give it, or read_bandwidth and write_bandwidth"
        )
    read_rate = section.quantity("bandwidth", "bandwidth", clock_mhz) if shared else rates["read_bandwidth"]
    inner = section.section("network")
    try:
        found = Memory(
            name=name,
            keeps=keeps,
            size_bytes=size,
            partition_bytes=partition,
            read_pj_per_bit=read_pj,
            write_pj_per_bit=write_pj,
            read_bytes_per_cycle=read_rate,
            write_bytes_per_cycle=rates["write_bandwidth"],
            shared_port=shared,
            double_buffered=section.flag("double_buffered", False),
            leakage_mw=section.quantity("leakage", "power") or 0.0,
            bits=_bits(section, "bits"),
            network=Network() if inner is None else _network(inner, energies, clock_mhz),
        )
    except ConfigError:
        raise
    except InputError as error:
        raise ConfigError(f"{section.file}: {error}") from None
    return found


def _network(section: Section, energies: _Energies, clock_mhz: float) -> Network:
    section.only("axes", "energy", "multicast", "reduction", "bandwidth")
    axes = []
    for inner in section.sections("axes", "axis"):
        inner.only("name", "size", "dimensions")
        try:
            axes.append(Axis(inner.text("name"), inner.whole("size"), inner.names("dimensions", DIMENSIONS)))
        except ConfigError:
            raise
        except InputError as error:
            raise ConfigError(f"{section.file}: {section.place}: {error}") from None
    where = section.where("energy")
    text = section.text("energy", example='"0 pJ/bit"')
    if _is_quantity(text):
        hop_pj = section.quantity("energy", "energy a bit") or 0.0
    else:
        hop_pj = energies.pj_per_bit(text, "hop", None, where)
    found = Network(
        axes=tuple(axes),
        multicast=section.flag("multicast", True),
        reduction=section.flag("reduction", True),
        pj_per_bit=hop_pj,
        bytes_per_cycle=section.quantity("bandwidth", "bandwidth", clock_mhz),
    )
    if found.bytes_per_cycle == 0:
        raise section.fail("bandwidth", "expected a positive bandwidth, got 0; leave it out for no limit")
    return found


def _sizes(section: Section) -> tuple[float | None, tuple[float | None, float | None, float | None] | None]:
    """(shared size, partition) in bytes, whichever the file gives; neither has no limit."""
    given = section.values.get("size")
    if not isinstance(given, dict):
        size = section.quantity("size", "size")
        if size == 0:
            raise section.fail("size", f"expected a positive size, got {given!r}; leave it out for no limit")
        return size, None
    inner = section.section("size")
    assert inner is not None
    inner.only(*TENSORS)
    parts = []
    for tensor in TENSORS:
        part = inner.quantity(tensor, "size")
        if part == 0:
            raise inner.fail(
                tensor, f"expected a positive size, got {inner.values[tensor]!r}; leave it out for no limit"
            )
        parts.append(part)
    return None, (parts[0], parts[1], parts[2])


def _bits(section: Section, key: str) -> tuple[int | None, int | None, int | None]:
    """Widths by tensor, None where the file gives none."""

    def whole(inner: Section, name: str) -> int | None:
        width = inner.quantity(name, "width")
        if width is not None and (width != int(width) or not 1 <= width <= 64):
            raise inner.fail(name, f"expected a whole width of 1 to 64 bit, got {inner.values[name]!r}")
        return None if width is None else int(width)

    if not isinstance(section.values.get(key), dict):
        width = whole(section, key)
        return width, width, width
    inner = section.section(key)
    assert inner is not None
    inner.only(*TENSORS)
    widths = [whole(inner, tensor) for tensor in TENSORS]
    return widths[0], widths[1], widths[2]


def _per_tensor(
    section: Section, key: str, keeps: tuple[str, ...], resolve: Callable[[str, int, str], float]
) -> PerTensor:
    """One energy for all tensors that are kept, or a table with one for each; quantities hold for the others too."""
    given = section.values.get(key)
    if not isinstance(given, dict):
        text = section.text(key, example='"0.21 pJ/bit"')
        if _is_quantity(text):
            energy = section.quantity(key, "energy a bit") or 0.0
            return energy, energy, energy
        where = section.where(key)
        found = [resolve(text, position, where) if tensor in keeps else 0.0 for position, tensor in enumerate(TENSORS)]
        return found[0], found[1], found[2]
    inner = section.section(key)
    assert inner is not None
    inner.only(*TENSORS)
    energies = []
    for position, tensor in enumerate(TENSORS):
        if tensor not in inner and tensor not in keeps:
            energies.append(0.0)
            continue
        text = inner.text(tensor, example='"0.21 pJ/bit"')
        if _is_quantity(text):
            energies.append(inner.quantity(tensor, "energy a bit") or 0.0)
        else:
            energies.append(resolve(text, position, inner.where(tensor)))
    return energies[0], energies[1], energies[2]


def _provenance(document: Section) -> dict[str, str]:
    section = document.section("provenance")
    if section is None:
        return {}
    return {key: section.text(key) for key in section.values}


def _is_quantity(text: str) -> bool:
    return text.strip()[:1] in "+-.0123456789"
