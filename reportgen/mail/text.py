"""The plain text of a mail: everything that the page says, for those who read it, hear it or search it without one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from reportgen.mail.page import Chart, MailPage, Shown
from reportgen.mail.parts import STOP
from reportgen.report.words import END_ISOLATE, ISOLATE, Words

#: Columns of a line; a Chinese character takes two.
WIDTH = 72
_LABEL = 40
_ISOLATED = re.compile(f"{ISOLATE}([^{ISOLATE}{END_ISOLATE}]*){END_ISOLATE}")
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))
# A line may end after a space, or between two characters of which one is East Asian; no line begins with closing punctuation.
_PIECE = re.compile(
    r"[“‘（《「『【〈]*[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef][、。，．：；？！）」』】》〉”’…]*"
    r"|[^\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+|\s"
)


def mail_text(page: MailPage, words: Words) -> str:
    """The text: paragraphs of at most `WIDTH` columns (an address is never broken), with LF line ends."""
    report, say = page.report, words.say
    blocks = [wrapped(page.preheader), report.title, *([report.banner] if report.banner else [])]
    blocks += ["\n".join(map(wrapped, report.meta)), wrapped(report.lead)]
    blocks += ["\n".join(_product(shown, words)) for shown in page.items]
    if page.more:
        blocks.append(wrapped(say("mail.more", page.more)))
    if page.items:
        blocks.append(wrapped(page.shares))
    if page.chart:
        blocks.append("\n".join(_table(page.chart)))
        blocks.append(wrapped(say("mail.columns")))
    blocks += [_heading(page.used_heading), "\n".join(map(wrapped, page.used)), _heading(page.links_heading)]
    blocks += [f"{link.label}:\n{link.url}" for link in page.links]
    blocks += [f"{say('mail.stop')}:\n{STOP}", "\n".join(map(wrapped, page.who))]
    # The mark that every mail program knows as the begin of what is not the message itself (RFC 3676, 4.3) is left out on
    # purpose: some hide what follows it, and with it the one who answers for the mail.
    blocks.append("\n".join(map(wrapped, page.small)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def plain(text: str) -> str:
    """Isolates only around text that runs from right to left: elsewhere they would do nothing, and some programs show them."""
    return _ISOLATED.sub(lambda found: found[0] if _turns(found[1]) else found[1], text)


def _turns(text: str) -> bool:
    return not text.isascii() and any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text)


def columns(text: str) -> int:
    """Columns that a text takes where letters have one width: none for marks, two for East Asian characters."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def wrapped(text: str, width: int = WIDTH) -> str:
    """Lines of at most `width` columns, where the words allow it."""
    lines, line, used = [], "", 0
    for piece in _PIECE.findall(plain(text)):  # first: an isolate would stand between a quotation mark and its word
        size = columns(piece)
        if used + size > width and line.strip():
            lines.append(line.rstrip())
            line, used = "", 0
        if line or not piece.isspace():
            line, used = line + piece, used + size
    return "\n".join([*lines, line.rstrip()])


def _heading(text: str) -> str:
    return f"{text}\n{'-' * min(columns(text), WIDTH)}"


def _product(shown: Shown, words: Words) -> Iterator[str]:
    item = shown.item
    yield from wrapped(f"{words.count(item.rank)}. {item.title}").splitlines()
    if item.facts:
        yield wrapped(" · ".join(item.facts))
    yield wrapped(item.sentence)
    yield from map(wrapped, item.notices)
    for bar in shown.bars:
        yield f"  {bar.said:>5}  {bar.label}"


def _table(chart: Chart) -> Iterator[str]:
    yield from wrapped(chart.caption).splitlines()
    yield f"{_fixed(chart.corner)}{''.join(f'{column:>5}' for column in chart.columns)}"
    for label, cells, _ in chart.rows:
        yield f"{_fixed(label)}{''.join(f'{cell.value:>5}' for cell in cells)}"


def _fixed(label: str) -> str:
    """A label cut and filled to `_LABEL` columns. The cell of a table may be short: its text stands above in full."""
    kept, used = "", 0
    for character in plain(label):
        used += _width(character)
        if used > _LABEL - 1:
            return kept.rstrip() + "…" + " " * (_LABEL - 1 - columns(kept.rstrip()))
        kept += character
    return kept + " " * (_LABEL - used)
