"""What the style sheets of a page say of its tables: fonts, sizes and colours, computed once per set of sheets.

Tables are drawn and not laid out (`reportgen.report.drawn`), but how they look is still a matter of CSS, an operator's included. So
the cascade is run over one small table with every part in it, in the markup of the screen, and its computed styles are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from weasyprint import CSS, HTML
from weasyprint.css import get_all_computed_styles
from weasyprint.css.counters import CounterStyle
from weasyprint.draw.color import get_color
from weasyprint.text.fonts import FontConfiguration

from reportgen.report.figures import heat_palette
from reportgen.report.lettering import Lettering
from reportgen.report.paged import PaperRow

_ROW = (
    '<th scope="row" id="{0}label">l</th><td class="s"><b id="{0}share">1</b></td><td id="{0}cell" class="{1}">1</td>'
    '<td class="p" id="{0}points">1</td></tr>'
)
_PROBE = (
    '<html lang="{lang}" dir="{dir}"><body><main><section class="item"><table class="t"><caption id="caption">c</caption>'
    '<thead><tr><th scope="col" id="head">h</th></tr></thead><tbody>'
    f'<tr>{_ROW.format("", "h1")}<tr class="quiet">{_ROW.format("quiet-", "h1")}<tr class="sum">{_ROW.format("sum-", "")}'
    '<tr><th scope="row"><span class="d" id="detail">d</span></th><td class="s"><i id="bar"></i></td><td class="z" id="zero">0</td></tr>'
    '</tbody></table></section></main><p class="running" id="running">1</p></body></html>'
)


@dataclass(frozen=True)
class Look:
    """What the style sheets say of a table: letterings by part, colours as operands of ``rg``.

    Attributes
    ----------
    letters : dict of str to Lettering
        ``caption, head, label, detail, share, cell, zero, points``; for rows of other kinds also ``quiet-label`` and so on.
    inks : dict of str to bytes
        By the same names.
    bar, rule : bytes
    right_to_left : bool
    """

    letters: dict[str, Lettering]
    inks: dict[str, bytes]
    bar: bytes
    rule: bytes
    right_to_left: bool

    def part(self, row: PaperRow, name: str) -> str:
        """The name of a part of a row of that kind."""
        return {"reason": name, "total": f"sum-{name}"}.get(row.kind, f"quiet-{name}")

    @cached_property
    def heat(self) -> tuple[tuple[bytes, bytes], ...]:
        """Paper and ink of each step of the colour scale; the first is for nothing."""
        return ((b"", b""), *((colour(paper), colour(ink)) for paper, ink in heat_palette()))


def colour(hexadecimal: str) -> bytes:
    """``#rrggbb`` as the operator that sets the colour of what follows."""
    return b"%.3f %.3f %.3f rg" % tuple(int(hexadecimal[at : at + 2], 16) / 255 for at in (1, 3, 5))


def read_look(sheets: Sequence[CSS], lang: str, direction: str, fonts: FontConfiguration) -> Look:
    """Compute how the tables of a page look.

    Parameters
    ----------
    sheets : sequence of CSS
        Of the page, in order.
    lang, direction : str
        Attributes of its root.
    fonts : FontConfiguration
        Of all documents of the process.
    """
    probe = HTML(string=_PROBE.format(lang=lang, dir=direction))
    counters = CounterStyle()
    style_of: Callable[[Any], Any] = get_all_computed_styles(
        probe, user_stylesheets=sheets, font_config=fonts, counter_style=counters, page_rules=[], layers=[]
    )
    styles = {element.get("id"): style_of(element) for element in probe.etree_element.iter() if element.get("id")}
    bar, head = styles.pop("bar"), styles["head"]
    return Look(
        letters={part: Lettering(style) for part, style in styles.items()},
        inks={part: _ink(get_color(style, "color")) for part, style in styles.items()},
        bar=_ink(get_color(bar, "background_color")),
        rule=_ink(get_color(head, "border_bottom_color")),
        right_to_left=direction == "rtl",
    )


def _ink(colour: Any) -> bytes:
    return b"%.3f %.3f %.3f rg" % tuple(colour.to("srgb").coordinates)
