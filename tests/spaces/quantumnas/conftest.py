"""A small problem on the real digits, its SuperCircuit trained once for all tests of this folder."""

from __future__ import annotations

import pytest

pytest.importorskip("qiskit_ibm_runtime")
pytest.importorskip("qiskit_aer")
pytest.importorskip("mlxtend")
pytest.importorskip("safetensors")

from coevo.search.canonical import stream
from coevo.search.evaluator import Context
from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas import Options, problem
from coevo.spaces.quantumnas.setting import Setting

SMALL = {
    "max_blocks": 3,
    "train_examples": 200,
    "validation_examples": 100,
    "test_examples": 100,
    "supercircuit_steps": 120,
    "supercircuit_batch": 64,
    "fine_tune_steps": 5,
    "scratch_steps": 60,
    "scratch_restarts": 2,
}


@pytest.fixture(scope="session")
def small_options():
    return dict(SMALL)


@pytest.fixture(scope="session")
def small_problem():
    return problem(**SMALL)


@pytest.fixture(scope="session")
def setting():
    return Setting.make(Options(**SMALL))


@pytest.fixture(scope="session")
def prepared(small_problem, tmp_path_factory):
    return small_problem.prepare(WorkContext(tmp_path_factory.mktemp("prepared"), 0))


@pytest.fixture(scope="session")
def evaluator(small_problem, prepared):
    judge = small_problem.stages[0].evaluator
    judge.setup(Context(artifacts=prepared))
    return judge


@pytest.fixture(scope="session")
def sampled(small_problem):
    """sampled(n): n values of the space, always the same."""

    def values(count):
        space = small_problem.space
        return [space.build(space.sample(stream(0, "test", index))) for index in range(count)]

    return values
