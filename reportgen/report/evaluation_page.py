"""The page ``evaluation.html``, and the same figures as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from markupsafe import Markup

from reportgen.attention.comparison import OURS, Comparison
from reportgen.attention.evaluation import Evaluation
from reportgen.attention.measures import MEASURES, Mean
from reportgen.report.figures import Points, draw_points
from reportgen.report.html import render_page

#: What a reader calls a recommender.
LABELS = {
    OURS: "reportgen", "popularity": "Popularity", "knn": "Item k-NN", "ease": "EASE", "ease_recency": "EASE + recency",
    "als": "ALS", "content": "Content cosine", "random": "Chance",
}  # fmt: skip
#: What a reader calls a measure.
NAMES = {"ndcg": "NDCG", "recall": "Recall", "hit": "Hit rate", "mrr": "MRR"}
_MINUS = "\u2212"


@dataclass(frozen=True)
class Row:
    """One recommender as it is told: (mean, error) per measure, the lead of ours over it, its coverage."""

    label: str
    ours: bool
    cells: tuple[tuple[str, str], ...]
    lead: tuple[str, str]
    coverage: str


def make_rows(found: Evaluation) -> list[Row]:
    """Best NDCG first."""
    names = sorted(found.qualities, key=lambda name: -found[name].ndcg.mean)
    return [
        Row(
            LABELS.get(name, name),
            name == OURS,
            tuple(_said(getattr(found[name], what)) for what in MEASURES),
            ("", "") if name == OURS else _said(found.difference(OURS, name), signed=True),
            f"{100 * found[name].coverage:.0f}%",
        )
        for name in names
    ]


def _said(mean: Mean, signed: bool = False) -> tuple[str, str]:
    """A mean and its error as text; the error is empty where there is none, with a single user."""
    text = f"{mean.mean:+.3f}" if signed else f"{mean.mean:.3f}"
    return text.replace("-", _MINUS), "" if isnan(mean.se) else f"\u00b1 {mean.se:.3f}"


def verdict(found: Evaluation) -> str:
    """One sentence: who ranks best, and whether the lead is more than two standard errors of the difference."""
    measure, ours = f"NDCG@{found.n}", found[OURS].ndcg
    others = [name for name in found.qualities if name != OURS]
    if not others:
        return f"reportgen reaches {measure} {ours.mean:.3f}."
    best = max(others, key=lambda name: found[name].ndcg.mean)
    lead, label = found.difference(OURS, best), LABELS.get(best, best)
    scores = f"({measure} {ours.mean:.3f} against {found[best].ndcg.mean:.3f})"
    if isnan(lead.se) or abs(lead.mean) <= 2.0 * lead.se:
        return f"No clear winner: reportgen and {label} differ by no more than two standard errors {scores}."
    if lead.mean > 0:
        return f"reportgen ranks best, clearly ahead of {label} {scores}."
    return f"{label} ranks better than reportgen, by more than two standard errors {scores}."


def table_lines(found: Evaluation) -> Iterator[str]:
    """An aligned table for a terminal: means with their errors, coverage, and seconds where they were measured."""
    timed = any(quality.seconds_fit is not None for quality in found.qualities.values())
    head = [
        "",
        *(f"{NAMES[what]}@{found.n}" for what in MEASURES),
        "Lead",
        "Shown",
        *(["Fit s"] if timed else []),
    ]
    lines = [head]
    by_label = {LABELS.get(name, name): quality for name, quality in found.qualities.items()}
    for row in make_rows(found):
        seconds = by_label[row.label].seconds_fit
        cells = [" ".join(filter(None, cell)) for cell in (*row.cells, row.lead)]
        lines.append([row.label, *cells, row.coverage, *([f"{seconds or 0.0:.1f}"] if timed else [])])
    width = [max(len(line[k]) for line in lines) for k in range(len(head))]
    for line in lines:
        yield "  ".join(
            [line[0].ljust(width[0]), *(c.rjust(w) for c, w in zip(line[1:], width[1:], strict=True))]
        ).rstrip()
    for name, reason in found.left_out.items():
        yield f"{LABELS.get(name, name)} was left out: {reason}"


def render_evaluation(found: Comparison, facts: Mapping[str, Any]) -> str:
    """One self-contained page: a plot with error bars, the tables, and how all of it was measured.

    Parameters
    ----------
    found : Comparison
    facts : mapping
        ``users, items, events`` (int) of the data, ``synthetic`` (bool), ``as_of``, ``generated_at``,
        ``generated_at_source``, ``version`` (str).

    Raises
    ------
    RenderError
    """
    values = {
        "facts": facts,
        "n": found.everything.n,
        "names": [NAMES[what] for what in MEASURES],
        "verdict": verdict(found.everything),
        "everything": _part(found.everything),
        "cold": _part(found.cold) if found.cold is not None else None,
        "cold_reason": found.cold_reason,
        "settings": [
            (LABELS.get(name, name), _settings(chosen), found.tuned[name]) for name, chosen in found.chosen.items() if chosen
        ],
        "left_out": [(LABELS.get(name, name), reason) for name, reason in found.everything.left_out.items()],
        "plot": Markup(draw_points(_panels(found), f"NDCG@{found.everything.n}")),
        "alt": _alt(found),
    }  # fmt: skip
    return render_page("evaluate.html", values)


def _part(found: Evaluation) -> dict[str, Any]:
    users = next(iter(found.qualities.values())).n_users
    return {"rows": make_rows(found), "users": users, "competing": found.n_items, "few": users < 100}


def _settings(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in chosen.items())


def _panels(found: Comparison) -> list[Points]:
    parts = [("All items", found.everything), ("New items, among themselves", found.cold)]
    return [_points(title, part) for title, part in parts if part is not None]


def _points(title: str, found: Evaluation) -> Points:
    names = sorted(found.qualities, key=lambda name: -found[name].ndcg.mean)
    means = [found[name].ndcg for name in names]
    marked = names.index(OURS) if OURS in names else -1
    labels = tuple(LABELS.get(name, name) for name in names)
    return Points(
        title, labels, tuple(m.mean for m in means), tuple(0.0 if isnan(m.se) else m.se for m in means), marked
    )


def _alt(found: Comparison) -> str:
    """The plot in words."""
    told = [
        f"{panel.title}: "
        + ", ".join(f"{label} {mean:.3f}" for label, mean in zip(panel.labels, panel.means, strict=True))
        for panel in _panels(found)
    ]
    return f"NDCG@{found.everything.n} with standard errors. " + ". ".join(told) + "."
