"""The figures of a report: ledgers per product and heatmaps across the list, rounded so that everything adds up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reportgen.explain.explanation import Explanation
from reportgen.report.document import Heatmap, Ledger, Row
from reportgen.report.rounding import closing_points, decimals_for, whole_percents
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
    spoke = np.asarray(why.attention.any(axis=(0, 1)))
    heads = np.array([head for head in why.model.live if spoke[head]], dtype=np.int64)
    cells = whole_percents(why.attention[:, :, heads])
    decimals = decimals_for(why.scores)
    base, points, total = closing_points(why.base, why.net, why.scores, decimals)
    return Figures(heads, cells, cells.sum(axis=2), base, points, total, decimals)


def past_labels(why: Explanation, words: Words) -> list[str]:
    """A short title for each history item."""
    gone = words.say("item.gone")
    return [clean(title, _ROW_TITLE) or gone for title in why.past.title]


def past_details(why: Explanation, words: Words) -> list[str]:
    """What happened to each history item, and when."""
    out = []
    for kind, when, n in zip(why.past.event_type, why.past.date, why.past.n_events, strict=True):
        key = f"event.{kind}" if f"event.{kind}" in words else "event.other"
        what = words.say(key, date=words.date(int(when)))
        out.append(words.say("event.times", int(n), what=what) if n > 1 else what)
    return out


def head_label(words: Words, head: str, feature_labels: dict[str, str], short: bool = True) -> str:
    """The name of a kind of evidence: built in, or given by the operator for a feature of his own."""
    table = "head_short" if short else "head"
    if f"{table}.{head}" in words:
        return words.say(f"{table}.{head}")
    feature = feature_labels.get(head, clean(head, _COLUMN_TITLE))
    return feature if short else words.say("head.other", feature=feature)


def make_ledger(
    why: Explanation,
    figures: Figures,
    k: int,
    words: Words,
    labels: list[str],
    details: list[str],
    columns: tuple[str, ...],
    n: int,
) -> Ledger:
    """The sum of one product: its strongest `n` reasons, the rest, what counts against, popularity, and the total."""
    net, hidden = why.net[k], why.past.hidden
    order = np.argsort(-net, kind="stable")
    reasons = order[(net[order] > 0) & ~hidden[order]]
    against = order[::-1][(net[order[::-1]] < 0) & ~hidden[order[::-1]]]
    told = against[figures.points[k, against] < 0][:MAX_AGAINST]
    n = min(n, max(_LEAST, int((figures.shares[k, reasons] >= _SMALL).sum())))
    rows = [_single(labels[j], details[j], figures, k, j) for j in reasons[:n].tolist()]
    rest = np.concatenate([reasons[n:], against[~np.isin(against, told)]]).astype(np.int64)
    for kind, group in (("others", rest), ("folded", np.flatnonzero(hidden & (net != 0)))):
        if group.size:
            rows.append(_row(kind, words.say(f"ledger.{kind}", int(group.size)), "", figures, k, group))
    for j in told:
        text = words.say("ledger.against", what=details[j])
        rows.append(Row("against", labels[j], text, None, int(figures.points[k, j]), ()))
    rows.append(Row("base", words.say("ledger.base"), "", None, int(figures.base[k]), ()))
    spoke = bool(figures.shares[k].any())
    rows.append(_total(figures, k, words, spoke))
    caption = words.say("ledger.caption" if spoke else "ledger.caption_popular")
    return Ledger(caption, columns if spoke else (), figures.decimals, tuple(rows))


def _row(kind: str, label: str, detail: str, figures: Figures, k: int, group: np.ndarray) -> Row:
    cells = figures.cells[k, group].sum(axis=0)
    return Row(kind, label, detail, int(cells.sum()), int(figures.points[k, group].sum()), tuple(cells.tolist()))


def _single(label: str, detail: str, figures: Figures, k: int, j: int) -> Row:
    """The line of one history item: the most frequent kind, so it is read from plain lists."""
    return Row(
        "reason",
        label,
        detail,
        figures.plain_shares[k][j],
        figures.plain_points[k][j],
        tuple(figures.plain_cells[k][j]),
    )


def _total(figures: Figures, k: int, words: Words, spoke: bool) -> Row:
    cells = tuple(figures.cells[k].sum(axis=0).tolist()) if spoke else ()
    return Row("total", words.say("ledger.total"), "", sum(cells) if spoke else None, int(figures.total[k]), cells)


def list_heatmaps(
    why: Explanation,
    figures: Figures,
    words: Words,
    labels: list[str],
    picks: list[str],
    columns: tuple[str, ...],
    long_columns: tuple[str, ...],
    n: int,
) -> tuple[Heatmap, ...]:
    """History x recommendation, and recommendation x kind of evidence (the attention-weighted feature matrix)."""
    spoke = np.flatnonzero(figures.shares.any(axis=1))
    if spoke.size == 0:
        return ()
    return (
        _history_map(why, figures, words, labels, picks, spoke, n),
        _evidence_map(figures, words, picks, columns, long_columns, spoke),
    )


def _history_map(
    why: Explanation, figures: Figures, words: Words, labels: list[str], picks: list[str], spoke: np.ndarray, n: int
) -> Heatmap:
    shares, hidden = figures.shares[spoke], why.past.hidden
    weight = why.attention.sum(axis=(0, 2))
    order = np.argsort(-weight, kind="stable")
    named, folded = order[(weight[order] > 0) & ~hidden[order]], np.flatnonzero(hidden & (weight > 0))
    groups = [(labels[j], np.array([j])) for j in named[:n]]
    for kind, group in (("others", named[n:]), ("folded", folded)):
        if group.size:
            groups.append((words.say(f"ledger.{kind}", int(group.size)), group))
    values = np.array([shares[:, group].sum(axis=1) for _, group in groups])
    best, item = np.unravel_index(np.argmax(shares), shares.shape)
    # Where an item that is not shown counts most, no other may be called the strongest.
    most = (words.say("ledger.folded", int(folded.size)), folded) if hidden[item] else (labels[item], np.array([item]))
    said = words.say(
        "overview.history_caption",
        item=name(most[0]),
        share=words.percent(int(shares[best, most[1]].sum())),
        pick=name(picks[spoke[best]]),
    )
    return Heatmap(
        said,
        words.say("overview.history_note"),
        words.say("ledger.history"),
        tuple(picks[k] for k in spoke),
        tuple(label for label, _ in groups),
        tuple(tuple(row) for row in values.tolist()),
    )


def _evidence_map(
    figures: Figures,
    words: Words,
    picks: list[str],
    columns: tuple[str, ...],
    long_columns: tuple[str, ...],
    spoke: np.ndarray,
) -> Heatmap:
    values = figures.cells[spoke].sum(axis=1)
    best = np.unravel_index(np.argmax(values), values.shape)
    said = words.say(
        "overview.evidence_caption",
        head=long_columns[best[1]],
        share=words.percent(int(values[best])),
        pick=name(picks[spoke[best[0]]]),
    )
    return Heatmap(
        said,
        words.say("overview.evidence_note"),
        words.say("overview.product"),
        columns,
        tuple(picks[k] for k in spoke),
        tuple(tuple(row) for row in values.tolist()),
    )
