"""What can be said to the verbs that show, send and hand over mails. Light, like `reportgen.verbs.options`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from reportgen.languages import LOCALES
from reportgen.verbs.option_types import locale, whole

#: Makes the parser of a verb from its name and what it does.
Verb = Callable[[str, str], argparse.ArgumentParser]


def add_mail_verbs(verb: Verb) -> None:
    """Add the verbs of mails, one function each."""
    _add_preview(verb("preview", "show one mail of a run as a page, with its plain text beside it"))
    _add_send(verb("send", "send the mails of a run through a mail server, each once"))
    _add_tokens(verb("tokens", "list which customer each link that stops the mails belongs to"))
    _add_crm(verb("crm", "unfold the mails of a run into a folder for a mail service"))


def _add_run(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("run", type=Path, metavar="RUN", help="a finished run folder")


def _add_key(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--key-file", type=Path, metavar="F", help="the secret of the run (REPORTGEN_KEY)")


def _add_preview(preview: argparse.ArgumentParser) -> None:
    _add_run(preview)
    add = preview.add_argument
    add("user", metavar="USER", help="the user's id; or the key of a report, with --by-key")
    add("--mail", action="store_true", required=True, help="the mail, as a phone and as a computer show it")
    add("--by-key", action="store_true", help="USER is a key: 24 letters, as in the names of reports")
    add("--out", type=Path, metavar="F.html", help="write it there instead of to stdout")
    add(
        "--locale",
        type=locale,
        metavar="TAG",
        help=f"of the page around the mail: {', '.join(LOCALES)} (that of the run)",
    )
    _add_key(preview)


def _add_people(verb: argparse.ArgumentParser) -> None:
    """Who is to be left alone."""
    add = verb.add_argument
    add("--suppress", type=Path, metavar="F", help="nobody in this list: an address, its SHA-256 or a key a line")
    add(
        "--users",
        metavar="F",
        help="the users table as it is now: nobody who opted out since, or is not in it any more",
    )
    add("--config", metavar="F", help="reportgen.toml, for the columns of --users")
    _add_key(verb)


def _add_send(send: argparse.ArgumentParser) -> None:
    _add_run(send)
    add = send.add_argument
    add("--smtp", metavar="HOST:PORT", help="the mail server; login: REPORTGEN_SMTP_USER, REPORTGEN_SMTP_PASSWORD")
    how = send.add_mutually_exclusive_group()
    how.add_argument("--tls", action="store_true", help="encrypted from the first byte (what port 465 does)")
    how.add_argument("--starttls", action="store_true", help="encrypted by STARTTLS (what any other port does)")
    how.add_argument(
        "--plaintext", action="store_true", help="not encrypted: for a server on this machine, without login"
    )
    add("--ca-file", type=Path, metavar="F.pem", help="trust these authorities instead of the system's")
    add("--rate", type=_above(0), default=10.0, metavar="N", help="messages per second at most (10)")
    add("--limit", type=whole(1), metavar="N", help="of the mails of the run only the first N")
    add("--dry-run", action="store_true", help="make and check everything, connect to nobody, write nothing")
    add("--to-override", metavar="ADDRESS", help="a test round: everything to this address, with a journal of its own")
    _add_people(send)
    add("--bounces", metavar="ADDRESS", help="where the server reports what cannot be delivered (the mails' sender)")
    add("--journal", type=Path, metavar="F", help="what was sent (sending.journal in the run folder)")
    add("--failures", type=Path, metavar="F", help="write what did not surely arrive there, a line of JSON each")
    add("--resend-doubtful", action="store_true", help="also what may have arrived before: some may get it twice")
    add("--resend-refused", action="store_true", help="also what the server refused for good before")
    add("--retry-wait", type=_above(0), default=5.0, metavar="SECONDS",
        help="before a message that was put off is tried again; each further wait is three times as long (5)")  # fmt: skip


def _add_tokens(tokens: argparse.ArgumentParser) -> None:
    add = tokens.add_argument
    add("--users", required=True, metavar="F", help="the users table")
    add("--config", metavar="F", help="reportgen.toml, for the columns of --users")
    add("--out", type=Path, required=True, metavar="F.jsonl", help="where to write; it names customers by id")
    _add_key(tokens)


def _add_crm(crm: argparse.ArgumentParser) -> None:
    _add_run(crm)
    crm.add_argument("--out", type=Path, metavar="DIR", help="where (crm in the run folder)")
    _add_people(crm)


def _above(least: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = least
        if not least < found <= 1e6:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number above {least:g}")
        return found

    return number
