"""Pages of every kind that the tool makes, for the validators: name -> report, and name -> page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from crafted import craft, random_explanation
from foreign_pages import foreign_reports
from hostile import ALWAYS, as_read, report_of
from PIL import Image

from reportgen.attention.comparison import OURS, Comparison
from reportgen.attention.evaluation import Evaluation, Quality
from reportgen.attention.measures import MEASURES, Mean
from reportgen.config import Config
from reportgen.explain.explanation import Counterfactual
from reportgen.explain.fidelity import Trust
from reportgen.report.build import Reader, build_report
from reportgen.report.document import Report
from reportgen.report.evaluation_page import render_evaluation
from reportgen.report.words import LOCALES

LINKS = {
    "change": "https://shop.test/data?a=1&b=2",
    "object": "https://shop.test/no",
    "switch_off": "https://shop.test/off",
    "non_personalised": "https://shop.test/plain",
    "complaint": "mailto:help@shop.test",
}
OPERATOR = {
    "name": "Shop & Sons", "purpose": "to suggest products", "contact": "help@shop.test",
    "address": "1 Any Street, Anytown", "retention": "two years", "links": LINKS,
}  # fmt: skip
#: Histories of these sizes, each with three products, in each language.
HISTORIES = (0, 1, 15, 200)
TITLES = {
    "en": ("Stacking box with a lid, 20 l", "Label maker", "Glass jar", "Drawer divider", "Tea towel, linen"),
    "zh-CN": ("带盖收纳盒 20 升", "标签打印机", "玻璃罐", "抽屉分隔板", "亚麻茶巾"),
}
ARABIC = "صندوق تخزين للمطبخ"
TRUST = Trust(120, 3, 0.71, 0.22, 0.18, 0.64, 5)


def config(**more: Any) -> Config:
    return Config.from_dict({"operator": OPERATOR} | more)


def titles(locale: str, n: int) -> list[str]:
    words = TITLES[locale]
    return [f"{words[k % len(words)]} {k}" for k in range(n)]


def history(n: int, locale: str) -> Report:
    """Three products and a history of `n` items."""
    given: dict[str, Any] = {"titles": titles(locale, n), "picks": titles(locale, 3)}
    why = random_explanation(5, 3, n, **given) if n else craft(np.zeros((3, 0, 4)), popularity=[40, 3, 0], **given)
    return build_report(why, locale, config=config(), reader=Reader("abcdefghijklmnopqrstuvwx"))


def rich(locale: str, **more: Any) -> Report:
    """Everything at once: folded, sponsored, own price, against, capped, excluded, after, counterfactuals, a name, made up."""
    parts = [
        [[0.5, 0.1, 0, 0], [0, 0.2, 0, 0.1], [0.05, 0, 0, 0], [0, 0, -0.2, 0], [0.3, 0.1, 0, 0]],
        [[0, 0.3, 0, 0], [0, 0, 0, 0], [0.2, 0, 0.1, 0], [0, 0, 0, 0], [0, 0.2, 0, 0]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0.4, 0.2, 0, 0]],
    ]
    facts = {"category": "Kitchen", "brand": "Aro", "price": 12.5, "currency": "EUR"}
    why = craft(
        parts,
        titles=titles(locale, 5),
        picks=titles(locale, 3),
        kinds=["purchase", "view", "rating", "return", "cart"],
        times=[3, 1, 1, 1, 2],
        hidden=[4],
        details=[facts | {"sponsored": True, "price_personalised": True}, {"price": 0.0, "currency": "EUR"}, {}],
        capped=2, excluded=3, after=1,
    )  # fmt: skip
    why = replace(
        why,
        counterfactuals=(
            Counterfactual((0, 2), "proven", 1, 4, 5),
            Counterfactual((), "best found", 2, 2, 5),
            Counterfactual((), "proven", 3, 3, 5),
        ),
    )
    return build_report(why, locale, config=config(**more), reader=Reader("k", "Ann"), synthetic=True, trust=TRUST)


def all_folded() -> Report:
    """A list for which nothing may be named."""
    return build_report(random_explanation(3, 2, 4, hidden=range(4)), config=config(privacy={"sensitive": "fold"}))


def bare() -> Report:
    """One product, nothing known of it, and an operator who set up nothing."""
    return build_report(craft([[[0.0, 0, 0, 0]]], titles=[""], picks=[""], popularity=0))


def arabic(locale: str) -> Report:
    """Right-to-left titles, a brand and a name on a left-to-right page."""
    details = [{"category": ARABIC, "brand": ARABIC}] * 2
    why = random_explanation(
        4, 2, 3, titles=[ARABIC, "Lamp", f"{ARABIC} (Lamp)"], picks=[ARABIC, "Lamp"], details=details
    )
    return build_report(why, locale, config=config(), reader=Reader("k", ARABIC))


def hostile() -> Report:
    """Markup, quotes, controls and endless words in the titles, the facts and the operator's own texts."""
    names = ("script", "quote-double", "title-end", "attachment", "css-end", "controls", "bidi", "long", "template")
    texts = [as_read(ALWAYS[name]) for name in names]
    picks = texts[-5:]
    details = [{"category": text, "brand": text} for text in picks]
    operator = dict(zip(("name", "purpose", "contact", "address", "retention"), texts, strict=False)) | {"links": LINKS}
    why = random_explanation(6, len(picks), len(texts), titles=texts, picks=picks, details=details)
    return build_report(why, config=config(operator=operator, look={"footer": texts[0]}), reader=Reader("k", texts[0]))


def own_looks(folder: Path) -> dict[str, Report]:
    """An accent, a font, a footer and a logo: a PNG without words for it, and a drawing with words and on the other paper."""
    png, svg = folder / "logo.png", folder / "logo.svg"
    Image.new("RGB", (64, 32), "#7a1f3d").save(png)
    svg.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 4"><path d="M0 0h8v4z" fill="#7a1f3d"/></svg>', "utf-8"
    )
    look = {"accent": "#7a1f3d", "font": "DejaVu Sans", "footer": "Shop & Sons, est. 1901"}
    raster = look | {"logo": str(png)}
    drawing = look | {"accent": "#ffd54a", "logo": str(svg), "logo_alt": "Shop & Sons", "paper": "Letter"}
    return {"en, rich, own look": rich("en", look=raster), "zh-CN, rich, own look": rich("zh-CN", look=drawing)}


def reports(folder: Path) -> dict[str, Report]:
    """Every kind of report; `folder` is for the files of logos."""
    found = {f"{locale}, {n} items": history(n, locale) for locale in LOCALES for n in HISTORIES}
    found |= {f"{locale}, rich": rich(locale) for locale in LOCALES}
    found |= own_looks(folder)
    found |= {f"{locale}, Arabic titles": arabic(locale) for locale in LOCALES}
    found |= {"all folded": all_folded(), "bare": bare(), "hostile titles": hostile()}
    found["hostile everywhere"] = report_of(ALWAYS["quote-double"])
    return found | foreign_reports()


def evaluations(locales: Iterable[str] = tuple(LOCALES)) -> Iterator[tuple[str, str]]:
    """The page of a comparison, whole, and with parts that could not be judged."""
    facts = {
        "users": 3000, "items": 400, "events": 50_000, "synthetic": True, "as_of": "2026-01-01T00:00:00Z", "version": "0",
        "generated_at": "2026-01-01T00:00:00Z", "generated_at_source": "as_of",
    }  # fmt: skip
    rng = np.random.default_rng(0)

    def judged(names: tuple[str, ...], n_users: int) -> Evaluation:
        values = {name: rng.random(n_users) for name in names}
        qualities = {
            name: Quality(*([Mean.of(v)] * len(MEASURES)), coverage=0.4, n_users=n_users) for name, v in values.items()
        }
        return Evaluation(10, 400, qualities, {name: dict.fromkeys(MEASURES, v) for name, v in values.items()})

    everything = judged((OURS, "popularity", "knn", "ease", "als"), 900)
    chosen = {"knn": {"neighbours": 100}, "ease": {"l2": 100.0}}
    whole = Comparison(everything, judged((OURS, "content", "random"), 80), "", chosen, {"knn": True, "ease": False})
    few = replace(judged((OURS, "ease"), 1), left_out={"knn": "too <large>"})
    bare = Comparison(few, None, "No <cold> items.")
    for locale in locales:
        tag = "" if locale == "en" else f", {locale}"
        yield f"evaluation{tag}", render_evaluation(whole, facts, locale)
        yield f"evaluation, hardly anything{tag}", render_evaluation(bare, facts, locale)
