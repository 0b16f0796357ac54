"""Lines of text as the operators of a PDF page, laid out once and written as often as they occur.

WeasyPrint lays out every text of every page anew. The tables of reports say the same few hundred numbers, dates and titles again and
again, so here a text goes through its writer once (`weasyprint.draw.text.draw_first_line`, with the fonts that Pango chooses), what it
wrote is kept, and each page gets a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from weasyprint.draw.text import draw_emojis, draw_first_line
from weasyprint.matrix import Matrix
from weasyprint.pdf.fonts import Font
from weasyprint.text.constants import PANGO_WRAP_MODE
from weasyprint.text.ffi import FROM_UNITS, TO_UNITS, ffi, pango, unicode_to_char_p
from weasyprint.text.fonts import get_pango_font_key
from weasyprint.text.line_break import Layout

#: Texts kept of one style. A number costs some hundred bytes; titles come and go.
MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Run:
    """What one font has to know to be embedded: its glyphs' widths, and the text they stand for."""

    font: Any  # PangoFont *
    widths: dict[int, int]
    to_unicode: dict[int, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text.

    Attributes
    ----------
    code : bytes
        Operators between ``Tm`` and ``ET``.
    runs : tuple
        The fonts in it.
    width, ascent, descent : float
        CSS pixels; the last two from the baseline up and down.
    emojis : tuple
        Pictures in the place of letters.
    style : object
        Computed style of the text.
    """

    code: bytes
    runs: tuple[_Run, ...]
    width: float
    ascent: float
    descent: float
    emojis: tuple[Any, ...]
    style: Any


class Lettering:
    """Text of one style.

    Parameters
    ----------
    style : weasyprint.css.ComputedStyle
    """

    def __init__(self, style: Any) -> None:
        self.style = style
        self.size = float(style["font_size"])
        self.leading = 1.3 * self.size
        self._kept: dict[tuple[str, int], tuple[Line, ...]] = {}
        self._layout = Layout(style)
        pango.pango_layout_set_single_paragraph_mode(self._layout.layout, True)
        pango.pango_layout_set_wrap(self._layout.layout, PANGO_WRAP_MODE["WRAP_WORD_CHAR"])
        _break_without_hyphens(self._layout.layout)

    def lines(self, text: str, width: float = -1) -> tuple[Line, ...]:
        """A text as lines.

        Parameters
        ----------
        text : str
            Every letter of it must be in some font (`reportgen.report.coverage`).
        width : float, optional
            Longest line in CSS pixels; a word that is longer is broken. Without it there is one line.

        Returns
        -------
        tuple of Line
            Empty for an empty text.
        """
        key = (text, int(width * TO_UNITS) if width >= 0 else -1)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = self._kept[key] = tuple(self._laid_out(*key)) if text.strip() else ()
        return found

    def line(self, text: str) -> Line:
        """A short text, such as a number, as one line."""
        return self.lines(text)[0]

    def _laid_out(self, text: str, width: int) -> Iterator[Line]:
        data = text.encode()
        pieces = [(start, length, size) for start, length, size in self._broken(text, width) if length]
        if len(pieces) == 1:
            yield self._recorded(text)
            return
        for start, length, size in pieces:
            # Pango takes the space out at which it breaks. It is needed when the text is read from the file.
            yield replace(self._recorded(data[start : start + length].decode()), width=size)

    def _broken(self, text: str, width: int) -> list[tuple[int, int, float]]:
        """Start, length in bytes and width of each line."""
        layout, extents = self._set(text, width), ffi.new("PangoRectangle *")
        found: list[tuple[int, int, float]] = []
        while (line := pango.pango_layout_get_line_readonly(layout, len(found))) != ffi.NULL:
            pango.pango_layout_line_get_extents(line, ffi.NULL, extents)
            found.append((line.start_index, line.length, extents.width * FROM_UNITS))
        return found

    def _set(self, text: str, width: int = -1) -> Any:
        letters, data = unicode_to_char_p(text)
        self._layout.text = text
        pango.pango_layout_set_width(self._layout.layout, width)
        pango.pango_layout_set_text(self._layout.layout, letters, len(data))
        return self._layout.layout

    def _recorded(self, text: str) -> Line:
        layout = self._set(text)
        line = pango.pango_layout_get_line_readonly(layout, 0)
        recorder = _Recorder(text, self.style)
        one_line = SimpleNamespace(layout=layout, text=text, get_first_line=lambda: (line, None))
        box = SimpleNamespace(text=text, style=self.style, pango_layout=one_line, baseline=0.0)
        emojis = draw_first_line(recorder, box, "clip", "none", Matrix(d=-1))
        extents = recorder.logical_rect
        pango.pango_layout_line_get_extents(line, ffi.NULL, extents)
        top, height, width = (value * FROM_UNITS for value in (extents.y, extents.height, extents.width))
        return Line(recorder.code, tuple(recorder.runs), width, -top, height + top, tuple(emojis), self.style)


def _break_without_hyphens(layout: Any) -> None:
    """A hyphen that Pango puts in stands for the letter before it when text is copied from the page."""
    attributes = pango.pango_layout_get_attributes(layout)
    if attributes == ffi.NULL:
        attributes = ffi.gc(pango.pango_attr_list_new(), pango.pango_attr_list_unref)
    no_hyphens = pango.pango_attr_insert_hyphens_new(False)
    no_hyphens.start_index, no_hyphens.end_index = 0, 2**31 - 1
    pango.pango_attr_list_change(attributes, no_hyphens)
    pango.pango_layout_set_attributes(layout, attributes)


#: Fonts of this process by the address of the Pango object, with a layout that keeps it alive: else another could get its address.
_KNOWN: dict[int, tuple[Any, Any]] = {}


def _known(pango_font: Any, text: str, style: Any) -> Any:
    address = int(ffi.cast("uintptr_t", pango_font))
    if address not in _KNOWN:
        _, description, size = get_pango_font_key(pango_font)
        keeper = Layout(style)
        keeper.set_text(text)
        keeper.get_first_line()
        _KNOWN[address] = (Font(pango_font, description, size), keeper)
    return _KNOWN[address][0]


class _Recorder:
    """Stands in for the page that WeasyPrint writes a line to, and keeps what it writes."""

    def __init__(self, text: str, style: Any) -> None:
        self._text, self._style = text, style
        self._code: list[str] = []
        self.runs: list[_Run] = []
        self.ink_rect, self.logical_rect = ffi.new("PangoRectangle *"), ffi.new("PangoRectangle *")

    @property
    def code(self) -> bytes:
        return " ".join(self._code).encode("ascii")

    def set_text_matrix(self, *_values: float) -> None:
        """The place is set anew each time the line is drawn."""

    def add_font(self, pango_font: Any) -> tuple[Any, float]:
        known = _known(pango_font, self._text, self._style)
        names = ("hash", "bitmap", "png", "svg", "colr", "hb_face", "hb_font", "upem")
        # An own copy for this line: WeasyPrint tells a font only what it does not know yet.
        face = SimpleNamespace(**{name: getattr(known, name) for name in names}, widths={}, to_unicode={})
        self.runs.append(_Run(pango_font, face.widths, face.to_unicode))
        return face, known.font_size

    def set_font_size(self, font: str, size: float) -> None:
        self._code.append(f"/{font} {size:.6g} Tf")

    def set_text_rise(self, height: float) -> None:
        self._code.append(f"{height:.6g} Ts")

    def show_text(self, text: str) -> None:
        self._code.append(f"[{text}] TJ")


class Pen:
    """Writes lines to one page of one document.

    Parameters
    ----------
    stream : weasyprint.pdf.stream.Stream
    fonts : dict
        Fonts of the document by address, to be shared by all pens of the document.
    told : dict
        Lines whose glyphs the document knows, by `id`, to be shared too.
    """

    def __init__(self, stream: Any, fonts: dict[int, Any], told: dict[int, Line]) -> None:
        self.stream, self._fonts, self._told = stream, fonts, told
        self.write = stream.stream.append

    def text(self, line: Line, x: float, y: float) -> None:
        """Write a line with its baseline starting at a point."""
        if id(line) not in self._told:
            self._told[id(line)] = line  # kept here, or another line could get its `id`
            self._tell(line)
        self.write(b"BT 1 0 0 -1 %.2f %.2f Tm %b ET" % (x, y, line.code))
        if line.emojis:
            draw_emojis(self.stream, line.style, x, y, line.emojis)

    def _tell(self, line: Line) -> None:
        for run in line.runs:
            address = int(ffi.cast("uintptr_t", run.font))
            if address not in self._fonts:
                self._fonts[address] = self.stream.add_font(run.font)[0]
            font = self._fonts[address]
            font.widths.update(run.widths)
            for glyph, text in run.to_unicode.items():
                font.to_unicode.setdefault(glyph, text)
