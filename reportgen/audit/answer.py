"""The answer pack for one person: a ZIP with what was made and used about them, for a request of access.

It is made from what is handed in here, which is one person's; nothing in this module reads a run or a table, so nobody else's data can
come into it. The bytes follow from the contents alone: members in a fixed order, without times, not compressed.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.audit.answer_pages import Page, page_html, page_text
from reportgen.audit.answer_person import EVENT_COLUMNS, Person
from reportgen.audit.answer_words import Say
from reportgen.audit.probes_facts import at
from reportgen.report.record import canonical

FIELDS_SCHEMA, RUN_SCHEMA = "reportgen.answer-fields/1", "reportgen.answer-run/1"
#: A cell that begins with one of these is a formula to some spreadsheet; behind a blank or a quotation mark, too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")
#: Of the manifest, what tells nothing of other people: options may name users by pseudonym, outputs do.
_RUN = (
    "run_id",
    "as_of",
    "generated_at",
    "generated_at_source",
    "synthetic",
    "key_id",
    "templates",
    "model",
    "tool",
    "python",
)
_RUN_MORE = ("packages", "inputs", "merkle", "previous_run", "retention_until", "law_packs")


def make_answer(person: Person) -> bytes:
    """The answer pack as the bytes of a ZIP; the same for the same person and run.

    Parameters
    ----------
    person : Person
    """
    members = _members(person)
    say = Say(person.locale)
    page = Page(person.locale, person, {name: say(f"file_{what}") for name, (what, _) in members.items()}, say)
    files = {"README.txt": page_text(page), "README.html": page_html(page)}
    files |= {name: data for name, (_, data) in members.items() if data is not None}
    return _zipped(files)


def _members(person: Person) -> dict[str, tuple[str, bytes | None]]:
    """Path -> what it is, and its bytes; None for the two texts that describe the others."""
    found: dict[str, tuple[str, bytes | None]] = {"README.txt": ("readme", None), "README.html": ("page", None)}
    for word in sorted(person.reports):
        found[f"report.{word}"] = (f"report_{word}", person.reports[word])
    if "json" in person.reports:
        found["record.json"] = ("record", record_of(person.reports["json"]))
    if person.events is not None:
        found["data/events.csv"] = ("events_csv", events_csv(person.events))
        found["data/events.jsonl"] = ("events_jsonl", _lines(person.events))
    if person.profile is not None:
        found["data/profile.json"] = ("profile", _json(person.profile))
    found["law-fields.json"] = ("fields", _json(_fields(person)))
    if person.proof is not None:
        found["proof.json"] = ("proof", _json(person.proof))
    found["run.json"] = ("run", _json(_run(person.manifest)))
    return found


def record_of(report: bytes) -> bytes:
    """The record of a JSON report: the same without the page, as the text whose SHA-256 the page names."""
    plain = json.loads(report)
    return canonical({name: value for name, value in plain.items() if name != "page"}).encode(
        "utf-8", "backslashreplace"
    )


def _fields(person: Person) -> dict[str, Any]:
    return {
        "schema": FIELDS_SCHEMA,
        "run_id": at(person.manifest, "run_id"),
        "user": person.key,
        "status": person.status,
        "controls": [control.to_dict() for control in person.controls],
    }


def _run(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": RUN_SCHEMA} | {name: manifest[name] for name in (*_RUN, *_RUN_MORE) if name in manifest}


def events_csv(events: Sequence[Mapping[str, Any]]) -> bytes:
    """Events as a table for people: UTF-8 with a mark at the beginning, so that spreadsheets read it; no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(EVENT_COLUMNS)
    writer.writerows([guarded(event.get(name)) for name in EVENT_COLUMNS] for event in events)
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8", "backslashreplace")


def guarded(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe in front. Numbers stay."""
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "\ufffd")
    return f"'{text}" if text.lstrip(" \"'\u00a0").startswith(_FORMULA) else text


def _lines(events: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(canonical(dict(event)) + "\n" for event in events).encode("utf-8", "backslashreplace")


def _json(plain: Mapping[str, Any]) -> bytes:
    text = json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100600 << 16
            archive.writestr(info, data)
    return out.getvalue()
