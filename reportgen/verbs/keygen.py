"""``reportgen keygen``: a pair of keys to sign runs with."""

from __future__ import annotations

import argparse

from reportgen.audit.dsse import make_keys
from reportgen.verbs.door import DONE, Door


def run(given: argparse.Namespace, door: Door) -> int:
    """Make the keys, and say which half is whose."""
    private, public, key_id = make_keys(given.out)
    door.console.print(str(public))
    if not given.quiet:
        door.console.print(f"private key, for you alone: {private}")
        door.console.print(f"key id: {key_id}; give it and the public key to auditors by another way than the runs")
    return DONE
