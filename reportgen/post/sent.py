"""What became of a sending: counts, and lists by key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from reportgen.post.journal_record import Note


@dataclass(frozen=True)
class SendSummary:
    """The result of `reportgen.post.send.send`.

    Attributes
    ----------
    sent : int
        Taken by the server now; in a dry run, what would be sent.
    sent_before : int
        Taken by the server in a former sending, so left alone.
    opted_out, suppressed : int
        People who are not written to.
    doubled : int
        Further letters for a key that had one in this sending.
    in_doubt : tuple of str
        Keys of messages that may or may not have arrived, of all sendings. They are not sent again by themselves.
    refused : tuple of Note
        What the server refused for good, of all sendings.
    waiting : tuple of Note
        What the server put off until we gave up, or until we stopped. The next sending tries again.
    unsendable : tuple of Note
        What could not be handed over at all, with our reason: an address that is none, a message that is not theirs.
    stopped : str
        Why it ended before everything was tried; empty when it did not.
    dry_run : bool
    """

    sent: int
    sent_before: int = 0
    opted_out: int = 0
    suppressed: int = 0
    doubled: int = 0
    in_doubt: tuple[str, ...] = ()
    refused: tuple[Note, ...] = ()
    waiting: tuple[Note, ...] = ()
    unsendable: tuple[Note, ...] = ()
    stopped: str = ""
    dry_run: bool = False

    @property
    def complete(self) -> bool:
        """Whether everybody who is to be written to has been, without a doubt."""
        return not (self.stopped or self.in_doubt or self.refused or self.waiting or self.unsendable)


def summary_lines(summary: SendSummary) -> Iterator[str]:
    """The result in a few lines for a terminal or a log: counts only."""
    yield f"{'would be sent' if summary.dry_run else 'sent'}: {summary.sent}"
    for count, what in (
        (summary.sent_before, "sent before, left alone"),
        (summary.opted_out, "opted out"),
        (summary.suppressed, "on the suppression list"),
        (summary.doubled, "in the list more than once, sent once"),
        (len(summary.refused), "refused for good by the server"),
        (len(summary.waiting), "put off; send again to try again"),
        (len(summary.unsendable), "not sendable"),
        (len(summary.in_doubt), "in doubt: may have arrived, not sent again unless you say so"),
    ):
        if count:
            yield f"{what}: {count}"
    if summary.stopped:
        yield f"stopped before the end: {summary.stopped}"


def failure_lines(summary: SendSummary) -> Iterator[str]:
    """One line of JSON for each message that did not surely arrive: key, what, code and words. By key, never by address."""
    for what in ("refused", "waiting", "unsendable"):
        for note in getattr(summary, what):
            yield json.dumps(
                {"key": note.key, "what": what, "code": note.code, "words": note.words}, ensure_ascii=False
            )
    for key in summary.in_doubt:
        yield json.dumps({"key": key, "what": "in_doubt", "code": 0, "words": ""})
