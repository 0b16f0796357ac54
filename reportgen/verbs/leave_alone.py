"""Who is left alone when mails leave the house: the suppression list, and the table of users as it is now."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from reportgen.data.database import fetched
from reportgen.data.ingest_users import read_users
from reportgen.data.sources import resolve
from reportgen.errors import ConfigError
from reportgen.explain.privacy import pseudonym
from reportgen.output.manifest import key_id
from reportgen.post.outbox import Mails
from reportgen.post.suppressed import Suppressed, read_suppressed
from reportgen.verbs.door import Door
from reportgen.verbs.inputs import read_config


def suppressed_of(given: argparse.Namespace) -> Suppressed:
    """The suppression list that was named, or an empty one."""
    return read_suppressed(given.suppress) if given.suppress is not None else Suppressed()


def opted_out_of(given: argparse.Namespace, door: Door, mails: Mails, keys: Iterable[str]) -> frozenset[str]:
    """Keys of a run that get nothing by the table of users as it is now: who opted out, and who is not in it any more.

    Raises
    ------
    ConfigError
        The secret is not the one of the run.
    InputError
        The table cannot be used.
    """
    if given.users is None:
        return frozenset()
    secret, config = door.key(given), read_config(given)
    if mails.manifest.get("key_id") != key_id(secret):
        raise ConfigError(f"{mails.run} was made with another key; name the key of that run with --key-file")
    with fetched(config.input, {"users": given.users}) as files:
        table = read_users(resolve(files["users"] or given.users, config.input.delimiter), config)
    for problem in table.problems:
        if not problem.kept:
            told = f"rows set aside: {problem.count} of users, {problem.reason}; who is in no other row gets no mail"
            door.console.note(told, always=True)
    welcome = {
        pseudonym(secret, str(user)) for user, out in zip(table.user_ids, table.opted_out, strict=True) if not out
    }
    return frozenset(keys) - welcome
