import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch

from coevo.errors import InputError
from coevo.search.evaluator import Context
from coevo.spaces.naas.network import Scale
from coevo.spaces.naas.network import training as training_module
from coevo.spaces.naas.network.accuracy import SupernetAccuracy, network_key
from coevo.spaces.naas.network.images import read_images
from coevo.spaces.naas.network.supernet import largest, smallest
from coevo.spaces.naas.network.training import Plan, load_supernet, train_supernet
from coevo.supernets.elastic import recording, settled

SCALE = Scale((8,), 10, width=0.125, channels=1, stem_stride=1)
FAMILY = "ofa_mobilenet_v3"


@pytest.fixture(scope="module")
def digits():
    return read_images("digits")


def test_training_resumes_to_the_same_weights(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(training_module, "CHECKPOINT_STEPS", 2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    straight = train_supernet(FAMILY, SCALE, digits, Plan(5, batch=16), 3, whole)

    def interrupt(done, total, text):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_supernet(FAMILY, SCALE, digits, Plan(5, batch=16), 3, broken, interrupt)
    assert (broken / "checkpoint-2.safetensors").is_file()
    resumed = train_supernet(FAMILY, SCALE, digits, Plan(5, batch=16), 3, broken)
    one, other = (load_supernet(path, FAMILY, SCALE).state_dict() for path in (straight, resumed))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_judge_reads_the_weights_and_judges_on_validation_images(digits, tmp_path):
    path = train_supernet(FAMILY, SCALE, digits, Plan(2, batch=16), 0, tmp_path)
    judge = SupernetAccuracy(path, FAMILY, SCALE, digits, None)
    found = judge.of(largest(FAMILY, SCALE), Context())
    network = load_supernet(path, FAMILY, SCALE)
    calibration, validation = torch.from_numpy(digits.train[:256]), torch.from_numpy(digits.validation)
    with recording(network), torch.no_grad():
        network(calibration, largest(FAMILY, SCALE))
    with settled(network), torch.no_grad():
        right = network(validation, largest(FAMILY, SCALE)).argmax(dim=1).numpy() == digits.validation_labels
    assert found == pytest.approx(right.mean())
    few = SupernetAccuracy(path, FAMILY, SCALE, digits, 50)
    assert few.of(largest(FAMILY, SCALE), Context()) == pytest.approx(right[:50].mean(), abs=1e-9)


def test_keys_tell_networks_apart():
    assert network_key(largest(FAMILY, SCALE)) != network_key(smallest(FAMILY, SCALE))
    assert network_key(largest(FAMILY, SCALE)) == network_key(largest(FAMILY, SCALE))


def test_a_batch_larger_than_the_data_and_weights_of_another_scale_are_refused(digits, tmp_path):
    with pytest.raises(InputError, match="batch of 5000"):
        train_supernet(FAMILY, SCALE, digits, Plan(1, batch=5000), 0, tmp_path)
    path = train_supernet(FAMILY, SCALE, digits, Plan(1, batch=8), 0, tmp_path)
    with pytest.raises(InputError, match="no weights of ofa_mobilenet_v3"):
        load_supernet(path, FAMILY, Scale((8,), 10, width=0.25, channels=1, stem_stride=1))


def test_labels_and_images_stay_together(digits):
    """The validation images of a class look like its training images: nearest class mean is far above chance."""
    means = np.stack([digits.train[digits.train_labels == label].mean(axis=0) for label in range(10)])
    distance = ((digits.validation[:, None] - means[None]) ** 2).sum(axis=(2, 3, 4))
    assert (distance.argmin(axis=1) == digits.validation_labels).mean() > 0.8
