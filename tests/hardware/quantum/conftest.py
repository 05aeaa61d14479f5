"""A small calibrated backend of our own, so that every field of a calibration can be set or left out."""

from __future__ import annotations

import pytest


@pytest.fixture
def make_backend():
    """A function: three qubits, one-way cx (0, 1), (1, 2), sx with errors, virtual rz, asymmetric readout."""
    pytest.importorskip("qiskit")
    from qiskit.circuit import Measure, Parameter
    from qiskit.circuit.library import CXGate, RZGate, SXGate
    from qiskit.providers import BackendV2, Options, QubitProperties
    from qiskit.transpiler import InstructionProperties, Target

    class Readout(InstructionProperties):
        def __new__(cls, one_given_zero, zero_given_one):
            return super().__new__(cls, error=(one_given_zero + zero_given_one) / 2)

        def __init__(self, one_given_zero, zero_given_one):
            self.prob_meas1_prep0, self.prob_meas0_prep1 = one_given_zero, zero_given_one

    class Backend(BackendV2):
        def __init__(self, target):
            super().__init__(name="three", backend_version="7")
            self._target = target

        @property
        def target(self):
            return self._target

        @property
        def max_circuits(self):
            return None

        @classmethod
        def _default_options(cls):
            return Options()

        def run(self, *args, **kwargs):
            raise NotImplementedError

    def build(sx=None, cx=None, t1=60e-6, measure=None, extra=()):
        qubits = [QubitProperties(t1=t1, t2=50e-6, frequency=5e9) for _ in range(3)]
        target = Target(num_qubits=3, qubit_properties=qubits)
        sx = {q: InstructionProperties(error=1e-3, duration=4e-8) for q in range(3)} if sx is None else sx
        target.add_instruction(SXGate(), {(q,): properties for q, properties in sx.items()})
        cx = InstructionProperties(error=2e-2, duration=3e-7) if cx is None else cx
        target.add_instruction(CXGate(), {(0, 1): cx, (1, 2): cx})
        rz = {(q,): InstructionProperties(error=0.0, duration=0.0) for q in range(3)}
        target.add_instruction(RZGate(Parameter("angle")), rz)
        measure = {q: Readout(0.01 * (q + 1), 0.1 * (q + 1)) for q in range(3)} if measure is None else measure
        target.add_instruction(Measure(), {(q,): properties for q, properties in measure.items()})
        for gate, places in extra:
            target.add_instruction(gate, places)
        return Backend(target)

    return build
