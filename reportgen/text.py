"""``clean()``: the one gate through which foreign text passes on its way to any page, file or log line."""

from __future__ import annotations

import regex

#: What stands for a character that cannot be shown.
REPLACEMENT = "\ufffd"
_ELLIPSIS = "…"
_MARKS = 8  # code points kept per grapheme: a pile of combining marks is not a letter

# Bidi controls could reorder the words around a title; zero-width marks make two different titles look alike.
_STRIP = regex.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\u206a-\u206f\ufeff\u180e\u00ad]")
_SPACE = regex.compile(r"[\s\u2028\u2029\u0085]+")
# Controls, lone surrogates, private use and noncharacters. Unassigned code points stay: they may be newer than this library.
_BAD = regex.compile(r"[\p{Cc}\p{Cs}\p{Co}\ufdd0-\ufdef]|[\ufffe\uffff]|[\U0001fffe\U0001ffff\U0002fffe\U0002ffff]")
_GRAPHEME = regex.compile(r"\X")


def clean(text: str, limit: int = 120) -> str:
    """Make foreign text safe to show in one line, at most `limit` graphemes long.

    Line breaks, tabs and runs of white space become one space; controls, lone surrogates and noncharacters become U+FFFD;
    bidi controls and zero-width marks are taken out (joiners inside emoji and scripts stay). A longer text is cut at the
    end of a word where one is near, and ends in "…". Markup is not touched: escaping belongs to the page.

    Parameters
    ----------
    text : str
    limit : int
        Graphemes (UAX 29), not code points.
    """
    if len(text) <= limit and text.isprintable():
        return text.strip()
    text = text[: limit * _MARKS * 4]
    text = _SPACE.sub(" ", text).strip()
    text = _BAD.sub(REPLACEMENT, _STRIP.sub("", text))
    return _cut(text, limit)


def _cut(text: str, limit: int) -> str:
    parts = [part[:_MARKS] for part in _GRAPHEME.findall(text[: (limit + 1) * _MARKS * 2])]
    if len(parts) <= limit:
        return "".join(parts).strip()
    kept = "".join(parts[:limit])
    word = kept.rfind(" ")
    return (kept[:word] if word > len(kept) * 2 // 3 else kept).rstrip(" ,;:-–") + _ELLIPSIS
