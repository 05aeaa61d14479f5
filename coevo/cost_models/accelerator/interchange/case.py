"""What a script inside another engine's environment needs to price one mapping, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from coevo.cost_models.accelerator.interchange import accelforge
from coevo.cost_models.accelerator.interchange.components import components
from coevo.cost_models.accelerator.interchange.record import Record
from coevo.cost_models.accelerator.layer import Layer
from coevo.cost_models.accelerator.mapping import Mapping
from coevo.hardware.accelerators import TENSORS, Accelerator


def case(layer: Layer, accelerator: Accelerator, mapping: Mapping) -> dict[str, Any]:
    """`record` (as `Record.as_json`, under AccelForge's assumptions), `components` (storages with their memory's level,
    outermost first), `bits` by component (networks that cost energy among them) and tensor, and the YAML texts
    `accelforge`. Raises InputError for what AccelForge cannot be told."""
    parts = components(accelerator, "AccelForge", network_energy=True)
    base = layer.bits or accelerator.bits
    return {
        "record": Record.of(layer, accelerator, mapping, accelforge.ASSUMPTIONS).as_json(),
        "components": [asdict(part) for part in parts],
        "bits": {
            part.name: {
                tensor: own or width
                for tensor, own, width in zip(TENSORS, accelerator.memories[part.level].bits, base, strict=True)
                if tensor in part.tensors
            }
            for part in parts
        }
        | {
            accelforge.toll_name(accelerator, level): {
                tensor: own or width for tensor, own, width in zip(TENSORS, memory.bits, base, strict=True)
            }
            for level, memory in enumerate(accelerator.memories)
            if memory.network.pj_per_bit
        },
        "accelforge": accelforge.documents(layer, accelerator, mapping),
    }
