"""Accelerators: what a mapping of a layer costs in words moved, energy and cycles, by closed form."""

from coevo.cost_models.accelerator.assumptions import Assumptions
from coevo.cost_models.accelerator.evaluation import Access, Evaluation, evaluate_mapping
from coevo.cost_models.accelerator.layer import Layer, attention, convolution, matrix_product
from coevo.cost_models.accelerator.mapping import Mapping, stack, unstack
from coevo.cost_models.accelerator.setting import tables_of

__all__ = [
    "Access",
    "Assumptions",
    "Evaluation",
    "Layer",
    "Mapping",
    "attention",
    "convolution",
    "evaluate_mapping",
    "matrix_product",
    "stack",
    "tables_of",
    "unstack",
]
