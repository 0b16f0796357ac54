"""The tables of a report: ledgers per product and heatmaps across the list, from figures that add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from reportgen.explain.explanation import Explanation
from reportgen.report.columns import Figures
from reportgen.report.document import Heatmap, Ledger, Row
from reportgen.report.words import Words, name
from reportgen.text import clean

#: Negative lines shown one by one; the rest joins "other items".
MAX_AGAINST = 3
#: Beyond the first few, a line of its own is worth at least this share (whole percent).
_LEAST, _SMALL = 3, 2
_ROW_TITLE = 56
_COLUMN_TITLE = 40
#: Microseconds.
_DAY = 86_400_000_000


@lru_cache(maxsize=65_536)
def _label(title: str) -> str:
    return clean(title, _ROW_TITLE)


def past_labels(why: Explanation, words: Words) -> list[str]:
    """A short title for each history item."""
    gone = words.say("item.gone")
    return [_label(title) or gone for title in why.past.title.tolist()]


def past_details(why: Explanation, words: Words, dated: bool = True) -> list[str]:
    """What happened to each history item, and when; "" where neither may be told."""
    past = why.past
    days = (past.date // _DAY).tolist() if dated else [None] * past.hidden.size
    columns = zip(past.event_type.tolist(), days, past.n_events.tolist(), strict=True)
    return [_detail(words, kind, day, n) for kind, day, n in columns]


@lru_cache(maxsize=65_536)
def _detail(words: Words, kind: str, day: int | None, n: int) -> str:
    key = f"event.{kind}" if kind != "times" and f"event.{kind}" in words else "event.other"
    what = words.say(key, date="" if day is None else words.date(day * _DAY)).strip()
    return words.say("event.times", n, what=what) if n > 1 and what else what


def head_label(words: Words, head: str, feature_labels: dict[str, str], short: bool = True) -> str:
    """The name of a kind of evidence: built in, or given by the operator for a feature of his own."""
    table = "head_short" if short else "head"
    if head != "other" and f"{table}.{head}" in words:
        return words.say(f"{table}.{head}")
    feature = feature_labels.get(head, clean(head, _COLUMN_TITLE))
    return feature if short else words.say("head.other", feature=name(feature))


@dataclass(frozen=True, eq=False)
class Told:
    """What the rows of a user's tables are called.

    Attributes
    ----------
    words : Words
    labels, details : list of str, length J
        Title of each history item, and what happened to it.
    columns, long_columns : tuple of str, length F'
        The kinds of evidence.
    """

    words: Words
    labels: list[str]
    details: list[str]
    columns: tuple[str, ...]
    long_columns: tuple[str, ...]


def make_ledgers(figures: Figures, told: Told, hidden: list[bool], n: int) -> list[Ledger]:
    """The sum of each product: its strongest `n` reasons, the rest, what counts against, popularity, and the total."""
    unnamed = [j for j, folded in enumerate(hidden) if folded]
    return [_Sum(figures, told, k).ledger(unnamed, n) for k in range(len(figures.total))]


class _Sum:
    """The ledger of one product."""

    def __init__(self, figures: Figures, told: Told, k: int) -> None:
        self.figures, self.told, self.say, self.k = figures, told, told.words.say, k
        width = len(told.labels)
        self.cells = figures.plain_cells[k * width : (k + 1) * width]
        self.shares, self.points, self.net = figures.plain_shares[k], figures.points[k], figures.net[k]

    def ledger(self, unnamed: list[int], n: int) -> Ledger:
        figures, told, points, shares = self.figures, self.told, self.points, self.shares
        reasons = figures.reasons[self.k]
        n = min(n, max(_LEAST, sum([shares[j] >= _SMALL for j in reasons])))
        labels, details, cells = told.labels, told.details, self.cells
        rows = [Row("reason", labels[j], details[j], shares[j], points[j], cells[j]) for j in reasons[:n]]
        against = self._against(unnamed) if min(self.net, default=0.0) < 0 else []
        shown = [j for j in against if points[j] < 0][:MAX_AGAINST]
        rows += self._sum("others", reasons[n:] + [j for j in against if j not in shown])
        rows += self._sum("folded", [j for j in unnamed if self.net[j] != 0])
        rows += [Row("against", labels[j], self._what(j), None, points[j], ()) for j in shown]
        spoke, sums = any(shares), figures.head_shares[self.k]
        share, sums = (sum(sums), sums) if spoke else (None, ())
        caption, base, total = _fixed(told.words, spoke)
        rows.append(Row("base", base, "", None, figures.base[self.k], ()))
        rows.append(Row("total", total, "", share, figures.total[self.k], sums))
        return Ledger(caption, told.columns if spoke else (), figures.decimals, tuple(rows))

    def _against(self, unnamed: list[int]) -> list[int]:
        """Items with a name that count against it, the strongest first, the older one of equals."""
        lowers = [(net, -j) for j, net in enumerate(self.net) if net < 0 and j not in unnamed]
        return [-j for _, j in sorted(lowers)]

    def _what(self, j: int) -> str:
        what = self.told.details[j]
        return self.say("ledger.against", what=what) if what else self.say("ledger.against_plain")

    def _sum(self, kind: str, group: list[int]) -> list[Row]:
        """One line for many items, where there are any."""
        if not group:
            return []
        cells = tuple(map(sum, zip(*[self.cells[j] for j in group], strict=True)))
        points = sum([self.points[j] for j in group])
        return [Row(kind, _count(self.told.words, kind, len(group)), "", sum(cells), points, cells)]


@lru_cache(maxsize=16)
def _fixed(words: Words, spoke: bool) -> tuple[str, str, str]:
    """Caption and the last two lines: the same in every ledger, or in every one that nothing speaks for."""
    caption = words.say("ledger.caption" if spoke else "ledger.caption_popular")
    return caption, words.say("ledger.base"), words.say("ledger.total")


@lru_cache(maxsize=1024)
def _count(words: Words, kind: str, n: int) -> str:
    """The name of a line for `n` items."""
    return words.say(f"ledger.{kind}", n)


def list_heatmaps(figures: Figures, told: Told, picks: list[str], hidden: list[bool], n: int) -> tuple[Heatmap, ...]:
    """History x recommendation, and recommendation x kind of evidence (the attention-weighted feature matrix)."""
    spoke = figures.speaking()
    if not spoke:
        return ()
    names = tuple([picks[k] for k in spoke])
    return (_history_map(figures, told, names, spoke, hidden, n), _evidence_map(figures, told, names, spoke))


def _history_map(
    figures: Figures, told: Told, picks: tuple[str, ...], spoke: list[int], hidden: list[bool], n: int
) -> Heatmap:
    words, shares, weight = told.words, [figures.plain_shares[k] for k in spoke], figures.weight
    order = sorted([j for j, w in enumerate(weight) if w > 0], key=weight.__getitem__, reverse=True)
    named, folded = [j for j in order if not hidden[j]], sorted([j for j in order if hidden[j]])
    groups = [("others", named[n:]), ("folded", folded)]
    groups = [(_count(words, kind, len(group)), group) for kind, group in groups if group]
    values = list(zip(*shares, strict=True))
    rows = [values[j] for j in named[:n]]
    rows += [tuple([sum([row[j] for j in group]) for row in shares]) for _, group in groups]
    best, item = _largest(shares)
    # Where an item that is not shown counts most, no other may be called the strongest.
    most = (_count(words, "folded", len(folded)), folded) if hidden[item] else (words.title(told.labels[item]), [item])
    said = words.say(
        "overview.history_caption",
        item=most[0],
        share=words.percent(sum([shares[best][j] for j in most[1]])),
        pick=words.title(picks[best]),
    )
    return Heatmap(
        said,
        words.say("overview.history_note"),
        words.say("ledger.history"),
        picks,
        tuple([told.labels[j] for j in named[:n]] + [label for label, _ in groups]),
        tuple(rows),
    )


def _evidence_map(figures: Figures, told: Told, picks: tuple[str, ...], spoke: list[int]) -> Heatmap:
    words, values = told.words, [figures.head_shares[k] for k in spoke]
    best, head = _largest(values)
    said = words.say(
        "overview.evidence_caption",
        head=told.long_columns[head],
        share=words.percent(values[best][head]),
        pick=words.title(picks[best]),
    )
    return Heatmap(
        said, words.say("overview.evidence_note"), words.say("overview.product"), told.columns, picks, tuple(values)
    )


def _largest(rows: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Row and column of the largest number; the first of equals."""
    tops = [max(row) for row in rows]
    row = tops.index(max(tops))
    return row, rows[row].index(tops[row])
