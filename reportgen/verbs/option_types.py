"""What a word on the command line may be: numbers, lists of names, languages, times. Light, like `reportgen.verbs.options`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reportgen.formats import REFITS, REFITS_TOLD
from reportgen.languages import choose_locale, unavailable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def whole(least: int) -> Callable[[str], int]:
    """A whole number of at least `least`."""

    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return number


def refits(text: str) -> int:
    """How often a model is fitted again."""
    if not text.isascii() or not text.isdigit() or len(text) > 4 or int(text) not in REFITS:
        raise argparse.ArgumentTypeError(f"{text!r} refits: {REFITS_TOLD}")
    return int(text)


def some_of(names: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """One or more of some names, with commas between them; in the order of `names`."""

    def chosen(text: str) -> tuple[str, ...]:
        words = text.split(",")
        wrong = next((word for word in words if word not in names), None)
        if wrong is not None:
            raise argparse.ArgumentTypeError(f"{wrong!r} is not available; use one or more of {','.join(names)}")
        return tuple(word for word in names if word in words)

    return chosen


def place(text: str) -> Path | str:
    """A folder, or a URL as it is: a path would lose one of its slashes."""
    return text if "://" in text else Path(text)


def locale(text: str) -> str:
    """The language that serves a reader of a tag."""
    found = choose_locale(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} {unavailable(text)}")
    return found


def moment(text: str) -> int:
    """An ISO time in microseconds since 1970; UTC without a zone."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; write 2026-01-31 or 2026-01-31T18:00+01:00"
        ) from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when - _EPOCH) // timedelta(microseconds=1)
