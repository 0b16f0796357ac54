"""What a display is: numbers and words that become a figure when asked, on axes of one's own or on those of a paper."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from reportgen.errors import ConfigError
from reportgen.report.figures import STYLE, draw
from reportgen.report.glyphs import check, fonts

#: Width of a figure of our own, in inches and in the pixels of a notebook.
_WIDTH, _PIXELS = 6.25, 600
#: Width of a title in columns of half width: a Chinese character takes two.
_TITLE = 94
#: A line does not begin with these.
_CLOSING = "，。、；：？！）》」』”’…"
_DPI = 192
INK, SOFT = "#1b1f24", "#59626b"
BODY, SMALL = 9.0, 8.0


class Display:
    """What the two displays share: the figure, its words and its files.

    Attributes
    ----------
    title, note : str
        What the figure shows, in a sentence; how its numbers add up, or "".
    ax_ : Axes
        Where it was drawn; from `plot` on, as the next two.
    figure_ : Figure
    text_ : ndarray of Text
        The printed numbers.
    """

    title: str
    note: str
    ax_: Axes
    figure_: Figure
    text_: np.ndarray

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes, optional
            A figure of its own when None; it belongs to no window and to no global state.

        Raises
        ------
        RenderError
            A text that no font can draw; names it.
        """
        self._check()
        self._own = ax is None
        with mpl.rc_context(STYLE | {"font.family": fonts()}):  # type: ignore[arg-type]
            if ax is None:
                figure = Figure(figsize=(_WIDTH, self._height()), layout="constrained")
                FigureCanvasAgg(figure)
                figure.suptitle(wrapped(self.title, _TITLE), x=0.01, ha="left", fontsize=BODY, color=INK)
                ax = figure.add_subplot()
            else:
                ax.set_title(wrapped(self.title, _TITLE * 3 // 4), loc="left", fontsize=BODY, color=INK)
            self.ax_, self.figure_ = ax, _top(ax)
            self._fill(ax)
            self._set_type()
        return self

    def to_png(self, dpi: int = _DPI) -> bytes:
        """The figure as a PNG file; the same bytes for the same explanation, fonts and versions."""
        return self._draw("png", dpi)

    def to_svg(self) -> bytes:
        """The figure as an SVG file whose text stays text; the same bytes each time."""
        return self._draw("svg", _DPI)

    def save(self, path: str | Path) -> None:
        """Write a ``.png`` or ``.svg`` file.

        Raises
        ------
        ConfigError
            Another ending.
        """
        kind = Path(path).suffix.lower()
        if kind not in (".png", ".svg"):
            raise ConfigError(f"{Path(path).name}: a figure is written as .png or .svg")
        Path(path).write_bytes(self.to_png() if kind == ".png" else self.to_svg())

    @property
    def alt(self) -> str:
        """Words that stand for the figure, made from its numbers."""
        sentences = (self.title, "; ".join(self._lines()), self.note)
        return " ".join(text if text[-1] in ".。" else f"{text}." for text in sentences if text)

    def _draw(self, kind: str, dpi: int) -> bytes:
        if not hasattr(self, "figure_"):
            self.plot()
        with mpl.rc_context(STYLE | {"font.family": fonts()}):  # type: ignore[arg-type]
            return draw(self.figure_, kind, dpi)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
        if not hasattr(self, "figure_"):
            self.plot()
        if not self._own:  # the notebook shows that figure already
            return None
        width, height = self.figure_.get_size_inches()
        return self.to_png(), {"width": _PIXELS, "height": round(_PIXELS * height / width)}

    def _set_type(self) -> None:
        """Fix the type of our texts, whatever the settings at the time of drawing: fonts that have them, and no formulas."""
        ax = self.ax_
        own: list[Text] = [*ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts, ax.title, ax._left_title]  # type: ignore[attr-defined]
        own += [self.figure_._suptitle] if self._own else []  # type: ignore[attr-defined]
        for text in own:
            text.set_fontfamily(fonts())
            text.set_parse_math(False)

    def _check(self) -> None:
        for text in (self.title, self.note, *self._words()):
            check(text)

    def _words(self) -> Sequence[str]:
        raise NotImplementedError

    def _lines(self) -> Sequence[str]:
        raise NotImplementedError

    def _height(self) -> float:
        raise NotImplementedError

    def _fill(self, ax: Axes) -> None:
        raise NotImplementedError


def _top(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def _span(text: str) -> int:
    """Columns of half width that a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _pieces(text: str, width: int) -> list[str]:
    """Words, and full-width characters one by one: between them a line may end. What is too long by itself is cut."""
    pieces = [""]
    for letter in text:
        after = pieces[-1][-1:]
        free = _span(letter) == 2 or _span(after) == 2 or letter == " "
        if letter not in _CLOSING and (free or _span(pieces[-1]) >= width):
            pieces.append("")
        pieces[-1] += letter
    return [piece for piece in pieces if piece]


def wrapped(text: str, width: int, most: int = 0) -> str:
    """A text in lines of at most `width` columns; at most `most` lines where given, the last one then ends in "…"."""
    lines = [""]
    for piece in _pieces(text, width):
        if lines[-1] and _span(lines[-1]) + _span(piece) > width:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip(" ")
    if most and len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1].rstrip()}…"]
    return "\n".join(lines)


def lines_of(text: str, width: int) -> int:
    return wrapped(text, width).count("\n") + 1


def title_height(title: str) -> float:
    return 0.17 * lines_of(title, _TITLE)
