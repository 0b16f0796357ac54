"""One chunk of users: explained together, then each told, drawn and written apart, so that one cannot stop others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from reportgen.batch.counting import Counting
from reportgen.batch.origins import Origins
from reportgen.batch.people import Person
from reportgen.batch.settings import Failure, RunSettings, Tools, Why
from reportgen.data.dataset import Dataset
from reportgen.errors import OutputError
from reportgen.explain.fidelity import Trust
from reportgen.explain.privacy import Privacy
from reportgen.formats import FORMATS
from reportgen.mail.address import AddressError
from reportgen.mail.outgoing import Mailer
from reportgen.report.build import Reader
from reportgen.report.document import Report
from reportgen.workers.limit import time_limit

Clock = Callable[[], float]


class Sink(Protocol):
    """Where finished reports go."""

    def write(self, path: str, data: bytes, media_type: str) -> None:
        """Take one report."""

    def drop(self, paths: set[str]) -> None:
        """Take back reports of a user who could not be finished."""


class SetAsideError(Exception):
    """A user cannot be finished; the cause is the error, the argument the stage."""


def failure(person: Person, stage: str, error: BaseException) -> Failure:
    """Say what went wrong without saying for whom, and without a folder of this machine."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Failure(person.key, stage, f"{type(error).__name__}: {person.hide(told)}")


@dataclass
class Worker:
    """Takes chunks of users to files.

    A chunk as a whole may take as long as one user: it takes a thousandth of that as a rule, and one who hangs is soon found so.

    Attributes
    ----------
    scorer : object
        What `Tools.explain` is given first.
    made : Counter
        Reports per format.
    seconds : Counter
        By stage.
    done : list of Person
        Those who have a report, in order.
    apart : Counter
        Users of chunks that failed as a whole and were taken apart, by the stage where that was.
    trust : Trust, optional
        What was measured of the reasons of this run, for every report.
    counting : Counting, optional
        Takes the numbers of those who have a report, for the statistics of the run.
    mailer : Mailer, optional
        Makes the mails of a run that has some.
    origins : Origins, optional
        Tags what reports are made from, and takes over those that a former run made from the same.
    """

    settings: RunSettings
    data: Dataset
    scorer: Any
    privacy: Privacy
    folder: Sink
    tools: Tools
    clock: Clock
    made: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    done: list[Person] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    apart: Counter[str] = field(default_factory=Counter)
    trust: Trust | None = None
    counting: Counting | None = None
    mailer: Mailer | None = None
    origins: Origins | None = None

    def chunk(self, people: Sequence[Person], with_pdf: Sequence[bool]) -> Iterator[Person]:
        """Make the reports of some users and yield each when finished; one that fails is noted and the rest go on."""
        pdf = dict(zip((person.key for person in people), with_pdf, strict=True))
        explained, told = self._explained(people), list[tuple[Person, Why]]()
        known = self._known(explained)
        figures = iter(self._rounded([why for person, why in explained if person.key not in known]))
        for person, why in explained:
            try:
                mine = None if person.key in known else next(figures)
                if not self._taken(person, person.key in known, pdf[person.key]):
                    self._one(person, why, mine, pdf[person.key])
            except SetAsideError as aside:
                self.failures.append(failure(person, str(aside), aside.__cause__ or aside))
            else:
                self.done.append(person)
                told.append((person, why))
            yield person
        if self.counting is not None and told:
            self._count(self.counting, told)

    def _count(self, counting: Counting, told: list[tuple[Person, Why]]) -> None:
        """Their reports stand already: an error here is the program's, not one user's, and ends the shard with its own words."""
        start = self.clock()
        counting.add(told, self.tools.count([why for _, why in told]))
        self.seconds["count"] = self.seconds.get("count", 0.0) + self.clock() - start

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = self.clock()
        try:
            with time_limit(self.settings.user_seconds):
                yield
        except OutputError:
            raise  # the folder itself is in trouble: no user can be finished
        except Exception as error:
            raise SetAsideError(name) from error
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self.clock() - start

    def _explain(self, people: Sequence[Person]) -> Sequence[Why]:
        ids, settings = [person.user_id for person in people], self.settings
        with self._stage("explain"):
            return self.tools.explain(self.scorer, self.data, ids, settings.n, settings.as_of, self.privacy)

    def _explained(self, people: Sequence[Person]) -> list[tuple[Person, Why]]:
        try:
            return list(zip(people, self._explain(people), strict=True))
        except SetAsideError:
            self.apart["explain"] += len(people)
            return [pair for person in people for pair in self._alone(person)]

    def _alone(self, person: Person) -> list[tuple[Person, Why]]:
        try:
            return [(person, self._explain([person])[0])]
        except SetAsideError as aside:
            self.failures.append(failure(person, "explain", aside.__cause__ or aside))
            return []

    def _rounded(self, whys: Sequence[Why]) -> Sequence[Any]:
        """The figures of a chunk, rounded together; where that fails, each report rounds its own, and one fails alone."""
        try:
            with self._stage("report"):
                return self.tools.figures(whys)
        except SetAsideError:
            self.apart["report"] += len(whys)
            return [None] * len(whys)

    def _known(self, explained: Sequence[tuple[Person, Why]]) -> set[str]:
        """Keys of users of whom a former run has the same report; each is tagged for later runs on the way."""
        if self.origins is None:
            return set()
        try:
            with self._stage("origins"):
                return {person.key for person, why in explained if self.origins.tag(person, why)}
        except SetAsideError:
            self.apart["origins"] += len(explained)
            return set()

    def _taken(self, person: Person, known: bool, with_pdf: bool) -> bool:
        """Take the report of a user over from a former run; whether that was done."""
        if self.origins is None:
            return False
        wanted = [word for word in FORMATS if word in self.settings.formats and (word != "pdf" or with_pdf)]
        with self._stage("origins"):
            # A mail names its run (Message-ID) and its reader's address: it is another one in each run.
            files = self.origins.take(person, wanted, known and self.mailer is None)
        if files is None:
            return False
        with self._stage("write"):
            self._write(person, files)
        self.made.update(files.keys())
        return True

    def _one(self, person: Person, why: Why, figures: Any, with_pdf: bool) -> None:
        with self._stage("report"):
            report = self._report(person, why, figures)
            files = {"json": report.to_bytes()} if "json" in self.settings.formats else {}
        formats = {word for word in self.settings.formats if word != "pdf" or with_pdf}
        look = {"figures": self.settings.figures, "templates": self.settings.templates}
        if "html" in formats:
            with self._stage("html"):
                files["html"] = _encode(self.tools.html(report, **look))
        if "pdf" in formats:
            with self._stage("pdf"):
                files["pdf"] = self.tools.pdf(report, **look)
        if self.mailer is not None:
            with self._stage("mail"):
                files |= self._mails(self.mailer, report, person, alone=not files)
        with self._stage("write"):
            self._write(person, files)
        self.made.update(files.keys())

    def _report(self, person: Person, why: Why, figures: Any) -> Report:
        settings = self.settings
        return self.tools.report(
            why,
            person.locale,
            settings.generated_at,
            settings.config,
            Reader(person.key, person.name),
            settings.synthetic,
            self.trust,
            figures,
        )

    def _mails(self, mailer: Mailer, report: Report, person: Person, *, alone: bool) -> dict[str, bytes]:
        """The mails of one user; none where they cannot be addressed, which only who has no other report is set aside for."""
        try:
            return mailer.files(report, person.user_id, person.email, person.name)
        except AddressError:
            if alone:
                raise
            return {}

    def _write(self, person: Person, files: dict[str, bytes]) -> None:
        paths = {word: f"{person.stem}.{word}" for word in FORMATS if word in files}
        try:
            for word, path in paths.items():
                self.folder.write(path, files[word], FORMATS[word])
        except Exception:
            self.folder.drop(set(paths.values()))
            raise


def _encode(text: str) -> bytes:
    return text.encode("utf-8")
