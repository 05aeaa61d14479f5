"""The order classes of an accelerator with their sums: made once for all layers, since they do not depend on sizes."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from coevo.cost_models.accelerator.bounds.counting import sums_of
from coevo.cost_models.accelerator.bounds.order_classes import OrderClass, order_classes
from coevo.cost_models.accelerator.bounds.products import Sums
from coevo.kernels.mapping_cost import Tables

KEPT = 16
OF_THE_LAYER = ("sizes", "step", "window")
_known: OrderedDict[tuple[object, ...], tuple[tuple[OrderClass, Sums], ...]] = OrderedDict()


def class_sums(tables: Tables, stays: Mapping[int, int] | None = None) -> tuple[tuple[OrderClass, Sums], ...]:
    """All order classes of `tables` and their sums; those of the last accelerators are remembered."""
    values = (
        (field.name, getattr(tables, field.name))
        for field in dataclasses.fields(tables)
        if field.name not in OF_THE_LAYER
    )
    key = (
        tuple((name, value.tobytes() if isinstance(value, np.ndarray) else value) for name, value in values),
        tuple(sorted((stays or {}).items())),
    )
    if key not in _known:
        _known[key] = tuple((order, sums_of(tables, order)) for order in order_classes(tables, stays))
        while len(_known) > KEPT:
            _known.popitem(last=False)
    _known.move_to_end(key)
    return _known[key]
