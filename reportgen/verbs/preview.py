"""``reportgen preview``: one mail of a run as a page, with its plain text beside it."""

from __future__ import annotations

import argparse
import json

from reportgen.errors import InputError
from reportgen.mail.outgoing import CRM, EML, FORMATS, read_crm_record
from reportgen.mail.preview import render_crm_preview, render_preview
from reportgen.output.durable import replace_file
from reportgen.post.outbox import open_manifest
from reportgen.verbs.door import DONE, Door
from reportgen.verbs.get import report_of


def run(given: argparse.Namespace, door: Door) -> int:
    """Find the mail, and write the page to a file or to the terminal's stream."""
    options = open_manifest(given.run)["settings"]["options"]
    formats, locale = options["formats"], given.locale or str(options.get("locale") or "en")
    word = next((word for word in FORMATS if word in formats), None)
    if word is None:
        raise InputError(f"{given.run} has no mails, but {', '.join(formats)}; build it with --format {EML}")
    found = report_of(given, door, word)
    page = (_service(found, locale) if word == CRM else render_preview(found, locale)).encode("utf-8")
    if given.out is not None:
        replace_file(given.out, page)
        door.console.print(str(given.out))
        return DONE
    door.binary().write(page)
    door.binary().flush()
    return DONE


def _service(data: bytes, locale: str) -> str:
    crm, address = read_crm_record(data)
    return render_crm_preview(crm, json.loads(crm.meta), address, locale)
