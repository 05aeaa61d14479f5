"""Exact noisy expectation values, side by side with qiskit-aer's density-matrix simulator.

Three workloads, in float64 and on one thread:

1. Random circuits of native gates on a dozen fake backends (cx, ecr and cz devices, 5 to 133 qubits; 2 to 6 of them
   active), every active qubit read out. Aer computes the density matrix; readout error is applied to its
   probabilities. Aer's C++ side drops each term of an error channel whose probability is 1e-10 or less and does not
   renormalise, so its state loses trace on some backends. Hence three comparisons: stock Aer on the backends where
   nothing is dropped; Aer with every error channel handed over as one superoperator, on all of them; and stock Aer
   on all of them, where no difference may exceed the trace that Aer lost.
2. What a QuantumNAS search evaluates: U3+CU3 circuits, 4 logical qubits on FakeQuitoV2, 500 encoded samples, the Z
   of all four qubits. Aer runs the samples as one batch of bound circuits.
3. Whole programs on the dozen backends, encoder apart or fused, scheduled with delays or not: readouts, Pauli sums and
   probabilities of bit strings by both fast engines (`_noisy_programs.py`).

    python experiments/bench/noisy_expectations.py --json --out experiments/results/noisy_expectations.json
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
import warnings
from typing import Any

import _bench
import _noisy_programs
import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Instruction, ParameterVector
from qiskit_aer import AerSimulator

from coevo.cost_models.circuit_noise import ProductStates, encoded_states, expectations, noisy_observables
from coevo.hardware.quantum import QuantumDevice

CX = ["FakeQuitoV2", "FakeYorktownV2", "FakeLimaV2", "FakeBelemV2", "FakeSantiagoV2", "FakeJakartaV2"]
LARGER = ["FakeNairobiV2", "FakeMelbourneV2", "FakeGuadalupeV2"]
NEWER = ["FakePeekskill", "FakePrague", "FakeTorino"]  # ecr, cz, cz
DEVICES = [*CX, *LARGER, *NEWER]
GROUND = ProductStates(np.empty((1, 0, 4)), ())
LIMIT = 1e-10
SEARCH = ("cx", "sweep_ms", "encode_ms", "contract_ms", "aer_ms")
Pair = tuple[QuantumCircuit, list[int]]


def random_circuit(device: QuantumDevice, num_active: int, num_gates: int, rng: np.random.Generator) -> Pair:
    """Random native gates within a random connected set of qubits; two-qubit gates with probability 0.4."""
    neighbours: dict[int, set[int]] = {qubit: set() for qubit in range(device.num_qubits)}
    for a, b in device.edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    active = [int(rng.integers(device.num_qubits))]
    while len(active) < num_active:
        around = sorted(set().union(*(neighbours[qubit] for qubit in active)) - set(active))
        active.append(around[int(rng.integers(len(around)))])
    places = [(name, qubits) for name in device.basis for qubits in device.target[name] if {*qubits} <= {*active}]
    by_size = [[place for place in places if len(place[1]) == size] for size in (1, 2)]
    circuit = QuantumCircuit(device.num_qubits)
    for _ in range(num_gates):
        options = by_size[int(rng.random() < 0.4)]
        name, qubits = options[int(rng.integers(len(options)))]
        gate = device.target.operation_from_name(name)
        if gate.params:
            gate = gate.base_class(*rng.uniform(-np.pi, np.pi, len(gate.params)))
        circuit.append(gate, qubits)
    return circuit, active


def with_whole_channels(circuit: QuantumCircuit, device: QuantumDevice, cache: dict[Any, Any]) -> QuantumCircuit:
    """The circuit with each error channel of the noise model as one superoperator after its gate."""
    noisy = QuantumCircuit(circuit.num_qubits)
    for item in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        noisy.append(item.operation, qubits)
        error = device.noise_model._local_quantum_errors.get(item.name, {}).get(qubits)
        if error is not None:
            key = (device.name, item.name, qubits)
            if key not in cache:
                cache[key] = error.to_quantumchannel().data
            noisy.append(Instruction("superop", len(qubits), 0, [cache[key]]), qubits)
    return noisy


def aer(simulator: AerSimulator, device: QuantumDevice, pairs: list[Pair]) -> tuple[np.ndarray, np.ndarray, float]:
    """Measured <Z> one after the other, the trace each state lost, and the seconds of the run."""
    prepared = []
    for circuit, qubits in pairs:
        copy = circuit.copy()
        copy.save_density_matrix(qubits=qubits)
        prepared.append(copy)
    begin = time.perf_counter()
    result = simulator.run(prepared).result()
    seconds = time.perf_counter() - begin
    if not result.success:
        raise RuntimeError(f"Aer failed on {device.name}: {result.status}")
    values, lost = [], []
    for index, (_, qubits) in enumerate(pairs):
        state = result.data(index)["density_matrix"]
        lost.append(1 - float(np.trace(state.data).real))
        for position, qubit in enumerate(qubits):
            zero, one = device.readout_matrix(qubit) @ state.probabilities([position])
            values.append(zero - one)
    return np.array(values), np.array(lost), seconds


def compare(name: str, count: int, seed: int, cache: dict[Any, Any]) -> dict[str, Any]:
    """One backend: random circuits by coevo, by stock Aer and by Aer with whole channels."""
    device, rng = QuantumDevice.from_name(name), np.random.default_rng(seed)
    most = min(6, device.num_qubits)
    pairs = [
        random_circuit(device, int(rng.integers(2, most + 1)), int(rng.integers(10, 121)), rng) for _ in range(count)
    ]
    ours, seconds = [], []
    for circuit, qubits in pairs:
        noisy_observables(circuit, device, qubits)  # fills the device's cache of channels
        begin = time.perf_counter()
        ours.append(expectations(noisy_observables(circuit, device, qubits), GROUND)[0])
        seconds.append(time.perf_counter() - begin)
    mine = np.concatenate(ours)
    options = {"method": "density_matrix", "max_parallel_threads": 1}
    stock, lost, batch_s = aer(AerSimulator(noise_model=device.noise_model, **options), device, pairs)
    explicit = [(with_whole_channels(circuit, device, cache), qubits) for circuit, qubits in pairs]
    whole, _, _ = aer(AerSimulator(**options), device, explicit)
    trace = np.repeat(np.abs(lost), [len(qubits) for _, qubits in pairs])
    return {
        "device": device.fingerprint(),
        "two_qubit_gates": sorted({gate for gate in device.basis for place in device.target[gate] if len(place) == 2}),
        "circuits": count,
        "values": len(mine),
        "max_difference_to_aer": float(np.abs(mine - stock).max()),
        "max_difference_to_aer_whole_channels": float(np.abs(mine - whole).max()),
        "trace_lost_by_aer": float(np.abs(lost).max()),
        "excess_over_lost_trace": float((np.abs(mine - stock) - trace).max()),
        "coevo_ms": float(np.median(seconds) * 1e3),
        "aer_ms": batch_s / count * 1e3,
    }


def u3_cu3(rng: np.random.Generator, blocks: int) -> QuantumCircuit:
    """Blocks of U3 on four qubits and CU3 on their ring, at random angles."""
    circuit = QuantumCircuit(4)
    for _ in range(blocks):
        for qubit in range(4):
            circuit.u(*rng.uniform(-np.pi, np.pi, 3), qubit)
        for qubit in range(4):
            circuit.cu(*rng.uniform(-np.pi, np.pi, 3), 0, qubit, (qubit + 1) % 4)
    return circuit


def search_workload(count: int, samples: int, repeats: int, seed: int) -> dict[str, Any]:
    """The fitness of circuits over a data set: coevo's sweep and contraction, Aer's batch of bound circuits."""
    device, rng = QuantumDevice.from_name("FakeQuitoV2"), np.random.default_rng(seed)
    pixels = ParameterVector("x", 16)
    encoder = QuantumCircuit(4)
    for index, pixel in enumerate(pixels):
        getattr(encoder, ("ry", "rz", "rx", "ry")[index // 4])(pixel, index % 4)
    data = rng.uniform(0, np.pi, (samples, 16))
    simulator = AerSimulator(method="density_matrix", noise_model=device.noise_model, max_parallel_threads=1)
    rows: dict[str, list[float]] = {key: [] for key in (*SEARCH, "sweep_fastest_ms", "difference")}
    for _ in range(count):
        layout = [int(q) for q in rng.permutation(5)[:4]]
        place = {"target": device.target, "initial_layout": layout, "seed_transpiler": seed}
        body = transpile(u3_cu3(rng, int(rng.integers(2, 4))), optimization_level=2, **place)
        front = transpile(encoder, optimization_level=1, **place)
        final = body.layout.final_index_layout()
        values = dict(zip(pixels, data.T, strict=True))
        sweep_s, encode_s, contract_s = [], [], []
        for _ in range(repeats):
            start = time.perf_counter()
            observables = noisy_observables(body, device, final)
            swept = time.perf_counter()
            states = encoded_states(front, device, values)
            encoded = time.perf_counter()
            mine = expectations(observables, states)
            sweep_s.append(swept - start)
            encode_s.append(encoded - swept)
            contract_s.append(time.perf_counter() - encoded)
        whole = front.compose(body)
        whole.save_density_matrix(qubits=final)
        begin = time.perf_counter()
        result = simulator.run(
            [whole], parameter_binds=[{key: list(column) for key, column in values.items()}]
        ).result()
        aer_s = time.perf_counter() - begin
        if not result.success:
            raise RuntimeError(f"Aer failed: {result.status}")
        theirs = np.empty((samples, 4))
        for sample in range(samples):
            state = result.data(sample)["density_matrix"]
            for column, qubit in enumerate(final):
                zero, one = device.readout_matrix(qubit) @ state.probabilities([column])
                theirs[sample, column] = zero - one
        rows["cx"].append(body.count_ops()["cx"])
        for key, taken in (("sweep_ms", sweep_s), ("encode_ms", encode_s), ("contract_ms", contract_s)):
            rows[key].append(float(np.median(taken)) * 1e3)
        rows["sweep_fastest_ms"].append(min(sweep_s) * 1e3)
        rows["aer_ms"].append(aer_s * 1e3)
        rows["difference"].append(float(np.abs(mine - theirs).max()))
    return {key: _bench.summary(column) for key, column in rows.items()} | {"circuits": count, "samples": samples}


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--circuits", type=int, default=12, help="random circuits a backend (12)")
    options.add_argument("--search-circuits", type=int, default=6, help="circuits of the second workload (6)")
    options.add_argument("--samples", type=int, default=500, help="encoded samples of the second workload (500)")
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="qiskit_ibm_runtime")

    result = _bench.Result("noisy_expectations", ("qiskit", "qiskit-aer", "qiskit-ibm-runtime"))
    result.settings = {
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "dtype": "float64",
        "seed": arguments.seed,
        "circuits_a_backend": arguments.circuits,
        "search_circuits": arguments.search_circuits,
        "samples": arguments.samples,
    }
    cache: dict[Any, Any] = {}
    rows = [compare(name, arguments.circuits, arguments.seed + index, cache) for index, name in enumerate(DEVICES)]
    search = search_workload(arguments.search_circuits, arguments.samples, 20, arguments.seed)
    programs = {
        name: _noisy_programs.agreement(QuantumDevice.from_name(name), arguments.seed + index)
        for index, name in enumerate(DEVICES)
    }
    result.measurements = {"random_circuits": rows, "search": search, "programs": programs}

    head = ("backend", "gate", "values", "|diff|", "|diff| whole", "trace lost", "coevo ms", "Aer ms")
    fields = ("values", "max_difference_to_aer", "max_difference_to_aer_whole_channels", "trace_lost_by_aer")
    columns = (*fields, "coevo_ms", "aer_ms")
    lines = [(row["device"]["name"], "/".join(row["two_qubit_gates"]), *map(row.get, columns)) for row in rows]
    print(_bench.table(head, lines))
    medians = ", ".join(f"{key} {search[key]['median']:.3g}" for key in SEARCH)
    print(f"\nsearch workload, medians over {search['circuits']} circuits x {search['samples']} samples: {medians}")

    kept = [row for row in rows if row["trace_lost_by_aer"] < 1e-12]
    enough = arguments.circuits >= 10 and len(kept) >= 5

    def count(chosen: list[dict[str, Any]]) -> str:
        return f"{sum(row['circuits'] for row in chosen)} circuits on {len(chosen)} fake backends"

    bars = [
        _bench.at_most(
            f"max |coevo - Aer| over {count(kept)}",
            max((row["max_difference_to_aer"] for row in kept), default=None),
            "1",
            LIMIT,
            "stock Aer, on the backends where it drops no term of an error channel",
        ),
        _bench.at_most(
            f"max |coevo - Aer| over {count(rows)}, error channels handed to Aer whole",
            max(row["max_difference_to_aer_whole_channels"] for row in rows),
            "1",
            LIMIT,
        ),
        _bench.at_most(
            f"max (|coevo - Aer| - trace that Aer lost) over {count(rows)}",
            max(row["excess_over_lost_trace"] for row in rows),
            "1",
            LIMIT,
            f"stock Aer loses up to {max(row['trace_lost_by_aer'] for row in rows):.1g} of the trace: "
            "it drops error terms of probability <= 1e-10",
        ),
        _bench.at_most(
            f"max |coevo - Aer| over {search['circuits']} U3+CU3 circuits x {search['samples']} encoded samples",
            search["difference"]["max"],
            "1",
            LIMIT,
            "FakeQuitoV2, encoder and body as one circuit in Aer",
        ),
        _bench.at_most(
            "four noisy observables of a U3+CU3 circuit on FakeQuitoV2, channel assembly included",
            search["sweep_fastest_ms"]["median"],
            "ms",
            3.0,
            f"{search['cx']['median']:.0f} cx in the median; fastest of 20 repeats a circuit, as timeit does on shared "
            f"machines; the median repeat took {search['sweep_ms']['median']:.2g} ms",
        ),
        _bench.at_least(
            f"time of Aer over time of coevo, {search['samples']} samples of one circuit",
            search["aer_ms"]["median"] / sum(search[key]["median"] for key in ("sweep_ms", "encode_ms", "contract_ms")),
            "x",
            50.0,
            "Aer runs all samples at once, as parameter bindings of one circuit",
        ),
    ]
    cells = [row for variants in programs.values() for row in variants.values()]
    waits = sum(row["delays"] > 0 for row in cells)
    for quantity in _noisy_programs.QUANTITIES:
        entry = _bench.at_most(
            f"max |coevo - Aer|, {quantity.replace('_', ' ')} of {len(cells)} programs on {len(programs)} backends",
            max(row[quantity] for row in cells),
            "1",
            LIMIT,
            f"encoder apart or fused, {waits} programs with delays; compiled and torch; error channels handed whole",
        )
        bars.append(entry if len(programs) >= 10 and waits >= 10 else _bench.not_met(entry, "needs 10 with delays"))
    if not enough:
        bars[:3] = [_bench.not_met(entry, "needs 10 circuits on 5 backends") for entry in bars[:3]]
    result.bars = bars
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
