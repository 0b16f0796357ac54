"""``reportgen purge``: the personal content of a run goes after its retention; manifest and proof stay."""

from __future__ import annotations

import argparse

from reportgen.audit.place import read_manifest
from reportgen.audit.purge import purge_run
from reportgen.batch.resume import locked
from reportgen.post.service import FOLDER, remove_service
from reportgen.report.record import iso
from reportgen.verbs.door import DONE, Door
from reportgen.verbs.sign import signer_of


def run(given: argparse.Namespace, door: Door) -> int:
    """Purge, unless the retention is not over."""
    read_manifest(given.run)
    with locked(given.run):
        count = purge_run(given.run, iso(door.now()), signer_of(given, door))
        remove_service(given.run / FOLDER)
    door.console.print(str(given.run))
    if not given.quiet:
        door.console.print(f"purged: {count} files; manifest, statement, leaves without keys and erasures stay")
    return DONE
