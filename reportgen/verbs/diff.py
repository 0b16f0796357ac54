"""``reportgen diff``: what changed between the reasons of two runs, and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from reportgen.audit.compare import Cause
from reportgen.audit.diff import Diff, diff_runs
from reportgen.text import clean
from reportgen.verbs.door import DONE, Door


def run(given: argparse.Namespace, door: Door) -> int:
    """Compare, and say it as text or as JSON."""
    diff = diff_runs(given.run_a, given.run_b)
    if given.json:
        door.console.print(json.dumps(vars(diff), sort_keys=True, indent=1, ensure_ascii=False))
        return DONE
    for line in _lines(diff, max(given.users, 0)):
        door.console.print(clean(line, 1000))
    return DONE


def _lines(diff: Diff, most: int) -> Iterator[str]:
    told = diff.summary
    yield f"runs: {told['runs'][0]} and {told['runs'][1]}"
    yield (
        f"users in both: {told['users_in_both']}; only in the first: {told['only_in_first']}; "
        f"only in the second: {told['only_in_second']}"
    )
    yield f"the same: {told['same']}; another list: {told['list_changed']}; other shares of evidence: {told['reasons_changed']}"
    if told["mean_overlap_of_lists"] is not None:
        yield f"mean overlap of lists (Jaccard): {told['mean_overlap_of_lists']:.3f}"
    for kind, change in told["mean_change_of_share"].items():
        yield f"mean change of share, {kind}: {100 * change:+.2f} points"
    yield from (f"why: {Cause(**cause)}" for cause in diff.causes)
    if not diff.causes and diff.users:
        yield "why: the manifests name no cause"
    yield from (f"{user['user']}: {_user(user)}" for user in diff.users[:most])
    if len(diff.users) > most:
        yield f"and {len(diff.users) - most} more users; all of them with --json"


def _user(user: dict[str, Any]) -> str:
    parts = [f"{name} {', '.join(user[name])}" for name in ("new", "gone") if name in user]
    parts += [f"{item} from {was} to {now}" for item, (was, now) in user.get("moved", {}).items()]
    parts += [f"{kind} {100 * change:+.1f} points" for kind, change in user.get("shares", {}).items()]
    if "weights" in user:
        parts.append(f"other weights for {', '.join(user['weights'])}")
    return "; ".join(parts)
