"""Exact expectation values of noisy circuits, without shots and at a cost independent of the data set.

The readout observables are swept backwards through the noisy circuit once (`noisy_observables`); encoded
samples are product states (`product_state_bloch`, `encoded_states`); `expectations` contracts the two.
`reference_expectations` is the slow, obvious answer that they are held against.
"""

from coevo.cost_models.circuit_noise.observables import Observables, noisy_observables
from coevo.cost_models.circuit_noise.reference import reference_expectations
from coevo.cost_models.circuit_noise.states import (
    ProductStates,
    encoded_states,
    expectations,
    product_state_bloch,
)

__all__ = [
    "Observables",
    "ProductStates",
    "encoded_states",
    "expectations",
    "noisy_observables",
    "product_state_bloch",
    "reference_expectations",
]
