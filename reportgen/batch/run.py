"""``build_run``: data and a fitted scorer become a run folder with one report per user."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from reportgen.attention.scorer import AttentionScorer
from reportgen.audit.facts import templates_hash
from reportgen.audit.manifest import (
    Manifest,
    Users,
    key_id,
    plain_inputs,
    plain_model,
    plain_problems,
    plain_tables,
    run_id,
)
from reportgen.batch.folder import RunFolder, check_folder
from reportgen.batch.index import render_index
from reportgen.batch.people import Choice, Person, choose
from reportgen.batch.settings import STAGES, Failure, RunSettings, RunSummary, Tools
from reportgen.batch.trust import PATH as TRUST_FILE
from reportgen.batch.trust import measure_run
from reportgen.batch.work import Clock, Worker
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, ReportgenError
from reportgen.explain.privacy import make_privacy
from reportgen.explain.why import model_facts
from reportgen.report.record import iso

#: Called with users done, users in all, users set aside so far.
Say = Callable[[int, int, int], None]


def _silent(done: int, total: int, aside: int) -> None:
    """Say nothing."""


def _still() -> float:
    """A clock that stands still, for callers who do not ask how long it took."""
    return 0.0


def build_run(
    settings: RunSettings, data: Dataset, scorer: AttentionScorer, say: Say = _silent, tools: Tools | None = None,
    clock: Clock = _still,
) -> RunSummary:  # fmt: skip
    """Make the reports of a run.

    A user who fails at any stage is set aside in ``errors.jsonl`` and the run goes on. The same data, scorer,
    settings and versions give the same bytes in every file.

    Parameters
    ----------
    settings : RunSettings
    data : Dataset
    scorer : AttentionScorer
        Fitted on the catalogue of `data`.
    say : callable, optional
        Called after each user with users done, users in all, users set aside.
    tools : Tools, optional
    clock : callable, optional
        Seconds from any start; only for `RunSummary.seconds`.

    Returns
    -------
    RunSummary

    Raises
    ------
    OutputError
        The folder cannot be used, or fails on the way.
    InputError
        An unknown user, or none at all.
    ReportgenError
        Every user failed; no manifest is written.
    """
    settings.check()
    check_folder(settings.out, settings.overwrite)
    scorer.check_data(data)
    choice = choose(data, settings.key, settings.locale, settings.users, settings.limit)
    privacy = make_privacy(data, settings.config.privacy)
    _check_floor(settings, scorer)
    made_up = settings.synthetic or settings.config.report.synthetic
    folder = RunFolder(settings.out, settings.overwrite, made_up)
    worker = Worker(settings, data, scorer, privacy, folder, tools or Tools(), clock)
    _measure(worker)
    _all_chunks(worker, choice.people, say)
    worker.failures.sort(key=lambda failed: (failed.user, failed.stage))
    if worker.failures and not worker.done:
        raise _nobody(worker.failures)
    start = clock()
    manifest = _finish(worker, choice)
    worker.seconds["finish"] = clock() - start
    return RunSummary(
        settings.out / "index.html",
        settings.out / "manifest.json",
        manifest.run_id,
        manifest.users,
        dict(worker.made),
        tuple(worker.failures),
        {stage: worker.seconds[stage] for stage in ("trust", *STAGES, "finish") if stage in worker.seconds},
    )


def _check_floor(settings: RunSettings, scorer: AttentionScorer) -> None:
    """A model may come from elsewhere, and name reasons that rest on fewer shoppers than this configuration allows."""
    floor = settings.config.privacy.support_floor
    if scorer.min_support < floor:
        raise ConfigError(
            f"[privacy] support_floor = {floor}, but the model names reasons from {scorer.min_support} shoppers on; "
            "fit it again with this configuration"
        )


def _measure(worker: Worker) -> None:
    """Measure once how far the reasons can be trusted; every report shows it."""
    start = worker.clock()
    content, worker.trust = measure_run(worker.settings, worker.data, worker.scorer, worker.privacy)
    worker.folder.write(TRUST_FILE, content, "application/json")
    worker.seconds["trust"] = worker.clock() - start


def _all_chunks(worker: Worker, people: Sequence[Person], say: Say) -> None:
    size, most = worker.settings.chunk, worker.settings.pdf_limit
    say(0, len(people), 0)
    for at in range(0, len(people), size):
        part = people[at : at + size]
        for _ in worker.chunk(part, [most is None or at + k < most for k in range(len(part))]):
            say(len(worker.done) + len(worker.failures), len(people), len(worker.failures))


def _nobody(failures: Sequence[Failure]) -> ReportgenError:
    first = failures[0]
    told = f"no report could be made: all {len(failures)} users failed; the first at {first.stage} with {first.reason}"
    return ReportgenError(f"{told}; correct the cause and run again with --overwrite")


def _finish(worker: Worker, choice: Choice) -> Manifest:
    folder, failures = worker.folder, worker.failures
    lines = [json.dumps(vars(failed), sort_keys=True, ensure_ascii=False) + "\n" for failed in failures]
    folder.write("errors.jsonl", "".join(lines).encode("utf-8", "backslashreplace"), "application/x-ndjson")
    manifest = _manifest(worker, choice)
    page = render_index(manifest, worker.settings, worker.done, folder.outputs, failures)
    folder.write("index.html", page.encode("utf-8"), "text/html")
    manifest = replace(manifest, outputs=tuple(folder.outputs))
    folder.seal(manifest.to_json().encode("utf-8"))
    return manifest


def _manifest(worker: Worker, choice: Choice) -> Manifest:
    settings, data = worker.settings, worker.data
    plain, model = settings.to_dict(), plain_model(model_facts(worker.scorer))
    templates, rows = templates_hash(settings.templates), data.rows_read or {}
    problems = data.until(settings.as_of).problems
    reported, aside = len(worker.done), len(worker.failures)
    return Manifest(
        run_id(settings.inputs, plain | {"as_of": settings.as_of}, templates, model),
        settings.generated_at,
        settings.generated_at_source,
        iso(settings.as_of),
        settings.synthetic or settings.config.report.synthetic,
        key_id(settings.key),
        templates,
        plain,
        model,
        Users(data.user_ids.size, reported, aside, choice.opted_out, choice.not_chosen),
        plain_tables(problems, rows),
        plain_problems(problems),
        plain_inputs(settings.inputs, rows),
    )
