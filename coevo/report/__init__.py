"""The report of a run: one HTML file with pictures of its front, its history, its choices and its designs."""

from __future__ import annotations

from coevo.report.writing import write_report as write_report

__all__ = ["write_report"]
