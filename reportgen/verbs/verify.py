"""``reportgen verify``: prove or disprove a run, or one user's place in it."""

from __future__ import annotations

import argparse
import json

from reportgen.audit.dsse import read_public_key
from reportgen.audit.proof import make_proof
from reportgen.audit.rawids import read_ids
from reportgen.audit.verify import verify_run
from reportgen.audit.verify_seal import Verdict
from reportgen.text import clean
from reportgen.verbs.door import DONE, FAILED, Door
from reportgen.verbs.forget import key_of

_MOST = 1000


def run(given: argparse.Namespace, door: Door) -> int:
    """Check everything, and name everything that is not as it must be."""
    public = None if given.public_key is None else read_public_key(given.public_key)
    ids = [] if given.ids is None else read_ids(given.ids)
    verdict = verify_run(given.run, public, given.previous, ids)
    if given.user is not None and verdict.good:
        door.console.print(json.dumps(make_proof(given.run, key_of(given, door, given.user)), sort_keys=True, indent=1))
        return DONE
    if given.json:
        door.console.print(json.dumps(verdict.to_dict(), sort_keys=True, indent=1, ensure_ascii=False))
    else:
        _tell(verdict, given.quiet, door)
    if verdict.good:
        return DONE
    return door.console.error(f"{given.run} is not what it says: {len(verdict.findings)} findings, named above", FAILED)


def _tell(verdict: Verdict, quiet: bool, door: Door) -> None:
    for one in verdict.findings[:_MOST]:
        door.console.print(clean(str(one), 1000))
    if len(verdict.findings) > _MOST:
        door.console.print(f"and {len(verdict.findings) - _MOST} more; all of them with --json")
    if quiet:
        return
    for note in verdict.notes:
        door.console.print(f"note: {clean(note, 1000)}")
    for name, value in verdict.facts.items():
        door.console.print(f"{name}: {value}")
    if verdict.good:
        door.console.print("verified: every byte, every sum and every user is as it was sealed")
