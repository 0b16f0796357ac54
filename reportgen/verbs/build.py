"""``reportgen build``: tables become a run folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import load_model
from reportgen.batch.metrics import check_metrics_file
from reportgen.batch.plan import FILE
from reportgen.batch.run import build_run, plan_run
from reportgen.batch.settings import RunSettings
from reportgen.batch.signals import stopping
from reportgen.batch.watch import Watch
from reportgen.config import Config
from reportgen.data.database import fetched
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError
from reportgen.output import folder
from reportgen.output.facts import InputFile, hash_inputs
from reportgen.report.record import iso
from reportgen.verbs.door import DONE, SOME_ASIDE, Door
from reportgen.verbs.inputs import read_config, read_data
from reportgen.verbs.model import fit_scorer


def run(given: argparse.Namespace, door: Door) -> int:
    """Read, fit, and make the reports; or only plan them."""
    folder.check_folder(given.out, given.overwrite or given.resume)
    config, key = read_config(given), door.key(given)
    if given.templates is not None and not given.templates.is_dir():
        raise ConfigError(f"{given.templates} is not a folder; name one with --templates")
    if given.metrics_file is not None:
        check_metrics_file(given.metrics_file)
    tables = {"events": given.events, "items": given.items, "users": given.users}
    with fetched(config.input, tables) as files:  # what a database says is asked once, then hashed and read
        vars(given).update(files)
        inputs = tuple(
            file for table, where in files.items() for file in hash_inputs(table, where, config.input.delimiter)
        )
        data, as_of = read_data(given, config, door)
    with door.console.stage("fit"):
        scorer = load_model(given.model) if given.model is not None else fit_scorer(data, config, as_of)
    settings = _settings(given, config, key, as_of, door.generated(as_of), data, inputs)
    if given.plan_only:
        return _plan(settings, data, scorer, door)
    return make_run(settings, data, scorer, door, given.metrics_file)


def _settings(
    given: argparse.Namespace, config: Config, key: bytes, as_of: int, generated: tuple[str, str], data: Dataset,
    inputs: tuple[InputFile, ...],
) -> RunSettings:  # fmt: skip
    """What ``build`` was told, with what was read."""
    return RunSettings(
        given.out, key, as_of, *generated, config, given.format, given.locale or config.report.locale,
        given.n or config.report.n, tuple(given.user) if given.user else None, given.limit, given.pdf_limit,
        given.figures, given.templates, given.overwrite, data.synthetic, inputs, shard=given.shard_size,
        packs=given.packs, user_seconds=given.user_seconds or None, workers=given.workers, scheduler=given.scheduler,
        resume=given.resume,
    )  # fmt: skip


def make_run(
    settings: RunSettings, data: Dataset, scorer: AttentionScorer, door: Door, metrics: Path | None = None
) -> int:
    """Make the reports, say how far it is meanwhile, and what came of it; return the exit code."""
    console = door.console

    def when(seconds: float) -> str:
        return iso(int(seconds * 1_000_000))

    log = console.log if console.as_json else None
    watch = Watch(settings.out, door.steady, door.wall, when, console.show, log, metrics)
    with stopping() as stop, watch.ending(lambda: stop.name):
        summary = build_run(settings, data, scorer, watch.say, clock=door.exact, hear=watch.hear, stop=stop)
        watch.done(summary)
    console.tell(summary, data, door.peak())
    return SOME_ASIDE if summary.failures else DONE


def _plan(settings: RunSettings, data: Dataset, scorer: AttentionScorer, door: Door) -> int:
    plan, missing = plan_run(settings, data, scorer, clock=door.exact)
    door.console.print(str(settings.out / FILE))
    door.console.print(f"shards: 0-{plan.shards - 1}, {len(missing)} to make; then the same build with --resume")
    return DONE
