"""``render_audit``: the audit report as one HTML page without script, and as a PDF with its data inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reportgen.audit.audit_blocks import Section
from reportgen.audit.audit_data import Audit
from reportgen.audit.audit_sections import age, concentration, drives, paid, scope
from reportgen.audit.audit_sections_foreign import foreign_key, foreign_lead, foreign_sections
from reportgen.audit.audit_sections_run import cases, controlled, exceptional, modelled, proven
from reportgen.audit.audit_sections_trust import fair, faithful, private, stable
from reportgen.audit.audit_words import Speaker
from reportgen.audit.theme import sealed_theme
from reportgen.report.document import Theme
from reportgen.report.html import render_page
from reportgen.report.pdf import render_pdf
from reportgen.report.theme import theme_css
from reportgen.report.words import words
from reportgen.text import clean

DATA_NAME = "audit.json"


def sections(audit: Audit, told: Speaker) -> list[Section]:
    """The chapters in the order of the report."""
    plain = audit.plain
    if plain["statistics"].get("foreign"):
        return foreign_sections(plain, audit.settings, told)
    first = [
        chapter(plain, told) for chapter in (scope, drives, concentration, age, paid, faithful, stable, fair, private)
    ]
    second = [exceptional(plain, told), cases(plain, told), controlled(plain, told)]
    return [*first, *second, modelled(plain, audit.settings, told), proven(plain, told)]


def render_audit(audit: Audit, locale: str = "en", templates: str | Path | None = None) -> str:
    """Draw an audit report as one HTML page; every plot is beside the numbers it shows.

    Parameters
    ----------
    audit : Audit
    locale : str
        ``en`` or ``zh-CN``.
    templates : path, optional
        A folder whose templates go in front of the built-in ones.

    Raises
    ------
    ConfigError
        Unknown locale.
    RenderError
        A template fails.
    """
    language = words(locale)
    foreign = (audit.plain["statistics"].get("foreign") or {}).get("kind", "")
    told = Speaker(language, audit.settings, foreign)
    run, theme = audit.plain["run"], _theme(audit)
    values: dict[str, Any] = {
        "say": language.say,
        "language": language,
        "title": told.say("audit.title", run=str(run["run_id"])),
        "created": run["generated_at"],
        "banner": language.say("page.synthetic") if run["synthetic"] else "",
        "meta": [told.say("audit.as_of", date=told.day(run["as_of"])), told.say("audit.run", run=told.foreign(run["run_id"]))],
        "heading": told.say("audit.looked.heading" if foreign else "audit.heading"),
        "lead": _lead(audit.plain, told),
        "key_figures": _key_figures(audit.plain, told),
        "sections": sections(audit, told),
        "footer": told.say("audit.footer", tool="reportgen", version=str((run["tool"] or {}).get("version", "")), manifest="manifest.json"),
        "theme": Markup(theme_css(theme)),
        "look": theme,
    }  # fmt: skip
    return render_page("audit.html", values, templates)


def render_audit_pdf(audit: Audit, page: str) -> bytes:
    """The page as PDF/A-3a and PDF/UA-1, with ``audit.json`` inside.

    Parameters
    ----------
    audit : Audit
    page : str
        What `render_audit` drew of it.
    """
    return render_pdf(page, attached=(DATA_NAME, audit.plain["schema"], audit.to_json()))


def _theme(audit: Audit) -> Theme:
    """The operator's look: colour, font and paper as the manifest has them, and the logo of the run where it has words beside it."""
    config = audit.settings.get("config") or {}
    look = config.get("look") or {}
    theme = sealed_theme(look)
    told = clean(str(look.get("logo_alt") or (config.get("operator") or {}).get("name") or ""))
    return replace(theme, logo=audit.logo, logo_alt=told) if audit.logo and told else theme


def _lead(plain: Mapping[str, Any], told: Speaker) -> str:
    """The finding in one sentence."""
    if plain["statistics"].get("foreign"):
        return foreign_lead(plain, told)
    people, evidence = plain["statistics"]["people"], plain["statistics"]["evidence"]
    if not evidence:
        return told.say("audit.lead_none", people)
    first = evidence[0]
    kind = told.kind(first["kind"])
    kind = kind[:1].lower() + kind[1:]
    return told.say("audit.lead", people, share=told.percent(first["share"]["mean"], 0), kind=kind)


def _key_figures(plain: Mapping[str, Any], told: Speaker) -> list[tuple[str, str, str]]:
    """Name, figure and class of what stands at the top."""
    statistics, controls = plain["statistics"], plain["controls"]
    met = sum(1 for one in plain["exceptions"] if one["count"] and one["severity"] != "note")
    contestable, sponsored = statistics["counterfactuals"]["contestable"], statistics["sponsored"]["share"]
    decided = (told.say("audit.key_contestable"), told.percent(contestable and contestable["mean"], 0), "")
    found = [
        (told.say("audit.key_people"), told.count(statistics["people"]), ""),
        (told.say("audit.key_coverage"), told.percent(statistics["concentration"]["coverage"], 0), ""),
        foreign_key(plain, told) if statistics.get("foreign") else decided,
        (told.say("audit.key_sponsored"), told.percent(sponsored and sponsored["mean"]), ""),
        (told.say("audit.key_exceptions"), told.count(met), "warn" if met else "none"),
    ]
    if controls is not None:
        fields = {
            field["name"]
            for one in controls["controls"]
            if one["status"] == "missing"
            for field in one["fields"]
            if field["value"] is None
        }
        found.append((told.say("audit.key_missing"), told.count(len(fields)), "warn" if fields else "none"))
    return found
