"""A study as a pandas DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coevo.errors import missing_extra
from coevo.search.tables.columns import INTEGER, REAL, TEXT, TIME, TRUTH, survey
from coevo.search.tables.history import History

if TYPE_CHECKING:
    import pandas

DTYPES = {INTEGER: "Int64", REAL: "float64", TEXT: "string", TRUTH: "boolean", TIME: "datetime64[us, UTC]"}
"""Absent cells: NaN in a column of reals, <NA> in those of integers, texts and truth values. No time is ever absent."""


def dataframe(history: History) -> pandas.DataFrame:
    """One row a told trial, in the order of the indices; `coevo.search.tables.columns.survey` names the columns.

    A choice that a design was not asked is absent. Its dtype follows the answers of the whole study: "Int64" for
    integers, "float64" where any is a real, "string", "boolean"; orders, subsets and choices among several types are
    JSON texts, which group, join and survive Parquet; `json.loads` gives the answer back.

    MissingExtra where pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise missing_extra("pandas", "tables") from None
    columns = survey(history)
    cells: list[list[object]] = [[] for _ in columns.kinds]
    for row in columns.rows(history):
        for column, cell in zip(cells, row, strict=True):
            column.append(cell)
    made = {
        name: pandas.Series(column, dtype=DTYPES[kind])
        for (name, kind), column in zip(columns.kinds.items(), cells, strict=True)
    }
    return pandas.DataFrame(made)
