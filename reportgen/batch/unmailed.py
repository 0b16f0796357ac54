"""Who of a run with mails has a report and no mail, and why: `unmailed.jsonl`, a line each, by key.

It is made from what stands on the disk, shard by shard, so it is the same whoever made the shards.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from reportgen.batch.people import People
from reportgen.batch.plan import Plan
from reportgen.batch.settings import Failure, RunSettings
from reportgen.mail.outgoing import FORMATS, why_none
from reportgen.output.durable import open_inside
from reportgen.output.entries import MADE, read_entry
from reportgen.output.packs import read_listing

FILE, MEDIA_TYPE = "unmailed.jsonl", "application/x-ndjson"
_STAGE = "mail"


def find_unmailed(
    run: Path, plan: Plan, people: People, aside: Collection[str], paths: Collection[str], word: str
) -> Iterator[Failure]:
    """Look for everybody who has no mail, in the order of the run.

    Parameters
    ----------
    run : Path
    plan : Plan
    people : People
    aside : collection of str
        Keys of users who have nothing at all.
    paths : collection of str
        The single files of the run; not used where there are packs.
    word : str
        The format that is looked for: who has one kind of mail has the other too.
    """
    for shard in range(plan.shards):
        packed = _packed(run, shard, word) if plan.packs else frozenset[str]()
        for person in people.part(*plan.span(shard)):
            there = person.key in packed if plan.packs else f"{person.stem}.{word}" in paths
            if not there and person.key not in aside:
                yield Failure(person.key, _STAGE, why_none(person.email))


def _packed(run: Path, shard: int, word: str) -> frozenset[str]:
    entries = map(read_entry, read_listing(run, shard))
    return frozenset(entry.key for entry in entries if entry.status == MADE and entry.format == word)


def mail_format(settings: RunSettings) -> str:
    """The kind of mail that a run makes, the first where it makes both; empty where it makes none."""
    return next((word for word in FORMATS if word in settings.formats), "")


def to_lines(found: Iterator[Failure]) -> tuple[bytes, Counter[str]]:
    """The lines of the file, and how many there are by reason."""
    lines, counts = [], Counter[str]()
    for one in found:
        lines.append(json.dumps(vars(one), sort_keys=True, ensure_ascii=False) + "\n")
        counts[one.reason] += 1
    return "".join(lines).encode("utf-8"), counts


def read_counts(run: Path) -> Counter[str]:
    """How many mails a finished run did not make, by reason; nothing where it made none at all."""
    try:
        with open_inside(run, FILE) as stream:
            return Counter(str(json.loads(line)["reason"]) for line in stream)
    except FileNotFoundError:
        return Counter()
