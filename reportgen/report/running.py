"""The running title and the page numbers of a PDF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportgen.report.lettering import Line, Pen
from reportgen.report.look import Look


def number_pages(pages: Sequence[Any], title: str, look: Look, fonts: dict[int, Any], told: dict[int, Line]) -> None:
    """Make each page of a document draw its number in the margin, and from the second on the title of the document.

    Parameters
    ----------
    pages : sequence of weasyprint.Page
        Changed in place.
    title : str
    look : Look
        Its part ``running``.
    fonts, told : dict
        As of `Pen`.
    """
    letters = look.letters["running"]
    for number, page in enumerate(pages, start=1):
        foot, head = letters.line(f"{number} / {len(pages)}"), letters.lines(title) if number > 1 else ()

        def paint(
            stream: Any, scale: float = 1.0, page: Any = page, foot: Line = foot, head: Sequence[Line] = head
        ) -> None:
            type(page).paint(page, stream, scale)
            box = page._page_box
            left, right = box.margin_left, page.width - box.margin_right
            with stream.artifact(), stream.stacked():
                stream.transform(a=scale, d=scale)
                pen = Pen(stream, fonts, told)
                pen.write(look.inks["running"])
                pen.text(
                    foot, left if look.right_to_left else right - foot.width, page.height - 0.5 * box.margin_bottom
                )
                for line in head:
                    pen.text(line, right - line.width if look.right_to_left else left, 0.5 * box.margin_top)

        page.paint = paint
