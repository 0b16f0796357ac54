"""The two texts that open an answer pack: README.txt, and the same as an accessible page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from reportgen.audit.answer_person import Person
from reportgen.audit.answer_words import Say
from reportgen.audit.lawpacks import MISSING, NOT_APPLICABLE, PROVIDED, Control, FieldFound, text_in
from reportgen.audit.probes_facts import at, words
from reportgen.audit.theme import sealed_theme
from reportgen.report.html import render_page
from reportgen.report.theme import theme_css
from reportgen.report.words import words as language
from reportgen.text import clean

_TEXT = 500
#: Status of a control -> its sentence, and the class that the page gives it.
_STATUS = {PROVIDED: "provided", MISSING: "missing", NOT_APPLICABLE: "not_applicable"}


@dataclass(frozen=True)
class Page:
    """What both texts say: whose they are, which files there are, and in which words."""

    locale: str
    person: Person
    files: Mapping[str, str]
    say: Say

    @property
    def about(self) -> list[str]:
        """Whose answer it is, of which run, and what became of the report."""
        banner = [self.banner] if self.banner else []
        return [self.say("lead"), self.person_line, self.run_line, *banner, self.status_line, *self.whom]

    @property
    def person_line(self) -> str:
        """Which customer it is about, by key."""
        return self.say("person", key=self.person.key)

    @property
    def run_line(self) -> str:
        """Run, time and model."""
        manifest = self.person.manifest
        told = {"run": at(manifest, "run_id"), "as_of": at(manifest, "as_of"), "model": at(manifest, "model", "id")}
        return self.say("run", **told)

    @property
    def banner(self) -> str:
        """That the data are made up, where they are."""
        return self.say("synthetic") if at(self.person.manifest, "synthetic") is True else ""

    @property
    def status_line(self) -> str:
        """What became of the report."""
        return self.say(f"status_{self.person.status}", reason=clean(self.person.reason, _TEXT))

    @property
    def whom(self) -> list[str]:
        """Who answers for it, and whom to ask."""
        name, contact = (
            words(self.person.manifest, "settings", "config", "operator", key) for key in ("name", "contact")
        )
        lines = [self.say("responsible", name=clean(name, _TEXT))] if name else []
        return [*lines, self.say("contact", contact=clean(contact, _TEXT)) if contact else self.say("no_contact")]

    @property
    def data(self) -> list[str]:
        """Which data are here."""
        events = self.person.events
        used = sum(bool(event.get("not_later_than_report")) for event in events or ())
        lines = [self.say("data_missing") if events is None else self.say("data_given", n=len(events), used=used)]
        return lines if self.person.profile is not None else [*lines, self.say("profile_missing")]

    @property
    def proof(self) -> str:
        """Where the proof is, or why there is none."""
        if self.person.proof is not None:
            return self.say("proof_text", root=at(self.person.proof, "root"))
        sealed = words(self.person.manifest, "merkle", "root")
        return self.say("proof_missing", reason=self.say("no_leaf" if sealed else "no_seal"))

    @property
    def counted(self) -> str:
        """How many controls have which status."""
        found = Counter(_STATUS[control.status] for control in self.person.controls)
        declared = found["not_applicable"]
        return self.say("fields_count", provided=found["provided"], missing=found["missing"], declared=declared)

    @property
    def packs(self) -> list[tuple[str, list[Control]]]:
        """Title and controls of each law pack."""
        by_pack = groupby(self.person.controls, key=lambda control: control.pack)
        return [(self._title(mine[0]), mine) for mine in (list(group) for _, group in by_pack)]

    def _title(self, control: Control) -> str:
        return self.say("pack", title=text_in(control.pack_title, self.say.locale), date=control.as_of)

    def status(self, control: Control) -> str:
        """The status of a control in the reader's language."""
        return self.say(_STATUS[control.status], reason=control.reason)

    def asked(self, control: Control) -> str:
        """The requirement, and whether a lawyer must look at its source."""
        told = text_in(control.requirement, self.say.locale)
        return self.say("asked", requirement=told, counsel=self.say("counsel")) if control.secondary else told

    def found(self, field: FieldFound) -> tuple[str, str]:
        """Name of a field, and what was found for it, or what would fill it."""
        value = field.value or self.say("absent", remedy=text_in(field.remedy, self.say.locale))
        return text_in(field.label, self.say.locale), value


def page_text(page: Page) -> bytes:
    """README.txt: UTF-8, with the line ends that every editor reads."""
    return ("\r\n".join(_text(page)) + "\r\n").encode("utf-8", "backslashreplace")


def _text(page: Page) -> Iterator[str]:
    say = page.say
    yield from (say("title"), "", *page.about, "", say("files").upper(), "")
    yield from (f"{name}: {what}" for name, what in page.files.items())
    yield from ("", say("data").upper(), "", *page.data, "", say("proof").upper(), "", page.proof, "")
    yield from (say("fields").upper(), "", say("fields_note"), page.counted)
    for title, controls in page.packs:
        yield from ("", title)
        for control in controls:
            yield from ("", f"[{page.status(control)}] {page.asked(control)}", f"  {clean(control.source, _TEXT)}")
            found = (page.found(field) for field in control.fields)
            yield from (f"  - {say('field', label=label, value=value)}" for label, value in found)


def page_html(page: Page) -> bytes:
    """README.html: one page that fetches nothing and needs no script.

    Raises
    ------
    RenderError
    """
    theme = sealed_theme(at(page.person.manifest, "settings", "config", "look"))
    values = {
        "say": page.say, "language": language(page.say.locale), "theme": Markup(theme_css(theme)),
        "banner": page.banner, "meta": [page.run_line], "status": page.status_line, "whom": [page.person_line, *page.whom],
        "files": page.files, "data": page.data, "proof": page.proof, "counted": page.counted,
        "packs": [{"caption": title, "controls": [_row(page, one) for one in controls]} for title, controls in page.packs],
    }  # fmt: skip
    return render_page("answer.html", values).encode("utf-8", "backslashreplace")


def _row(page: Page, control: Control) -> dict[str, Any]:
    return {
        "asked": page.asked(control),
        "source": clean(control.source, _TEXT),
        "status": page.status(control),
        "kind": _STATUS[control.status],
        "fields": [page.found(field) for field in control.fields],
    }
