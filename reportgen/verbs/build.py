"""``reportgen build``: tables become a run folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import load_model
from reportgen.audit.lawpacks import pack_hashes
from reportgen.batch.engine import Engine, Scored
from reportgen.batch.kept import open_kept
from reportgen.batch.metrics import check_metrics_file
from reportgen.batch.plan import FILE
from reportgen.batch.run import build_run, plan_run
from reportgen.batch.settings import RunSettings
from reportgen.batch.signals import stopping
from reportgen.config import Config
from reportgen.data.database import fetched
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError
from reportgen.mail.outgoing import check_mails
from reportgen.output import folder
from reportgen.output.facts import InputFile, hash_inputs
from reportgen.verbs.again import check_copy, copy, tell_whole
from reportgen.verbs.crm import unfold
from reportgen.verbs.door import DONE, SOME_ASIDE, Door
from reportgen.verbs.foreign import foreign_tables, how_read, read_engine, tell_agreement
from reportgen.verbs.inputs import read_config, read_data
from reportgen.verbs.model import scorer_of
from reportgen.verbs.sign import sealing_of


def run(given: argparse.Namespace, door: Door) -> int:
    """Read, fit, and make the reports; or only plan them."""
    check_copy(given)
    code = _build(given, door)
    copy(given, door)
    return code


def _build(given: argparse.Namespace, door: Door) -> int:
    folder.check_folder(given.out, given.overwrite or given.resume)
    config, key = read_config(given), door.key(given)
    check_mails(config, given.format)
    pack_hashes(config)  # a law pack that cannot be used is told now, not when the run is sealed
    if given.templates is not None and not given.templates.is_dir():
        raise ConfigError(f"{given.templates} is not a folder; name one with --templates")
    if given.metrics_file is not None:
        check_metrics_file(given.metrics_file)
    foreign = foreign_tables(given)
    tables = {"events": given.events, "items": given.items, "users": given.users} | foreign
    with fetched(config.input, tables) as files:  # what a database says is asked once, then hashed and read
        vars(given).update(files)
        inputs = tuple(
            file for table, where in files.items() for file in hash_inputs(table, where, config.input.delimiter)
        )

        def at(as_of: int) -> RunSettings:
            return _settings(given, config, key, as_of if given.as_of is None else given.as_of, door, inputs)

        if given.resume:
            if (code := tell_whole(given, at, door)) is not None:
                tell_agreement(given.out, door)
                return code
            # With a model of its own and lists beside it, what was kept would have to be taken apart.
            kept = None if foreign and given.model else open_kept(given.out, at, given.model is not None)
            if kept is not None:
                settings, data, engine = kept
                return _make(given, settings, data, engine or Scored(load_model(given.model)), door)
        data, as_of = read_data(given, config, door)

        def scorer() -> AttentionScorer:
            with door.stage("fit"):
                return scorer_of(given.model, data, config, as_of)

        known, engine = read_engine(given, files, data, config, door, scorer)
    return _make(given, at(as_of), known, engine, door)


def _make(given: argparse.Namespace, settings: RunSettings, data: Dataset, engine: Engine, door: Door) -> int:
    if given.plan_only:
        return _plan(settings, data, engine, door)
    code = make_run(settings, data, engine, door, given.metrics_file)
    tell_agreement(settings.out, door)
    return code


def _settings(
    given: argparse.Namespace, config: Config, key: bytes, as_of: int, door: Door, inputs: tuple[InputFile, ...]
) -> RunSettings:
    """What ``build`` was told."""
    return RunSettings(
        given.out, key, as_of, *door.generated(as_of), config, given.format, given.locale or config.report.locale,
        given.n or config.report.n, tuple(given.user) if given.user else None, given.limit, given.pdf_limit,
        given.figures, given.templates, given.overwrite, config.report.synthetic, inputs, shard=given.shard_size,
        packs=given.packs, user_seconds=given.user_seconds or None, workers=given.workers, scheduler=given.scheduler,
        resume=given.resume, sealing=sealing_of(given, door), since=given.since,
        keep="fitted" if given.model is None else "given", stability=given.stability, reading=how_read(given),
    )  # fmt: skip


def make_run(
    settings: RunSettings, data: Dataset, engine: AttentionScorer | Engine, door: Door, metrics: Path | None = None
) -> int:
    """Make the reports, say how far it is meanwhile, and what came of it; return the exit code."""
    console, watch = door.console, door.watch(settings.out, metrics)
    with stopping() as stop, watch.ending(lambda: stop.name):
        summary = build_run(settings, data, engine, watch.say, clock=door.exact, hear=watch.hear, stop=stop)
        watch.done(summary)
    unfold(settings.out, settings.formats, door)
    console.tell(summary, data, door.peak())
    return SOME_ASIDE if summary.failures or summary.unmailed else DONE


def _plan(settings: RunSettings, data: Dataset, engine: Engine, door: Door) -> int:
    plan, missing = plan_run(settings, data, engine, clock=door.exact)
    door.console.print(str(settings.out / FILE))
    door.console.print(f"shards: 0-{plan.shards - 1}, {len(missing)} to make; then the same build with --resume")
    return DONE
