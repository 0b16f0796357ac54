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
from reportgen.report.glyphs import missing
from reportgen.report.html import render_page
from reportgen.report.words import Words, words
from reportgen.report.words import name as name_of

#: What a reader calls a recommender, by its sentence. Ours has one name in every language.
LABELS = {
    "popularity": "evaluation.popularity", "knn": "evaluation.knn", "ease": "evaluation.ease",
    "ease_recency": "evaluation.ease_recency", "als": "evaluation.als", "content": "evaluation.content",
    "random": "evaluation.random",
}  # fmt: skip
#: What a reader calls a measure.
NAMES = {"ndcg": "evaluation.ndcg", "recall": "evaluation.recall", "hit": "evaluation.hit", "mrr": "evaluation.mrr"}
_OUR_NAME, _GAIN = "reportgen", "1 / log2(1 + r)"


@dataclass(frozen=True)
class Row:
    """One recommender as it is told: (mean, error) per measure, the lead of ours over it, its coverage."""

    label: str
    ours: bool
    cells: tuple[tuple[str, str], ...]
    lead: tuple[str, str]
    coverage: str


def label_of(name: str, language: Words) -> str:
    """What a reader calls a recommender; one that we do not know goes by its own name."""
    if name == OURS:
        return _OUR_NAME
    return language.say(LABELS[name]) if name in LABELS else name


def make_rows(found: Evaluation, language: Words | None = None) -> list[Row]:
    """Highest NDCG first; in English when no language is given."""
    language = language or words("en")
    names = sorted(found.qualities, key=lambda name: -found[name].ndcg.mean)
    return [
        Row(
            label_of(name, language),
            name == OURS,
            tuple(_said(getattr(found[name], what), language) for what in MEASURES),
            ("", "") if name == OURS else _said(found.difference(OURS, name), language, signed=True),
            language.percent(round(100 * found[name].coverage)),
        )
        for name in names
    ]


def _said(mean: Mean, language: Words, signed: bool = False) -> tuple[str, str]:
    """A mean and its error as text; the error is empty where there is none, with a single user."""
    text = language.number(mean.mean, 3)
    plus = "+" if signed and mean.mean >= 0 else ""
    return f"{plus}{text}", "" if isnan(mean.se) else f"\u00b1 {language.number(mean.se, 3)}"


def verdict(found: Evaluation, language: Words | None = None) -> str:
    """One sentence: who ranks higher, and whether the lead is more than two standard errors of the difference."""
    language = language or words("en")
    ours, others = found[OURS].ndcg, [name for name in found.qualities if name != OURS]
    given = {"measure": f"{language.say(NAMES['ndcg'])}@{found.n}", "ours": language.number(ours.mean, 3)}
    if not others:
        return language.say("evaluation.reaches", **given)
    other = max(others, key=lambda name: found[name].ndcg.mean)
    lead = found.difference(OURS, other)
    given |= {"who": label_of(other, language), "theirs": language.number(found[other].ndcg.mean, 3)}
    if isnan(lead.se) or abs(lead.mean) <= 2.0 * lead.se:
        return language.say("evaluation.no_winner", **given)
    return language.say("evaluation.ahead" if lead.mean > 0 else "evaluation.behind", **given)


def table_lines(found: Evaluation) -> Iterator[str]:
    """An aligned table for a terminal: means with their errors, coverage, and seconds where they were measured."""
    english = words("en")
    timed = any(quality.seconds_fit is not None for quality in found.qualities.values())
    head = [
        "",
        *(f"{english.say(NAMES[what])}@{found.n}" for what in MEASURES),
        "Lead",
        "Shown",
        *(["Fit s"] if timed else []),
    ]
    lines = [head]
    by_label = {label_of(name, english): quality for name, quality in found.qualities.items()}
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
        yield english.say("evaluation.left_out", who=label_of(name, english), reason=reason)


def render_evaluation(found: Comparison, facts: Mapping[str, Any], locale: str = "en") -> str:
    """One self-contained page: a plot with error bars, the tables, and how all of it was measured.

    Parameters
    ----------
    found : Comparison
    facts : mapping
        ``users, items, events`` (int) of the data, ``synthetic`` (bool), ``as_of``, ``generated_at``,
        ``generated_at_source``, ``version`` (str).
    locale : str
        Why something could not be judged stays in English, and is marked so.

    Raises
    ------
    ConfigError
        Unknown locale.
    RenderError
    """
    language, everything = words(locale), found.everything
    measure = f"{language.say(NAMES['ndcg'])}@{everything.n}"
    values = {
        "language": language, "say": language.say, "n": everything.n, "measure": measure, "synthetic": facts["synthetic"],
        "meta": _meta(facts, language), "names": [f"{language.say(NAMES[what])}@{everything.n}" for what in MEASURES],
        "verdict": verdict(everything, language), "everything": _part(everything, language),
        "cold": _part(found.cold, language) if found.cold is not None else None, "cold_reason": name_of(found.cold_reason),
        "gain": _GAIN, "settings": [
            (label_of(name, language), _settings(chosen), found.tuned[name]) for name, chosen in found.chosen.items() if chosen
        ],
        "left_out": [(label_of(name, language), name_of(reason)) for name, reason in everything.left_out.items()],
        "plot": Markup(draw_points(_panels(found, _drawn_in(found, language)), measure)), "alt": _alt(found, measure, language),
        "footer": language.say(
            "evaluation.footer", tool=_OUR_NAME, version=facts["version"], time=facts["generated_at"],
            source=facts["generated_at_source"],
        ),
    }  # fmt: skip
    return render_page("evaluate.html", values)


def _meta(facts: Mapping[str, Any], language: Words) -> list[str]:
    say = language.say
    told = [say("evaluation.users", facts["users"]), say("evaluation.products", facts["items"])]
    return [*told, say("evaluation.events", facts["events"], time=facts["as_of"])]


def _part(found: Evaluation, language: Words) -> dict[str, Any]:
    users = next(iter(found.qualities.values())).n_users
    caption = {"n_users": language.count(users), "n_items": language.count(found.n_items)}
    return {
        "rows": make_rows(found, language),
        "caption": language.say("evaluation.caption", **caption),
        "few": language.say("evaluation.few", users) if users < 100 else "",
    }


def _settings(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in chosen.items())


def _drawn_in(found: Comparison, language: Words) -> Words:
    """The language of the plot: English where none of the fonts that measure it has the letters of the page's own."""
    told = "".join(panel.title + "".join(panel.labels) for panel in _panels(found, language))
    return words("en") if missing(told) else language


def _panels(found: Comparison, language: Words) -> list[Points]:
    parts = [("evaluation.everything", found.everything), ("evaluation.cold_plot", found.cold)]
    return [_points(language.say(title), part, language) for title, part in parts if part is not None]


def _points(title: str, found: Evaluation, language: Words) -> Points:
    names = sorted(found.qualities, key=lambda name: -found[name].ndcg.mean)
    means = [found[name].ndcg for name in names]
    marked = names.index(OURS) if OURS in names else -1
    labels = tuple(label_of(name, language) for name in names)
    return Points(
        title, labels, tuple(m.mean for m in means), tuple(0.0 if isnan(m.se) else m.se for m in means), marked
    )


def _alt(found: Comparison, measure: str, language: Words) -> str:
    """The plot in words."""
    told = [
        f"{panel.title}: "
        + ", ".join(
            f"{label} {language.number(mean, 3)}" for label, mean in zip(panel.labels, panel.means, strict=True)
        )
        + "."
        for panel in _panels(found, language)
    ]
    return " ".join([language.say("evaluation.alt", measure=measure), *told])
