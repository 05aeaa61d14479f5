"""Quantum devices: a calibration snapshot and the noisy instructions that it implies.

`QuantumDevice` is the door. `pauli` holds ideal gates as Pauli transfer matrices, `channels` the error
channels; both are plain NumPy. Qiskit is imported only when a device is built (extra `quantum`).
"""

from coevo.hardware.quantum.device import QuantumDevice

__all__ = ["QuantumDevice"]
