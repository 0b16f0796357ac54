"""The result of a run in a few plain lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reportgen.batch.settings import RunSummary
from reportgen.data.dataset import Dataset
from reportgen.formats import FORMATS

_MEGABYTE = 1_000_000


def tell(summary: RunSummary, data: Dataset, seconds: dict[str, float], peak: int) -> Iterator[str]:
    """What was made, how long it took, and what was set aside by reason."""
    users = summary.users
    files = ", ".join(f"{summary.made[word]} {word.upper()}" for word in FORMATS if word in summary.made) or "no report"
    yield f"made: {files} for {users.reported} users (run {summary.run_id})"
    for count, what in ((users.opted_out, "opted out"), (users.not_chosen, "not chosen")):
        if count:
            yield f"users {what}: {count}"
    if users.set_aside:
        by_stage = Counter(failure.stage for failure in summary.failures)
        yield f"users set aside: {users.set_aside} ({_list(by_stage)}); see errors.jsonl"
    for problem in data.problems:
        if not problem.kept:
            yield f"rows set aside: {problem.count} of {problem.table}, {problem.reason}. {problem.remedy}"
    yield "seconds: " + ", ".join(f"{stage} {spent:.2f}" for stage, spent in seconds.items())
    yield f"peak memory: {peak / _MEGABYTE:.0f} MB"


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
