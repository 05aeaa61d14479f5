"""A design of the space: a chip, and the network that runs on it where networks are searched too."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.spaces.naas.hardware import HardwareDesign
from coevo.spaces.naas.network import NetworkDesign


@dataclass(frozen=True, slots=True)
class CoDesign:
    """`network` is None where the options name the networks; `accuracy` is that of a table, None where a supernet
    estimates it."""

    hardware: HardwareDesign
    network: NetworkDesign | None = None
    accuracy: float | None = None
