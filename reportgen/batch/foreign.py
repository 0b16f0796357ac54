"""A run on another model's weights: no scorer, no shards; one process reads, tells and writes one user after another."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from reportgen.audit.seal import seal_run
from reportgen.batch.crew import Say, silent, still
from reportgen.batch.index import render_index
from reportgen.batch.people import Choice, Person, choose
from reportgen.batch.plan import MOST_FILES
from reportgen.batch.settings import Failure, RunSettings, RunSummary
from reportgen.batch.work import Clock, SetAsideError, failure
from reportgen.data.dataset import Dataset
from reportgen.data.weights import Ablation, WeightTable
from reportgen.errors import ConfigError, InputError, OutputError, ReportgenError
from reportgen.explain.foreign import ForeignExplanation, ForeignModel, Reading
from reportgen.explain.foreign_measure import measured
from reportgen.explain.foreign_read import ForeignReader
from reportgen.explain.privacy import make_privacy
from reportgen.formats import FORMATS
from reportgen.output.facts import templates_hash
from reportgen.output.folder import MANIFEST, RunFolder, check_folder
from reportgen.output.manifest import (
    Manifest,
    Users,
    key_id,
    plain_inputs,
    plain_problems,
    plain_tables,
    run_id,
)
from reportgen.report.build import Reader
from reportgen.report.foreign import build_foreign_report
from reportgen.report.html import render_html
from reportgen.report.record import iso
from reportgen.workers.limit import time_limit

#: Formats that a page about another model can have: the words of a mail are about our own shares.
PAGES = ("html", "pdf", "json")


@dataclass(frozen=True)
class ForeignRun:
    """What a run on foreign weights is made from.

    Attributes
    ----------
    settings : RunSettings
    data : Dataset
    table : WeightTable
    how : Reading
    model : ForeignModel
    ablation : Ablation, optional
    """

    settings: RunSettings
    data: Dataset
    table: WeightTable
    how: Reading = field(default_factory=Reading)
    model: ForeignModel = field(default_factory=ForeignModel)
    ablation: Ablation | None = None

    def check(self) -> None:
        """Refuse what such a run cannot do.

        Raises
        ------
        ConfigError
        """
        settings = self.settings
        settings.check()
        self.how.check(self.table.heads, self.table.layers)
        refused = {
            "--workers": settings.workers > 1,
            "--scheduler": bool(settings.scheduler),
            "--packs": bool(settings.packs),
            "--resume": settings.resume,
            "--shard-size": settings.shard is not None,
        }
        named = next((option for option, asked in refused.items() if asked), None)
        if named:
            raise ConfigError(f"{named} is not there for --weights: such a run is made by one process in one go")
        wrong = next((word for word in settings.formats if word not in PAGES), None)
        if wrong:
            raise ConfigError(f"format {wrong!r} is not there for --weights; use one or more of {','.join(PAGES)}")


def build_foreign_run(run: ForeignRun, say: Say = silent, clock: Clock = still) -> RunSummary:
    """Make a run folder with a page for each user of a table of weights.

    A user who fails at any stage is set aside in ``errors.jsonl`` and the run goes on. The same inputs, settings and versions
    give the same bytes.

    Parameters
    ----------
    run : ForeignRun
    say : callable, optional
        Called with users done, users in all, users set aside.
    clock : callable, optional

    Returns
    -------
    RunSummary

    Raises
    ------
    ConfigError, InputError, OutputError
    ReportgenError
        Every user failed.
    """
    run.check()
    settings, choice = run.settings, _chosen(run)
    check_folder(settings.out, settings.overwrite)
    settings.out.mkdir(parents=True, exist_ok=True)
    made_up = settings.synthetic or settings.config.report.synthetic
    maker = _Maker(run, RunFolder(settings.out, settings.overwrite, made_up), clock)
    for done, person in enumerate(choice.people):
        maker.one(person, settings.pdf_limit is None or done < settings.pdf_limit)
        say(done + 1, len(choice.people), len(maker.failures))
    if maker.failures and not maker.users:
        first = maker.failures[0]
        raise ReportgenError(
            f"no report could be made: all {len(maker.failures)} users failed; the first at {first.stage} with {first.reason}"
        )
    return maker.close(choice)


def _chosen(run: ForeignRun) -> Choice:
    """Users of the table, or those of them who were asked for."""
    settings, ids = run.settings, run.data.user_ids
    there = tuple(str(user) for user in ids[run.table.users()])
    if settings.users is not None:
        missing = set(settings.users) - set(there)
        if missing & set(ids.tolist()):
            raise InputError("a user asked for with --user has no row in the weights; add one or leave the user out")
    choice = choose(run.data, settings.key, settings.locale, settings.users or there, settings.limit)
    if len(choice.people) > MOST_FILES and settings.packs is None:
        told = f"{len(choice.people)} users would be as many files, and packs are not there for --weights yet"
        raise ConfigError(f"{told}; name some with --user or --limit, or say --no-packs")
    return choice


@dataclass
class _Maker:
    """Makes the reports and counts."""

    run: ForeignRun
    folder: RunFolder
    clock: Clock
    users: int = 0
    failures: list[Failure] = field(default_factory=list)
    made: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        run, settings = self.run, self.run.settings
        privacy = make_privacy(run.data, settings.config.privacy)
        self.reader = ForeignReader(run.table, run.data, settings.as_of, privacy, run.how, run.model)
        self.place = {str(run.data.user_ids[user]): int(user) for user in run.table.users()}

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = self.clock()
        try:
            with time_limit(self.run.settings.user_seconds):
                yield
        except OutputError:
            raise
        except Exception as error:
            raise SetAsideError(name) from error
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self.clock() - start

    def one(self, person: Person, with_pdf: bool) -> None:
        try:
            files = self._files(person, with_pdf)
            with self._stage("write"):
                for word, data in files.items():
                    self.folder.write(f"{person.stem}.{word}", data, FORMATS[word])
        except SetAsideError as aside:
            self.failures.append(failure(person, str(aside), aside.__cause__ or aside))
            self.folder.drop({f"{person.stem}.{word}" for word in PAGES})
            return
        self.users += 1
        self.made.update(files.keys())

    def _files(self, person: Person, with_pdf: bool) -> dict[str, bytes]:
        settings, files = self.run.settings, dict[str, bytes]()
        with self._stage("explain"):
            why: ForeignExplanation = measured(
                self.reader, self.place[person.user_id], settings.n, None, self.run.ablation, 0
            )
        with self._stage("report"):
            reader = Reader(person.key, person.name)
            report = build_foreign_report(
                why, person.locale, settings.generated_at, settings.config, reader, settings.synthetic
            )
        if "html" in settings.formats:
            with self._stage("html"):
                files["html"] = render_html(report, settings.figures, settings.templates).encode("utf-8")
        if "pdf" in settings.formats and with_pdf:
            from reportgen.report.pdf import (
                render_pdf,
            )  # half a second of imports that a run without PDFs does not need

            with self._stage("pdf"):
                files["pdf"] = render_pdf(report, settings.figures, settings.templates)
        if "json" in settings.formats:
            files["json"] = (report.to_json() + "\n").encode("utf-8")
        return files

    def close(self, choice: Choice) -> RunSummary:
        """Write list of errors, index and manifest."""
        settings, folder = self.run.settings, self.folder
        self.failures.sort(key=lambda failed: (failed.user, failed.stage))
        lines = [json.dumps(vars(failed), sort_keys=True, ensure_ascii=False) + "\n" for failed in self.failures]
        folder.write("errors.jsonl", "".join(lines).encode("utf-8", "backslashreplace"), "application/x-ndjson")
        total = self.users + len(self.failures) + choice.opted_out + choice.not_chosen
        users = Users(total, self.users, len(self.failures), choice.opted_out, choice.not_chosen)
        manifest = self._manifest(users)
        aside = {failed.user for failed in self.failures}
        people = [person for person in choice.people if person.key not in aside]
        page = render_index(manifest, settings, people, folder.outputs, self.failures)
        folder.write("index.html", page.encode("utf-8"), "text/html")
        written = sum(output.bytes for output in folder.outputs if output.path.startswith("reports/"))
        manifest = replace(manifest, outputs=tuple(folder.outputs))
        manifest = seal_run(folder, manifest, settings.key, settings.config, settings.sealing)
        folder.seal(manifest.to_json().encode("utf-8"))
        made = {word: self.made[word] for word in FORMATS if self.made[word]}
        return RunSummary(
            folder.out / "index.html", folder.out / MANIFEST, manifest.run_id, users, made, tuple(self.failures),
            self.seconds, written,
        )  # fmt: skip

    def _manifest(self, users: Users) -> Manifest:
        run, settings = self.run, self.run.settings
        before, table = run.data.until(settings.as_of), run.table
        rows = (run.data.rows_read or {}) | {"weights": table.rows_read}
        problems = (*before.problems, *table.problems, *(run.ablation.problems if run.ablation else ()))
        plain, model = settings.to_dict(), self._model()
        templates = templates_hash(settings.templates)
        name = run_id(settings.inputs, plain | {"as_of": settings.as_of}, templates, model)
        return Manifest(
            name, settings.generated_at, settings.generated_at_source, iso(settings.as_of),
            settings.synthetic or settings.config.report.synthetic, key_id(settings.key), templates, plain, model, users,
            plain_tables(problems, rows), plain_problems(problems), plain_inputs(settings.inputs, rows),
        )  # fmt: skip

    def _model(self) -> dict[str, Any]:
        """What is known of the model: its name, and a hash of the weights that were read."""
        run, digest = self.run, hashlib.sha256()
        for array in (run.table.user, run.table.item, run.table.history, run.table.weight):
            digest.update(array.tobytes())
        model = {"name": run.model.name, "version": run.model.version, "softmax_pooled": run.model.softmax_pooled}
        how = {"heads": run.how.heads, "layers": run.how.layers}
        return {"id": f"foreign-{digest.hexdigest()[:12]}", "kind": run.table.kind} | model | how
