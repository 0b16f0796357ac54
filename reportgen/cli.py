"""The command line: verbs, the clock, the environment, exit codes. Heavy imports wait inside the verbs."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen.errors import ConfigError, InputError, ReportgenError

if TYPE_CHECKING:
    from reportgen.attention.scorer import AttentionScorer
    from reportgen.batch.settings import RunSettings, RunSummary
    from reportgen.config import Config
    from reportgen.data.dataset import Dataset

DONE, FAILED, USAGE, SOME_ASIDE, INTERRUPTED = 0, 1, 2, 3, 130
FORMATS, LOCALES, FIGURES = ("html", "pdf", "json"), ("en", "zh-CN"), ("cells", "png", "svg")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns
    -------
    int
        0 done; 1 an error, told in one line on stderr; 2 usage; 3 done, but some users were set aside; 130 interrupted.
    """
    try:
        given = _parser().parse_args(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    console = Console(getattr(given, "quiet", False), getattr(given, "log_format", "text") == "json")
    try:
        code: int = given.verb(given, console)
        return code
    except ReportgenError as error:
        return console.error(str(error), error.exit_code)
    except KeyboardInterrupt:
        return console.error("interrupted; run it again with --overwrite", INTERRUPTED)
    except OSError as error:
        return console.error(f"{error.strerror or error}; check the disk and the rights of the folders", FAILED)


# --- what can be said


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reportgen", description="Reports that answer: why did I see these products?", allow_abbrev=False)
    parser.add_argument("--version", action=_Version)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, run: Callable[[Any, Console], int], told: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=told, description=told, allow_abbrev=False)
        made.set_defaults(verb=run)
        made.add_argument("--quiet", action="store_true", help="no progress; of the results only the path")
        made.add_argument("--log-format", choices=("text", "json"), default="text", help="form of what goes to stderr")
        return made

    demo = verb("demo", _demo, "make reports from a made-up shop")
    demo.add_argument("--out", type=Path, default=Path("demo-report"), metavar="DIR")
    demo.add_argument("--users", type=_whole(1), default=400, metavar="N", help="size of the shop (400)")
    demo.add_argument("--overwrite", action="store_true", help="replace a run on other data too")
    _add_build(verb("build", _build, "make one report per user"))
    fit = verb("fit", _fit, "fit a model and save it")
    _add_inputs(fit)
    fit.add_argument("--model", type=Path, required=True, metavar="DIR", help="where to save it")
    fit.add_argument("--overwrite", action="store_true", help="replace a model")
    verb("doctor", _doctor, "look at packages, libraries and fonts")
    return parser


def _add_inputs(verb: argparse.ArgumentParser) -> None:
    for name, needed in (("events", True), ("items", True), ("users", False)):
        verb.add_argument(f"--{name}", required=needed, metavar="F", help="CSV, TSV or Parquet: a file, a folder or a glob")
    verb.add_argument("--config", metavar="F", help="reportgen.toml")
    verb.add_argument("--as-of", type=_moment, metavar="TIME", help="ISO date or time, UTC without a zone (the newest event)")


def _add_build(build: argparse.ArgumentParser) -> None:
    _add_inputs(build)
    add = build.add_argument
    add("--model", type=Path, metavar="DIR", help="a model made by fit; one is fitted when left out")
    add("--out", type=Path, required=True, metavar="DIR")
    add("--format", type=_formats, default=("html", "json"), metavar="F,F", help="of html,pdf,json (html,json)")
    add("--locale", choices=LOCALES, help="for users without one of their own")
    add("--n", type=_whole(1), metavar="N", help="products per report")
    add("--user", action="append", metavar="ID", help="only this user; may be repeated")
    add("--limit", type=_whole(1), metavar="N", help="only the first N users")
    add("--pdf-limit", type=_whole(0), metavar="N", help="PDFs only for the first N users")
    add("--figures", choices=FIGURES, default="cells", help="how heatmaps are drawn")
    add("--templates", type=Path, metavar="DIR", help="own templates, in front of the built-in ones")
    add("--key-file", type=Path, metavar="F", help="secret behind the names of files; else REPORTGEN_KEY, else one is made")
    add("--overwrite", action="store_true", help="replace a former run")


class _Version(argparse.Action):
    """Looked up only when asked for: reading package metadata takes longer than everything else in --help."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from reportgen.audit.facts import tool_version

        print(f"reportgen {tool_version()}")
        parser.exit()


def _whole(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return number


def _formats(text: str) -> tuple[str, ...]:
    words = text.split(",")
    wrong = next((word for word in words if word not in FORMATS), None)
    if wrong is not None:
        raise argparse.ArgumentTypeError(f"{wrong!r} is not available; use one or more of {','.join(FORMATS)}")
    return tuple(word for word in FORMATS if word in words)


def _moment(text: str) -> int:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write 2026-01-31 or 2026-01-31T18:00:00+01:00") from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when - _EPOCH) // timedelta(microseconds=1)


# --- clock, environment, terminal


def _source_date() -> int | None:
    """``SOURCE_DATE_EPOCH`` in microseconds, None when it is not set."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise ConfigError(f"SOURCE_DATE_EPOCH={text!r} is not a whole number of seconds since 1970; correct or unset it")
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
        console.note(f"made a key for the names of files: {path}; keep it, with another one every name changes", always=True)
    return make_key(path)


class Console:
    """Progress and notes on stderr, results on stdout."""

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.bar = sys.stderr.isatty() and not as_json
        self.wait = 0.1 if self.bar else 5.0
        self.last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def _line(self, event: str, text: str, **facts: object) -> None:
        told = json.dumps({"event": event, "message": text} | facts, ensure_ascii=False) if self.as_json else f"reportgen: {text}"
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
            print(f"\r{'#' * filled}{'.' * (30 - filled)} {text} ", end="\n" if done == total else "", file=sys.stderr, flush=True)
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
        raise InputError("events: there is no usable event to take the reference time from; correct the rows or give --as-of")
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

    check_folder(given.out, given.overwrite)
    config, key = _config(given), _key(given, console)
    if given.templates is not None and not given.templates.is_dir():
        raise ConfigError(f"{given.templates} is not a folder; name one with --templates")
    tables = {"events": given.events, "items": given.items, "users": given.users}
    inputs = tuple(file for table, where in tables.items() for file in hash_inputs(table, where, config.input.delimiter))
    data, as_of = _read(given, config, console)
    with console.stage("fit"):
        scorer = load_model(given.model) if given.model is not None else fit_scorer(data, config, as_of)
    users = tuple(given.user) if given.user else None
    settings = RunSettings(
        given.out, key, as_of, *_generated(as_of), config, given.format, given.locale or config.report.locale,
        given.n or config.report.n, users, given.limit, given.pdf_limit, given.figures, given.templates, given.overwrite,
        data.synthetic, inputs,
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
