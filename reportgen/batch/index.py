"""The run's own page for people: ``index.html``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportgen.audit.manifest import Manifest, Output
from reportgen.batch.options import FORMATS
from reportgen.batch.people import Person
from reportgen.batch.settings import Failure, RunSettings
from reportgen.report.html import render_page

#: Links on the page; a page with a link for each of 50,000 users helps nobody.
MOST_LINKS = 200


def render_index(
    manifest: Manifest,
    settings: RunSettings,
    people: Sequence[Person],
    outputs: Sequence[Output],
    failures: Sequence[Failure],
) -> str:
    """Tell what was made, for how many, from what, what was left out and how to verify it."""
    paths = {output.path for output in outputs}
    values: dict[str, Any] = {
        "manifest": manifest,
        "made": _made(outputs),
        "links": [_links(person, paths) for person in people[:MOST_LINKS]],
        "more": max(len(people) - MOST_LINKS, 0),
        "failures": failures[:MOST_LINKS],
        "aside": [problem for problem in manifest.problems if not problem["kept"]],
        "notices": [problem for problem in manifest.problems if problem["kept"]],
        "example": next(
            (f"{person.stem}.{word}" for person in people for word in FORMATS if f"{person.stem}.{word}" in paths), ""
        ),
    }
    return render_page("index.html", values, settings.templates)


def _made(outputs: Sequence[Output]) -> list[tuple[str, int]]:
    """Reports per format, in the order of formats."""
    ends = [output.path.rpartition(".")[2] for output in outputs if output.path.startswith("reports/")]
    return [(word.upper(), ends.count(word)) for word in FORMATS if word in ends]


def _links(person: Person, paths: set[str]) -> dict[str, Any]:
    there = [(word.upper(), f"{person.stem}.{word}") for word in FORMATS if f"{person.stem}.{word}" in paths]
    return {"key": person.key, "locale": person.locale, "files": there}
