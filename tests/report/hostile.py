"""Hostile text: cases that run everywhere, those of the shared list, and a report with one text in every place that takes text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from crafted import HEADS, craft, random_explanation

from reportgen.config import Config
from reportgen.report.build import Reader, build_report
from reportgen.report.document import Report

#: The cases that run everywhere; the shared list adds the others.
ALWAYS = {
    "script": "<script>alert(1)</script>",
    "img": "<img src=x onerror=alert(1)>",
    "quote-double": '" autofocus onfocus=alert(1) x="',
    "quote-single": "' onmouseover='alert(1)",
    "title-end": "</title><script>alert(1)</script>",
    "style-end": "</style><script>alert(1)</script>",
    "table": "</td></tr></table><table><tr><td colspan=1000000>x",
    "comment": "<!--><script>alert(1)</script>",
    "attachment": '<link rel=attachment href="file:///etc/passwd">',
    "entities": "&lt;b&gt;&amp;#60;",
    "link": '<a href="javascript:alert(1)">x</a>',
    "css": "red;background:url(http://127.0.0.1:9/c)",
    "css-end": "}*{display:none}/*",
    "template": "{{7*7}}{% for x in range(10**9) %}{% endfor %}{# #}",
    "format": "${7*7} #{7*7} %(x)s {0.__class__} {n}",
    "controls": "a\x00b\x0b\x1b[31mred\x07\r\nERROR forged\ud800\ufffe",
    "bidi": "\u202egpj.exe \u2066\u2069\u200f\u2068x",
    "scripts": "日本語 العربية עברית हिन्दी 😀",
    "maths": "Pay $5 or $\\frac{1}{0}$ _x",
    "zero-width": "La\u200bmp\ufeff \u2060one\u00ad",
    "zalgo": "a" + "\u0301" * 20_000,
    "words-10000": "lamp " * 2_000,
    "unbroken-10000": "x" * 10_000,
    "long": "x" * 100_000,
    "emoji": "👨\u200d👩\u200d👧 family",
    "only-marks": "\u2066\u2069\u200f\u061c",
    "blank": " \t\u2028 ",
    "empty": "",
}
#: What the operator offers on every page of this file: the only addresses that a document may hold.
LINKS = {"change": "https://shop.test/a?b=1&c=2", "object": "mailto:no@shop.test"}


def shared_list() -> list[dict[str, Any]] | None:
    """The shared list of bad inputs, read at collection so that each case is a test of its own; None where it is absent."""
    folder = os.environ.get("REPORTGEN_SHARED_DATA")
    path = (Path(folder).parent if folder else Path(__file__).resolve().parents[3] / "shared") / "bad_inputs.json"
    if not path.exists():
        return None
    cases: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return cases


def _texts(case: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The texts of one case. Those that stand for files, pictures or the surroundings of a run carry none."""
    name, value = case["id"], case["value"]
    if case["kind"] == "literal":
        yield name, value
    elif case["kind"] == "list":
        yield from ((f"{name}-{at}", text) for at, text in enumerate(value))
    elif case["kind"] == "gen" and value["gen"] == "repeat":
        yield name, value["s"] * value["n"]


#: Every text of the shared list, whichever field it was meant for: a title may hold what was thought of as an id or a link.
SHARED = {name: text for case in shared_list() or [] for name, text in _texts(case)}
#: The two million characters have a test of their own.
CASES = {name: text for name, text in (ALWAYS | SHARED).items() if len(text) < 1_000_000}


def report_of(text: str, locale: str = "en", more: dict[str, Any] | None = None) -> Report:
    """The same text in every place that takes text from outside."""
    details = [
        {"category": text, "brand": text, "url": text, "price": 3.5, "currency": text[:3], "sponsored": True}
    ] * 2
    why = craft(
        [[[0.4, 0.1, 0.1, 0.1], [0.0, 0.2, 0, 0.05], [0, 0, 0, 0.15], [-0.1, 0, 0, 0]], [[0, 0.7, 0, 0]] * 4],
        titles=[text, "Second", text, text],
        picks=[text, f"{text} {text}"],
        kinds=["purchase", "view", text, "return"],
        details=details,
        heads=(*HEADS[:3], "own"),
    )
    operator = {"name": text, "purpose": text, "contact": text, "address": text, "retention": text, "links": LINKS}
    raw = {
        "operator": operator, "look": {"footer": text}, "features": {"own": {"kind": "category", "label": {"en": text}}},
    } | (more or {})  # fmt: skip
    return build_report(why, locale, config=Config.from_dict(raw), reader=Reader("pseudo", text))


def as_read(text: str) -> str:
    """A text as a data set holds it: half a surrogate pair, which no file can hold, is read as its number (``\\udcff``)."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def report_of_many(texts: Sequence[str]) -> Report:
    """Each text as a product's title, category and brand, and as a title of the history; the operator's texts are the first ones."""
    texts = [as_read(text) for text in texts]
    names = ("name", "purpose", "contact", "address", "retention")
    operator = {name: texts[at % len(texts)] for at, name in enumerate(names)} | {"links": LINKS}
    details = [{"category": text, "brand": text, "price": 3.5, "currency": text[:3], "url": text} for text in texts]
    why = random_explanation(1, len(texts), len(texts), titles=texts, picks=texts, details=details)
    config = Config.from_dict({"operator": operator, "look": {"footer": texts[0]}})
    return build_report(why, config=config, reader=Reader("pseudo", texts[-1]))
