"""Explanations made directly from small arrays, so that the right answer is known, and a reader of pages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np

from reportgen.config import Config
from reportgen.explain.explanation import Explanation, ModelFacts, Past, Picks, Usage
from reportgen.report.build import Reader, build_report
from reportgen.report.document import Report
from reportgen.report.figures import draw_ledger
from reportgen.report.html import render_html
from reportgen.report.pdf import render_pdf

HEADS = ("together", "category", "brand", "price")
DAY = 86_400_000_000
AS_OF = 20_633 * DAY  # 2026-06-29
USER = "SENTINEL-user-0007@shop.test"

Parts = Sequence[Sequence[Sequence[float]]] | np.ndarray


def column(values: Sequence[object]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def craft(
    parts: Parts,
    *,
    base: Sequence[float] | None = None,
    titles: Sequence[str] | None = None,
    kinds: Sequence[str] | str = "purchase",
    hidden: Sequence[int] = (),
    times: Sequence[int] | None = None,
    picks: Sequence[str] | None = None,
    popularity: Sequence[int] | int = 40,
    details: Sequence[dict[str, object]] | None = None,
    heads: Sequence[str] = HEADS,
    support: int = 12,
    **usage: int,
) -> Explanation:
    """An explanation whose contributions are `parts` (K, J, F)."""
    value = np.asarray(parts, dtype=np.float64)
    k, j, f = value.shape
    given = np.asarray(base if base is not None else [0.5] * k, dtype=np.float64)
    names = list(titles) if titles is not None else [f"Past {chr(65 + n)}" for n in range(j)]
    goods = list(picks) if picks is not None else [f"Pick {n + 1}" for n in range(k)]
    types = [kinds] * j if isinstance(kinds, str) else list(kinds)
    taken = [popularity] * k if isinstance(popularity, int) else list(popularity)
    dates = AS_OF - DAY * np.arange(1, j + 1, dtype=np.int64)
    mask = np.zeros(j, dtype=bool)
    mask[list(hidden)] = True
    n_events = np.array(times if times is not None else [1] * j, dtype=np.int64)
    counts = {"events": j, "used": j, "capped": 0, "excluded": 0, "after": 0} | usage
    first, last = (int(dates.min()), int(dates.max())) if j else (None, None)
    live = tuple(int(h) for h in range(f))
    facts = ModelFacts("m" * 12, tuple(heads[:f]), live, True, 1200, 300, 900, 5, 200, (float("inf"), 3.0))
    return Explanation(
        USER,
        AS_OF,
        Past(column([f"hist-{n}" for n in range(j)]), column(names), dates, n_events, column(types), mask),
        Picks(
            column([f"pick-{n}" for n in range(k)]), column(goods), np.array(taken, dtype=np.int64),
            tuple(details) if details is not None else ({},) * k,
        ),
        value,
        given,
        given + value.sum(axis=(1, 2)),
        np.full((k, j), support, dtype=np.int64) * (value[:, :, 0] > 0),
        Usage(**counts, first=first, last=last),
        facts,
    )  # fmt: skip


def random_explanation(seed: int, k: int = 3, j: int = 9, hidden: Sequence[int] = (), **more: object) -> Explanation:
    """Signed random contributions, some of them zero."""
    rng = np.random.default_rng(seed)
    parts = rng.gamma(0.4, 0.3, (k, j, len(HEADS))) * rng.choice([1.0, 1.0, 1.0, 0.0, -0.5], (k, j, len(HEADS)))
    parts[:, 0, :] = np.abs(parts[:, 0, :]) + 0.01  # something always speaks for it
    return craft(parts, hidden=hidden, **more)  # type: ignore[arg-type]


def fitted_explanations(n_users: int = 12) -> list[Explanation]:
    """From a small shop through the real reader and the real scorer, for users with many events and with few."""
    # here, so that the processes that only draw a page start faster
    from reportgen.attention.scorer import AttentionScorer
    from reportgen.data.dataset import Dataset
    from reportgen.data.shop import make_shop
    from reportgen.explain.why import explain_many

    shop = make_shop(150, 60, random_state=3)
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    scorer = AttentionScorer(min_support=2).fit(data)
    counts = np.diff(data.indptr)
    ids = [str(data.user_ids[u]) for u in np.argsort(-counts, kind="stable")]
    chosen = [*ids[: n_users - 2], ids[len(ids) // 2], ids[-1]]
    return explain_many(scorer, data, chosen, n=5)


def usual(locale: str = "en", seed: int = 11) -> Report:
    """5 products and 15 history items."""
    titles = [f"A kitchen storage box with a lid, number {n}" for n in range(15)]
    picks = [f"A rather usual product title, number {n}" for n in range(5)]
    links = {"object": "https://shop.test/no", "change": "mailto:a@shop.test"}
    config = Config.from_dict({"operator": {"name": "Shop", "links": links}, "report": {"reasons": 15}})
    details = [{"category": "Kitchen", "brand": "Aro", "price": 12.5, "currency": "EUR"}] * 5
    why = random_explanation(seed, 5, 15, hidden=[3], titles=titles, picks=picks, details=details)
    return build_report(why, locale, config=config, reader=Reader("abcdefghijklmnopqrstuvwx"), synthetic=True)


def digests() -> dict[str, str]:
    """SHA-256 of one page, its two kinds of picture and its PDF."""
    report = usual()
    html, ledger = render_html(report), report.items[0].ledger
    made = {
        "html": html.encode(),
        "png": draw_ledger(ledger, "png"),
        "svg": draw_ledger(ledger, "svg"),
        "pdf": render_pdf(report),
    }
    return {kind: hashlib.sha256(data).hexdigest() for kind, data in made.items()}


# -- a reader of pages ----------------------------------------------------------------------------------------------

VOID = frozenset({"meta", "link", "img", "col", "br", "hr", "input", "base", "area", "embed", "source", "track", "wbr"})


@dataclass
class Node:
    """One element."""

    tag: str
    attrs: dict[str, str | None] = field(default_factory=dict)
    inside: list[Node | str] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        yield self
        for part in self.inside:
            if isinstance(part, Node):
                yield from part.walk()

    def all(self, tag: str) -> list[Node]:
        return [node for node in self.walk() if node.tag == tag]

    def classes(self, name: str) -> list[Node]:
        return [node for node in self.walk() if name in (node.attrs.get("class") or "").split()]

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.inside)

    def cells(self) -> list[list[str]]:
        """The body of a table as text."""
        rows = [row for body in self.all("tbody") for row in body.all("tr")]
        return [[c.text for c in row.inside if isinstance(c, Node)] for row in rows]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("#document")]
        self.shape: list[tuple[str, tuple[str, ...]]] = []
        self.raw: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self.shape.append((tag, tuple(name for name, _ in attrs)))
        self.raw.append(self.get_starttag_text() or "")
        self.open[-1].inside.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment on the page: {data[:80]}")


@dataclass
class Page:
    """A parsed page: `shape` holds (tag, attribute names) in order, `raw` the start tags as written."""

    root: Node
    shape: list[tuple[str, tuple[str, ...]]]
    raw: list[str]

    def ledgers(self) -> list[Node]:
        """The table of each recommended item."""
        return [section.all("table")[0] for section in self.root.classes("item")]

    def heatmaps(self) -> list[Node]:
        sections = [s for s in self.root.all("section") if s.attrs.get("aria-labelledby") == "overview"]
        return [table for section in sections for table in section.all("table")]


def read_page(html: str) -> Page:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1, [node.tag for node in reader.open]
    return Page(reader.open[0], reader.shape, reader.raw)
