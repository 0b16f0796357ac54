"""The end of a run: what its shards left is counted, and index, page and manifest are made from it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from reportgen.audit.seal import seal_run
from reportgen.batch.counting import MEDIA_TYPE as STATISTICS_TYPE
from reportgen.batch.counting import PATH as STATISTICS
from reportgen.batch.counting import merged
from reportgen.batch.index import Packed, render_index
from reportgen.batch.origins import OUTCOMES
from reportgen.batch.people import Choice
from reportgen.batch.plan import FILE as PLAN
from reportgen.batch.plan import MEDIA_TYPE as PLAN_TYPE
from reportgen.batch.plan import Plan, plain_settings
from reportgen.batch.settings import STAGES, Failure, RunSummary, Since
from reportgen.batch.shard import Maker, Result, read_result
from reportgen.batch.sinks import Listed
from reportgen.batch.unmailed import FILE as UNMAILED
from reportgen.batch.unmailed import MEDIA_TYPE as UNMAILED_TYPE
from reportgen.batch.unmailed import find_unmailed, mail_format, to_lines
from reportgen.errors import ReportgenError
from reportgen.formats import FORMATS
from reportgen.output import pack_index
from reportgen.output.facts import templates_hash
from reportgen.output.folder import MANIFEST, RunFolder
from reportgen.output.manifest import (
    Manifest,
    Output,
    Users,
    key_id,
    plain_inputs,
    plain_problems,
    plain_tables,
)
from reportgen.output.packs import MEDIA_TYPE as PACK
from reportgen.output.packs import read_listing
from reportgen.report.record import iso


@dataclass
class Total:
    """All shards of a run together."""

    users: int = 0
    failures: list[Failure] = field(default_factory=list)
    made: Counter[str] = field(default_factory=Counter)
    outputs: list[Listed] = field(default_factory=list)
    spent: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    unmailed: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    by_shard: list[int] = field(default_factory=list)
    apart: int = 0

    @classmethod
    def of(cls, results: Iterable[Result]) -> Total:
        """Add results up."""
        total = cls()
        for result in results:
            total.users += result.users
            total.by_shard.append(result.users)
            total.failures += result.failures
            total.made.update(result.made)
            total.outcomes.update(result.outcomes)
            total.outputs += result.outputs
            total.apart += bool(result.apart)
            for stage, seconds in result.seconds.items():
                total.spent[stage] += seconds  # type: ignore[assignment]  # a Counter adds any number
            total.peak = max(total.peak, result.peak)
        total.failures.sort(key=lambda failed: (failed.user, failed.stage))
        return total

    @classmethod
    def read(cls, run: Path, plan: Plan) -> Total:
        """Add up what is on the disk.

        Raises
        ------
        ReportgenError
            A shard has no result, or somebody is counted twice or not at all; or every user failed.
        """
        results = [read_result(run, plan, shard) for shard in range(plan.shards)]
        missing = [shard for shard, result in enumerate(results) if result is None]
        if missing:
            raise ReportgenError(f"{len(missing)} shards are not made, the first is {missing[0]}; go on with --resume")
        total = cls.of(result for result in results if result is not None)
        aside = {failed.user for failed in total.failures}
        if total.users + len(aside) != plan.users or len(aside) != len(total.failures):
            raise ReportgenError(f"{total.users} users with a report and {len(aside)} without are not {plan.users}")
        if total.failures and not total.users:
            raise _nobody(total.failures)
        return total

    @property
    def seconds(self) -> dict[str, float]:
        """By stage, in the order of the work."""
        return {stage: float(self.spent[stage]) for stage in STAGES if stage in self.spent}

    def summary(
        self, folder: RunFolder, plan: Plan, choice: Choice, seconds: dict[str, float], shards: dict[str, int],
        since: Since | None = None,
    ) -> RunSummary:  # fmt: skip
        """What is said at the end."""
        since = replace(
            since or Since(), outcomes={word: self.outcomes[word] for word in OUTCOMES if self.outcomes[word]}
        )
        made = {word: self.made[word] for word in FORMATS if self.made[word]}
        return RunSummary(
            folder.out / "index.html", folder.out / MANIFEST, plan.run_id, self.counted(choice), made,
            tuple(self.failures), seconds, sum(size for _, _, size in self.outputs), self.peak,
            shards | ({"apart": self.apart} if self.apart else {}),
            dict(sorted(self.unmailed.items())), since,
        )  # fmt: skip

    def counted(self, choice: Choice) -> Users:
        aside = len(self.failures)
        total = self.users + aside + choice.opted_out + choice.not_chosen
        return Users(total, self.users, aside, choice.opted_out, choice.not_chosen)


def _nobody(failures: list[Failure]) -> ReportgenError:
    first = failures[0]
    told = f"no report could be made: all {len(failures)} users failed; the first at {first.stage} with {first.reason}"
    return ReportgenError(f"{told}; correct the cause and run again with --overwrite")


def close_run(folder: RunFolder, plan: Plan, maker: Maker, choice: Choice, total: Total) -> Manifest:
    """Write list of errors, index, page and, last of all, the manifest.

    Raises
    ------
    OutputError
    """
    lines = [json.dumps(vars(failed), sort_keys=True, ensure_ascii=False) + "\n" for failed in total.failures]
    statistics = merged(folder.out, maker.frame, range(plan.shards))
    folder.write(STATISTICS, statistics.to_json(), STATISTICS_TYPE)
    for path, content in maker.engine.closing(statistics.counts).items():
        folder.write(path, content, "application/json")
    folder.write("errors.jsonl", "".join(lines).encode("utf-8", "backslashreplace"), "application/x-ndjson")
    if word := mail_format(maker.settings):
        aside, paths = {failed.user for failed in total.failures}, {path for path, _, _ in total.outputs}
        content, total.unmailed = to_lines(find_unmailed(folder.out, plan, choice.people, aside, paths, word))
        folder.write(UNMAILED, content, UNMAILED_TYPE)
    outputs = [Output(path, digest, size, _media_type(path)) for path, digest, size in total.outputs]
    outputs += _index(folder.out, plan) if plan.packs else []
    manifest = _manifest(plan, maker, choice, total)
    aside = {failed.user for failed in total.failures}
    people = [] if plan.packs else [person for person in choice.people if person.key not in aside]
    packed = Packed(total.by_shard, total.made) if plan.packs else None
    page = render_index(
        manifest, maker.settings, people, outputs, total.failures, packed,
        total.unmailed if mail_format(maker.settings) else None,
    )  # fmt: skip
    folder.write("index.html", page.encode("utf-8"), "text/html")
    folder.note(PLAN, plan.to_json(), PLAN_TYPE)
    manifest = replace(manifest, outputs=(*outputs, *folder.outputs))
    manifest = seal_run(folder, manifest, maker.settings.key, maker.settings.config, maker.settings.sealing)
    folder.seal(manifest.to_json().encode("utf-8"))
    return manifest


def _media_type(path: str) -> str:
    return FORMATS.get(path.rpartition(".")[2], PACK)


def _index(run: Path, plan: Plan) -> list[Output]:
    files = pack_index.build_index(run, (read_listing(run, shard) for shard in range(plan.shards)))
    return [Output(file.path, file.sha256, file.bytes, pack_index.MEDIA_TYPE) for file in files]


def _manifest(plan: Plan, maker: Maker, choice: Choice, total: Total) -> Manifest:
    settings, data = maker.settings, maker.data
    rows, problems = data.rows_read or {}, data.until(settings.as_of).problems
    return Manifest(
        plan.run_id,
        settings.generated_at,
        settings.generated_at_source,
        iso(settings.as_of),
        settings.synthetic or settings.config.report.synthetic,
        key_id(settings.key),
        templates_hash(settings.templates),
        plain_settings(settings, plan.users),
        plan.facts["model"],
        total.counted(choice),
        plain_tables(problems, rows),
        plain_problems(problems),
        plain_inputs(settings.inputs, rows, data.columns_read, data.time_range),
        as_of_microseconds=settings.as_of,
    )
