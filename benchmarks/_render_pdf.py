"""How fast PDFs are made: ours, a plain page of the same content by the same writer, and what other writers need for it.

Used by `render.py`. The plain page is every number of the report in a semantic table, with no thought given to cost.
"""

from __future__ import annotations

import base64
import io
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from weasyprint import HTML

from reportgen import render_pdf
from reportgen.explain.explanation import Explanation
from reportgen.report.build import build_reports
from reportgen.report.document import Report
from reportgen.report.html import render_html

#: Said with the figures: what of it a screen reader or an archive can use.
STANDARDS = {
    "ours": "tagged, PDF/A-3a and PDF/UA-1, record embedded",
    "chromium": "tagged, no PDF/A or PDF/UA claim; kept open",
    "typst": "PDF 1.7, tagged by default since typst 0.14; PDF/A on request, not asked for here",
    "reportlab": "not tagged, no PDF/A",
    "fpdf2": "not tagged, no PDF/A",
}


def seconds(call: Callable[[int], object], repeat: int, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds per call, after one warm-up."""
    call(0)
    start = clock()
    for k in range(repeat):
        call(k + 1)
    return (clock() - start) / repeat


def plain_page(why: Explanation) -> str:
    """The plain semantic page of the same content: every history item a row."""
    kinds = why.model.heads
    head = "".join(f"<th>{kind}</th>" for kind in ("History", "Points", *kinds))
    tables = []
    for k, title in enumerate(why.picks.title):
        rows = "".join(
            f"<tr><th scope='row'>{escape(past)}</th>"
            + "".join(f"<td>{cell:.3f}</td>" for cell in (why.net[k, j], *why.attention[k, j]))
            + "</tr>"
            for j, past in enumerate(why.past.title)
        )
        tables.append(f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    return f"<!DOCTYPE html><html lang='en'><head><title>Plain</title></head><body><h1>Plain</h1>{''.join(tables)}</body></html>"


def pdf_figures(whys: list[Explanation], reports: list[Report], quick: bool) -> dict[str, float]:
    """Our PDFs, the plain page, and the page of the screen with all its words; in turns, because a machine is not equally fast."""
    count, rounds = len(reports), 1 if quick else 4
    ours, plain, screen = [], [], []
    pages = [render_html(report) for report in reports[:8]]
    for _ in range(rounds):
        plain.append(seconds(lambda k: HTML(string=plain_page(whys[k % count])).write_pdf(pdf_variant="pdf/ua-1"), 2))
        ours.append(seconds(lambda k: render_pdf(reports[k % count]), 8))
        screen.append(seconds(lambda k: HTML(string=pages[k % len(pages)]).write_pdf(pdf_variant="pdf/ua-1"), 1))
    sizes = [len(render_pdf(report)) for report in reports[:8]]
    each = float(np.mean(ours))
    return {
        "pdf/per_second": 1 / each,
        "pdf/plain_ratio": float(np.mean(plain)) / each,
        "pdf/plain_seconds": float(np.mean(plain)),
        "pdf/screen_page_ratio": float(np.mean(screen)) / each,
        "pdf/bytes": float(np.mean(sizes)),
    }


def memory_growth(reports: list[Report], count: int) -> dict[str, float]:
    """Peak memory after the first twentieth of `count` PDFs and after all of them."""
    first = max(10, count // 20)
    for k in range(first):
        render_pdf(reports[k % len(reports)])
    early = _peak()
    for k in range(first, count):
        render_pdf(reports[k % len(reports)])
    return {"pdf/memory_count": count, "pdf/memory_first_bytes": early, "pdf/memory_last_bytes": _peak()}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def other_writers(whys: list[Explanation], quick: bool) -> tuple[dict[str, float], dict[str, str]]:
    """Reports per second of wall time by writer, and what each file is; a writer that is not there says so.

    Chromium prints our own page. The others get the same lead, products and tables of numbers, without bars and colours.
    """
    reports = list(build_reports(whys[:8]))
    n = 3 if quick else 12
    writers: dict[str, Callable[[Report], bytes]] = {"ours": render_pdf}
    told = {}
    for name, make in (("typst", by_typst), ("reportlab", by_reportlab), ("fpdf2", by_fpdf2)):
        if find_spec({"fpdf2": "fpdf"}.get(name, name)):
            writers[name] = make
        else:
            told[name] = f"left out: pip install {name}"
    figures = {}
    for name, make in writers.items():
        figures[f"writers/{name}/per_second"] = 1 / seconds(lambda k, m=make: m(reports[k % 8]), n, time.perf_counter)
        figures[f"writers/{name}/bytes"] = float(len(make(reports[0])))
        told[name] = STANDARDS[name]
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        return figures, told | {"chromium": "left out: apt-get install chromium"}
    with tempfile.TemporaryDirectory() as folder, Chromium(browser, Path(folder)).opened() as chromium:
        pages = [render_html(report) for report in reports]
        each = seconds(lambda k: chromium.pdf(pages[k % 8]), n, time.perf_counter)
        size = float(len(chromium.pdf(pages[0])))
    figures |= {"writers/chromium/per_second": 1 / each, "writers/chromium/bytes": size}
    return figures, told | {"chromium": STANDARDS["chromium"]}


def rows_of(report: Report) -> Iterator[tuple[str, str, list[list[str]]]]:
    """Title, sentence and table of each product."""
    for item in report.items:
        width, unit = len(item.ledger.columns), 10**item.ledger.decimals
        table = [["From your history", "Share", *item.ledger.columns, "Points"]]
        for row in item.ledger.rows:
            cells = [str(cell) for cell in row.cells] or [""] * width
            share = "" if row.share is None else f"{row.share}%"
            table.append([row.label, share, *cells, f"{row.points / unit:.{item.ledger.decimals}f}"])
        yield item.title, plain(item.sentence), table


def plain(text: str) -> str:
    """Without the marks around names, which only a page can use."""
    return text.replace("\u2068", "").replace("\u2069", "")


def by_typst(report: Report) -> bytes:
    """By typst, from source text."""
    import typst

    def said(text: str) -> str:
        return f"#{json.dumps(text, ensure_ascii=False)}"

    parts = [f"= {said(report.title)}", said(plain(report.lead))]
    for title, sentence, table in rows_of(report):
        cells = ",".join(f"[{said(cell)}]" if cell else "[]" for row in table for cell in row)
        parts += [f"== {said(title)}", said(sentence), f"#table(columns: {len(table[0])}, {cells})"]
    parts += [said(plain(text)) for section in report.sections for text in section.paragraphs]
    return bytes(typst.compile("\n\n".join(parts).encode(), format="pdf"))


def by_reportlab(report: Report) -> bytes:
    """By reportlab's platypus."""
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

    styles, out = getSampleStyleSheet(), io.BytesIO()
    story = [Paragraph(escape(report.title), styles["Title"]), Paragraph(escape(plain(report.lead)), styles["Normal"])]
    for title, sentence, table in rows_of(report):
        story += [Paragraph(escape(title), styles["Heading2"]), Paragraph(escape(sentence), styles["Normal"])]
        story.append(Table(table, repeatRows=1))
    texts = [plain(text) for section in report.sections for text in section.paragraphs]
    story += [Paragraph(escape(text), styles["Normal"]) for text in texts]
    SimpleDocTemplate(out).build(story)
    return out.getvalue()


def by_fpdf2(report: Report) -> bytes:
    """By fpdf2; its built-in fonts know Latin-1 alone."""
    from fpdf import FPDF

    def latin(text: str) -> str:
        return text.encode("latin-1", "replace").decode("latin-1")

    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=9)
    pdf.multi_cell(0, text=latin(f"{report.title}\n{plain(report.lead)}"), new_x="LMARGIN", new_y="NEXT")
    for title, sentence, table in rows_of(report):
        pdf.multi_cell(0, text=latin(f"\n{title}\n{sentence}"), new_x="LMARGIN", new_y="NEXT")
        with pdf.table() as drawn:
            for row in table:
                drawn.row([latin(cell) for cell in row])
    pdf.multi_cell(
        0,
        text=latin("\n".join(plain(text) for section in report.sections for text in section.paragraphs)),
        new_x="LMARGIN",
        new_y="NEXT",
    )
    return bytes(pdf.output())


class Chromium:
    """A browser that stays open and prints pages; it is spoken to through two pipes.

    Parameters
    ----------
    program : str
    folder : Path
        For its profile.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder, self._number, self._read = program, folder, 0, b""

    @contextmanager
    def opened(self) -> Iterator[Chromium]:
        """Start the browser with one empty page, and end it."""
        (read_there, write_here), (read_here, write_there) = os.pipe(), os.pipe()
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
        ]
        command = [self.program, *options, "--remote-debugging-pipe", f"--user-data-dir={self.folder}", "about:blank"]
        # The browser reads from descriptor 3 and writes to 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{read_there} 4>&{write_there}', "bash", *command]
        process = subprocess.Popen(shell, pass_fds=(read_there, write_there), stderr=subprocess.DEVNULL)
        os.close(read_there)
        os.close(write_there)
        with os.fdopen(write_here, "wb", 0) as self._out, os.fdopen(read_here, "rb") as self._in:
            self._session = ""
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._frame = self._ask("Page.getFrameTree")["frameTree"]["frame"]["id"]
            try:
                yield self
            finally:
                process.kill()
                process.wait()

    def pdf(self, page: str) -> bytes:
        """Print a page."""
        self._ask("Page.setDocumentContent", frameId=self._frame, html=page)
        return base64.b64decode(self._ask("Page.printToPDF", generateTaggedPDF=True, preferCSSPageSize=True)["data"])

    def _ask(self, method: str, **params: object) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._line())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _line(self) -> bytes:
        while b"\0" not in self._read:
            self._read += self._in.read1(1 << 20)
        line, _, self._read = self._read.partition(b"\0")
        return line
