"""Mappings and what they run on, for other engines and back: Timeloop v0.4 and AccelForge YAML, and JSON of the whole.

What a format cannot say is an InputError that names it; nothing is left out in silence. YAML needs the extra `naas`.
"""

from coevo.cost_models.accelerator.interchange import accelforge, timeloop, timeloop_architecture, timeloop_model
from coevo.cost_models.accelerator.interchange.accelforge_mapping import read_mapping as read_accelforge_mapping
from coevo.cost_models.accelerator.interchange.record import Record

__all__ = [
    "Record",
    "accelforge",
    "read_accelforge_mapping",
    "timeloop",
    "timeloop_architecture",
    "timeloop_model",
]
