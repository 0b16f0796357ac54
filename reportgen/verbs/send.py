"""``reportgen send``: the mails of a finished run go out through a mail server, each once."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from reportgen.batch.signals import stopping
from reportgen.errors import ConfigError
from reportgen.output.durable import replace_file
from reportgen.post.journal import Journal
from reportgen.post.journal_record import Binding, JournalError, Record, State, read_record
from reportgen.post.letters import Letter, dated, recipient_of
from reportgen.post.office import INTERRUPTED as STOPPED
from reportgen.post.outbox import Mails, open_mails
from reportgen.post.pace import Retries
from reportgen.post.send import send
from reportgen.post.sent import SendSummary, failure_lines, summary_lines
from reportgen.post.server import Security, Server, read_server
from reportgen.verbs.door import DONE, FAILED, INTERRUPTED, SOME_ASIDE, Door
from reportgen.verbs.leave_alone import opted_out_of, suppressed_of

USER, PASSWORD = "REPORTGEN_SMTP_USER", "REPORTGEN_SMTP_PASSWORD"
#: Failures told one by one; all of them go to --failures.
_MOST_TOLD = 20
#: Seconds between two lines of progress.
_TELL = 5.0


def run(given: argparse.Namespace, door: Door) -> int:
    """Check everything, send, and say what became of it."""
    server = _server(given, door)
    mails = open_mails(given.run)
    binding = mails.binding(test=given.to_override is not None)
    path = given.journal or given.run / f"sending{'-test' if given.to_override is not None else ''}.journal"
    keys = mails.keys()[: given.limit]
    left = {"suppressed": suppressed_of(given), "opted_out": opted_out_of(given, door, mails, keys)}
    if given.dry_run:
        return _send(given, door, mails, server, _readable(path, binding), len(keys), left)
    with Journal(path, binding) as journal:
        return _send(given, door, mails, server, journal, len(keys), left)


def _server(given: argparse.Namespace, door: Door) -> Server:
    if given.smtp is None:
        if given.dry_run:
            return Server("localhost", 25)
        raise ConfigError("where to? name the mail server with --smtp host:port, or try it with --dry-run")
    host, port, security = read_server(given.smtp)
    ways: tuple[tuple[bool, Security], ...] = (
        (given.tls, "tls"), (given.starttls, "starttls"), (given.plaintext, "none"),
    )  # fmt: skip
    security = next((way for asked, way in ways if asked), security)
    if given.ca_file is not None and not given.ca_file.is_file():
        raise ConfigError(f"{given.ca_file} is no file; name the authorities of the server with --ca-file")
    user, password = (door.environment.get(name, "") for name in (USER, PASSWORD))
    return Server(host, port, security, user, password, given.ca_file)


def _readable(path: Path, binding: Binding) -> Record:
    """What a journal says, for a dry run, which keeps none."""
    record = read_record(path)
    if record.binding not in (None, binding):
        raise JournalError(f"{path} is the journal of another run or purpose; name another with --journal")
    return record


def _send(
    given: argparse.Namespace, door: Door, mails: Mails, server: Server, journal: Journal | Record, count: int,
    left: dict[str, Any],
) -> int:  # fmt: skip
    again = {State.IN_DOUBT} if given.resend_doubtful else set()
    again |= {State.REFUSED} if given.resend_refused else set()
    with stopping() as stop:
        summary = send(
            _outbox(mails, count, datetime.fromtimestamp(door.now() // 1_000_000, UTC)), server, journal,
            sender=mails.sender if given.bounces is None else given.bounces, rate=given.rate,
            retries=Retries(first=given.retry_wait), clock=door.steady, sleep=door.sleep,
            to_override=given.to_override, dry_run=given.dry_run, again=again, stopping=stop,
            progress=_Progress(door, count, given.dry_run), **left,
        )  # fmt: skip
    return _tell(given, door, summary)


def _outbox(mails: Mails, most: int, when: datetime) -> Iterator[Letter]:
    for found in islice(mails, most):
        yield Letter(found.key, recipient_of(found.data), partial(dated, found.data, when), found.trouble)


@dataclass
class _Progress:
    """Says now and then how far a sending is."""

    door: Door
    total: int
    dry_run: bool
    last: float = -1.0

    def __call__(self, sent: int, seen: int) -> None:
        now = self.door.steady()
        if self.last < 0:
            self.last = now
        if now - self.last >= _TELL:
            self.last = now
            self.door.console.note(
                f"{sent} {'made and checked' if self.dry_run else 'sent'}, {seen} of {self.total} seen"
            )


def _tell(given: argparse.Namespace, door: Door, summary: SendSummary) -> int:
    for line in summary_lines(summary):
        door.console.print(line)
    failures = list(failure_lines(summary))
    if given.failures is not None:
        replace_file(given.failures, "".join(f"{line}\n" for line in failures).encode("utf-8"))
    if not given.quiet:
        for line in failures[:_MOST_TOLD]:
            door.console.print(line)
        if len(failures) > _MOST_TOLD and given.failures is None:
            door.console.print(f"and {len(failures) - _MOST_TOLD} more; --failures F writes all of them")
    if summary.stopped == STOPPED:
        return door.console.error("interrupted; the same command goes on", INTERRUPTED)
    if summary.stopped:
        return door.console.error(f"{summary.stopped}; the same command goes on", FAILED)
    return DONE if summary.complete else SOME_ASIDE
