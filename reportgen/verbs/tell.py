"""The result of a run in a few plain lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from reportgen.batch.settings import RunSummary, Since
from reportgen.data.schema import Problem
from reportgen.formats import FORMATS

_MEGABYTE = 1_000_000
#: Parts that all reports share, where their name alone does not say what to look at.
_PARTS = {
    "as_of": "the reference time (--as-of)",
    "generated_at": "the time in the documents (SOURCE_DATE_EPOCH)",
    "measured": "what was measured of the reasons",
    "model": "the model (--model)",
    "lists": "the tables that were read",
    "mails": "the run that mails name",
    "fonts": "fonts and native libraries",
}
_AGAIN = {
    "changed": "that changed",
    "new": "without a report there",
    "lost": "that are not there in these formats, or damaged",
}


class Read(Protocol):
    """What was read, as far as it has to be told."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Rows set aside, and notices about rows that were kept."""


def tell(summary: RunSummary, data: Read, seconds: dict[str, float], peak: int) -> Iterator[str]:
    """What was made, how long it took, and what was set aside by reason."""
    users = summary.users
    files = ", ".join(f"{summary.made[word]} {word.upper()}" for word in FORMATS if word in summary.made) or "no report"
    yield f"made: {files} for {users.reported} users (run {summary.run_id})"
    for count, what in ((users.opted_out, "opted out"), (users.not_chosen, "not chosen")):
        if count:
            yield f"users {what}: {count}"
    for reason, count in summary.unmailed.items():
        yield f"mails not made: {count}, {reason}; see unmailed.jsonl"
    if users.set_aside:
        by_stage = Counter(failure.stage for failure in summary.failures)
        yield f"users set aside: {users.set_aside} ({_list(by_stage)}); see errors.jsonl"
    for problem in data.problems:
        if not problem.kept:
            yield f"rows set aside: {problem.count} of {problem.table}, {problem.reason}. {problem.remedy}"
    yield from _since(summary.since)
    yield "seconds: " + ", ".join(f"{stage} {spent:.2f}" for stage, spent in seconds.items())
    yield f"peak memory: {peak / _MEGABYTE:.0f} MB"


def _since(since: Since) -> Iterator[str]:
    if since.changed:
        yield f"taken over: nobody; other than in {since.run}: {', '.join(_PARTS.get(part, part) for part in since.changed)}"
    elif since.outcomes:
        rest = [f"{since.outcomes[word]:,} {told}" for word, told in _AGAIN.items() if since.outcomes.get(word)]
        taken = (
            f"taken over: {since.outcomes.get('taken', 0):,} of {sum(since.outcomes.values()):,} users from {since.run}"
        )
        yield taken + (f"; made: {', '.join(rest)}" if rest else "")


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
