"""``reportgen audit``: the audit report of a finished run, as a page, a PDF and data."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from reportgen.audit.audit_data import Audit, collect
from reportgen.audit.audit_page import render_audit, render_audit_pdf
from reportgen.batch.get import find_report
from reportgen.errors import OutputError
from reportgen.output.durable import Durable
from reportgen.verbs.door import DONE, Door

#: Where it goes when nothing is said, inside the run; such files may lie beside what a manifest lists.
FOLDER, STEM = "audit", "audit"


def run(given: argparse.Namespace, door: Door) -> int:
    """Read a run folder, and write what there is to say about it."""
    audit = collect(given.run, lambda key: find_report(given.run, key, "json"), given.against, given.law_pack)
    locale = given.locale or _locale(audit)
    paths = write_audit(audit, given.out or given.run / FOLDER, given.format, locale)
    for path in paths:
        door.console.print(str(path))
    if not door.console.quiet:
        for line in tell_audit(audit):
            door.console.print(line)
    return DONE


def _locale(audit: Audit) -> str:
    """The language of the run."""
    return str((audit.settings.get("options") or {}).get("locale") or "en")


def write_audit(audit: Audit, out: Path, formats: tuple[str, ...], locale: str) -> list[Path]:
    """Write the report; files of a former audit are replaced.

    Parameters
    ----------
    audit : Audit
    out : Path
        Made when absent.
    formats : tuple of str
        Of ``html``, ``pdf`` and ``json``.
    locale : str

    Raises
    ------
    OutputError
    """
    page = render_audit(audit, locale) if set(formats) & {"html", "pdf"} else ""
    made = {
        "html": lambda: page.encode("utf-8"),
        "pdf": lambda: render_audit_pdf(audit, page),
        "json": lambda: audit.to_json().encode("utf-8"),
    }
    files = {f"{STEM}.{word}": made[word]() for word in formats}
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made ({error.strerror}); name another folder with --out") from error
    with Durable(out) as durable:
        for name, data in files.items():
            durable.write(name, data)
    return [out / name for name in files]


def tell_audit(audit: Audit) -> Iterator[str]:
    """The report in a few plain lines."""
    plain = audit.plain
    yield f"people counted: {plain['statistics']['people']} (run {plain['run']['run_id']})"
    met = [one for one in plain["exceptions"] if one["count"]]
    told = ", ".join(f"{one['number']} {one['rule']} {one['count']}" for one in met) or "none"
    yield f"exceptions: {told}"
    counts = plain["controls"]["counts"]
    yield "controls: " + ", ".join(f"{status} {count}" for status, count in counts.items())
