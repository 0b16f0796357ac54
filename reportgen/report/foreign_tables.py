"""The tables of a page about another model: bars per product, history x product, and attention by feature of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reportgen.config import Config
from reportgen.explain.foreign import ForeignExplanation
from reportgen.report.document import Heatmap, Weighing, WeighRow
from reportgen.report.ledgers import head_label, past_details, past_labels
from reportgen.report.rounding import apportion, closing_points, decimals_for
from reportgen.report.words import Words
from reportgen.text import clean

#: Values of a feature that have a column of their own.
_VALUES = 6
_TITLE = 40


@dataclass(frozen=True)
class ContributionSum:
    """The sum of one product in print: base + points + markers + gap = total where there is a total."""

    base: int | None
    points: list[int]
    markers: int
    total: int | None
    gap: int | None


@dataclass(frozen=True, eq=False)
class ForeignFigures:
    """All numbers of a page, rounded once.

    Attributes
    ----------
    shares : list of K lists of J int
        Whole percent; with `rest` they sum to 100 (or all are 0).
    rest : list of K int
    decimals : int
    points : list of K lists of J (int or None)
        Effects, or contributions, in units of the last decimal.
    sums : list of K (ContributionSum or None)
        Of contributions; None for attention.
    order : list of K lists of int
        Named history items with something to tell, strongest first: by effect where it was measured, else by weight.
    """

    shares: list[list[int]]
    rest: list[int]
    decimals: int
    points: list[list[int | None]]
    sums: list[ContributionSum | None]
    order: list[list[int]]


def foreign_figures(why: ForeignExplanation) -> ForeignFigures:
    """Round a foreign explanation for print."""
    k, j = why.weights.shape
    parts = 100.0 * np.column_stack([why.shares, why.rest_share])
    percent = apportion(parts, np.full(k, 100)).tolist()
    decimals = _decimals(why)
    points: list[list[int | None]] = [[None] * j for _ in range(k)]
    sums: list[ContributionSum | None] = [None] * k
    if why.kind == "contribution":
        found = [_closing(why, n, decimals) for n in range(k)]
        points, sums = [list(one.points) for one in found], list(found)
    elif why.effects is not None:
        unit = 10.0**decimals
        points = [[None if np.isnan(e) else round(float(e) * unit) for e in row] for row in why.effects]
    order = [_order(why, n) for n in range(k)]
    return ForeignFigures([row[:j] for row in percent], [row[j] for row in percent], decimals, points, sums, order)


def _decimals(why: ForeignExplanation) -> int:
    numbers = [why.scores, why.weights.ravel() if why.kind == "contribution" else np.zeros(0)]
    numbers += [why.effects.ravel()] if why.effects is not None else []
    every = np.concatenate(numbers)
    return decimals_for(every[np.isfinite(every)])


def _closing(why: ForeignExplanation, k: int, decimals: int) -> ContributionSum:
    """Base, contributions, score and what they leave open, so that the printed figures add up where there is a score."""
    unit, score, rest = 10.0**decimals, why.scores[k], float(why.markers[k] + why.padding[k])
    if np.isnan(score):
        base = None if np.isnan(why.base[k]) else round(float(why.base[k]) * unit)
        return ContributionSum(
            base, [round(float(value) * unit) for value in why.weights[k]], round(rest * unit), None, None
        )
    left = 0.0 if why.sums[k] else float(why.gap[k])
    parts = np.concatenate([why.weights[k], [rest, left]])[None]
    first, rounded, last = closing_points(np.nan_to_num(why.base[k : k + 1]), parts, why.scores[k : k + 1], decimals)
    *points, markers, gap = rounded[0].tolist()
    return ContributionSum(int(first[0]), points, markers, int(last[0]), None if why.sums[k] else gap)


def _order(why: ForeignExplanation, k: int) -> list[int]:
    weight = why.weights[k]
    effect = np.full(weight.size, np.nan) if why.effects is None else why.effects[k]
    known = ~np.isnan(effect)
    there = np.flatnonzero(~why.past.hidden & ((weight != 0) | known))
    first = np.where(known, effect, -np.inf)
    found: list[int] = there[np.lexsort((there, -weight[there], -first[there]))].tolist()
    return found


@dataclass(frozen=True, eq=False)
class Tables:
    """What the tables of one page are made from."""

    why: ForeignExplanation
    figures: ForeignFigures
    words: Words
    config: Config
    fields: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """A short title for each history item."""
        return past_labels(self.why, self.words)  # type: ignore[arg-type]  # it reads only `past`

    def details(self) -> list[str]:
        """What happened to each history item; that the user's events do not hold it, where it is so."""
        told = past_details(self.why, self.words, "date" in self.fields)  # type: ignore[arg-type]
        alien = self.words.say("foreign.not_in_history")
        known = zip(told, self.why.past.n_events.tolist(), self.why.past.hidden.tolist(), strict=True)
        return [text if n or hidden else alien for text, n, hidden in known]

    def columns(self) -> tuple[list[str], list[np.ndarray]]:
        """Headings and, for each, what part (K, J) of an item's share belongs there, 0 to 1."""
        why = self.why
        if why.by_feature:
            names = sorted(why.by_feature, key=lambda name: (-float(np.abs(why.by_feature[name]).sum()), name))[
                :_VALUES
            ]
            size = np.where(why.weights != 0, why.weights, 1.0)
            parts = [np.clip(why.by_feature[name] / size, 0.0, 1.0) for name in names]
            return [clean(name, _TITLE) for name in names], parts
        found = []
        for name in why.features:
            mine, theirs = np.array(why.features[name]), np.array(why.pick_features[name])
            same = (mine[None, :] == theirs[:, None]) & (mine != "")[None, :]
            if name in self.fields and same.any():
                found.append((head_label(self.words, name, {}), same.astype(np.float64)))
        return [label for label, _ in found], [part for _, part in found]

    def weighings(self) -> list[Weighing]:
        """One table per product."""
        say, why, figures = self.words.say, self.why, self.figures
        names, parts = self.columns()
        labels, details = self.labels, self.details()
        points = ""
        if why.kind == "contribution":
            points = say("ledger.points")
        elif why.effects is not None:
            points = say("foreign.effect")
        share = say("foreign.share_contribution" if why.kind == "contribution" else "foreign.share_attention")
        kind = "contribution" if why.kind == "contribution" else "attention"
        plain = "" if names else "_plain"
        caption = say(f"foreign.caption_{kind}{plain}")
        made = []
        for k in range(len(figures.shares)):
            rows = _ProductRows(self, k, labels, details, parts).rows()
            made.append(Weighing(caption, tuple(names), share, points, figures.decimals, tuple(rows)))
        return made

    def heatmaps(self, titles: list[str]) -> tuple[Heatmap, ...]:
        """History x product, and product x value of each block of the catalogue (the attention-weighted feature matrix)."""
        spoke = [k for k, row in enumerate(self.figures.shares) if any(row)]
        if not spoke:
            return ()
        blocks = [self._features(name, titles, spoke) for name in self.why.features if name in self.fields]
        return (self._history(titles, spoke), *[block for block in blocks if block is not None])

    def _history(self, titles: list[str], spoke: list[int]) -> Heatmap:
        shares, hidden, say = self.figures.shares, self.why.past.hidden, self.words.say
        weight = self.why.shares[spoke].sum(axis=0)
        order = [j for j in np.argsort(-weight, kind="stable").tolist() if weight[j] > 0]
        named, folded = [j for j in order if not hidden[j]], [j for j in order if hidden[j]]
        most = self.config.report.reasons
        groups = [(say("ledger.others", len(named[most:])), named[most:]), (say("ledger.folded", len(folded)), folded)]
        rows = [(self.labels[j], [shares[k][j] for k in spoke]) for j in named[:most]]
        rows += [(label, [sum(shares[k][j] for j in group) for k in spoke]) for label, group in groups if group]
        if any(self.figures.rest[k] for k in spoke):
            rows.append((say("foreign.markers"), [self.figures.rest[k] for k in spoke]))
        pick, largest = max(
            ((at, max(row[at] for _, row in rows)) for at in range(len(spoke))), key=lambda pair: (pair[1], -pair[0])
        )
        item = next(label for label, row in rows if row[pick] == largest)
        kind = "contribution" if self.why.kind == "contribution" else "attention"
        given = {"share": self.words.percent(largest), "item": self.words.title(item)}
        caption = say(f"foreign.history_{kind}", pick=self.words.title(titles[spoke[pick]]), **given)
        return Heatmap(
            caption, say("foreign.column_note"), say("ledger.history"), tuple(titles[k] for k in spoke),
            tuple(label for label, _ in rows), tuple(tuple(row) for _, row in rows),
        )  # fmt: skip

    def _features(self, block: str, titles: list[str], spoke: list[int]) -> Heatmap | None:
        """``A (K, J) x X (J, V)``: which values of a block the weights lie on; the rest is one column more."""
        texts, say = self.why.features[block], self.words.say
        values = sorted({text for text in texts if text})
        if not values:
            return None
        matrix = np.array([[text == value for value in values] for text in texts], dtype=np.float64)
        found = self.why.shares[spoke] @ matrix
        keep = sorted(np.argsort(-found.sum(axis=0), kind="stable")[:_VALUES].tolist())
        rest = np.clip(1.0 - found[:, keep].sum(axis=1), 0.0, None)
        rest[rest < 1e-12] = 0.0
        rounded = apportion(100.0 * np.column_stack([found[:, keep], rest]), np.full(len(spoke), 100))
        kind = "contribution" if self.why.kind == "contribution" else "attention"
        return Heatmap(
            say(f"foreign.feature_{kind}", feature=head_label(self.words, block, {})),
            say("foreign.row_note"),
            say("overview.product"),
            (*[clean(values[at], _TITLE) for at in keep], say("foreign.other_values")),
            tuple(titles[k] for k in spoke),
            tuple(tuple(row) for row in rounded.tolist()),
        )


class _ProductRows:
    """The lines of one product."""

    def __init__(self, tables: Tables, k: int, labels: list[str], details: list[str], parts: list[np.ndarray]) -> None:
        self.tables, self.k, self.labels, self.details = tables, k, labels, details
        self.figures, self.words = tables.figures, tables.words
        self.shares, self.points, self.sum = self.figures.shares[k], self.figures.points[k], self.figures.sums[k]
        self.cells = [tuple(round(share * float(part[k, j])) for part in parts) for j, share in enumerate(self.shares)]

    def rows(self) -> list[WeighRow]:
        why, k, say = self.tables.why, self.k, self.words.say
        order, most = self.figures.order[k], self.tables.config.report.reasons
        shown = [j for j in order[:most] if self.shares[j] or self.points[j]] or order[:1]
        rows = [self._line(j) for j in shown]
        rows += self._group("others", [j for j in order if j not in shown and (self.shares[j] or self.points[j])])
        rows += self._group("folded", np.flatnonzero(why.past.hidden & (why.weights[k] != 0)).tolist())
        if self.figures.rest[k]:
            points = self.sum.markers if self.sum else None
            rows.append(WeighRow("markers", say("foreign.markers"), "", self.figures.rest[k], points, ()))
        elif self.sum and self.sum.markers:
            rows.append(WeighRow("markers", say("foreign.markers"), "", None, self.sum.markers, ()))
        rows += self._closing()
        return rows or [WeighRow("others", say("foreign.nothing"), "", None, None, ())]

    def _line(self, j: int) -> WeighRow:
        against = self.tables.why.kind == "contribution" and (self.points[j] or 0) < 0
        kind, share = ("against", None) if against else ("reason", self.shares[j])
        return WeighRow(kind, self.labels[j], self.details[j], share, self.points[j], () if against else self.cells[j])

    def _group(self, kind: str, group: list[int]) -> list[WeighRow]:
        if not group:
            return []
        cells = tuple(sum(column) for column in zip(*[self.cells[j] for j in group], strict=True))
        # Effects of single items do not add up to the effect of all of them.
        known = [self.points[j] for j in group]
        points = sum(value or 0 for value in known) if self.tables.why.kind == "contribution" else None
        label = self.words.say(f"ledger.{kind}", len(group))
        return [WeighRow(kind, label, "", sum(self.shares[j] for j in group), points, cells)]

    def _closing(self) -> list[WeighRow]:
        say, found = self.words.say, self.sum
        if found is None:
            return []
        lines = (("base", found.base), ("gap", found.gap or None), ("total", found.total))
        return [
            WeighRow(kind, say(f"foreign.{kind}"), "", None, points, ()) for kind, points in lines if points is not None
        ]
