"""What was measured for a network on this device, and where it is found again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import torch

from coevo.errors import InputError
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.shape import UNetShape
from coevo.kernels.sparse.tuning import store


@dataclass(frozen=True)
class Tuning:
    """How to carry out a network's convolutions: `compile_for_inference(net, capacity, **tuning.options())`.

    Attributes:
        splits: ranges of offsets by which the rows of each level are sorted.
        plans: by the names of `StaticUNet.convolutions`; layers that are not named have the default.
        default_ms, tuned_ms: the device's time for the largest of the scans, before and after.
        complete: whether every candidate was measured in the time given.
    """

    splits: tuple[int, ...]
    plans: dict[str, Plan]
    default_ms: float
    tuned_ms: float
    complete: bool

    def options(self) -> dict[str, Any]:
        """The arguments of `compile_for_inference`."""
        return {"splits": self.splits, "plans": self.plans}


def fingerprint(device: torch.device) -> dict[str, Any]:
    """What measured times depend on: the device's model, the versions of torch and Triton, and the kernel's text."""
    import triton

    from coevo.kernels.sparse.convolution import triton_gemm

    properties = torch.cuda.get_device_properties(device)
    return {
        "device": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "capability": f"{properties.major}.{properties.minor}",
        "torch": torch.__version__,
        "triton": triton.__version__,
        "kernel": store.digest(Path(triton_gemm.__file__).read_text(encoding="utf-8")),
    }


def network_of(net: MinkUNet, capacity: Sequence[int], dtype: torch.dtype) -> dict[str, Any]:
    """What tells one network's plans from another's: channels, kind of numbers, rows to the nearest power of two."""
    rows = 2 ** round(math.log2(max(1, capacity[0])))
    return {
        "shape": {each.name: getattr(net.shape, each.name) for each in fields(UNetShape)},
        "in_channels": net.in_channels,
        "dtype": str(dtype).removeprefix("torch."),
        "rows": rows,
    }


def keep(tuning: Tuning, net: MinkUNet, capacity: Sequence[int], dtype: torch.dtype, at: Path | None = None) -> Path:
    """Write what was measured to the file of the network's device; its path."""
    network = network_of(net, capacity, dtype)
    entry = {
        "name": f"{type(net).__name__} {list(net.channels)}, {network['dtype']}, about {network['rows']} rows",
        "tuned_on": date.today().isoformat(),
        "default_ms": round(tuning.default_ms, 4),
        "tuned_ms": round(tuning.tuned_ms, 4),
        "complete": tuning.complete,
        "splits": list(tuning.splits),
        "plans": {name: asdict(plan) for name, plan in tuning.plans.items()},
    }
    device = fingerprint(next(net.parameters()).device)
    return store.write(device, store.digest(network), entry, at)


def stored(
    net: MinkUNet,
    capacity: Sequence[int],
    dtype: torch.dtype,
    at: Path | None = None,
    device: torch.device | None = None,
) -> Tuning | None:
    """What was measured earlier for such a network on the device, its own where none is given; None where nothing was,
    or off CUDA devices.

    Raises:
        InputError: the file is damaged.
    """
    device = device or next(net.parameters()).device
    if device.type != "cuda":
        return None
    entry = store.read(fingerprint(device), at).get(store.digest(network_of(net, capacity, dtype)))
    return None if entry is None else read_entry(entry)


def read_entry(entry: Mapping[str, Any]) -> Tuning:
    """The tuning of a stored entry. InputError where it is none."""
    try:
        return Tuning(
            splits=tuple(entry["splits"]),
            plans={name: Plan(**plan) for name, plan in entry["plans"].items()},
            default_ms=float(entry["default_ms"]),
            tuned_ms=float(entry["tuned_ms"]),
            complete=bool(entry["complete"]),
        )
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"tuned plans are damaged ({type(error).__name__}: {error}); delete {store.folder()} and tune again"
        ) from error
