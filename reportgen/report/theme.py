"""The operator's look, from the configuration to something a page can use: colours, font, logo, paper."""

from __future__ import annotations

from functools import lru_cache

from reportgen.config import Look
from reportgen.report.document import Theme


@lru_cache(maxsize=8)
def theme_of(look: Look) -> Theme:
    """Check the settings once per process and make them ready for pages."""
    return Theme(accent=look.accent, font=look.font)
