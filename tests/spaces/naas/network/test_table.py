import json

import pytest

from coevo.errors import InputError
from coevo.search.canonical import stream
from coevo.search.space import Space
from coevo.spaces.naas.network import IMAGENET, family
from coevo.spaces.naas.network.table import read_table

FAMILY = "ofa_mobilenet_v3"
SPACE = Space("test/v1", lambda pick: family(FAMILY)(pick, IMAGENET))


def written(tmp_path, networks, source="measured by the user"):
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"source": source, "networks": networks}))
    return path


def answers(index):
    return (
        SPACE.sample(stream("table", index)).as_dict()
        if hasattr(SPACE, "as_dict")
        else dict(SPACE.sample(stream("table", index)).answers)
    )


def test_rows_build_their_networks(tmp_path):
    rows = [{"answers": answers(index), "accuracy": 0.7 + 0.01 * index} for index in range(3)]
    table = read_table(written(tmp_path, rows), FAMILY, IMAGENET)
    assert [accuracy for _, accuracy in table.rows] == [0.7, 0.71, 0.72]
    assert table.rows[1][0] == SPACE.build(SPACE.sample(stream("table", 1)))
    found = {table.rows.index(Space("pick/v1", table.pick).build(Space("pick/v1", table.pick).sample(stream(1, k))))
             for k in range(40)}  # fmt: skip
    assert found == {0, 1, 2}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda row: row.update(accuracy=71.0), "share from 0 to 1"),
        (lambda row: row["answers"].pop("depth0"), "'depth0', which is not answered"),
        (lambda row: row["answers"].update(depth0=9), "depth0 = 9 is none of"),
        (lambda row: row["answers"].update(depht0=2), "depht0 bind to nothing"),
        (lambda row: row.pop("accuracy"), "expected answers and accuracy"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, change, words):
    rows = [{"answers": answers(0), "accuracy": 0.7}, {"answers": answers(1), "accuracy": 0.7}]
    change(rows[1])
    with pytest.raises(InputError, match=f"network 1.*{words}"):
        read_table(written(tmp_path, rows), FAMILY, IMAGENET)


def test_a_table_without_a_source_or_rows_is_refused(tmp_path):
    with pytest.raises(InputError, match="source"):
        read_table(written(tmp_path, [], "x"), FAMILY, IMAGENET)
    with pytest.raises(InputError, match="source"):
        read_table(written(tmp_path, [{"answers": answers(0), "accuracy": 0.5}], ""), FAMILY, IMAGENET)
