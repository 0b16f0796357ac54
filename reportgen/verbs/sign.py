"""``reportgen sign``: a signature for a finished run; and what ``build`` is told about its proof."""

from __future__ import annotations

import argparse
import re
from datetime import date

from reportgen.audit.dsse import ENVIRONMENT, Signer, find_signer
from reportgen.audit.place import read_manifest
from reportgen.audit.seal import ENVELOPE, Sealing, previous_of, sign_run
from reportgen.errors import ConfigError
from reportgen.verbs.door import DONE, Door

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def run(given: argparse.Namespace, door: Door) -> int:
    """Sign the statement of a run."""
    signer = signer_of(given, door)
    if signer is None:
        raise ConfigError(f"no key to sign with; name one with --signing-key or {ENVIRONMENT} (make it with keygen)")
    sign_run(given.run, read_manifest(given.run), signer)
    door.console.print(str(given.run / ENVELOPE))
    if not given.quiet:
        door.console.print(f"signed by: {signer.key_id}")
    return DONE


def signer_of(given: argparse.Namespace, door: Door) -> Signer | None:
    """The private key of a call, None when there is none.

    Raises
    ------
    ConfigError
    """
    return find_signer(given.signing_key, door.environment, lambda text: door.console.note(text, always=True))


def sealing_of(given: argparse.Namespace, door: Door) -> Sealing:
    """What a run is told about its proof.

    Raises
    ------
    ConfigError, InputError
    """
    previous = None if given.previous is None else previous_of(given.previous)
    return Sealing(signer_of(given, door), previous, given.retention_until and _day(given.retention_until))


def _day(text: str) -> str:
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ConfigError(f"--retention-until {text!r} is not a day; write it as 2027-01-31") from None
