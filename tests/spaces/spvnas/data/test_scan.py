"""What a scan may hold."""

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.spvnas.data.scan import Scan

POINTS = np.ones((3, 4), dtype=np.float32)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"points": np.ones((3, 4))}, "float32"),
        ({"points": np.ones((3, 3), dtype=np.float32)}, r"\[3, 3\]"),
        ({"points": np.ones((0, 4), dtype=np.float32)}, "empty"),
        ({"points": np.array([[1, 1, np.nan, 0]], dtype=np.float32)}, "point 0"),
        ({"labels": np.zeros(2, dtype=np.int64)}, "3 points"),
        ({"labels": np.zeros(3, dtype=np.int32)}, "int64"),
        ({"labels": np.array([0, 19, 0])}, "class id 19"),
        ({"labels": np.array([0, 0, -1])}, "class id -1"),
        ({"boxes": np.zeros((1, 6), dtype=np.float32), "box_classes": ("car",)}, "boxes must be"),
        ({"boxes": np.zeros((2, 7), dtype=np.float32), "box_classes": ("car",)}, "2 boxes and 1 classes"),
        ({"box_classes": ("car",)}, "0 boxes"),
    ],
)
def test_anything_else_is_refused(given, says):
    with pytest.raises(InputError, match=says):
        Scan(**{"points": POINTS, "labels": None, "name": "x", **given})


def test_ignored_labels_are_labels():
    assert Scan(POINTS, np.array([0, 18, 255]), "x").labels[2] == 255
