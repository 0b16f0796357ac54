"""The command line: verbs, the clock, the environment, exit codes. Heavy imports wait inside the verbs."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

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
        verbs = {"demo": _demo, "build": _build, "fit": _fit, "evaluate": _evaluate, "doctor": _doctor}
        return verbs[given.verb](given, console)
    except ReportgenError as error:
        return console.error(str(error), error.exit_code)
    except KeyboardInterrupt:
        return console.error("interrupted; run it again with --overwrite", INTERRUPTED)
    except OSError as error:
        return console.error(f"{error.strerror or error}; check the disk and the rights of the folders", FAILED)


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
    from reportgen.batch.keys import check_key, make_key, read_key

    if given.key_file is not None:
        return read_key(given.key_file)
    if os.environ.get("REPORTGEN_KEY"):
        return check_key(os.fsencode(os.environ["REPORTGEN_KEY"]), "REPORTGEN_KEY")
    home = os.environ.get("XDG_CONFIG_HOME", "")
    path = (Path(home) if os.path.isabs(home) else Path("~/.config").expanduser()) / "reportgen" / "key"
    if not path.exists():
        console.note(
            f"made a key for the names of files: {path}; keep it, with another every name changes", always=True
        )
    return make_key(path)


class Console:
    """Progress and notes on stderr, results on stdout."""

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.bar = sys.stderr.isatty() and not as_json
        self.wait = 0.1 if self.bar else 5.0
        self.last = time.monotonic()
        self.half_line = False
        self.seconds: dict[str, float] = {}

    def _line(self, event: str, text: str, **facts: object) -> None:
        if self.half_line:
            print(file=sys.stderr)
            self.half_line = False
        told = (
            json.dumps({"event": event, "message": text} | facts, ensure_ascii=False)
            if self.as_json
            else f"reportgen: {text}"
        )
        print(told, file=sys.stderr, flush=True)

    def note(self, text: str, always: bool = False) -> None:
        """Say something that is not a result."""
        if always or not self.quiet:
            self._line("note", text)

    def error(self, text: str, code: int) -> int:
        """Say in one line what went wrong, and return the exit code."""
        from reportgen.text import clean

        self._line("error", clean(text, 1000), exit_code=code)
        return code

    def progress(self, done: int, total: int, aside: int) -> None:
        """Draw a bar on a terminal; elsewhere write a line now and then."""
        now = time.monotonic()
        if self.quiet or (now - self.last < self.wait and (done < total or not self.bar)):
            return
        self.last = now
        text = f"{done} of {total} users" + (f", {aside} set aside" if aside else "")
        if self.bar:
            filled = 30 * done // max(total, 1)
            self.half_line = done < total
            print(
                f"\r{'#' * filled}{'.' * (30 - filled)} {text} ",
                end="" if self.half_line else "\n",
                file=sys.stderr,
                flush=True,
            )
        else:
            self._line("progress", text, done=done, total=total, set_aside=aside)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure how long something takes."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def results(self, summary: RunSummary, data: Dataset) -> int:
        """Print what was made and return the exit code."""
        from reportgen.batch.tell import tell

        print(summary.index)
        if not self.quiet:
            for line in tell(summary, data, self.seconds | summary.seconds, _peak()):
                print(line)
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
    from reportgen.batch.model import fit_scorer
    from reportgen.batch.settings import RunSettings
    from reportgen.data.database import fetched

    check_folder(given.out, given.overwrite)
    config, key = _config(given), _key(given, console)
    if given.templates is not None and not given.templates.is_dir():
        raise ConfigError(f"{given.templates} is not a folder; name one with --templates")
    tables = {"events": given.events, "items": given.items, "users": given.users}
    with fetched(config.input, tables) as files:  # what a database says is asked once, then hashed and read
        vars(given).update(files)
        inputs = tuple(
            file for table, where in files.items() for file in hash_inputs(table, where, config.input.delimiter)
        )
        data, as_of = _read(given, config, console)
    with console.stage("fit"):
        scorer = load_model(given.model) if given.model is not None else fit_scorer(data, config, as_of)
    users = tuple(given.user) if given.user else None
    settings = RunSettings(
        given.out, key, as_of, *_generated(as_of), config, given.format, given.locale or config.report.locale,
        given.n or config.report.n, users, given.limit, given.pdf_limit, given.figures, given.templates,
        given.overwrite, data.synthetic, inputs,
    )  # fmt: skip
    return _run(settings, data, scorer, console)


def _generated(as_of: int) -> tuple[str, str]:
    """The time written into documents, and where it comes from."""
    from reportgen.report.record import iso

    given = _source_date()
    return (iso(as_of), "as_of") if given is None else (iso(given), "SOURCE_DATE_EPOCH")


def _run(settings: RunSettings, data: Dataset, scorer: AttentionScorer, console: Console) -> int:
    from reportgen.batch.run import build_run

    return console.results(build_run(settings, data, scorer, console.progress, clock=time.perf_counter), data)


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
