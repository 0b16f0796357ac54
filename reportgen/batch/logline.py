"""What happens in a run, one event as one line of JSON for machines.

Such lines go to places that outlive the run and that many can read. So neither ids nor keys of users can get into them: an event has fixed
fields, and a field takes a number or a word of a fixed form.
"""

from __future__ import annotations

import json
import math
import re

from reportgen.batch.settings import STAGES
from reportgen.batch.status import PHASES

#: What may stand in a log line: event -> fields. No field takes free text, hence no user id.
EVENTS: dict[str, tuple[str, ...]] = {
    "run_started": ("run_id", "users", "shards", "workers", "resumed", "opted_out"),
    "phase": ("phase",),
    "progress": ("done", "total", "set_aside", "users_per_second", "eta_seconds"),
    "shard_done": ("shard", "users", "set_aside", "seconds", "attempt", *(f"{stage}_seconds" for stage in STAGES)),
    "shard_again": ("shard", "attempt"),
    "user_set_aside": ("shard", "stage", "error"),
    "chunk_apart": ("shard", "stage", "users"),
    "worker_lost": ("shard", "exit_code", "cause"),
    "damaged": ("file", "cause"),
    "refits": ("done", "total"),
    "run_done": ("run_id", "reported", "set_aside", "opted_out", "seconds", "bytes"),
    "run_interrupted": ("done", "total", "signal"),
    "run_failed": ("error",),
}
#: The words that a field takes. A stage, a cause and a phase are of closed lists; an error is the name of its class.
_WORDS: dict[str, re.Pattern[str]] = {
    "phase": re.compile("|".join(PHASES)),
    "stage": re.compile("|".join(("trust", *STAGES, "stability", "finish"))),
    "cause": re.compile("crashed|killed|memory|time|lost|error|damaged|missing"),
    "error": re.compile(r"[A-Z][A-Za-z]{0,59}"),
    "signal": re.compile(r"SIG[A-Z]{2,6}"),
    "run_id": re.compile(r"[0-9a-f]{16}"),
    "file": re.compile(r"packs/\d{6,}\.zip|index/[0-9a-f]{2}\.jsonl"),
}


def log_line(event: str, when: str, **facts: float | int | str | None) -> str:
    """One event as one line of JSON, without user ids and without keys of users.

    Parameters
    ----------
    event : str
        One of `EVENTS`.
    when : str
        ISO 8601, of the caller's clock.
    **facts
        The fields of the event: finite numbers, None, or for some fields words of a fixed form.

    Raises
    ------
    ValueError
        An unknown event or field, or a value that could be more than a number or a word. That is a mistake in the program.
    """
    fields = EVENTS.get(event)
    if fields is None or not facts.keys() <= set(fields):
        raise ValueError(f"event {event!r} with {sorted(facts)}: see EVENTS for what a log line may say")
    for name, value in facts.items():
        if not _harmless(name, value):
            raise ValueError(f"{event}: {name} is no finite number and no word that this field takes")
    told = {"when": when, "event": event} | {name: facts[name] for name in fields if name in facts}
    return json.dumps(told, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _harmless(name: str, value: object) -> bool:
    if isinstance(value, str):
        return name in _WORDS and bool(_WORDS[name].fullmatch(value))
    return value is None or (isinstance(value, int | float) and math.isfinite(value))
