"""``clean()``: the one gate through which foreign text passes on its way to any page, file or log line."""

from __future__ import annotations

from itertools import islice

import regex

#: What stands for a character that cannot be shown.
REPLACEMENT = "\ufffd"
_ELLIPSIS = "…"
_GRAPHEME_POINTS = 32  # the longest emoji sequence in use has 14 code points

# Bidi controls could reorder the words around a title; zero-width marks make two different titles look alike.
_STRIP = regex.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\u180e\u00ad]+")
_SPACE = regex.compile(r"[\s\u2028\u2029\u0085]+")
# Controls, lone surrogates, private use and noncharacters. Unassigned code points stay: they may be newer than this
# library.
_NONCHARACTERS = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_BAD = regex.compile(rf"[\p{{Cc}}\p{{Cs}}\p{{Co}}\ufdd0-\ufdef{_NONCHARACTERS}]")
# A pile of combining marks is not a letter: no script in use needs more than a handful.
_PILE = regex.compile(r"(\p{M}{7})\p{M}+")
_GRAPHEME = regex.compile(r"\X")


def clean(text: str, limit: int = 120) -> str:
    """Make foreign text safe to show in one line, at most `limit` graphemes long.

    Line breaks, tabs and runs of white space become one space; controls, lone surrogates and noncharacters become
    U+FFFD; bidi controls and zero-width marks are taken out (joiners inside emoji and scripts stay). A longer text is
    cut at the end of a word where one is near, and ends in "…". Markup is not touched: escaping belongs to the page.

    Parameters
    ----------
    text : str
    limit : int
        Graphemes (UAX 29), not code points.
    """
    if len(text) <= limit and text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    text = _SPACE.sub(" ", _STRIP.sub("", text)).strip()
    return _cut(_PILE.sub(r"\1", _BAD.sub(REPLACEMENT, text)), limit)


def _cut(text: str, limit: int) -> str:
    parts = [_shown(found.group()) for found in islice(_GRAPHEME.finditer(text), limit + 1)]
    if len(parts) <= limit:
        return "".join(parts)
    kept = "".join(parts[:limit])
    word = kept.rfind(" ")
    return (kept[:word] if word > len(kept) * 2 // 3 else kept).rstrip(" ,;:-–") + _ELLIPSIS


def _shown(grapheme: str) -> str:
    """A grapheme without end, such as joiners upon joiners, is cut too."""
    return grapheme if len(grapheme) <= _GRAPHEME_POINTS else grapheme[:_GRAPHEME_POINTS].rstrip("\u200d")
