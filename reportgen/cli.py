"""The command line: verbs, the clock, the environment, exit codes. Heavy imports wait inside the verbs."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reportgen.batch.console import Terminal
from reportgen.batch.options import make_parser
from reportgen.errors import ConfigError, InputError, ReportgenError

if TYPE_CHECKING:
    from reportgen.attention.scorer import AttentionScorer
    from reportgen.batch.settings import RunSettings, RunSummary
    from reportgen.config import Config
    from reportgen.data.dataset import Dataset

DONE, FAILED, USAGE, SOME_ASIDE, INTERRUPTED = 0, 1, 2, 3, 130
_DAY = 86_400_000_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns
    -------
    int
        0 done; 1 an error, told in one line on stderr; 2 usage; 3 done, but some users were set aside; 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--version"]:
        return _version()
    try:
        given = make_parser().parse_args(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    console = Console(given.quiet, given.log_format == "json")
    try:
        return _do(given, console)
    except ReportgenError as error:
        return console.error(str(error), error.exit_code)
    except KeyboardInterrupt:
        return console.error("interrupted; go on with --resume, or begin again with --overwrite", INTERRUPTED)
    except OSError as error:
        return console.error(f"{error.strerror or error}; check the disk and the rights of the folders", FAILED)


def _do(given: argparse.Namespace, console: Console) -> int:
    from reportgen.batch.signals import interrupting

    verbs = {"demo": _demo, "build": _build, "get": _get, "shard": _shard, "fit": _fit, "evaluate": _evaluate,
             "doctor": _doctor}  # fmt: skip
    with interrupting():
        return verbs[given.verb](given, console)


def _version() -> int:
    from reportgen.version import VERSION

    print(f"reportgen {VERSION}")
    return DONE


# --- clock, environment, terminal


def _source_date() -> int | None:
    """``SOURCE_DATE_EPOCH`` in microseconds, None when it is not set."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise ConfigError(f"SOURCE_DATE_EPOCH={text!r} is not a number of seconds since 1970; correct or unset it")
    return int(text) * 1_000_000 if text else None


def _now() -> int:
    given = _source_date()
    return given if given is not None else time.time_ns() // 1000


def _key(given: argparse.Namespace, console: Console) -> bytes:
    from reportgen.batch.verbs import find_key

    return find_key(given.key_file, os.environ, lambda text: console.note(text, always=True))


class Console(Terminal):
    """This process's terminal and clocks."""

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        super().__init__(sys.stderr, sys.stdout, (time.monotonic, time.perf_counter), quiet, as_json)

    def results(self, summary: RunSummary, data: Dataset) -> int:
        """Print what was made and return the exit code."""
        self.tell(summary, data, _peak())
        return SOME_ASIDE if summary.failures else DONE


def _peak() -> int:
    """Most memory used so far, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


# --- verbs


def _read(given: argparse.Namespace, config: Config, console: Console) -> tuple[Dataset, int]:
    """Read the inputs and find the reference time."""
    from reportgen.data.dataset import Dataset

    with console.stage("read"):
        data = Dataset.from_files(given.events, given.items, given.users, config, not_after=_now() + _DAY)
    if given.as_of is None and not data.timestamps.size:
        raise InputError("events: no usable event to take the reference time from; correct the rows or give --as-of")
    return data, int(data.timestamps.max()) if given.as_of is None else given.as_of


def _config(given: argparse.Namespace) -> Config:
    from reportgen.config import Config, load_config

    return load_config(given.config) if given.config else Config()


def _build(given: argparse.Namespace, console: Console) -> int:
    from reportgen.attention.store import load_model
    from reportgen.audit.facts import hash_inputs
    from reportgen.batch.folder import check_folder
    from reportgen.batch.metrics import check_metrics_file
    from reportgen.batch.model import fit_scorer
    from reportgen.batch.verbs import build_settings
    from reportgen.data.database import fetched

    check_folder(given.out, given.overwrite or given.resume)
    config, key = _config(given), _key(given, console)
    if given.templates is not None and not given.templates.is_dir():
        raise ConfigError(f"{given.templates} is not a folder; name one with --templates")
    if given.metrics_file is not None:
        check_metrics_file(given.metrics_file)
    tables = {"events": given.events, "items": given.items, "users": given.users}
    with fetched(config.input, tables) as files:  # what a database says is asked once, then hashed and read
        vars(given).update(files)
        inputs = tuple(
            file for table, where in files.items() for file in hash_inputs(table, where, config.input.delimiter)
        )
        data, as_of = _read(given, config, console)
    with console.stage("fit"):
        scorer = load_model(given.model) if given.model is not None else fit_scorer(data, config, as_of)
    settings = build_settings(given, config, key, as_of, _generated(as_of), data, inputs)
    return (
        _plan(settings, data, scorer) if given.plan_only else _run(settings, data, scorer, console, given.metrics_file)
    )


def _generated(as_of: int) -> tuple[str, str]:
    """The time written into documents, and where it comes from."""
    from reportgen.report.record import iso

    given = _source_date()
    return (iso(as_of), "as_of") if given is None else (iso(given), "SOURCE_DATE_EPOCH")


def _run(
    settings: RunSettings, data: Dataset, scorer: AttentionScorer, console: Console, metrics: Path | None = None
) -> int:
    from reportgen.batch.run import build_run
    from reportgen.batch.signals import stopping
    from reportgen.batch.watch import Watch
    from reportgen.report.record import iso

    def when(seconds: float) -> str:
        return iso(int(seconds * 1_000_000))

    log = console.log if console.as_json else None
    watch = Watch(settings.out, time.monotonic, time.time, when, console.show, log, metrics)
    with stopping() as stop, watch.ending(lambda: stop.name):
        summary = build_run(settings, data, scorer, watch.say, clock=time.perf_counter, hear=watch.hear, stop=stop)
        watch.done(summary)
    return console.results(summary, data)


def _plan(settings: RunSettings, data: Dataset, scorer: AttentionScorer) -> int:
    from reportgen.batch.plan import FILE
    from reportgen.batch.run import plan_run

    plan, missing = plan_run(settings, data, scorer, clock=time.perf_counter)
    print(settings.out / FILE)
    print(f"shards: 0-{plan.shards - 1}, {len(missing)} to make; then the same build with --resume")
    return DONE


def _get(given: argparse.Namespace, console: Console) -> int:
    from reportgen.batch.verbs import take_report

    report = take_report(given, lambda: _key(given, console))
    if report is not None:
        sys.stdout.buffer.write(report)
        sys.stdout.buffer.flush()
    return DONE


def _shard(given: argparse.Namespace, console: Console) -> int:
    from reportgen.batch.signals import stopping
    from reportgen.batch.verbs import make_shards

    with stopping() as stop:
        users, aside = make_shards(given.plan, given.shards, stop)
    if not console.quiet:
        print(f"shards: {len(given.shards)} with {users} reported users" + (f", {aside} set aside" if aside else ""))
    return SOME_ASIDE if aside else DONE


def _fit(given: argparse.Namespace, console: Console) -> int:
    from reportgen.batch.model import check_model_folder, fit_scorer, store_model

    check_model_folder(given.model, given.overwrite)
    config = _config(given)
    data, as_of = _read(given, config, console)
    with console.stage("fit"):
        scorer = fit_scorer(data, config, as_of)
    made = store_model(scorer, given.model, given.overwrite)
    print(given.model)
    if not console.quiet:
        print(f"model {made} from {scorer.n_users_} users and {scorer.item_ids_.size} items")
    return DONE


def _evaluate(given: argparse.Namespace, console: Console) -> int:
    from reportgen.batch.evaluate import check_evaluation_folder, run_evaluation, tell_evaluation, write_evaluation

    if given.out is not None:
        check_evaluation_folder(given.out, given.overwrite)
    config = _config(given)
    data, as_of = _read(given, config, console)
    found = run_evaluation(data, config, as_of, given.n, given.max_users, time.perf_counter, console.note)
    if given.out is not None:
        print(write_evaluation(found, data, as_of, _generated(as_of), given.out, given.overwrite))
    if given.out is None or not console.quiet:
        for line in tell_evaluation(found):
            print(line)
    return DONE


def _demo(given: argparse.Namespace, console: Console) -> int:
    from reportgen.batch.demo import demo_data, demo_settings
    from reportgen.batch.folder import check_folder, is_made_up
    from reportgen.batch.model import fit_scorer

    overwrite = given.overwrite or is_made_up(given.out)
    check_folder(given.out, overwrite)
    with console.stage("read"):
        data, config, inputs = demo_data(given.users)
    as_of = int(data.timestamps.max())
    with console.stage("fit"):
        scorer = fit_scorer(data, config, as_of)
    settings = demo_settings(given.out, config, as_of, inputs)
    written, source = _generated(as_of)
    settings = replace(settings, overwrite=overwrite, generated_at=written, generated_at_source=source)
    return _run(settings, data, scorer, console)


def _doctor(given: argparse.Namespace, console: Console) -> int:
    from reportgen.batch.doctor import examine

    checks = examine()
    for check in checks:
        if not given.quiet or check.state != "ok":
            print(f"{check.state:<5} {check.name}: {check.told}")
    failed = sum(check.state == "fail" for check in checks)
    if failed:
        return console.error(f"{failed} of {len(checks)} checks failed; see above for what to install", FAILED)
    return DONE
