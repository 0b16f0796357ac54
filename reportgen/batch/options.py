"""What can be said on the command line. Light: ``reportgen --help`` loads nothing but this."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

#: Format -> media type, in the order in which links are shown.
FORMATS = {"html": "text/html", "pdf": "application/pdf", "json": "application/json"}
FIGURES = ("cells", "png", "svg")
LOCALES = ("en", "zh-CN")  # as in report/words.py, which loads too much for --help
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def make_parser() -> argparse.ArgumentParser:
    """Verbs and options; ``verb`` of the result is the verb's name.

    Options are never guessed from their beginnings: one that comes later must not be accepted in silence.
    """
    parser = argparse.ArgumentParser(prog="reportgen", description="Why did I see these products?", allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, told: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=told, description=told, allow_abbrev=False)
        made.set_defaults(verb=name)
        made.add_argument("--quiet", action="store_true", help="no progress; of the results only the path")
        made.add_argument("--log-format", choices=("text", "json"), default="text", help="form of what goes to stderr")
        return made

    demo = verb("demo", "make reports from a made-up shop")
    demo.add_argument("--out", type=Path, default=Path("demo-report"), metavar="DIR")
    demo.add_argument("--users", type=_whole(1), default=400, metavar="N", help="size of the shop (400)")
    demo.add_argument("--overwrite", action="store_true", help="replace a run on other data too")
    _add_build(verb("build", "make one report per user"))
    fit = verb("fit", "fit a model and save it")
    _add_inputs(fit)
    fit.add_argument("--model", type=Path, required=True, metavar="DIR", help="where to save it")
    fit.add_argument("--overwrite", action="store_true", help="replace a model")
    _add_evaluate(verb("evaluate", "measure how well it recommends on your data, beside known recommenders"))
    verb("doctor", "look at packages, libraries and fonts")
    return parser


def _add_inputs(verb: argparse.ArgumentParser) -> None:
    for name, needed in (("events", True), ("items", True), ("users", False)):
        verb.add_argument(
            f"--{name}", required=needed, metavar="F",
            help="CSV, TSV or Parquet: file, folder or glob; or DATABASE-URL::SELECT ...",
        )  # fmt: skip
    verb.add_argument("--config", metavar="F", help="reportgen.toml")
    verb.add_argument("--as-of", type=_moment, metavar="TIME", help="ISO time, UTC without a zone (the newest event)")


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
    add(
        "--key-file",
        type=Path,
        metavar="F",
        help="secret behind file names (REPORTGEN_KEY, else one is made)",
    )
    add("--overwrite", action="store_true", help="replace a former run")


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    _add_inputs(evaluate)
    add = evaluate.add_argument
    add("--out", type=Path, metavar="DIR", help="also write evaluation.json and evaluation.html there")
    add("--n", type=_whole(1), default=10, metavar="N", help="length of the lists that are judged (10)")
    add("--max-users", type=_whole(1), metavar="N", help="judge at most N users, drawn at random")
    add("--overwrite", action="store_true", help="replace a former evaluation")


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
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; write 2026-01-31 or 2026-01-31T18:00+01:00"
        ) from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when - _EPOCH) // timedelta(microseconds=1)
