"""How fast reports are drawn: HTML and PDF, beside the usual way (pandas loop, pyplot and seaborn, base64 PNG, string template).

    python benchmarks/render.py [--quick] [--html] [--memory N] [--writers]

Everything runs in one process on one core, on the same made-up report: 5 products, 15 history items, 5 kinds of evidence.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import count

import numpy as np
import pandas as pd
from _naive import naive_report
from _render_pdf import memory_growth, other_writers, pdf_figures, seconds

from reportgen import build_report, make_shop, render_html
from reportgen.explain.explanation import Explanation, ModelFacts, Past, Picks, Usage
from reportgen.report.build import build_reports

ITEMS, EVENTS = 5, 15
#: Users at a time, as in a run.
CHUNK = 64
HASH_SEEDS = ("0", "1", "4242")
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


def rounds(call: Callable[[list[Explanation]], object], n_rounds: int, n_chunks: int) -> list[float]:
    """CPU seconds per user of each round, after one that is not counted; a round takes chunks of users one after another.

    Every explanation is a new one, so that nothing of it is known before. They are made between the rounds, out of the
    measured time, and only those of one round are there at once: a run does not hold more than one chunk of them.
    """
    seeds, spent = count(), []
    for _ in range(n_rounds + 1):
        chunks = [[explanation(next(seeds)) for _ in range(CHUNK)] for _ in range(n_chunks)]
        start = time.process_time()
        for chunk in chunks:
            call(chunk)
        spent.append((time.process_time() - start) / (n_chunks * CHUNK))
    return spent[1:]


def html_figures(quick: bool) -> dict[str, float]:
    """From explanation to page, in chunks as a run makes them and one by one, and the usual way beside it.

    The quickest round counts, for both ways: it is the one that other jobs of the machine disturbed least. The mean of all
    rounds is given too.
    """
    n_rounds, n_chunks, n_naive = (4, 2, 1) if quick else (20, 4, 6)
    together = rounds(lambda chunk: [render_html(report) for report in build_reports(chunk)], n_rounds, n_chunks)
    alone = rounds(lambda chunk: [render_html(build_report(why)) for why in chunk], n_rounds, n_chunks)
    naive = [seconds(lambda k: naive_report(frame(explanation(k))), 1) for _ in range(n_naive)]
    reports = list(build_reports([explanation(seed) for seed in range(CHUNK)]))
    draw = min(seconds(lambda k: render_html(reports[k % CHUNK]), 2 * CHUNK) for _ in range(n_rounds))
    to_json = min(seconds(lambda k: reports[k % CHUNK].to_json(), 2 * CHUNK) for _ in range(n_rounds))
    pages = [render_html(report).encode() for report in reports]
    return {
        "html/per_second": 1 / min(together),
        "html/mean_per_second": 1 / float(np.mean(together)),
        "html/alone_per_second": 1 / min(alone),
        "html/draw_per_second": 1 / draw,
        "html/naive_ratio": min(naive) / min(together),
        "html/naive_seconds": min(naive),
        "html/bytes": float(np.mean([len(page) for page in pages])),
        "html/gzip_bytes": float(np.mean([len(gzip.compress(page, mtime=0)) for page in pages])),
        "html/same_in_processes": same_elsewhere(),
        "json/per_second": 1 / to_json,
        "json/bytes": float(np.mean([len(report.to_json().encode()) for report in reports])),
    }


def digest() -> str:
    """SHA-256 of some pages and their JSON, one after another."""
    reports = list(build_reports([explanation(seed) for seed in range(CHUNK)]))
    made = "".join([render_html(report) + report.to_json() for report in reports])
    return hashlib.sha256(made.encode()).hexdigest()


def same_elsewhere() -> int:
    """How many processes, each with its own hash seed, made the same bytes; a difference is an error and no figure."""
    found = set()
    for seed in HASH_SEEDS:
        command = [sys.executable, __file__, "--digest"]
        told = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        found.add(told.stdout)
    if len(found) != 1:
        raise AssertionError("the pages of one input differ from process to process")
    return len(HASH_SEEDS)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small version, under 30 seconds")
    parser.add_argument("--memory", type=int, default=0, help="also render this many PDFs and look at memory")
    parser.add_argument("--html", action="store_true", help="leave the PDFs out")
    parser.add_argument(
        "--writers", action="store_true", help="also Chromium, typst, reportlab and fpdf2, where installed"
    )
    parser.add_argument("--digest", action="store_true", help="only print the hash of some pages")
    given = parser.parse_args()
    if given.digest:
        print(digest())
        return
    figures = html_figures(given.quick)
    whys = [explanation(seed) for seed in range(CHUNK)]
    if not given.html:
        reports = list(build_reports(whys))
        figures |= pdf_figures(whys, reports, given.quick)
        if given.memory:
            figures |= memory_growth(reports, given.memory)
    told = {}
    if given.writers:
        more, told = other_writers(whys, given.quick)
        figures |= more
    conditions = told | {
        "items": ITEMS,
        "events": EVENTS,
        "heads": len(HEADS),
        "chunk": CHUNK,
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
