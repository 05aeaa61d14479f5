"""One mapping with all that its cost depends on, as JSON: layer, accelerator, mapping, assumptions, and the costs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import Any

from coevo.cost_models.accelerator.assumptions import Assumptions
from coevo.cost_models.accelerator.evaluation import Evaluation, evaluate_mapping
from coevo.cost_models.accelerator.layer import Layer
from coevo.cost_models.accelerator.mapping import Mapping
from coevo.errors import InputError
from coevo.hardware.accelerators import Accelerator, Axis, Memory, Network

FORMAT = "coevo accelerator mapping"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Record:
    """What `write` puts into one text. `costs` is what was saved; `evaluate` computes them anew."""

    layer: Layer
    accelerator: Accelerator
    mapping: Mapping
    assumptions: Assumptions
    costs: dict[str, Any]

    @classmethod
    def of(
        cls, layer: Layer, accelerator: Accelerator, mapping: Mapping, assumptions: Assumptions | None = None
    ) -> Record:
        """With the costs that the model gives now."""
        assumptions = assumptions or Assumptions()
        costs = costs_json(evaluate_mapping(layer, accelerator, mapping, assumptions))
        return cls(layer, accelerator, mapping, assumptions, costs)

    def evaluate(self) -> Evaluation:
        return evaluate_mapping(self.layer, self.accelerator, self.mapping, self.assumptions)

    def changed(self) -> tuple[str, ...]:
        """The saved costs that the model of today gives otherwise, one sentence each; empty where all are equal."""
        return tuple(_differences("", self.costs, costs_json(self.evaluate())))

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "layer": layer_json(self.layer),
            "accelerator": dataclasses.asdict(self.accelerator),
            "mapping": self.mapping.as_json(self.accelerator),
            "assumptions": self.assumptions.as_dict(),
            "costs": self.costs,
        }

    def write(self) -> str:
        return json.dumps(self.as_json(), indent=1, allow_nan=False)

    @classmethod
    def read(cls, text: str, source: str = "the record") -> Record:
        """What `write` wrote. Raises InputError where it is not such a text, naming `source` and the part."""
        try:
            content = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"{source}: not JSON: {error}") from error
        return cls.from_json(content, source)

    @classmethod
    def from_json(cls, content: Any, source: str = "the record") -> Record:
        parts = _part(content, source, "layer", "accelerator", "mapping", "assumptions", "costs", "format", "version")
        if (parts["format"], parts["version"]) != (FORMAT, VERSION):
            raise InputError(
                f"{source}: expected {FORMAT!r} version {VERSION}, got {parts['format']!r} version {parts['version']!r}"
            )
        accelerator = accelerator_from_json(parts["accelerator"], f"{source}: accelerator")
        given = _part(parts["assumptions"], f"{source}: assumptions", *Assumptions().as_dict())
        _known(given, Assumptions, f"{source}: assumptions")
        try:
            mapping = Mapping.from_json(parts["mapping"], accelerator)
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{source}: mapping: loops are lists of [name, bound]: {error}") from error
        layer = layer_from_json(parts["layer"], f"{source}: layer")
        return cls(layer, accelerator, mapping, Assumptions(**given), dict(parts["costs"]))


def layer_json(layer: Layer) -> dict[str, Any]:
    return dataclasses.asdict(layer)


def layer_from_json(content: Any, source: str) -> Layer:
    given = dict(_part(content, source, "name", "sizes"))
    _known(given, Layer, source)
    try:
        for name in ("stride", "dilation", "bits"):
            if given.get(name) is not None:
                given[name] = tuple(given[name])
        return Layer(**given)
    except (TypeError, AttributeError) as error:
        raise InputError(f"{source}: {error}") from error


def accelerator_from_json(content: Any, source: str) -> Accelerator:
    given = dict(_part(content, source, "name", "clock_mhz", "bits", "mac_pj", "memories"))
    _known(given, Accelerator, source)
    try:
        memories = []
        for place, memory in enumerate(given["memories"]):
            where = f"{source}: memory {place}"
            fields = {key: _tuples(value) for key, value in _part(memory, where, "name", "keeps").items()}
            _known(fields, Memory, where)
            network = dict(_part(memory.get("network", {}), f"{where}: network"))
            _known(network, Network, f"{where}: network")
            axes = []
            for axis in network.pop("axes", ()):
                _known(_part(axis, f"{where}: axis", "name", "size", "dimensions"), Axis, f"{where}: axis")
                axes.append(Axis(**{key: _tuples(value) for key, value in axis.items()}))
            memories.append(Memory(**{**fields, "network": Network(tuple(axes), **network)}))
        given["memories"] = tuple(memories)
        given["bits"] = tuple(given["bits"])
        return Accelerator(**given)
    except (TypeError, AttributeError) as error:
        raise InputError(f"{source}: {error}") from error


def costs_json(evaluation: Evaluation) -> dict[str, Any]:
    """Every number of an evaluation; accesses by "memory.tensor"."""
    content = dataclasses.asdict(evaluation)
    content["accesses"] = {
        f"{memory}.{tensor}": dataclasses.asdict(access) for (memory, tensor), access in evaluation.accesses.items()
    }
    content["misfits"] = list(evaluation.misfits)
    return content


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _part(content: Any, source: str, *needed: str) -> MappingType[str, Any]:
    if not isinstance(content, dict):
        raise InputError(f"{source}: expected an object with {', '.join(needed) or 'fields'}, got {content!r:.80}")
    missing = [name for name in needed if name not in content]
    if missing:
        raise InputError(f"{source}: lacks {', '.join(missing)}")
    return content


def _known(given: MappingType[str, Any], kind: type, source: str) -> None:
    names = [field.name for field in dataclasses.fields(kind)]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InputError(f"{source}: {', '.join(unknown)} are none of its fields {', '.join(names)}")


def _differences(where: str, saved: Any, now: Any) -> list[str]:
    if isinstance(saved, dict) and isinstance(now, dict):
        return [
            line
            for name in {**saved, **now}
            for line in _differences(f"{where}.{name}".lstrip("."), saved.get(name), now.get(name))
        ]
    return [] if saved == now else [f"{where}: {saved!r} was saved, the model gives {now!r}"]
