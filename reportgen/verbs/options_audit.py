"""What can be said to the verbs that prove, erase and compare. Light, like `reportgen.verbs.options`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from reportgen.languages import LOCALES
from reportgen.verbs.option_types import locale, some_of
from reportgen.verbs.options_foreign import add_tables

#: Forms of an audit report.
_FORMATS = ("html", "pdf", "json")
#: Makes the parser of a verb from its name and what it does.
Verb = Callable[[str, str], argparse.ArgumentParser]
#: Adds the options of the input tables to a parser.
Inputs = Callable[[argparse.ArgumentParser], None]


def add_audit_verbs(verb: Verb, inputs: Inputs) -> None:
    """Add the verbs of the audit, one function each."""
    _add_keygen(verb("keygen", "make a pair of keys to sign runs with"))
    _add_sign(verb("sign", "sign a finished run"))
    _add_verify(verb("verify", "prove or disprove a run: hashes, root, signature, chain, sums, completeness"))
    _add_forget(verb("forget", "erase one user's reports from a run; the proof stays whole"))
    _add_purge(verb("purge", "erase all personal content of a run after its retention; manifest and proof stay"))
    _add_rebuild(verb("rebuild", "make a run again from the same inputs and compare every byte"), inputs)
    _add_report(verb("audit", "write the audit report of a finished run"))
    _add_diff(verb("diff", "say what changed between the reasons of two runs, and why"))
    _add_answer(verb("answer", "one file with all that was made and used about one person, for a request of access"))
    _add_lawpack(verb("lawpack", "check a law pack and print what it would ask"))


def _add_run(verb: argparse.ArgumentParser, name: str = "run") -> None:
    verb.add_argument(name, type=Path, metavar=name.upper(), help="a finished run folder")


def _add_person(verb: argparse.ArgumentParser) -> None:
    """How a user is named: by the shop's id, with the secret of the run, or by the key of a report."""
    verb.add_argument("--by-key", action="store_true", help="USER is a key: 24 letters, as in the names of reports")
    verb.add_argument("--key-file", type=Path, metavar="F", help="the secret of the run (REPORTGEN_KEY)")


def add_signing_key(verb: argparse.ArgumentParser) -> None:
    """The private key; ``build`` takes it too."""
    verb.add_argument(
        "--signing-key", type=Path, metavar="F", help="private Ed25519 key made by keygen (REPORTGEN_SIGNING_KEY)"
    )


def add_sealing(build: argparse.ArgumentParser) -> None:
    """What ``build`` may be told about the proof that it leaves."""
    add_signing_key(build)
    build.add_argument("--previous", type=Path, metavar="RUN", help="the run before this one, to chain to")
    build.add_argument(
        "--retention-until", metavar="DATE", help="the day from which on purge may erase the reports: 2027-01-31"
    )


def _add_keygen(keygen: argparse.ArgumentParser) -> None:
    keygen.add_argument("--out", type=Path, required=True, metavar="DIR", help="where both keys are written")


def _add_sign(sign: argparse.ArgumentParser) -> None:
    _add_run(sign)
    add_signing_key(sign)


def _add_verify(verify: argparse.ArgumentParser) -> None:
    _add_run(verify)
    add = verify.add_argument
    add(
        "--public-key", type=Path, metavar="F", help="public key of who signed; without it the signature is not checked"
    )
    add("--previous", type=Path, metavar="RUN", help="the run before this one, to check the chain")
    add("--user", metavar="USER", help="also print the inclusion proof of this user as JSON")
    _add_person(verify)
    add("--ids", type=Path, metavar="F", help="text file with one raw id per line: none of them may occur in the run")
    add("--json", action="store_true", help="print the result as JSON")


def _add_forget(forget: argparse.ArgumentParser) -> None:
    _add_run(forget)
    forget.add_argument("user", metavar="USER", help="the user's id; or the key of a report, with --by-key")
    _add_person(forget)
    add_signing_key(forget)


def _add_purge(purge: argparse.ArgumentParser) -> None:
    _add_run(purge)
    add_signing_key(purge)


def _add_rebuild(rebuild: argparse.ArgumentParser, inputs: Inputs) -> None:
    _add_run(rebuild)
    inputs(rebuild)
    add_tables(rebuild)
    add = rebuild.add_argument
    add("--model", type=Path, metavar="DIR", help="the model of the run; one is fitted when left out")
    add("--templates", type=Path, metavar="DIR", help="the operator's own templates, where the run used some")
    add("--key-file", type=Path, metavar="F", help="the secret of the run (REPORTGEN_KEY)")
    add("--work", type=Path, metavar="DIR", help="keep the second run there; a temporary folder when left out")
    add("--json", action="store_true", help="print the result as JSON")


def _add_diff(diff: argparse.ArgumentParser) -> None:
    _add_run(diff, "run_a")
    _add_run(diff, "run_b")
    diff.add_argument("--users", type=int, default=20, metavar="N", help="users told one by one in text (20)")
    diff.add_argument("--json", action="store_true", help="print everything as JSON")


def _add_report(audit: argparse.ArgumentParser) -> None:
    _add_run(audit)
    add = audit.add_argument
    add("--out", type=Path, metavar="DIR", help="where audit.html, audit.pdf and audit.json go (RUN/audit)")
    add("--format", type=some_of(_FORMATS), default=_FORMATS, metavar="F,F", help="of html,pdf,json (all)")
    add("--locale", type=locale, metavar="TAG", help=f"{', '.join(LOCALES)} (that of the run)")
    add("--against", type=Path, metavar="RUN", help="the run before this one, to tell what changed")
    add(
        "--law-pack", type=Path, action="append", default=[], metavar="F.toml",
        help="an own law pack that the run names; may be repeated",
    )  # fmt: skip
    add(
        "--pdf-key",
        type=Path,
        metavar="F",
        help="seal audit.pdf with this private key: PEM, or PKCS#12 with certificates",
    )
    add("--pdf-cert", type=Path, metavar="F", help="its certificate and those above it, as PEM")
    add("--pdf-pass", type=Path, metavar="F", help="file with the pass phrase of the key (REPORTGEN_PDF_PASS)")


def add_law_packs(verb: argparse.ArgumentParser) -> None:
    """Packs of the operator's own: a run names them without their folder."""
    verb.add_argument(
        "--law-pack",
        type=Path,
        action="append",
        default=[],
        metavar="F",
        help="a law pack of your own that the run names",
    )


def _add_answer(answer: argparse.ArgumentParser) -> None:
    _add_run(answer)
    add = answer.add_argument
    add("user", metavar="USER", help="the user's id; or the key of a report, with --by-key")
    _add_person(answer)
    add("--out", type=Path, required=True, metavar="F.zip", help="where the answer is written")
    for name in ("events", "items", "users"):
        add(f"--{name}", metavar="F", help=f"the {name} that the run was made from, to hand out the person's own rows")
    add("--config", metavar="F", help="the reportgen.toml of the run")
    add("--locale", type=locale, metavar="TAG", help=f"{', '.join(LOCALES)} (that of the report)")
    add_law_packs(answer)


def _add_lawpack(lawpack: argparse.ArgumentParser) -> None:
    lawpack.add_argument("file", metavar="FILE", help="a .toml file, or the name of a built-in pack such as eu-gdpr")
    lawpack.add_argument("--locale", type=locale, default="en", metavar="TAG", help=f"{', '.join(LOCALES)} (en)")
