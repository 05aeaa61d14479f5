"""What no mapping of a layer onto an accelerator can undercut, over the whole declared mapping space."""

from coevo.cost_models.accelerator.bounds.certificate import Certificate
from coevo.cost_models.accelerator.bounds.compulsory import compulsory_bounds
from coevo.cost_models.accelerator.bounds.curve import curve_bounds, traffic_curve

__all__ = ["Certificate", "compulsory_bounds", "curve_bounds", "traffic_curve"]
