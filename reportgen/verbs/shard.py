"""``reportgen shard``: some shards of a planned run, for a cluster's own queue."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from reportgen.batch.crew import unwatched
from reportgen.batch.job import make_shard
from reportgen.batch.plan import FILE, Plan, read_plan
from reportgen.batch.signals import stopping
from reportgen.errors import ConfigError, InputError, ReportgenError
from reportgen.verbs.door import DONE, SOME_ASIDE, Door


def run(given: argparse.Namespace, door: Door) -> int:
    """Make the shards that were named."""
    with stopping() as stop:
        users, aside = make_shards(given.plan, given.shards, stop)
    if not door.console.quiet:
        told = f"shards: {len(given.shards)} with {users} reported users"
        door.console.print(told + (f", {aside} set aside" if aside else ""))
    return SOME_ASIDE if aside else DONE


def make_shards(plan: Path, shards: range, stop: Callable[[], bool]) -> tuple[int, int]:
    """Make shards of a planned run one after the other; return users with a report and users without.

    Nobody watches this process. So it leaves a note in the run folder while it works, as ``build`` with one worker does: where it dies,
    ``build --resume`` finds the note, and lets a watched process make the rest.

    Raises
    ------
    ReportgenError
        No plan there, no such shards, or the folder is in trouble.
    KeyboardInterrupt
        It was stopped; finished shards stand.
    """
    run = plan.parent if plan.name == FILE else plan
    _check_shards(read_plan(run), run, shards)
    users = aside = 0
    with unwatched(run, f"shards-{shards.start:06}-{shards.stop - 1:06}"):
        for shard in shards:
            if stop():
                raise KeyboardInterrupt
            trouble, made, failed = make_shard(str(run.absolute()), shard)
            if trouble:
                raise ReportgenError(trouble)
            users, aside = users + made, aside + failed
    return users, aside


def _check_shards(plan: Plan | None, run: Path, shards: range) -> None:
    if plan is None:
        raise InputError(f"{run} holds no {FILE}; make one with: reportgen build --plan-only")
    if shards.stop > plan.shards:
        raise ConfigError(f"--shards: this run has {plan.shards} shards, numbered from 0; {shards.stop - 1} is none")
