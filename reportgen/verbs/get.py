"""``reportgen get``: one report out of a run."""

from __future__ import annotations

import argparse

from reportgen.batch.get import find_report, get_report
from reportgen.output.durable import replace_file
from reportgen.verbs.door import DONE, Door


def run(given: argparse.Namespace, door: Door) -> int:
    """Find the report by the user's id, or by the name of its file, and write it to a file or to the terminal's stream."""
    user, format_ = given.user, given.format
    found = (
        find_report(given.run, user, format_) if given.by_key else get_report(given.run, user, door.key(given), format_)
    )
    if given.out is not None:
        replace_file(given.out, found)
        return DONE
    door.binary().write(found)
    door.binary().flush()
    return DONE
