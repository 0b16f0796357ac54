"""What a run is told, what it is made with, and what it says at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from reportgen.audit.seal import Sealing
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError
from reportgen.explain.explanation import Explanation
from reportgen.explain.foreign import ForeignExplanation
from reportgen.explain.privacy import Privacy, pseudonym
from reportgen.explain.why import explain_many
from reportgen.formats import FIGURES, FORMATS, REFITS, REFITS_TOLD
from reportgen.mail.message import token_key
from reportgen.mail.outgoing import FORMATS as MAILS
from reportgen.mail.outgoing import Mailer, check_mails
from reportgen.output.facts import InputFile
from reportgen.output.manifest import Users, plain_config
from reportgen.report.build import build_report
from reportgen.report.columns import many_figures
from reportgen.report.document import Report
from reportgen.report.html import render_html
from reportgen.report.theme import theme_of
from reportgen.report.words import LOCALES

#: What a report can be made from: reasons of our own model, or what another model looked at.
Why = Explanation | ForeignExplanation

#: ``worker`` is no stage of the work: the process that did it was killed or hung.
STAGES = ("explain", "origins", "report", "html", "pdf", "mail", "write", "count", "worker")


@dataclass(frozen=True)
class RunSettings:
    """Everything that a run is told.

    Attributes
    ----------
    out : Path
        The run folder.
    key : bytes
        Secret behind the pseudonyms.
    as_of : int
        Microseconds since 1970-01-01 UTC.
    generated_at : str
        ISO 8601 time written into documents and the manifest.
    generated_at_source : str
        ``SOURCE_DATE_EPOCH`` or ``as_of``.
    formats : tuple of str
        Of `FORMATS`.
    locale : str
        For users without an available one of their own.
    n : int
        Products per report.
    users : tuple of str, optional
        Only these ids.
    limit, pdf_limit : int, optional
        Only the first users in the order of ids; PDFs only for the first of them.
    figures : str
        Of `FIGURES`.
    templates : Path, optional
        The operator's own templates.
    overwrite : bool
        A former run in `out` may be replaced.
    synthetic : bool
        Say on every page that the data are made up.
    inputs : tuple of InputFile
    chunk : int
        Users explained in one go; does not change a byte.
    shard : int, optional
        Users per shard; chosen by the formats when None.
    packs : bool, optional
        One ZIP per shard rather than one file per report; by the number of users when None.
    user_seconds : float, optional
        The longest that one step may take for one user, before the user is set aside.
    workers : int
        Processes on this machine; with 1, everything happens in the calling process.
    scheduler : str
        Address of a Dask scheduler, to use its workers instead.
    resume : bool
        Go on with a run that was interrupted, or mend one that is damaged.
    sealing : Sealing
        Who signs the run, which one it follows, and how long its reports are kept.
    token_key : bytes
        What a worker, which has no `key`, makes the tokens in mails with.
    since : Path, optional
        A finished run: users whose report would be the same are taken over from it.
    stability : int
        How often the model is fitted again on people drawn anew, to measure how stable reasons are; 0 measures nothing.
    reading : mapping of str to str or bool
        How another model's weights are read, and what that model is called; empty in other runs.
    keep : str
        Unless empty, data and model stay in the private part of the run folder until the run is complete, so that `resume` need not
        read and fit again; it says whether the model was ``fitted`` for this run or ``given``.
    """

    out: Path
    key: bytes = field(repr=False)
    as_of: int
    generated_at: str
    generated_at_source: str = "as_of"
    config: Config = field(default_factory=Config)
    formats: tuple[str, ...] = ("html", "json")
    locale: str = "en"
    n: int = 5
    users: tuple[str, ...] | None = None
    limit: int | None = None
    pdf_limit: int | None = None
    figures: str = "cells"
    templates: Path | None = None
    overwrite: bool = False
    synthetic: bool = False
    inputs: tuple[InputFile, ...] = ()
    chunk: int = 250
    shard: int | None = None
    packs: bool | None = None
    user_seconds: float | None = None
    workers: int = 1
    scheduler: str = ""
    resume: bool = False
    sealing: Sealing = field(default_factory=Sealing)
    token_key: bytes = field(default=b"", repr=False)
    since: Path | None = None
    stability: int = 0
    reading: Mapping[str, str | bool] = field(default_factory=dict)
    keep: Literal["", "fitted", "given"] = ""

    def check(self) -> None:
        """Refuse words that are not known.

        Raises
        ------
        ConfigError
            Names the value and what is allowed.
        """
        for what, given, known in (
            ("format", self.formats, tuple(FORMATS)),
            ("locale", (self.locale,), tuple(LOCALES)),
            ("figures", (self.figures,), FIGURES),
        ):
            wrong = next((word for word in given if word not in known), None)
            if wrong is not None or not given:
                raise ConfigError(f"{what} {wrong or ''!r} is not available; use one of {', '.join(known)}")
        if min(self.chunk, self.workers, 1 if self.shard is None else self.shard) < 1:
            raise ConfigError("workers, and users per shard and chunk, are at least 1")
        if self.stability not in REFITS:
            raise ConfigError(f"stability: {self.stability} refits; {REFITS_TOLD}")
        theme_of(self.config.look)  # a logo that cannot be used stops the run at once, not user by user
        check_mails(self.config, self.formats)

    def mailer(self, run_id: str) -> Mailer | None:
        """What makes the mails of the run; None where it has none."""
        mails = tuple(word for word in MAILS if word in self.formats)
        date, tokens = datetime.fromisoformat(self.generated_at), self.token_key or token_key(self.key)
        return Mailer(self.config, mails, tokens, run_id, date, self.figures, self.templates) if mails else None

    def to_dict(self) -> dict[str, Any]:
        """The settings as a manifest holds them: no folder, no key, users as pseudonyms."""
        names = ("locale", "n", "limit", "pdf_limit", "figures", "synthetic")
        options: dict[str, Any] = {name: getattr(self, name) for name in names}
        options["formats"] = [word for word in FORMATS if word in self.formats]
        options["own_templates"] = self.templates is not None
        if self.stability:
            options["stability"] = self.stability
        if self.reading:
            options["weights"] = dict(self.reading)
        logo = theme_of(self.config.look).logo  # its name alone would not tell that another picture is in the pages now
        options["logo_sha256"] = sha256(logo.encode("ascii")).hexdigest() if logo else None
        options["users"] = None if self.users is None else sorted(pseudonym(self.key, user) for user in set(self.users))
        return {"config": plain_config(self.config, self.key), "options": options}


def _pdf(report: Report, figures: str, templates: str | Path | None) -> bytes:
    from reportgen.report.pdf import render_pdf  # half a second of imports that a run without PDFs does not need

    return render_pdf(report, figures, templates)


def _nothing(_whys: Sequence[Why]) -> Mapping[str, int]:
    """Count nothing beside what the statistics of every run count."""
    return {}


@dataclass(frozen=True)
class Tools:
    """The steps from a user to bytes; a test or a caller may put others in their place.

    Attributes
    ----------
    explain : callable
        As `explain_many`; its first argument is the scorer, or the engine of the run where that has none.
    report : callable
        As `build_report`, with the user's part of `figures` as last argument.
    html, pdf : callable
    figures : callable
        What reports of a chunk can have worked out together: one entry per explanation, None where each does it alone.
    count : callable
        Whole numbers by name that the end of the run needs; they are added up over all users, see `Engine.closing`.
    """

    explain: Callable[
        [Any, Dataset, Iterable[str], int, int | None, Privacy | None], Sequence[Why]
    ] = explain_many  # fmt: skip
    report: Callable[..., Report] = build_report
    html: Callable[..., str] = render_html
    pdf: Callable[..., bytes] = _pdf
    figures: Callable[[Any], Sequence[Any]] = many_figures
    count: Callable[[Sequence[Why]], Mapping[str, int]] = _nothing


@dataclass(frozen=True)
class Failure:
    """One user set aside: pseudonym, stage (of `STAGES`) and reason without the user's id or name."""

    user: str
    stage: str
    reason: str


@dataclass(frozen=True)
class Since:
    """What was taken over from a former run.

    Attributes
    ----------
    run : str
        Name of its folder; empty where none was named.
    changed : tuple of str
        Parts that all reports share and that were others there; where there is one, nobody was taken over.
    outcomes : dict of str to int
        Users by what became of them, of `reportgen.batch.origins.OUTCOMES`.
    """

    run: str = ""
    changed: tuple[str, ...] = ()
    outcomes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSummary:
    """What a run made.

    Attributes
    ----------
    index, manifest : Path
    made : dict of str to int
        Reports per format.
    seconds : dict of str to float
        By stage; of the clock that was passed in, or processor time where other processes worked.
    written : int
        Bytes of all reports.
    peak_worker : int
        Most memory of a process that made reports, in bytes; 0 when nothing was made.
    shards : dict of str to int
        ``done`` now, ``kept`` of a former run, ``again`` at a further attempt, ``apart`` where a chunk of users failed as a whole.
    unmailed : dict of str to int
        Mails that were not made, by reason.
    since : Since
    """

    index: Path
    manifest: Path
    run_id: str
    users: Users
    made: dict[str, int]
    failures: tuple[Failure, ...]
    seconds: dict[str, float]
    written: int = 0
    peak_worker: int = 0
    shards: dict[str, int] = field(default_factory=dict)
    unmailed: dict[str, int] = field(default_factory=dict)
    since: Since = field(default_factory=Since)
