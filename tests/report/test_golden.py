"""The markup of each component with fixed data, as files to look at.

After a wanted change: ``REPORTGEN_UPDATE_GOLDEN=1 python -m pytest tests/report/test_golden.py``, then read the diff.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from crafted import craft

from reportgen import __version__
from reportgen.config import Config
from reportgen.explain.explanation import Counterfactual
from reportgen.report.build import Reader, build_report
from reportgen.report.html import render_html

GOLDEN = Path(__file__).parent / "golden"
UPDATE = os.environ.get("REPORTGEN_UPDATE_GOLDEN", "") not in ("", "0")


def page(locale: str = "en") -> str:
    """Two products, five history items: reasons, one that is hidden, one that counts against, popularity."""
    why = craft(
        [
            [[0.5, 0.1, 0, 0], [0, 0.2, 0, 0.1], [0.05, 0, 0, 0], [0, 0, -0.2, 0], [0, 0.1, 0, 0]],
            [[0, 0.3, 0, 0], [0, 0, 0, 0], [0.2, 0, 0.1, 0], [0, 0, 0, 0], [0, 0.2, 0, 0]],
        ],
        titles=["Stacking box <20 l>", 'Label "maker"', "收纳盒", "Glass & jar", "Never shown"],
        kinds=["purchase", "view", "purchase", "return", "purchase"],
        times=[3, 1, 1, 1, 1],
        hidden=[4],
        picks=["Drawer divider", "Lid"],
        details=[{"category": "Kitchen", "brand": "Aro", "price": 12.5, "currency": "EUR", "sponsored": True}, {}],
        capped=2,
    )
    why = replace(
        why,
        counterfactuals=(
            Counterfactual((0,), "proven", 1, 4, 5),
            Counterfactual((0, 2), "proven", 2, 3, 5),
        ),
    )
    links = {"change": "https://shop.test/data?a=1&b=2", "complaint": "mailto:help@shop.test"}
    config = Config.from_dict({"operator": {"name": "Shop & Sons", "contact": "help@shop.test", "links": links}})
    return render_html(build_report(why, locale, config=config, reader=Reader("abcd", "Ann"), synthetic=True))


def part(html: str, pattern: str) -> str:
    found = re.search(pattern, html, re.DOTALL)
    assert found, pattern
    return found.group()


def readable(html: str) -> str:
    """One element a line; styles, version and record hash are not what these files are about."""
    html = re.sub(r"(<style[^>]*>).*?(</style>)", r"\1...\2", html, flags=re.DOTALL)
    html = html.replace(f"reportgen {__version__}", "reportgen VERSION")
    html = re.sub(r"(Record|记录) [0-9a-f]{16}", r"\1 HASH", html)
    html = re.sub(r"\s*\n\s*", "\n", html)
    html = re.sub(r"(?<=>)(?=<(?:tr|th|td|p|table|section|ul|li|h[12]|caption|colgroup|tbody|thead)\b)", "\n", html)
    return html.strip() + "\n"


PARTS = {
    "ledger": ("en", r'<table class="t"><caption>What speaks.*?</table>'),
    "ledger-zh-CN": ("zh-CN", r'<section class="item".*?</section>'),
    "heatmap": ("en", r'<section[^>]*aria-labelledby="overview">.*?</section>'),
    "header": ("en", r"<body>.*?</header>"),
    "choices": ("en", r'<section[^>]*aria-labelledby="choices">.*?</section>'),
    "page": ("en", r".*"),
}


@pytest.mark.parametrize("name", PARTS)
def test_the_markup_is_as_agreed(name: str) -> None:
    locale, pattern = PARTS[name]
    actual = readable(part(page(locale), pattern))
    golden, failed = GOLDEN / f"{name}.html", GOLDEN / f"{name}.html.actual"
    if UPDATE:
        golden.write_text(actual, "utf-8")
    wanted = golden.read_text("utf-8") if golden.exists() else ""
    if actual != wanted:
        failed.write_text(actual, "utf-8")
    else:
        failed.unlink(missing_ok=True)
    assert actual == wanted, f"compare {golden} with {failed}; to accept: REPORTGEN_UPDATE_GOLDEN=1"
