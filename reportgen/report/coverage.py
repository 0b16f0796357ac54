"""Which letters the fonts of this machine can print: a box in the place of a letter is never printed in silence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from weasyprint.text.ffi import ffi, pango
from weasyprint.text.line_break import Layout

from reportgen.text import REPLACEMENT

_LOG = logging.getLogger(__name__)
_SHOWN = 60


class Coverage:
    """What Pango finds a font for.

    It is asked once for each character of a process.

    Parameters
    ----------
    style : weasyprint.css.ComputedStyle
        Any: if its own fonts lack a character, Pango looks into all others.
    """

    def __init__(self, style: Any) -> None:
        self._style = style
        self._there = {" ", "\n", "\t", "\r"}
        self._lacking: set[str] = set()

    def missing(self, letters: set[str]) -> set[str]:
        """Those of some characters that no font has."""
        for letter in letters - self._there - self._lacking:
            (self._there if self._has(letter) else self._lacking).add(letter)
        return letters & self._lacking

    def _has(self, letter: str) -> bool:
        layout = Layout(self._style)
        layout.set_text(letter)
        run = layout.get_first_line()[0].runs[0]
        while run != ffi.NULL:
            glyphs = run.data.glyphs
            for glyph in glyphs.glyphs[0 : glyphs.num_glyphs]:
                if glyph.glyph != pango.PANGO_GLYPH_EMPTY and glyph.glyph & pango.PANGO_GLYPH_UNKNOWN_FLAG:
                    return False
            run = run.next
        return True

    def stand_ins(self, missing: Iterable[str]) -> Mapping[int, str]:
        """For `str.translate`: U+FFFD for each character, and where no font has even that, a question mark."""
        stand_in = REPLACEMENT if self._has(REPLACEMENT) else "?"
        return {ord(letter): stand_in for letter in missing}


def warn(missing: set[str], texts: Iterable[str]) -> None:
    """Log which characters of which texts were replaced."""
    for text in dict.fromkeys(texts):
        if found := [letter for letter in dict.fromkeys(text) if letter in missing]:
            points = ", ".join(f"U+{ord(letter):04X}" for letter in found[:5])
            start = max(0, text.index(found[0]) - _SHOWN // 2)
            told = text[start : start + _SHOWN].strip()
            _LOG.warning('no font has %s of "%s": printed as U+FFFD; install a font that has it', points, told)
