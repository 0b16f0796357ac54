"""How fast reports are drawn: HTML and PDF, beside the usual way (pandas loop, pyplot and seaborn, base64 PNG, string template).

    python benchmarks/render.py [--quick]

Everything runs in one process on one core, on the same made-up report: 5 products, 15 history items, 5 kinds of evidence.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import resource
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import pandas as pd
from _naive import naive_report
from weasyprint import HTML

from reportgen import build_report, make_shop, render_html, render_pdf
from reportgen.explain.explanation import Explanation, ModelFacts, Past, Picks, Usage

ITEMS, EVENTS = 5, 15
HEADS = ("together", "category", "brand", "price", "title")
DAY = 86_400_000_000


def explanation(seed: int) -> Explanation:
    """A made-up explanation with plausible, skewed contributions."""
    rng = np.random.default_rng(seed)
    titles = TITLES[rng.permutation(len(TITLES))[: ITEMS + EVENTS]]
    parts = rng.gamma(0.35, 0.4, (ITEMS, EVENTS, len(HEADS)))
    parts[rng.random(parts.shape) < 0.3] = 0.0
    base = rng.random(ITEMS)
    when = (20_000 - np.sort(rng.integers(0, 400, EVENTS))) * DAY
    past = Past(
        np.array([f"h{k}" for k in range(EVENTS)], dtype=object),
        titles[ITEMS:],
        when,
        np.ones(EVENTS, dtype=np.int64),
        np.array(["purchase"] * EVENTS, dtype=object),
        np.zeros(EVENTS, dtype=bool),
    )
    details = tuple({"brand": "Maker", "category": "Kitchen", "price": 12.5, "currency": "EUR"} for _ in range(ITEMS))
    picks = Picks(
        np.array([f"i{k}" for k in range(ITEMS)], dtype=object), titles[:ITEMS], rng.integers(5, 900, ITEMS), details
    )
    facts = ModelFacts(
        "0123456789abcdef", HEADS, tuple(range(len(HEADS))), True, 5000, 800, 1000, 5, 200, (float("inf"), 20.0, 3.0)
    )
    usage = Usage(EVENTS, EVENTS, 0, 0, 0, int(when.min()), int(when.max()))
    support = rng.integers(5, 300, (ITEMS, EVENTS))
    return Explanation(
        f"u{seed}", 20_001 * DAY, past, picks, parts, base, base + parts.sum(axis=(1, 2)), support, usage, facts
    )


def frame(why: Explanation) -> pd.DataFrame:
    """The same numbers as the long table that the usual way starts from."""
    rows = []
    for k in range(ITEMS):
        for j in range(EVENTS):
            cells = dict(zip(HEADS, why.attention[k, j], strict=True))
            rows.append(
                {
                    "item_title": why.picks.title[k],
                    "history_title": why.past.title[j],
                    "weight": why.attention[k, j].sum(),
                }
                | cells
            )
    return pd.DataFrame(rows)


def plain_page(why: Explanation) -> str:
    """The plain semantic page of the same content: every history item a row, no thought given to cost."""
    tables = []
    for k in range(ITEMS):
        rows = "".join(
            f"<tr><th scope='row'>{why.past.title[j]}</th>"
            + "".join(f"<td>{cell:.3f}</td>" for cell in (why.net[k, j], *why.attention[k, j]))
            + "</tr>"
            for j in range(EVENTS)
        )
        tables.append(
            f"<h2>{why.picks.title[k]}</h2><table><thead><tr><th>History</th><th>Points</th>"
            f"{''.join(f'<th>{h}</th>' for h in HEADS)}</tr></thead><tbody>{rows}</tbody></table>"
        )
    return f"<!DOCTYPE html><html lang='en'><head><title>Plain</title></head><body><h1>Plain</h1>{''.join(tables)}</body></html>"


def seconds(call: Callable[[int], object], repeat: int) -> float:
    """CPU seconds per call, after one warm-up."""
    call(0)
    start = time.process_time()
    for k in range(repeat):
        call(k + 1)
    return (time.process_time() - start) / repeat


def peak() -> int:
    """Peak resident memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_growth(pages: list[str], count: int) -> dict[str, float]:
    """Peak memory after the first twentieth of `count` PDFs and after all of them."""
    first = max(10, count // 20)
    for k in range(first):
        render_pdf(pages[k % len(pages)])
    early = peak()
    for k in range(first, count):
        render_pdf(pages[k % len(pages)])
    return {"pdf/memory_count": count, "pdf/memory_first_bytes": early, "pdf/memory_last_bytes": peak()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small version, under 30 seconds")
    parser.add_argument("--memory", type=int, default=0, help="also render this many PDFs and look at memory")
    given = parser.parse_args()
    whys = [explanation(seed) for seed in range(40)]
    reports = [build_report(why) for why in whys]
    pages = [render_html(report) for report in reports]
    n_html, n_pdf, n_naive = (200, 4, 1) if given.quick else (2000, 20, 5)
    both = seconds(lambda k: render_html(build_report(whys[k % 40])), n_html)
    draw = seconds(lambda k: render_html(reports[k % 40]), n_html)
    naive = seconds(lambda k: naive_report(frame(whys[k % 40])), n_naive)
    pdf = seconds(lambda k: render_pdf(pages[k % 40]), n_pdf)
    bare = [re.sub(r"<table.*?</table>", "", page, flags=re.S) for page in pages]
    no_tables = seconds(lambda k: render_pdf(bare[k % 40]), n_pdf)
    plain = seconds(
        lambda k: HTML(string=plain_page(whys[k % 40])).write_pdf(pdf_variant="pdf/ua-1"), max(2, n_pdf // 4)
    )
    cells = np.mean([page.count("<td") + page.count("<th") for page in pages])
    figures = {
        "html/per_second": 1 / both,
        "html/draw_per_second": 1 / draw,
        "html/naive_ratio": naive / both,
        "html/naive_seconds": naive,
        "html/bytes": float(np.mean([len(page.encode()) for page in pages])),
        "pdf/per_second": 1 / pdf,
        "pdf/plain_ratio": plain / pdf,
        "pdf/bytes": float(np.mean([len(render_pdf(page)) for page in pages[:4]])),
        "pdf/cells": float(cells),
        "pdf/ms_per_cell": 1000 * (pdf - no_tables) / cells,
        "pdf/ms_without_tables": 1000 * no_tables,
    }
    if given.memory:
        figures |= memory_growth(pages, given.memory)
    conditions = {
        "items": ITEMS,
        "events": EVENTS,
        "heads": len(HEADS),
        "python": platform.python_version(),
        "weasyprint": version("weasyprint"),
        "seconds": "CPU",
    }
    print(
        json.dumps(
            {"benchmark": "render", "figures": {k: round(v, 4) for k, v in figures.items()}, "conditions": conditions}
        )
    )


TITLES = make_shop(n_users=20, n_items=300).items["title"].to_numpy(dtype=object)

if __name__ == "__main__":
    main()
