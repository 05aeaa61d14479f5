"""An accelerator as the text of a TOML file: what `load_accelerator` reads back as an equal accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coevo.hardware.accelerators.accelerator import Accelerator, Memory, Network
from coevo.hardware.accelerators.loops import TENSORS


def write_accelerator(accelerator: Accelerator) -> str:
    """TOML with the units that the code counts in, so that every number comes back exactly. Energies are written as
    they are, whatever table they came from; the provenance still names it."""
    content: dict[str, Any] = {
        "name": accelerator.name,
        "clock": _said(accelerator.clock_mhz, "MHz"),
        "macs": accelerator.mac_units,
        "bits": _per_tensor(accelerator.bits, "bit"),
    }
    if accelerator.technology_nm is not None:
        content["technology"] = _said(accelerator.technology_nm, "nm")
    content["mac"] = {"energy": _said(accelerator.mac_pj, "pJ"), "leakage": _said(accelerator.mac_leakage_mw, "mW")}
    content["memory"] = [_memory(memory) for memory in accelerator.memories]
    if accelerator.provenance:
        content["provenance"] = dict(accelerator.provenance)
    import tomli_w

    return tomli_w.dumps(content)


def _memory(memory: Memory) -> dict[str, Any]:
    content: dict[str, Any] = {"name": memory.name, "keeps": list(memory.keeps)}
    if memory.size_bytes is not None:
        content["size"] = _said(memory.size_bytes, "B")
    if memory.partition_bytes is not None:
        content["size"] = {
            tensor: _said(size, "B")
            for tensor, size in zip(TENSORS, memory.partition_bytes, strict=True)
            if size is not None
        }
    content["read_energy"] = _per_tensor(memory.read_pj_per_bit, "pJ/bit")
    content["write_energy"] = _per_tensor(memory.write_pj_per_bit, "pJ/bit")
    if memory.shared_port:
        content["bandwidth"] = _said(memory.read_bytes_per_cycle, "B/cycle")
    else:
        for key in ("read", "write"):
            rate = getattr(memory, f"{key}_bytes_per_cycle")
            if rate is not None:
                content[f"{key}_bandwidth"] = _said(rate, "B/cycle")
    content["double_buffered"] = memory.double_buffered
    content["leakage"] = _said(memory.leakage_mw, "mW")
    if any(width is not None for width in memory.bits):
        content["bits"] = {
            tensor: _said(width, "bit") for tensor, width in zip(TENSORS, memory.bits, strict=True) if width is not None
        }
    if memory.network != Network():
        content["network"] = _network(memory.network)
    return content


def _network(network: Network) -> dict[str, Any]:
    content: dict[str, Any] = {
        "axes": [{"name": axis.name, "size": axis.size, "dimensions": list(axis.dimensions)} for axis in network.axes],
        "multicast": network.multicast,
        "reduction": network.reduction,
        "energy": _said(network.pj_per_bit, "pJ/bit"),
    }
    if network.bytes_per_cycle is not None:
        content["bandwidth"] = _said(network.bytes_per_cycle, "B/cycle")
    return content


def _per_tensor(values: Sequence[float], unit: str) -> str | dict[str, str]:
    if len(set(values)) == 1:
        return _said(values[0], unit)
    return {tensor: _said(value, unit) for tensor, value in zip(TENSORS, values, strict=True)}


def _said(value: float | None, unit: str) -> str:
    assert value is not None
    number = float(value)
    return f"{int(number) if number.is_integer() and number < 2**53 else number!r} {unit}"
