"""``reportgen crm``: the mails of a run become a folder for a mail service."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

from reportgen.errors import OutputError
from reportgen.mail.outgoing import CRM
from reportgen.post.outbox import open_mails
from reportgen.post.service import FOLDER, check_service, remove_service, write_service
from reportgen.verbs.door import DONE, SOME_ASIDE, Door
from reportgen.verbs.leave_alone import opted_out_of, suppressed_of


def run(given: argparse.Namespace, door: Door) -> int:
    """Make the folder, and say who is not in it."""
    out = given.out or given.run / FOLDER
    check_service(out)
    mails = open_mails(given.run, CRM)
    opted_out = opted_out_of(given, door, mails, mails.keys() if given.users is not None else ())
    made = write_service(mails, out, opted_out, suppressed_of(given))
    door.console.print(str(made.index))
    if not given.quiet:
        door.console.print(f"readers: {made.readers}")
        for reason, count in sorted(made.left_out.items()):
            door.console.print(f"left out: {count}, {reason}")
    expected = {"opted out", "on the suppression list"}
    return SOME_ASIDE if made.left_out.keys() - expected else DONE


def unfold(out: Path, formats: tuple[str, ...], door: Door) -> None:
    """After a run: its folder for a mail service, where it made such mails; else none, for one of a former run would be stale.

    A run in packs has too many readers for single files to be made unasked.
    """
    mails = open_mails(out, CRM) if CRM in formats else None
    if mails is not None and not mails.packed:
        write_service(mails, out / FOLDER)
        return
    if mails is not None:
        door.console.note(f"for a mail service: reportgen crm {out} --out DIR makes three files for each reader")
    with suppress(OutputError):  # something of another hand is not ours to take away
        remove_service(out / FOLDER)
