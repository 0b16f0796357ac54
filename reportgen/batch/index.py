"""The run's own page for people: ``index.html``, in the language of the run.

A report is found by its key without script. Up to `MOST_LISTED` reports stand on the page, in groups that open by themselves when
the browser searches the page or is sent to ``index.html#key-<key>``. Above that the page stays small: the folder of a report follows
from the first two letters of its key, so a table of the 256 folders leads to each report in two looks. Where reports lie in packs, the
page says how to take one out, and lists the packs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from reportgen.batch.given import PATH as AGREEMENT
from reportgen.batch.people import Person
from reportgen.batch.settings import Failure, RunSettings
from reportgen.data.schema import RECOMMENDATIONS, WEIGHTS
from reportgen.formats import FORMATS
from reportgen.output.manifest import Manifest, Output, reports_by_format
from reportgen.output.packs import pack_path
from reportgen.report.html import gap, render_page
from reportgen.report.record import microseconds
from reportgen.report.theme import theme_css, theme_of
from reportgen.report.words import Words, name, words
from reportgen.text import clean

#: Reports on the page: about 170 bytes each. Failures shown: more help nobody.
MOST_LISTED, MOST_FAILURES = 2_000, 200
PACKS_PER_GROUP = 50
#: What the reports are about -> heading, what people got, how to verify.
_SHOWN = {
    "own": ("index.heading", "index.lead", "index.verify_same"),
    "lists": ("index.heading_lists", "index.lead_lists", "index.verify_same"),
    "attention": ("index.heading_attention", "index.lead_attention", "index.verify_bytes"),
    "contribution": ("index.heading_contribution", "index.lead_contribution", "index.verify_bytes"),
}
_MODEL_NAME = 80
#: Base32 in the order of its values, so that keys sort like the folders that hold them.
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_SECOND = [_LETTERS[at : at + 4] for at in range(0, 32, 4)]


@dataclass(frozen=True)
class Packed:
    """The packs of a run.

    Attributes
    ----------
    users : sequence of int
        Users with a report, by pack.
    made : dict of str to int
        Reports per format.
    """

    users: Sequence[int]
    made: Mapping[str, int]


def render_index(
    manifest: Manifest,
    settings: RunSettings,
    people: Sequence[Person],
    outputs: Sequence[Output],
    failures: Sequence[Failure],
    packed: Packed | None = None,
    unmailed: Mapping[str, int] | None = None,
) -> str:
    """Tell what was made, for how many, what went wrong, how to find a report and how to verify it.

    Parameters
    ----------
    manifest : Manifest
    settings : RunSettings
    people : sequence of Person
        Everybody who may have single files; nobody where there are packs.
    outputs : sequence of Output
    failures : sequence of Failure
    packed : Packed, optional
    unmailed : mapping of str to int, optional
        People with a report and no mail, by reason; None where the run makes no mails.

    Returns
    -------
    str
        HTML; below 0.5 MB for any number of users.
    """
    paths = {output.path for output in outputs}
    say = words(settings.locale)
    there = sorted((person for person in people if _files(person, paths)), key=_by_key)
    config = settings.config
    look = theme_of(config.look, clean(config.operator.name))
    made = Counter(packed.made) if packed else reports_by_format(output.path for output in outputs)
    files = say.list([f"{say.count(made[word])} {word.upper()}" for word in FORMATS if made[word]])
    values: dict[str, Any] = {
        "manifest": manifest,
        "tables": sorted(manifest.tables.items()),
        "say": say.say,
        "number": say.count,
        "language": say,
        "gap": gap(say.locale),
        "as_of": say.date(microseconds(manifest.as_of)),
        **_about(manifest, say),
        "unmailed": None if unmailed is None else sum(unmailed.values()),
        "reasons": sorted((unmailed or {}).items()),
        "theme": Markup(theme_css(look)),
        "look": look,
        "made": say.say("index.in_packs", len(packed.users), files=files)
        if packed
        else say.say("index.files", files=files),
        "get_format": "" if made["html"] else f" --format {next((word for word in FORMATS if made[word]), 'json')}",
        "packs": list(_packs(packed.users[:MOST_LISTED])) if packed else [],
        "packs_left": max(len(packed.users) - MOST_LISTED, 0) if packed else 0,
        "reports": len(there),
        "groups": list(_groups(there, paths, say)) if len(there) <= MOST_LISTED else [],
        "folders": _folders(there) if len(there) > MOST_LISTED else [],
        "failures": failures[:MOST_FAILURES],
        "aside": [problem for problem in manifest.problems if not problem["kept"]],
        "notices": [problem for problem in manifest.problems if problem["kept"]],
        "example": next(
            (path for person in there for _, path in _files(person, paths)), pack_path(0) if packed else "index.html"
        ),
    }
    return render_page("index.html", values, settings.templates)


def _about(manifest: Manifest, say: Words) -> dict[str, str]:
    """What the reports of the run are about: our own reasons, another system's lists, or another model's weights."""
    shown = "own"
    if WEIGHTS.name in manifest.tables:
        shown = "contribution" if manifest.model.get("kind") == "contribution" else "attention"
    elif RECOMMENDATIONS.name in manifest.tables:
        shown = "lists"
    heading, lead, verify = _SHOWN[shown]
    made, told = manifest.users.reported, str(manifest.model["id"])
    called = clean(" ".join(str(manifest.model.get(key) or "") for key in ("name", "version")), _MODEL_NAME).strip()
    return {
        "heading": say.say(heading),
        "lead": say.say(lead, made) if made else say.say("index.lead_none"),
        "model": say.say("index.model", model=f"{name(called)} ({told})" if called else told),
        "agreement": say.say("index.agreement", file=name(AGREEMENT)) if shown == "lists" and made else "",
        "verify_same": say.say(verify),
    }


def _packs(users: Sequence[int]) -> Iterator[list[tuple[str, int]]]:
    """Packs with the number of users in each, in groups that a page can fold."""
    for start in range(0, len(users), PACKS_PER_GROUP):
        yield [(pack_path(start + k), count) for k, count in enumerate(users[start : start + PACKS_PER_GROUP])]


def _files(person: Person, paths: set[str]) -> list[tuple[str, str]]:
    return [(word.upper(), path) for word in FORMATS if (path := f"{person.stem}.{word}") in paths]


def _by_key(person: Person) -> list[int]:
    return [_LETTERS.find(letter) for letter in person.key]


def _groups(people: Iterable[Person], paths: set[str], say: Words) -> Iterator[dict[str, Any]]:
    """Reports by the first letter of their keys; lines are joined here, for a page can hold thousands."""
    for letter, group in groupby(people, key=lambda person: person.key[0]):
        lines = [_line(person, _files(person, paths), say.locale) for person in group]
        yield {"letter": letter, "count": say.say("index.n_reports", len(lines)), "lines": Markup("".join(lines))}


def _line(person: Person, files: list[tuple[str, str]], usual: str) -> str:
    """One report: its key leads to the first format, further formats follow."""
    (_, first), *more = files
    links = "".join([f' <a href="{path}">{word}</a>' for word, path in more])
    language = "" if person.locale == usual else f" <span>{escape(person.locale)}</span>"
    return f'<li id="key-{person.key}"><a href="{first}">{person.key}</a>{links}{language}</li>'


def _folders(people: Iterable[Person]) -> list[dict[str, Any]]:
    """The folders of all reports as a table: first letters down, second letters across; None where a folder is empty."""
    full = {person.stem.split("/")[1] for person in people}
    rows = []
    for row, letter in enumerate(_LETTERS):
        names = [f"{8 * row + column:02x}" for column in range(8)]
        cells = [(name if name in full else None, second) for name, second in zip(names, _SECOND, strict=True)]
        rows.append({"letter": letter, "cells": cells})
    return rows
