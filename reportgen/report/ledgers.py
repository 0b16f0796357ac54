"""The figures of a report: ledgers per product and heatmaps across the list, rounded so that everything adds up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import compress

import numpy as np

from reportgen.explain.explanation import Explanation
from reportgen.report.document import Heatmap, Ledger, Row
from reportgen.report.rounding import closing_points, decimals_for, pad, whole_percents_of
from reportgen.report.words import Words, name
from reportgen.text import clean

#: Negative lines shown one by one; the rest joins "other items".
MAX_AGAINST = 3
#: Beyond the first few, a line of its own is worth at least this share (whole percent).
_LEAST, _SMALL = 3, 2
_ROW_TITLE = 56
_COLUMN_TITLE = 40


@dataclass(frozen=True, eq=False)
class Figures:
    """All numbers of a page, rounded once, so that a figure is the same wherever it is printed.

    Attributes
    ----------
    heads : ndarray of int64, shape (F',)
        Heads that speak for anything on this page: the columns.
    cells : ndarray of int64, shape (K, J, F')
        Whole percent.
    shares : ndarray of int64, shape (K, J)
    base, total : ndarray of int64, shape (K,)
    points : ndarray of int64, shape (K, J)
        In units of the last decimal.
    decimals : int
    """

    heads: np.ndarray
    cells: np.ndarray
    shares: np.ndarray
    base: np.ndarray
    points: np.ndarray
    total: np.ndarray
    decimals: int

    # NumPy is quick with many numbers and slow with one: what is read number by number is read from these.

    @cached_property
    def plain_cells(self) -> list[list[list[int]]]:
        """`cells` as lists."""
        return list(self.cells.tolist())

    @cached_property
    def plain_shares(self) -> list[list[int]]:
        """`shares` as lists."""
        return list(self.shares.tolist())

    @cached_property
    def plain_points(self) -> list[list[int]]:
        """`points` as lists."""
        return list(self.points.tolist())


def make_figures(why: Explanation) -> Figures:
    """Round an explanation for print."""
    return many_figures([why])[0]


def many_figures(whys: Sequence[Explanation]) -> list[Figures]:
    """Round the explanations of many users together: the same figures as one by one, for a third of the time."""
    widths = [len(why.model.heads) for why in whys]
    if len(set(widths)) > 1:  # some have items that are not shown, and so one kind of evidence more
        return _by_width(whys, widths)
    if not whys:
        return []
    cells = whole_percents_of([why.attention for why in whys])
    decimals = [decimals_for(why.scores) for why in whys]
    counts = [len(why.scores) for why in whys]
    base, points, total = closing_points(
        np.concatenate([why.base for why in whys]),
        pad([why.net for why in whys]),
        np.concatenate([why.scores for why in whys]),
        np.repeat(decimals, counts),
    )
    ends = np.cumsum(counts)[:-1]
    parts = zip(whys, cells, np.split(base, ends), np.split(points, ends), np.split(total, ends), decimals, strict=True)
    return [_figures(why, cell, b, p[:, : why.net.shape[1]], t, d) for why, cell, b, p, t, d in parts]


def _by_width(whys: Sequence[Explanation], widths: list[int]) -> list[Figures]:
    made: dict[int, Iterator[Figures]] = {
        width: iter(many_figures([why for why, own in zip(whys, widths, strict=True) if own == width]))
        for width in set(widths)
    }
    return [next(made[width]) for width in widths]


def _figures(
    why: Explanation, cells: np.ndarray, base: np.ndarray, points: np.ndarray, total: np.ndarray, decimals: int
) -> Figures:
    spoke: list[bool] = np.asarray(why.attention.any(axis=(0, 1))).tolist()
    heads = np.array([head for head in why.model.live if spoke[head]], dtype=np.int64)
    return Figures(heads, cells[:, :, heads], cells.sum(axis=2), base, points, total, decimals)


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
    columns = zip(past.event_type.tolist(), past.date.tolist(), past.n_events.tolist(), strict=True)
    return [_detail(words, kind, words.date(when) if dated else "", n) for kind, when, n in columns]


@lru_cache(maxsize=65_536)
def _detail(words: Words, kind: str, date: str, n: int) -> str:
    key = f"event.{kind}" if kind != "times" and f"event.{kind}" in words else "event.other"
    what = words.say(key, date=date).strip()
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


def make_ledgers(why: Explanation, figures: Figures, told: Told, n: int) -> list[Ledger]:
    """The sum of each product: its strongest `n` reasons, the rest, what counts against, popularity, and the total."""
    order = np.argsort(-why.net, axis=1, kind="stable").tolist()
    net, hidden = why.net.tolist(), why.past.hidden.tolist()
    return [_Sum(figures, told, k).ledger(order[k], net[k], hidden, n) for k in range(len(order))]


class _Sum:
    """The ledger of one product."""

    def __init__(self, figures: Figures, told: Told, k: int) -> None:
        self.figures, self.told, self.say, self.k = figures, told, told.words.say, k
        self.cells, self.shares, self.points = figures.plain_cells[k], figures.plain_shares[k], figures.plain_points[k]

    def ledger(self, order: list[int], net: list[float], hidden: list[bool], n: int) -> Ledger:
        figures, told, points = self.figures, self.told, self.points
        reasons = [j for j in order if net[j] > 0 and not hidden[j]]
        against = [j for j in reversed(order) if net[j] < 0 and not hidden[j]]
        shown = [j for j in against if points[j] < 0][:MAX_AGAINST]
        n = min(n, max(_LEAST, sum([self.shares[j] >= _SMALL for j in reasons])))
        rows = [self._single(j) for j in reasons[:n]]
        rest = reasons[n:] + [j for j in against if j not in shown]
        rows += self._sum("others", rest)
        if any(hidden):
            rows += self._sum("folded", [j for j, folded in enumerate(hidden) if folded and net[j] != 0])
        rows += [Row("against", told.labels[j], self._against(j), None, points[j], ()) for j in shown]
        rows.append(Row("base", self.say("ledger.base"), "", None, int(figures.base[self.k]), ()))
        spoke = any(self.shares)
        rows.append(self._total(spoke))
        caption = self.say("ledger.caption" if spoke else "ledger.caption_popular")
        return Ledger(caption, told.columns if spoke else (), figures.decimals, tuple(rows))

    def _single(self, j: int) -> Row:
        told = self.told
        return Row("reason", told.labels[j], told.details[j], self.shares[j], self.points[j], tuple(self.cells[j]))

    def _against(self, j: int) -> str:
        what = self.told.details[j]
        return self.say("ledger.against", what=what) if what else self.say("ledger.against_plain")

    def _sum(self, kind: str, group: list[int]) -> list[Row]:
        """One line for many items, where there are any."""
        if not group:
            return []
        cells = _added([self.cells[j] for j in group])
        points = sum([self.points[j] for j in group])
        return [Row(kind, self.say(f"ledger.{kind}", len(group)), "", sum(cells), points, cells)]

    def _total(self, spoke: bool) -> Row:
        total = int(self.figures.total[self.k])
        cells = _added(self.cells) if spoke else ()
        return Row("total", self.say("ledger.total"), "", sum(cells) if spoke else None, total, cells)


def _added(rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The sums of the columns."""
    return tuple([sum(column) for column in zip(*rows, strict=True)])


def list_heatmaps(why: Explanation, figures: Figures, told: Told, picks: list[str], n: int) -> tuple[Heatmap, ...]:
    """History x recommendation, and recommendation x kind of evidence (the attention-weighted feature matrix)."""
    spoke = [k for k, shares in enumerate(figures.plain_shares) if any(shares)]
    if not spoke:
        return ()
    return (_history_map(why, figures, told, picks, spoke, n), _evidence_map(figures, told, picks, spoke))


def _history_map(why: Explanation, figures: Figures, told: Told, picks: list[str], spoke: list[int], n: int) -> Heatmap:
    words, shares, hidden = told.words, [figures.plain_shares[k] for k in spoke], why.past.hidden.tolist()
    weight = why.attention.sum(axis=(0, 2))
    order = [j for j in np.argsort(-weight, kind="stable").tolist() if weight[j] > 0]
    named = [j for j in order if not hidden[j]]
    folded = sorted(compress(order, [hidden[j] for j in order]))
    groups = [(told.labels[j], [j]) for j in named[:n]]
    for kind, group in (("others", named[n:]), ("folded", folded)):
        if group:
            groups.append((words.say(f"ledger.{kind}", len(group)), group))
    values = tuple([tuple([sum([row[j] for j in group]) for row in shares]) for _, group in groups])
    best, item = _largest(shares)
    # Where an item that is not shown counts most, no other may be called the strongest.
    most = (
        (words.say("ledger.folded", len(folded)), folded) if hidden[item] else (words.title(told.labels[item]), [item])
    )
    said = words.say(
        "overview.history_caption",
        item=most[0],
        share=words.percent(sum([shares[best][j] for j in most[1]])),
        pick=words.title(picks[spoke[best]]),
    )
    return Heatmap(
        said,
        words.say("overview.history_note"),
        words.say("ledger.history"),
        tuple([picks[k] for k in spoke]),
        tuple([label for label, _ in groups]),
        values,
    )


def _evidence_map(figures: Figures, told: Told, picks: list[str], spoke: list[int]) -> Heatmap:
    words, values = told.words, [_added(figures.plain_cells[k]) for k in spoke]
    best, head = _largest(values)
    said = words.say(
        "overview.evidence_caption",
        head=told.long_columns[head],
        share=words.percent(values[best][head]),
        pick=words.title(picks[spoke[best]]),
    )
    return Heatmap(
        said,
        words.say("overview.evidence_note"),
        words.say("overview.product"),
        told.columns,
        tuple([picks[k] for k in spoke]),
        tuple(values),
    )


def _largest(rows: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Row and column of the largest number; the first of equals."""
    tops = [max(row) for row in rows]
    row = tops.index(max(tops))
    return row, rows[row].index(tops[row])
