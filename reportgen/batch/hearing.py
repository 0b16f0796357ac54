"""What is said of a finished shard, from what it left: seconds by stage, users set aside, chunks taken apart, further attempts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reportgen.batch.plan import Plan
from reportgen.batch.shard import read_result

_CLASS = re.compile(r"([A-Z][A-Za-z]{0,59})(:|$)")


class Hearing:
    """Passes events on; to the one of a finished shard it adds what only the disk knows, and the events that follow from it.

    Parameters
    ----------
    run : Path
    plan : Plan
    hear : callable
        Called with an event of `reportgen.batch.logline.EVENTS` and its facts.
    """

    def __init__(self, run: Path, plan: Plan, hear: Callable[..., None]) -> None:
        self._run, self._plan, self._hear = run, plan, hear

    def __call__(self, event: str, **facts: Any) -> None:
        """Take an event."""
        if event == "shard_done":
            facts |= self._of_result(facts["shard"], facts.get("attempt", 1))
        self._hear(event, **facts)

    def _of_result(self, shard: int, attempt: int) -> dict[str, float]:
        result = read_result(self._run, self._plan, shard)
        if attempt > 1:
            self._hear("shard_again", shard=shard, attempt=attempt)
        if result is None:
            return {}
        for failed in result.failures:
            found = _CLASS.match(failed.reason)
            self._hear("user_set_aside", shard=shard, stage=failed.stage, error=found[1] if found else None)
        for stage, users in result.apart.items():
            self._hear("chunk_apart", shard=shard, stage=stage, users=users)
        seconds = {f"{stage}_seconds": round(spent, 3) for stage, spent in result.seconds.items()}
        return seconds | {"seconds": round(sum(result.seconds.values()), 3)}
