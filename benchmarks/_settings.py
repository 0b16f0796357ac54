"""``--set name=value`` of the benchmarks: parameters of the scorer from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def read_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Values in JSON, or plain text where they are none: ``l2=50``, ``half_lives=[20, 3]``."""
    given: dict[str, Any] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            given[name] = json.loads(text)
        except json.JSONDecodeError:
            given[name] = text
    return given
