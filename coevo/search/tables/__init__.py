"""A study as tables that other tools read: a pandas frame, CSV, Parquet, and an Optuna journal."""

from __future__ import annotations

from coevo.search.tables.columns import Columns as Columns
from coevo.search.tables.columns import survey as survey
from coevo.search.tables.files import write_csv as write_csv
from coevo.search.tables.files import write_parquet as write_parquet
from coevo.search.tables.frame import dataframe as dataframe
from coevo.search.tables.history import History as History
from coevo.search.tables.history import Told as Told

__all__ = ["Columns", "History", "Told", "dataframe", "survey", "write_csv", "write_parquet"]
