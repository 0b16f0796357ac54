"""``build --resume`` without reading and fitting again; and ``build --copy-to``, which may be repeated with it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from reportgen.attention.store import load_model, model_id
from reportgen.batch.kept import At, whole_run
from reportgen.data.schema import Problem
from reportgen.errors import ConfigError, OutputError
from reportgen.output.remote import check_target, copy_run
from reportgen.verbs.crm import unfold
from reportgen.verbs.door import DONE, SOME_ASIDE, Door

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class _Read:
    """What a complete run says of the rows that it read."""

    problems: tuple[Problem, ...]


def tell_whole(given: argparse.Namespace, at: At, door: Door) -> int | None:
    """Say again what a complete run made, and return the exit code; None when there is something to do."""
    wanted = "" if given.model is None else model_id(load_model(given.model))
    found = whole_run(given.out, at, wanted)
    if found is None:
        return None
    summary, problems = found
    watch = door.watch(given.out, given.metrics_file)
    watch.done(summary)
    unfold(
        given.out, given.format, door
    )  # the process that made the run may have died before its folder for a mail service
    door.console.tell(summary, _Read(problems), door.peak())
    return SOME_ASIDE if summary.failures or summary.unmailed else DONE


def check_copy(given: argparse.Namespace) -> None:
    """Say before any work whether the run can be copied there.

    Raises
    ------
    ConfigError
    """
    if given.copy_to is not None:
        if given.plan_only:
            raise ConfigError(
                "--copy-to does not go with --plan-only: only a complete run is copied; leave one of them out"
            )
        check_target(given.copy_to)


def copy(given: argparse.Namespace, door: Door) -> None:
    """Copy the run, the manifest last.

    Raises
    ------
    OutputError
        The run itself is complete; only the copy is not.
    """
    if given.copy_to is None:
        return
    try:
        with door.console.stage("copy"):
            copied = copy_run(given.out, given.copy_to, overwrite=given.overwrite)
    except OutputError as error:
        told = f"the run in {given.out} is complete; the same call with --resume copies it again"
        raise OutputError(f"{error}; {told}") from error
    if not door.console.quiet:
        size = f"{copied.bytes / _MEGABYTE:,.1f} MB"
        door.console.print(f"copied to {copied.url}: {copied.sent:,} files sent, {copied.kept:,} there already, {size}")
