"""Bodies of verbs that need neither clock nor terminal: `reportgen.cli` hands in what they are given and prints what they return."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from reportgen.audit.facts import InputFile
from reportgen.batch.durable import replace_file
from reportgen.batch.get import find_report, get_report
from reportgen.batch.job import make_shard
from reportgen.batch.keys import check_key, make_key, read_key
from reportgen.batch.plan import FILE, Plan, read_plan
from reportgen.batch.settings import RunSettings
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError, ReportgenError


def find_key(key_file: Path | None, environment: Mapping[str, str], note: Callable[[str], None]) -> bytes:
    """The secret behind the pseudonyms: of a file, of ``REPORTGEN_KEY``, or of the owner, made at first use.

    Raises
    ------
    ConfigError
    """
    if key_file is not None:
        return read_key(key_file)
    if environment.get("REPORTGEN_KEY"):
        return check_key(os.fsencode(environment["REPORTGEN_KEY"]), "REPORTGEN_KEY")
    home = environment.get("XDG_CONFIG_HOME", "")
    path = (Path(home) if os.path.isabs(home) else Path("~/.config").expanduser()) / "reportgen" / "key"
    if not path.exists():
        note(f"made a key for the names of files: {path}; keep it, with another every name changes")
    return make_key(path)


def build_settings(
    given: argparse.Namespace, config: Config, key: bytes, as_of: int, generated: tuple[str, str], data: Dataset,
    inputs: tuple[InputFile, ...],
) -> RunSettings:  # fmt: skip
    """What ``build`` was told, with what was read."""
    return RunSettings(
        given.out, key, as_of, *generated, config, given.format, given.locale or config.report.locale,
        given.n or config.report.n, tuple(given.user) if given.user else None, given.limit, given.pdf_limit,
        given.figures, given.templates, given.overwrite, data.synthetic, inputs, shard=given.shard_size,
        packs=given.packs, user_seconds=given.user_seconds or None, workers=given.workers, scheduler=given.scheduler,
        resume=given.resume,
    )  # fmt: skip


def take_report(given: argparse.Namespace, key: Callable[[], bytes]) -> bytes | None:
    """The report that ``get`` was asked for; None when it was written to a file.

    Raises
    ------
    ReportgenError
        As `reportgen.batch.get.get_report`.
    """
    run, user, format_ = given.run, given.user, given.format
    found = find_report(run, user, format_) if given.by_key else get_report(run, user, key(), format_)
    if given.out is None:
        return found
    replace_file(given.out, found)
    return None


def make_shards(plan: Path, shards: range, stop: Callable[[], bool]) -> tuple[int, int]:
    """Make shards of a planned run one after the other; return users with a report and users without.

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
