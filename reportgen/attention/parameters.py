"""What the parameters of a scorer may be, and how many threads learn from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from reportgen.errors import ConfigError

_AT_LEAST = {"neighbours": 1, "l2": 0, "min_support": 0, "history_cap": 1, "max_users": 1, "n_negatives": 1}


_Do = TypeVar("_Do", bound=Callable[..., Any])


def one_thread(do: _Do) -> _Do:
    """Run a method with one thread of linear algebra.

    Its matrices are small: more threads only wait for each other, and where other work shares the machine for long. And
    a sum that is split among threads may differ in the last bit, so that two machines would not learn the same model.
    """

    @wraps(do)
    def alone(*given: Any, **named: Any) -> Any:
        with threadpool_limits(limits=1):
            return do(*given, **named)

    return alone  # type: ignore[return-value]


def check_parameters(given: Mapping[str, Any]) -> None:
    """Refuse what no scorer can be fitted with, naming the parameter and what it may be."""
    half_lives = given["half_lives"]
    if half_lives is not None and (len(half_lives) == 0 or not all(half_life > 0 for half_life in half_lives)):
        raise ConfigError(f"half_lives: {half_lives!r} must be numbers above 0 (or infinity), at least one")
    if not given["lately"] > 0:
        raise ConfigError(f"lately: {given['lately']!r} must be a number of days above 0")
    for name, low in _AT_LEAST.items():
        if not given[name] >= low:  # written so that NaN fails too
            raise ConfigError(f"{name}: {given[name]!r} is too small; it must be at least {low}")
