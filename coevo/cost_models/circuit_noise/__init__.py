"""Exact expectation values of noisy circuits, without shots and at a cost independent of the data set.

The readout observables are swept backwards through the noisy circuit once, encoded samples are product states, and the
two are contracted. `read_program` turns a transpiled circuit into arrays and `noisy_expectations` judges many programs
at once, compiled, as tensors or by the plain reference; `noisy_pauli_sums` gives the energies of whole Hamiltonians,
the changes of basis before a measurement included, and `outcome_probabilities` the bit strings. `noisy_observables`,
`encoded_states` and `expectations` do the same for one circuit in NumPy, straight from Qiskit objects;
`reference_expectations` is the slow, obvious answer that both are held against. `NoiseAwareCircuit` trains through the
channels, on readouts or on Pauli sums. Where a circuit is too large for operators there are `trajectory_expectations`,
sampled with a standard error, and `success_rate`, a product of error rates.
"""

from coevo.cost_models.circuit_noise.batch import noisy_expectations
from coevo.cost_models.circuit_noise.observables import Observables, noisy_observables
from coevo.cost_models.circuit_noise.pauli_batch import noisy_pauli_sums, outcome_probabilities
from coevo.cost_models.circuit_noise.pauli_sums import PauliSums
from coevo.cost_models.circuit_noise.program import Encoder, Input, Program, bind_weights
from coevo.cost_models.circuit_noise.reading import program_from_gates, read_encoder, read_program
from coevo.cost_models.circuit_noise.reference import reference_expectations
from coevo.cost_models.circuit_noise.states import (
    ProductStates,
    encoded_states,
    expectations,
    product_state_bloch,
)
from coevo.cost_models.circuit_noise.success import success_rate
from coevo.cost_models.circuit_noise.training import NoiseAwareCircuit, cross_entropy, energy, noise_aware_gradients
from coevo.cost_models.circuit_noise.trajectories import Sampled, trajectory_expectations

__all__ = [
    "Encoder",
    "Input",
    "NoiseAwareCircuit",
    "Observables",
    "PauliSums",
    "ProductStates",
    "Program",
    "Sampled",
    "bind_weights",
    "cross_entropy",
    "encoded_states",
    "energy",
    "expectations",
    "noise_aware_gradients",
    "noisy_expectations",
    "noisy_observables",
    "noisy_pauli_sums",
    "outcome_probabilities",
    "product_state_bloch",
    "program_from_gates",
    "read_encoder",
    "read_program",
    "reference_expectations",
    "success_rate",
    "trajectory_expectations",
]
