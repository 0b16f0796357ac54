"""``reportgen tokens``: which customer a link that stops the mails belongs to, for the page that answers it."""

from __future__ import annotations

import argparse
import json

from reportgen.data.database import fetched
from reportgen.data.ingest_users import read_users
from reportgen.data.sources import resolve
from reportgen.explain.privacy import pseudonym
from reportgen.mail.message import token_key, token_of
from reportgen.output.durable import replace_file
from reportgen.verbs.door import DONE, Door
from reportgen.verbs.inputs import read_config


def run(given: argparse.Namespace, door: Door) -> int:
    """Write a line of JSON for each user, sorted by token: token, key (for a suppression list) and the user's id."""
    config, secret = read_config(given), door.key(given)
    with fetched(config.input, {"users": given.users}) as files:
        table = read_users(resolve(files["users"] or given.users, config.input.delimiter), config)
    tokens = token_key(secret)
    lines = sorted(
        json.dumps(
            {"token": token_of(tokens, user), "key": pseudonym(secret, user), "user_id": user}, ensure_ascii=False
        )
        for user in map(str, table.user_ids)
    )
    replace_file(given.out, "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
    door.console.print(str(given.out))
    return DONE
