"""What can be said on the command line. Light: ``reportgen --help`` loads nothing but this."""

from __future__ import annotations

import argparse
from pathlib import Path

from reportgen.formats import FIGURES, FORMATS
from reportgen.languages import LOCALES
from reportgen.verbs.option_types import locale, moment, place, refits, some_of, whole
from reportgen.verbs.options_audit import add_audit_verbs, add_sealing
from reportgen.verbs.options_foreign import add_foreign
from reportgen.verbs.options_mail import add_mail_verbs


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
    demo.add_argument("--users", type=whole(1), default=400, metavar="N", help="size of the shop (400)")
    demo.add_argument("--overwrite", action="store_true", help="replace a run on other data too")
    _add_build(verb("build", "make one report per user"))
    _add_get(verb("get", "take one report out of a run"))
    _add_shard(verb("shard", "make shards of a planned run, for a cluster's own queue"))
    fit = verb("fit", "fit a model and save it")
    _add_inputs(fit)
    fit.add_argument("--model", type=Path, required=True, metavar="DIR", help="where to save it")
    fit.add_argument("--overwrite", action="store_true", help="replace a model")
    _add_evaluate(verb("evaluate", "measure how well it recommends on your data, beside known recommenders"))
    add_audit_verbs(verb, _add_inputs)
    add_mail_verbs(verb)
    verb("doctor", "look at packages, libraries and fonts")
    return parser


def _add_inputs(verb: argparse.ArgumentParser) -> None:
    for name, needed in (("events", True), ("items", True), ("users", False)):
        verb.add_argument(
            f"--{name}", required=needed, metavar="F",
            help="CSV, TSV or Parquet: file, folder or glob; or DATABASE-URL::SELECT ...",
        )  # fmt: skip
    verb.add_argument("--config", metavar="F", help="reportgen.toml")
    verb.add_argument("--as-of", type=moment, metavar="TIME", help="ISO time, UTC without a zone (the newest event)")


def _add_build(build: argparse.ArgumentParser) -> None:
    _add_inputs(build)
    add = build.add_argument
    add("--model", type=Path, metavar="DIR", help="a model made by fit; one is fitted when left out")
    add("--out", type=Path, required=True, metavar="DIR")
    add(
        "--format",
        type=some_of(FORMATS),
        default=("html", "json"),
        metavar="F,F",
        help=f"of {','.join(FORMATS)} (html,json)",
    )
    add("--locale", type=locale, metavar="TAG", help=f"for users without one of their own: {', '.join(LOCALES)}")
    add("--n", type=whole(1), metavar="N", help="products per report")
    add("--user", action="append", metavar="ID", help="only this user; may be repeated")
    add("--limit", type=whole(1), metavar="N", help="only the first N users")
    add("--pdf-limit", type=whole(0), metavar="N", help="PDFs only for the first N users")
    add("--figures", choices=FIGURES, default="cells", help="how heatmaps are drawn")
    add("--templates", type=Path, metavar="DIR", help="own templates, in front of the built-in ones")
    add(
        "--key-file",
        type=Path,
        metavar="F",
        help="secret behind file names (REPORTGEN_KEY, else one is made)",
    )
    add("--overwrite", action="store_true", help="replace a former run")
    add("--resume", action="store_true", help="go on with the same run, or mend it: make what is missing or damaged")
    add("--since", type=Path, metavar="RUN", help="take reports that would be the same over from this finished run")
    add("--copy-to", metavar="URL", help="copy the complete run there: s3://bucket/folder, or what else fsspec knows")
    add("--workers", type=whole(1), default=1, metavar="N", help="processes on this machine (1: this one alone)")
    add("--scheduler", default="", metavar="ADDRESS", help="use the workers of this Dask scheduler: tcp://...")
    add("--shard-size", type=whole(1), metavar="N", help="users per shard (1,000; 100 with a PDF for everybody)")
    packs = build.add_mutually_exclusive_group()
    packs.add_argument("--packs", action="store_true", default=None, help="one ZIP per shard (above 50,000 users)")
    packs.add_argument("--no-packs", dest="packs", action="store_false", help="one file per report, however many")
    add(
        "--user-seconds",
        type=whole(0),
        default=120,
        metavar="N",
        help="the longest step of one user; 0: no limit (120)",
    )
    add(
        "--stability",
        type=refits,
        default=0,
        metavar="N",
        help="fit N more times to measure how stable reasons are (0: do not; 20 is a good number)",
    )
    add_sealing(build)
    add_foreign(build)
    add("--plan-only", action="store_true", help="stop before the shards: others make them with reportgen shard")
    add("--metrics-file", type=Path, metavar="F.prom", help="counts and times for Prometheus' textfile collector")


def _add_get(get: argparse.ArgumentParser) -> None:
    get.add_argument("run", type=place, metavar="RUN", help="a finished run folder, or the URL of a copy (--copy-to)")
    get.add_argument("user", metavar="USER", help="the user's id; or the key of a report, with --by-key")
    get.add_argument("--by-key", action="store_true", help="USER is a key: 24 letters, as in the names of reports")
    get.add_argument("--format", choices=tuple(FORMATS), default="html", help="which report (html)")
    get.add_argument("--out", type=Path, metavar="F", help="write it there instead of to stdout")
    get.add_argument("--key-file", type=Path, metavar="F", help="the secret of the run (REPORTGEN_KEY)")


def _add_shard(shard: argparse.ArgumentParser) -> None:
    shard.add_argument(
        "--plan", type=Path, required=True, metavar="P", help="run_plan.json of a run folder, or the folder"
    )
    shard.add_argument("--shards", type=_span, required=True, metavar="A-B", help="numbers from 0, both ends included")


def _span(text: str) -> range:
    first, dash, last = text.partition("-")
    words = (first, last if dash else first)
    if not all(word.isascii() and word.isdigit() for word in words) or int(words[0]) > int(words[1]):
        raise argparse.ArgumentTypeError(f"{text!r} are no shards; write 0-99 or 7")
    return range(int(words[0]), int(words[1]) + 1)


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    _add_inputs(evaluate)
    add = evaluate.add_argument
    add("--out", type=Path, metavar="DIR", help="also write evaluation.json and evaluation.html there")
    add("--n", type=whole(1), default=10, metavar="N", help="length of the lists that are judged (10)")
    add("--locale", type=locale, metavar="TAG", help=f"of the page: {', '.join(LOCALES)} ([report] locale)")
    add("--max-users", type=whole(1), metavar="N", help="judge at most N users, drawn at random")
    add("--overwrite", action="store_true", help="replace a former evaluation")
