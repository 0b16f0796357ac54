"""``reportgen get``: one report out of a run."""

from __future__ import annotations

import argparse

from reportgen.batch.get import find_report, get_report
from reportgen.output.durable import replace_file
from reportgen.verbs.door import DONE, Door


def run(given: argparse.Namespace, door: Door) -> int:
    """Find the report by the user's id, or by the name of its file, and write it to a file or to the terminal's stream."""
    found = report_of(given, door, given.format)
    if given.out is not None:
        replace_file(given.out, found)
        return DONE
    door.binary().write(found)
    door.binary().flush()
    return DONE


def report_of(given: argparse.Namespace, door: Door, word: str) -> bytes:
    """The report in one format of the user who was named, by id or by key."""
    if given.by_key:
        return find_report(given.run, given.user, word)
    return get_report(given.run, given.user, door.key(given), word)
