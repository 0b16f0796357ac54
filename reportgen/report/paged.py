"""The tables of a report as a PDF lays them out."""

from __future__ import annotations

from reportgen.report.tables import Drawing


class PagedDrawing(Drawing):
    """Tables of one report on paper."""
