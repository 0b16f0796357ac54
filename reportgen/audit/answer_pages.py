"""The two texts that open an answer pack: README.txt, and the same as an accessible page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from reportgen.audit.answer_person import Person
from reportgen.audit.answer_words import Say
from reportgen.audit.lawpacks import NOT_APPLICABLE, PROVIDED, Control, FieldFound, text_in
from reportgen.audit.probes_facts import at, words
from reportgen.text import clean

_TEXT = 500
_STYLE = """
:root{color-scheme:light dark}
body{font:100%/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
table{border-collapse:collapse;width:100%;table-layout:fixed}
ul{padding-inline-start:1.1rem;margin:0}
caption{text-align:start;font-weight:bold;padding-block:.5rem}
th,td{border:1px solid;padding:.4rem;text-align:start;vertical-align:top;overflow-wrap:break-word}
li,p{overflow-wrap:break-word}
.three th:nth-child(2){width:20%}
@media print{body{max-width:none}}
"""


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
        person, say, manifest = self.person, self.say, self.person.manifest
        told = {"run": at(manifest, "run_id"), "as_of": at(manifest, "as_of"), "model": at(manifest, "model", "id")}
        lines = [say("lead"), say("person", key=person.key), say("run", **told)]
        lines += [say("synthetic")] if at(manifest, "synthetic") is True else []
        return [*lines, say(f"status_{person.status}", reason=clean(person.reason, _TEXT)), *self._whom()]

    def _whom(self) -> list[str]:
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

    def status(self, control: Control) -> str:
        """The status of a control in the reader's language."""
        if control.status == NOT_APPLICABLE:
            return self.say("not_applicable", reason=control.reason)
        return self.say("provided" if control.status == PROVIDED else "missing")

    def asked(self, control: Control) -> str:
        """The requirement, and whether a lawyer must look at its source."""
        told = text_in(control.requirement, self.say.locale)
        return f"{told} ({self.say('counsel')})" if control.secondary else told

    def found(self, field: FieldFound) -> str:
        """What was found for a field, or what would fill it."""
        value = field.value or self.say("absent", remedy=text_in(field.remedy, self.say.locale))
        return f"{text_in(field.label, self.say.locale)}: {value}"


def page_text(page: Page) -> bytes:
    """README.txt: UTF-8, with the line ends that every editor reads."""
    return ("\r\n".join(_text(page)) + "\r\n").encode("utf-8", "backslashreplace")


def _text(page: Page) -> Iterator[str]:
    say = page.say
    yield from (say("title"), "", *page.about, "", say("files").upper(), "")
    yield from (f"{name}: {what}" for name, what in page.files.items())
    yield from ("", say("data").upper(), "", *page.data, "", say("proof").upper(), "", page.proof, "")
    yield from (say("fields").upper(), "", say("fields_note"))
    pack = ""
    for control in page.person.controls:
        if control.pack != pack:
            pack = control.pack
            yield from ("", f"{text_in(control.pack_title, say.locale)} ({control.as_of})")
        yield from ("", f"[{page.status(control)}] {page.asked(control)}", f"  {clean(control.source, _TEXT)}")
        yield from (f"  - {page.found(field)}" for field in control.fields)


def page_html(page: Page) -> bytes:
    """README.html: one page that fetches nothing and needs no script."""
    say = page.say
    title = escape(say("title"))
    parts = [
        f'<!DOCTYPE html>\n<html lang="{escape(say.locale)}">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>",
        *(_p(line) for line in page.about),
        _table(say("files"), (say("file"), say("what")), [(_link(name), escape(what)) for name, what in page.files.items()]),
        f"<h2>{escape(say('data'))}</h2>", *(_p(line) for line in page.data),
        f"<h2>{escape(say('proof'))}</h2>", _p(page.proof),
        f"<h2>{escape(say('fields'))}</h2>", _p(say("fields_note")), *_packs(page),
        "</main>\n</body>\n</html>\n",
    ]  # fmt: skip
    return "\n".join(parts).encode("utf-8", "backslashreplace")


def _packs(page: Page) -> Iterator[str]:
    by_pack: dict[str, list[Control]] = {}
    for control in page.person.controls:
        by_pack.setdefault(control.pack, []).append(control)
    heads = tuple(page.say(name) for name in ("requirement", "status", "found"))
    for mine in by_pack.values():
        caption = f"{text_in(mine[0].pack_title, page.say.locale)} ({mine[0].as_of})"
        yield _table(caption, heads, [_row(page, control) for control in mine])


def _row(page: Page, control: Control) -> tuple[str, ...]:
    fields = "".join(f"<li>{escape(page.found(field))}</li>" for field in control.fields)
    asked = f"{escape(page.asked(control))}<br><small>{escape(clean(control.source, _TEXT))}</small>"
    return asked, escape(page.status(control)), f"<ul>{fields}</ul>"


def _p(text: Any) -> str:
    return f"<p>{escape(str(text))}</p>"


def _link(name: str) -> str:
    return f'<a href="{escape(name)}">{escape(name)}</a>'


def _table(caption: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table whose first cells are the heads of their rows; cells are markup already."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    kind = ' class="three"' if len(heads) == 3 else ""
    return f"<table{kind}>\n<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
