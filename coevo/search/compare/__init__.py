"""Runs beside each other: whether they may be compared, and what can be said."""

from __future__ import annotations

from coevo.search.compare.comparison import Comparison as Comparison
from coevo.search.compare.comparison import compare as compare
from coevo.search.compare.verdict import verdict as verdict

__all__ = ["Comparison", "compare", "verdict"]
