"""What the parameters of a scorer may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reportgen.errors import ConfigError

_AT_LEAST = {"neighbours": 1, "l2": 0, "min_support": 0, "history_cap": 1, "max_users": 1, "n_negatives": 1}


def check_parameters(given: Mapping[str, Any]) -> None:
    """Refuse what no scorer can be fitted with, naming the parameter and what it may be."""
    half_lives = given["half_lives"]
    if half_lives is not None and (len(half_lives) == 0 or not all(half_life > 0 for half_life in half_lives)):
        raise ConfigError(f"half_lives: {half_lives!r} must be numbers above 0 (or infinity), at least one")
    for name, low in _AT_LEAST.items():
        if not given[name] >= low:  # written so that NaN fails too
            raise ConfigError(f"{name}: {given[name]!r} is too small; it must be at least {low}")
