"""The elastic networks by name."""

from __future__ import annotations

from collections.abc import Callable

from coevo.errors import unknown_name
from coevo.search.pick import Pick
from coevo.spaces.naas.network import ofa_mobilenet_v3, ofa_resnet50
from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.network.scale import Scale

FAMILIES: dict[str, Callable[[Pick, Scale], NetworkDesign]] = {
    ofa_resnet50.NAME: ofa_resnet50.build,
    ofa_mobilenet_v3.NAME: ofa_mobilenet_v3.build,
}


def family(name: str) -> Callable[[Pick, Scale], NetworkDesign]:
    """The space function of an elastic network; UnknownName for one that nobody offers."""
    if name not in FAMILIES:
        raise unknown_name("elastic network", name, FAMILIES)
    return FAMILIES[name]
