"""Which characters our fonts can draw: a box in the place of a letter is never printed in silence."""

from __future__ import annotations

from functools import lru_cache

import matplotlib as mpl
from matplotlib import font_manager

from reportgen.errors import RenderError
from reportgen.text import REPLACEMENT

_FONTS = ["Open Sans", "Noto Sans", "WenQuanYi Micro Hei", "DejaVu Sans"]
_SHOWN = 60


def fonts() -> list[str]:
    """Those of our fonts that are there: matplotlib warns for every one that is not. Its own DejaVu Sans always is."""
    there = {font.name for font in mpl.font_manager.fontManager.ttflist}
    return [font for font in _FONTS if font in there]


@lru_cache(maxsize=1)
def _drawn() -> frozenset[int]:
    """Code points that one of the fonts has, and the line end."""
    paths = [font_manager.findfont(font_manager.FontProperties(family=name)) for name in fonts()]
    return frozenset({0x0A}.union(*(font_manager.get_font(path).get_charmap() for path in paths)))


def missing(text: str) -> str:
    """The characters of a text that no font has, each once, in order."""
    return "".join(dict.fromkeys(letter for letter in text if ord(letter) not in _drawn()))


def replaced(text: str) -> str:
    """A text with U+FFFD in the place of each character that no font has."""
    return "".join(letter if ord(letter) in _drawn() else REPLACEMENT for letter in text)


def check(text: str) -> str:
    """Return the text.

    Raises
    ------
    RenderError
        No font has one of its characters; names it and the text.
    """
    if lacking := missing(text):
        points = ", ".join(f"U+{ord(letter):04X}" for letter in lacking[:5])
        told = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise RenderError(
            f'a figure cannot be drawn: none of the fonts {", ".join(fonts())} has {points} of "{told}"; '
            "change this text, or use the table of the page"
        )
    return text
