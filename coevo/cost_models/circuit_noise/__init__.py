"""Exact expectation values of noisy circuits, without shots and at a cost independent of the data set.

The readout observables are swept backwards through the noisy circuit once, encoded samples are product states, and the
two are contracted. `read_program` turns a transpiled circuit into arrays and `noisy_expectations` judges many programs
at once, compiled, as tensors or by the plain reference. `noisy_observables`, `encoded_states` and `expectations` do the
same for one circuit in NumPy, straight from Qiskit objects; `reference_expectations` is the slow, obvious answer that
both are held against.
"""

from coevo.cost_models.circuit_noise.batch import noisy_expectations
from coevo.cost_models.circuit_noise.observables import Observables, noisy_observables
from coevo.cost_models.circuit_noise.program import Encoder, Program, bind_weights, read_encoder, read_program
from coevo.cost_models.circuit_noise.reference import reference_expectations
from coevo.cost_models.circuit_noise.states import (
    ProductStates,
    encoded_states,
    expectations,
    product_state_bloch,
)

__all__ = [
    "Encoder",
    "Observables",
    "ProductStates",
    "Program",
    "bind_weights",
    "encoded_states",
    "expectations",
    "noisy_expectations",
    "noisy_observables",
    "product_state_bloch",
    "read_encoder",
    "read_program",
    "reference_expectations",
]
