"""The operator's look, as a manifest has it, on the pages that are made of a finished run."""

from __future__ import annotations

from typing import Any

from reportgen.config import Config
from reportgen.errors import ConfigError
from reportgen.report.document import Theme
from reportgen.report.theme import theme_of

_NAMES = ("accent", "font", "paper")


def sealed_theme(look: Any) -> Theme:
    """Colour, font and paper. The plain look where the manifest holds anything that no configuration may: it goes into a style sheet."""
    try:
        wanted = {name: look[name] for name in _NAMES if look.get(name)}
        return theme_of(Config.from_dict({"look": wanted}).look)
    except (ConfigError, AttributeError, TypeError):
        return Theme()
