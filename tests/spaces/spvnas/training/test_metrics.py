"""Intersection over union on cases worked out by hand."""

import numpy as np
import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.spvnas.training import Confusion


def scores(predicted, labels, classes=3):
    found = Confusion(classes)
    found.add(torch.tensor(predicted), torch.tensor(labels))
    return found.scores()


def test_by_hand() -> None:
    found = scores([0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 255, 255])
    assert found.confusion.tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert found.iou[:2].tolist() == [1 / 2, 2 / 3] and np.isnan(found.iou[2])
    assert found.miou == pytest.approx(7 / 12)
    assert found.legacy_miou == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert found.accuracy == 3 / 4
    assert found.miou_of([1, 2]) == pytest.approx(2 / 3) and np.isnan(found.miou_of([2]))


def test_a_class_that_is_only_predicted_counts_against_the_others() -> None:
    found = scores([2, 0], [0, 0])
    assert found.iou[2] == 0 and found.miou == pytest.approx(1 / 2)  # only class 0 is there


def test_counts_add_up_over_scans() -> None:
    rng = np.random.default_rng(0)
    whole = Confusion(19)
    parts = [(rng.integers(0, 19, n), rng.choice([*range(19), 255], n)) for n in (0, 1, 50, 400)]
    for predicted, labels in parts:
        whole.add(torch.from_numpy(predicted), torch.from_numpy(labels))
    expected = np.zeros((19, 19), dtype=int)
    for predicted, labels in parts:
        for guess, truth in zip(predicted, labels, strict=True):
            if truth != 255:
                expected[truth, guess] += 1
    assert np.array_equal(whole.scores().confusion, expected)


def test_nothing_to_count() -> None:
    assert np.isnan(scores([0], [255]).miou)
    with pytest.raises(InputError):
        scores([0, 1], [0])
    assert scores([0], [0]).to_json(("a", "b", "c"))["iou_percent"] == {"a": 100.0, "b": None, "c": None}
