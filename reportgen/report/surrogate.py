"""A page about another system's list, explained by our model in its place: it says so, and how far the two agree."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

from reportgen.config import Config
from reportgen.explain.fidelity import Trust
from reportgen.explain.foreign_effects import AGREES
from reportgen.explain.surrogate import TOP, Agreement, Surrogate
from reportgen.languages import LOCALES
from reportgen.report.build import Reader, tell
from reportgen.report.document import Report, Section
from reportgen.report.frame import frame_of
from reportgen.report.record import canonical, record_hash
from reportgen.report.words import Words, name, words
from reportgen.text import clean

SCHEMA = "reportgen.surrogate-record/1"
_TEXT = 80
_BUILT_IN = Config()
#: Sentences that say why a product is on the list, which we do not know here -> those that say what our model would point to.
_INSTEAD = {
    "page.title": "given.title",
    "reason.popular.text": "given.popular",
    "reason.rare.text": "given.rare",
    "reason.new.text": "given.new",
    "reason.folded.text": "given.folded",
    "lead.popular": "given.lead_popular",
    "lead.popular_history": "given.lead_popular_history",
    "lead.popular_against": "given.lead_popular_against",
    "lead.nothing": "given.lead_nothing",
    "item.without": "given.without",
}


def build_surrogate_report(
    found: Surrogate,
    locale: str = "en",
    created: str = "",
    config: Config | None = None,
    reader: Reader | None = None,
    synthetic: bool = False,
    trust: Trust | None = None,
) -> Report:
    """Tell what our model would point to in another system's list.

    Parameters
    ----------
    found : Surrogate
    locale, created, config, reader, synthetic, trust
        As of `reportgen.report.build.build_report`.

    Returns
    -------
    Report
        Its record is that of ours, with ``surrogate`` for the agreement; see `json_schema("surrogate")`.
    """
    language = given_words(words(locale))
    frame = frame_of(language, config or _BUILT_IN, trust)
    report = tell(found.why, frame, created, reader or Reader(), synthetic)
    return _marked(report, found.agreement, language)


def _marked(report: Report, agreement: Agreement, language: Words) -> Report:
    """Put the agreement into words and record."""
    record = json.loads(report.record_json) | {"schema": SCHEMA, "surrogate": _plain(agreement)}
    text = canonical(record)
    old, new = (language.say("page.record", hash=record_hash(t)[:16]) for t in (report.record_json, text))
    lead, about = _lead(agreement, language)
    sections = _sections(report, about, language)
    footer = tuple(new if line == old else line for line in report.footer)
    return replace(report, lead=lead, sections=sections, footer=footer, record_json=text)


def _sections(report: Report, about: tuple[str, ...], language: Words) -> tuple[Section, ...]:
    """The sections of the page, with one more about the list; what our page says first stands where it speaks of the whole list."""
    first = {"method": language.say("given.method"), "overview": report.lead}
    told = tuple(
        replace(section, paragraphs=(first[section.id], *section.paragraphs)) if section.id in first else section
        for section in report.sections
    )
    about = about if any(section.id == "overview" for section in told) else (*about, report.lead)
    return (Section("given", language.say("given.heading"), about), *told)


def _lead(agreement: Agreement, language: Words) -> tuple[str, tuple[str, ...]]:
    """One sentence of what matters most, whose list it is and whether our model agrees; and all that is to be said of that."""
    source = clean(agreement.source, _TEXT)
    told, given = _agreement(agreement, language)
    if math.isnan(agreement.in_top):
        keys = ("given.alone", "given.alone_unnamed")
    elif math.isnan(agreement.tau):
        keys = ("given.share", "given.share_unnamed")
    elif agreement.tau >= AGREES:
        keys = ("given.agrees", "given.agrees_unnamed")
    else:
        keys = ("given.differs", "given.differs_unnamed")
    key, about = (keys[0], "given.about") if source else (keys[1], "given.about_unnamed")
    given |= {"source": name(source)}
    return language.say(key, **given), (language.say(about, **given), *told)


def _plain(agreement: Agreement) -> dict[str, Any]:
    plain = asdict(agreement)
    plain["kendall_tau"] = plain.pop("tau")
    numbers = ("kendall_tau", "spearman", "in_top")
    return plain | {key: plain[key] if math.isfinite(plain[key]) else None for key in numbers} | {"top": TOP}


def _agreement(agreement: Agreement, language: Words) -> tuple[list[str], dict[str, str]]:
    """How far the two agree in a sentence, where they could be compared, and the figures in it."""
    if math.isnan(agreement.in_top):
        return [], {}
    given = {"share": language.percent(round(100 * agreement.in_top)), "top": language.count(TOP)}
    if math.isnan(agreement.tau):
        return [language.say("given.in_top", **given)], given
    key = "given.agreement" if agreement.tau >= AGREES else "given.disagreement"
    return [language.say(key, tau=language.number(agreement.tau, 2), **given)], given


@lru_cache(maxsize=8)
def given_words(base: Words) -> Words:
    """The language with other sentences where ours would claim to know why a product is on the list."""
    messages = dict(base.messages)
    for old, new in _INSTEAD.items():
        forms = {key: text for key, text in base.messages.items() if key == new or key.startswith(f"{new}.")}
        for key in [key for key in messages if key == old or key.startswith(f"{old}.")]:
            del messages[key]
        messages |= {old + key[len(new) :]: text for key, text in forms.items()}
    for key in list(messages):
        table, _, form = key.rpartition(".")
        if key.startswith("reason.again."):
            messages[key] = messages["given.again"]
        elif (
            table.startswith("reason.")
            and form in ("one", "two")
            and table.count(".") == 1
            and table != "reason.popular"
        ):
            messages[key] = messages[f"given.points_{form}"]
    return Words(base.locale, messages, LOCALES.get(base.locale, ""))
