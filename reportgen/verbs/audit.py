"""``reportgen audit``: the audit report of a finished run, as a page, a PDF, which may be sealed, and data."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from reportgen.audit.audit_data import Audit, collect
from reportgen.audit.audit_page import render_audit, render_audit_pdf
from reportgen.audit.pdf_key import ENVIRONMENT, Sealer, read_pass, read_sealer
from reportgen.batch.get import find_report
from reportgen.errors import ConfigError, OutputError
from reportgen.output.durable import Durable
from reportgen.verbs.door import DONE, Door

#: Where it goes when nothing is said, inside the run; such files may lie beside what a manifest lists.
FOLDER, STEM = "audit", "audit"
#: What makes a sealed PDF of one.
Seal = Callable[[bytes], bytes]


def run(given: argparse.Namespace, door: Door) -> int:
    """Read a run folder, and write what there is to say about it."""
    sealer = sealer_of(given, door)
    audit = collect(given.run, lambda key: find_report(given.run, key, "json"), given.against, given.law_pack)
    seal = None if sealer is None else _seal(sealer, audit, door)
    locale = given.locale or _locale(audit)
    paths = write_audit(audit, given.out or given.run / FOLDER, given.format, locale, seal)
    for path in paths:
        door.console.print(str(path))
    if not door.console.quiet:
        for line in tell_audit(audit):
            door.console.print(line)
        if sealer is not None:
            door.console.print(f"sealed by: {sealer.subject} (certificate {sealer.fingerprint})")
    return DONE


def sealer_of(given: argparse.Namespace, door: Door) -> Sealer | None:
    """The key and the certificates of a call, None when there are none.

    Raises
    ------
    ConfigError
    """
    if given.pdf_key is None:
        if given.pdf_cert is not None or given.pdf_pass is not None:
            raise ConfigError("--pdf-cert and --pdf-pass say nothing without a key; name it with --pdf-key")
        return None
    if "pdf" not in given.format:
        raise ConfigError("--pdf-key seals audit.pdf; add pdf to --format, or leave the key out")

    def note(text: str) -> None:
        door.console.note(text, always=True)

    secret = read_pass(given.pdf_pass, door.environment.get(ENVIRONMENT, ""), note)
    return read_sealer(given.pdf_key, given.pdf_cert, secret, note)


def _seal(sealer: Sealer, audit: Audit, door: Door) -> Seal:
    """A seal claims the time that the run was given, or ``SOURCE_DATE_EPOCH``: so it is the same when it is made again.

    The certificate must be valid then and now; else an expired one could still make seals of an earlier day.

    Raises
    ------
    ConfigError
    """
    from reportgen.audit.pdf_seal import seal_pdf  # loads pyHanko, an extra

    given = door.source_date()
    when = datetime.fromisoformat(audit.plain["run"]["generated_at"]) if given is None else _time(given)
    sealer.check(when, "which is the time of the run; SOURCE_DATE_EPOCH gives the seal another")
    sealer.check(_time(door.now()), "which is now; seal with a certificate that is valid")
    return lambda pdf: seal_pdf(pdf, sealer, when)


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC)


def _locale(audit: Audit) -> str:
    """The language of the run."""
    return str((audit.settings.get("options") or {}).get("locale") or "en")


def write_audit(audit: Audit, out: Path, formats: tuple[str, ...], locale: str, seal: Seal | None = None) -> list[Path]:
    """Write the report; files of a former audit are replaced.

    Parameters
    ----------
    audit : Audit
    out : Path
        Made when absent.
    formats : tuple of str
        Of ``html``, ``pdf`` and ``json``.
    locale : str
    seal : callable, optional
        Seals the PDF.

    Raises
    ------
    OutputError
    """
    page = render_audit(audit, locale) if set(formats) & {"html", "pdf"} else ""
    made = {
        "html": lambda: page.encode("utf-8"),
        "pdf": lambda: (seal or bytes)(render_audit_pdf(audit, page)),
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
