"""Maps of SemanticKITTI's ids to classes."""

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.spvnas.data.labels import CLASSES, IGNORED, LEARNING_MAPS, classes_of, raw_ids_of


def test_there_are_19_classes_in_the_official_order():
    assert len(CLASSES) == len(set(CLASSES)) == 19
    assert (CLASSES[0], CLASSES[8], CLASSES[14], CLASSES[18]) == ("car", "road", "vegetation", "traffic-sign")


@pytest.mark.parametrize(
    ("raw", "official", "legacy"),
    [(13, 4, 255), (16, 4, 255), (256, 4, 255), (257, 4, 255), (60, 8, 255), (10, 0, 0), (252, 0, 0), (259, 4, 4),
     (254, 5, 5), (253, 6, 6), (255, 7, 7), (258, 3, 3), (0, 255, 255), (1, 255, 255), (52, 255, 255), (99, 255, 255),
     (81, 18, 18)],
)  # fmt: skip
def test_what_the_two_maps_make_of_an_id(raw, official, legacy):
    ids = np.array([raw], dtype=np.uint32)
    assert classes_of(ids).tolist() == [official]
    assert classes_of(ids, "legacy").tolist() == [legacy]


def test_both_maps_know_the_34_ids_of_the_data_set():
    assert len(LEARNING_MAPS["official"]) == len(LEARNING_MAPS["legacy"]) == 34


def test_classes_come_back_from_their_raw_ids():
    labels = np.array([*range(19), IGNORED])
    assert classes_of(raw_ids_of(labels)).tolist() == labels.tolist()


@pytest.mark.parametrize("raw", [2, 82, 260, 65535])
def test_an_unknown_id_is_named(raw):
    with pytest.raises(InputError, match=rf"here\.label: point 1 has the semantic id {raw}"):
        classes_of(np.array([10, raw]), where="here.label")


def test_an_unknown_map_is_named():
    with pytest.raises(InputError, match="offical"):
        classes_of(np.array([10]), "offical")
