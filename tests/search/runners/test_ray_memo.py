"""Inner results on Ray: the driver hands them from actor to actor, and no outcome depends on who asked first."""

import random
import time

import pytest

from coevo import Evaluator, Outcome, Space, Study
from coevo.search.runners.cluster import Cluster

pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.timeout(240)

SPACE = Space("nested/v1", lambda pick: [pick.integer(f"layer{i}", 1, 4) for i in range(6)])


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    connected = Cluster(None, 4)
    yield
    connected.close()


@pytest.fixture
def mapper():
    """Its class is local, so it travels by value."""

    class Mapper(Evaluator):
        id, metrics = "mapper", {"cost": ""}

        def evaluate(self, candidates, context):
            time.sleep(random.SystemRandom().uniform(0, 0.004))
            return [Outcome({"cost": sum(context.memo(x, best) for x in c.value)}) for c in candidates]

    def best(seed):
        return random.Random(seed).random()

    return Mapper()


def search(mapper, **options):
    with Study(SPACE, mapper, objectives={"cost": "min"}, seed=3, **options) as done:
        done.run(trials=60)
        return [(trial.design.key, trial.outcome.metrics) for trial in done.trials()], done.memo


@pytest.mark.parametrize("workers", [1, 4])
def test_actors_share_inner_results(mapper, workers):
    reference, _ = search(mapper, runner="inline", memo=False)
    found, counts = search(mapper, runner="ray", workers=workers)
    assert found == reference and all(metrics for _, metrics in found)
    assert counts.entries == 4 and 4 <= counts.computed <= 4 * workers
    assert counts.hits + counts.computed == 6 * 60
