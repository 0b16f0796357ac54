"""``reportgen forget``: one user's reports leave a run, the proof stays whole."""

from __future__ import annotations

import argparse

from reportgen.audit.erase import erase_users
from reportgen.audit.place import read_manifest
from reportgen.batch.resume import locked
from reportgen.errors import ConfigError
from reportgen.explain.privacy import pseudonym
from reportgen.output.manifest import key_id
from reportgen.post.service import FOLDER, remove_service
from reportgen.report.record import iso
from reportgen.verbs.door import DONE, Door
from reportgen.verbs.sign import signer_of


def run(given: argparse.Namespace, door: Door) -> int:
    """Erase, and say what was erased and what stays."""
    read_manifest(given.run)
    key, signer = key_of(given, door, given.user), signer_of(given, door)
    with locked(given.run):
        erased = erase_users(given.run, [key], iso(door.now()), signer)
        unfolded = remove_service(given.run / FOLDER)
    for one in erased.keys:
        door.console.print(one)
    if not given.quiet:
        door.console.print(f"erased: {erased.reports} reports and the salt; the leaf stays, so the root still verifies")
        if unfolded:
            door.console.print(
                f"the folder for a mail service went as a whole; make it again with: reportgen crm {given.run}"
            )
        if signer is None:
            door.console.print("the erasure is on record without a signature; give --signing-key to sign it")
        if erased.named:
            door.console.print(f"still named by pseudonym alone, as part of what was sealed: {', '.join(erased.named)}")
    return DONE


def key_of(given: argparse.Namespace, door: Door, user: str) -> str:
    """The pseudonym of a user named on the command line, by id or by key.

    Raises
    ------
    ConfigError
        The secret is not the one of the run.
    """
    if given.by_key:
        return user
    secret = door.key(given)
    if read_manifest(given.run)["key_id"] != key_id(secret):
        raise ConfigError(f"{given.run} was made with another key; name the key of that run with --key-file")
    return pseudonym(secret, user)
