"""Figures as functions from data to bytes or a colour table: matplotlib without pyplot, so without global state."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import QuadMesh
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Annotation

from reportgen.report.document import Ledger
from reportgen.report.glyphs import fonts, replaced

#: Steps of the colour scale of a table; step 0 is "nothing" and has no colour.
STEPS = 20
# More ink for more weight. `cividis` starts at its darkest blue, so that a page of small shares, which is the usual one, would be
# mostly dark; this map starts at paper, is safe for the colour-blind and prints with little ink. Its pale end is left out, so that
# the smallest share still differs from none.
_LIGHT = ("YlGnBu", 0.06, 0.92)
_DARK = ("YlGnBu_r", 0.08, 0.72)
_ACCENT = "#1f5a94"
#: Stand-ins in a drawing for the page's own colours.
_INKS = {"ink": "#1b1f24", "soft": "#59626b", "line": "#dcd8cd", "accent": _ACCENT}
_WRAP = 10  # characters in a line of a column's name
#: Bars of lines that stand for several items, or for items without a name.
_QUIET = "#87919a"
#: SVG ids are hashed with a salt: without a fixed one, two runs differ.
STYLE = {"svg.hashsalt": "reportgen", "svg.fonttype": "none", "text.parse_math": False, "axes.unicode_minus": True}


def _luminance(rgb: np.ndarray) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours ``#rrggbb`` (WCAG 2.2, 1 to 21)."""
    high, low = sorted((_luminance(np.array(mpl.colors.to_rgb(c))) for c in (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@lru_cache(maxsize=2)
def heat_palette(dark: bool = False) -> tuple[tuple[str, str], ...]:
    """Background and ink for steps 1 to `STEPS`; the ink is black or white, whichever reads better (at least 4.5:1)."""
    name, low, high = _DARK if dark else _LIGHT
    steps = mpl.colormaps[name](np.linspace(low, high, STEPS))
    paper = [mpl.colors.to_hex(step) for step in steps]
    return tuple((p, _ink_on(p)) for p in paper)


def _ink_on(paper: str) -> str:
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, paper))


def heat_css(dark: bool = False) -> str:
    """The palette as style rules ``.h1`` to ``.h20``."""
    return "".join(f".h{k}{{background:{p};color:{i}}}\n" for k, (p, i) in enumerate(heat_palette(dark), start=1))


def draw_ledger(ledger: Ledger, kind: str = "png", dpi: int = 144) -> bytes:
    """Attention bars and the heatmap history x kind of evidence of one product, side by side.

    Parameters
    ----------
    ledger : Ledger
        Needs rows with shares.
    kind : str
        ``png`` or ``svg``.
    dpi : int
        Of the PNG.

    Returns
    -------
    bytes
        The same for the same ledger.
    """
    rows = [row for row in ledger.rows if row.cells and row.kind != "total"]
    style: Any = STYLE | {"font.family": fonts()}
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.2, 0.7 + 0.3 * len(rows)), layout="constrained")
        bars, heat = figure.subplots(1, 2, sharey=True, width_ratios=[1.0, 1.0])
        # The same words stand in the table below the picture, so what no font can draw may be replaced here.
        plot_bars(bars, [replaced(row.label) for row in rows], [row.share or 0 for row in rows])
        plot_heatmap(heat, np.array([row.cells for row in rows]), tuple(map(replaced, ledger.columns)))
        return draw(figure, kind, dpi)


def plot_bars(
    ax: Axes, labels: Sequence[str], shares: Sequence[int], said: Sequence[str] = (), quiet: Sequence[bool] = ()
) -> tuple[BarContainer, list[Annotation]]:
    """Horizontal bars, strongest on top, each with its whole percentage.

    Parameters
    ----------
    ax : Axes
    labels : sequence of str
    shares : sequence of int
        Whole percent.
    said : sequence of str, optional
        The percentages as text.
    quiet : sequence of bool, optional
        Bars in grey.

    Returns
    -------
    bars : BarContainer
    texts : list of Annotation
        The percentages.
    """
    place = np.arange(len(labels))
    colours = [_QUIET if grey else _ACCENT for grey in quiet] or _ACCENT
    drawn = ax.barh(place, shares, color=colours, height=0.6)
    texts = ax.bar_label(drawn, list(said) or [f"{share}%" for share in shares], padding=3, fontsize=8)
    ax.set_yticks(place, labels, fontsize=8)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.set_xlim(0, max([1, *shares]) * 1.2)
    ax.xaxis.set_visible(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return drawn, texts


def plot_heatmap(ax: Axes, values: np.ndarray, columns: Sequence[str]) -> tuple[QuadMesh, np.ndarray]:
    """Whole percentages as coloured cells with their figures, in the colours of the tables.

    Returns
    -------
    mesh : QuadMesh
        Its array holds the steps of the colour scale.
    texts : ndarray of Text, shape of `values`
    """
    largest = max(1, int(values.max(initial=0)))
    colours = mpl.colors.ListedColormap(["#ffffff", *(paper for paper, _ in heat_palette())])
    step = np.vectorize(lambda v: step_of(int(v), largest), otypes=[int])(values)
    # Drawn as rectangles: `imshow` would put a raster picture into an SVG, which no zoom and no PDF/A likes.
    edges = [np.arange(size + 1) - 0.5 for size in (step.shape[1], step.shape[0])]
    mesh = ax.pcolormesh(*edges, step, cmap=colours, vmin=0, vmax=STEPS, linewidth=0)
    if ax.get_autoscaley_on():  # else it shares the lines of the bars beside it
        ax.set_ylim(step.shape[0] - 0.5, -0.5)
    texts = np.empty(values.shape, dtype=object)
    for (row, column), value in np.ndenumerate(values):
        ink = "#59626b" if value == 0 else heat_palette()[step[row, column] - 1][1]
        texts[row, column] = ax.text(column, row, str(value), ha="center", va="center", fontsize=8, color=ink)
    ax.set_xticks(np.arange(len(columns)), [textwrap.fill(column, _WRAP) for column in columns], fontsize=8)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return mesh, texts


@dataclass(frozen=True)
class Points:
    """Means with their standard errors, one per line, best first; ``marked`` is the line that stands out, -1 for none."""

    title: str
    labels: tuple[str, ...]
    means: tuple[float, ...]
    errors: tuple[float, ...]
    marked: int = -1


def draw_points(panels: Sequence[Points], measure: str) -> str:
    """Panels of points with error bars, one below the other, as an ``svg`` element for a page.

    Its colours are the page's own variables ``--ink``, ``--soft``, ``--line`` and ``--accent``, so that it follows the page
    into the dark and onto paper.
    """
    style: Any = STYLE | {"font.family": fonts()}
    with mpl.rc_context(style):
        lines = [len(panel.labels) for panel in panels]
        layout = ConstrainedLayoutEngine(hspace=0.16)
        figure = Figure(figsize=(5.4, 0.9 * len(panels) + 0.27 * sum(lines)), layout=layout, facecolor="none")
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=lines)[:, 0]
        for ax, panel in zip(axes, panels, strict=True):
            plot_points(ax, panel, measure)
        text = draw(figure, "svg", 144).decode("utf-8")
    text = text[text.index("<svg") :]
    for name, colour in _INKS.items():
        text = text.replace(colour, f"var(--{name})")
    return re.sub(r'(<svg[^>]*?) (?:height|width)="[^"]*"([^>]*?) (?:height|width)="[^"]*"', r"\1\2", text, count=1)


def plot_points(ax: Axes, panel: Points, measure: str) -> None:
    """A point and the whisker of two standard errors per line; from zero, so that lengths can be compared."""
    place = np.arange(len(panel.labels))
    for k, (mean, error) in enumerate(zip(panel.means, panel.errors, strict=True)):
        colour = _INKS["accent"] if k == panel.marked else _INKS["ink"]
        ax.errorbar(
            mean,
            k,
            xerr=2.0 * error,
            fmt="D" if k == panel.marked else "o",
            color=colour,
            markersize=5,
            capsize=3,
            linewidth=1.2,
        )
        ax.axhline(k, color=_INKS["line"], linewidth=0.6, zorder=0)
    ax.set_yticks(place, panel.labels, fontsize=9, color=_INKS["ink"])
    if panel.marked >= 0:
        ax.get_yticklabels()[panel.marked].set_color(_INKS["accent"])
    ax.set_ylim(len(panel.labels) - 0.4, -0.6)
    ax.set_xlim(0, max([*(m + 2.0 * e for m, e in zip(panel.means, panel.errors, strict=True)), 1e-3]) * 1.06)
    ax.set_title(f"{panel.title}: {measure}", loc="left", fontsize=9, color=_INKS["soft"])
    ax.tick_params(axis="x", labelsize=8, length=3, color=_INKS["soft"], labelcolor=_INKS["soft"])
    ax.tick_params(axis="y", length=0)
    ax.patch.set_visible(False)
    ax.spines[["top", "left", "right"]].set_visible(False)
    ax.spines["bottom"].set_color(_INKS["soft"])


def step_of(value: int, largest: int) -> int:
    """Step of the colour scale for a whole percentage: 0 for nothing, `STEPS` for the largest of its table."""
    return 0 if value <= 0 else max(1, -(-value * STEPS // max(largest, 1)))


def draw(figure: Figure, kind: str, dpi: int = 144) -> bytes:
    """A figure as the bytes of a ``png`` or ``svg`` file, the same for the same figure."""
    out = io.BytesIO()
    if kind == "svg":
        before = figure.get_dpi()
        FigureCanvasSVG(figure).print_svg(out, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))  # type: ignore[no-untyped-call]
        figure.set_dpi(before)  # the writer leaves its own behind, and the next picture would differ
    else:
        FigureCanvasAgg(figure)
        figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None})
    return out.getvalue()
