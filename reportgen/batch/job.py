"""A job: what a process needs to make shards of a planned run, by the path of the run folder alone.

`make_shard` and `probe_user` are what workers are given. A process opens a job once and keeps it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from reportgen.batch.engines import open_engine
from reportgen.batch.origins import Origin
from reportgen.batch.people import People
from reportgen.batch.plan import read_plan
from reportgen.batch.settings import RunSettings
from reportgen.batch.shard import Maker
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.errors import OutputError, ReportgenError
from reportgen.explain.fidelity import Trust
from reportgen.output.durable import Durable, open_inside
from reportgen.output.folder import WORK

JOB, KEPT, PEOPLE, DATA, MODEL = (f"{WORK}/{name}" for name in ("job.json", "kept.json", "people.npy", "data", "model"))
_OPTIONS = (
    "as_of", "generated_at", "generated_at_source", "formats", "locale", "n", "pdf_limit", "figures", "synthetic",
    "chunk", "user_seconds",
)  # fmt: skip


def write_job(maker: Maker, travels: bool) -> None:
    """Write what workers need beside the plan: settings and people, and where they are other processes data and model too.

    Raises
    ------
    OutputError
    """
    run, settings = maker.run, maker.settings
    mailer = settings.mailer(maker.plan.run_id)
    options = {name: getattr(settings, name) for name in _OPTIONS}
    config = settings.config.to_dict()
    del config["input"]  # what was read is in the data
    if config["look"]["logo"]:
        config["look"]["logo"] = str(Path(config["look"]["logo"]).absolute())
    job = {
        "plan_id": maker.plan.plan_id,
        "engine": maker.engine.kind,
        "options": options,
        "config": config,
        "templates": None if settings.templates is None else str(settings.templates.absolute()),
        "trust": None if maker.trust is None else asdict(maker.trust),
        "tokens": "" if mailer is None else mailer.token_key.hex(),
        "origin": maker.origin.to_dict(),
    }
    (run / WORK).mkdir(mode=0o700, exist_ok=True)
    (run / PEOPLE).unlink(missing_ok=True)
    maker.people.save(run / PEOPLE)
    kept = {"plan_id": maker.plan.plan_id, "as_of": settings.as_of, "fitted": settings.keep == "fitted"}
    kept |= {"engine": maker.engine.kind}
    if (travels or settings.keep) and _kept(run) != kept:
        (run / KEPT).unlink(missing_ok=True)
        maker.data.save(run / DATA)
        maker.engine.save(run / MODEL)
    with Durable(run) as out:
        if settings.keep:
            out.write(KEPT, json.dumps(kept).encode("ascii"))
        out.write(JOB, json.dumps(job).encode("ascii"))


def _kept(run: Path) -> dict[str, Any] | None:
    """What the data and the model belong to that lie there; None when that is not known."""
    try:
        with open_inside(run, KEPT) as stream:
            return dict(json.load(stream))
    except (OSError, ValueError, TypeError):
        return None


#: Makers of this very process by run folder: they hold tools and objects that no file could hold.
_HERE: dict[str, Maker] = {}


class at_hand:  # noqa: N801  (used like a function)
    """Inside this block, shards of a run that are made in this process are made by that maker."""

    def __init__(self, maker: Maker) -> None:
        self._maker, self._name = maker, str(maker.run)

    def __enter__(self) -> None:
        _HERE[self._name] = self._maker

    def __exit__(self, *_: object) -> None:
        _HERE.pop(self._name, None)


def _maker(run: str) -> Maker:
    try:
        return _HERE.get(run) or _opened(run, os.stat(f"{run}/{JOB}").st_mtime_ns)
    except OSError as error:
        raise OutputError(f"{run}: the job cannot be read ({error.strerror}); go on with build --resume") from error


@lru_cache(maxsize=1)
def _opened(run: str, _when: int) -> Maker:
    """Open a job once per process; a job that was written anew is opened anew."""
    folder = Path(run)
    plan = read_plan(folder)
    with open_inside(folder, JOB) as stream:
        job = json.load(stream)
    if plan is None or plan.plan_id != job["plan_id"]:
        raise OutputError(f"{run}: the plan of this run has changed; go on with --resume")
    data = Dataset.open(folder / DATA, verify=False)
    options = job["options"] | {"formats": tuple(job["options"]["formats"])}
    settings = RunSettings(
        folder, b"", config=Config.from_dict(_without_nothing(job["config"])),
        templates=None if job["templates"] is None else Path(job["templates"]), token_key=bytes.fromhex(job["tokens"]),
        **options,
    )  # fmt: skip
    trust = None if job["trust"] is None else Trust(**job["trust"])
    people = People.load(data, folder / PEOPLE)
    engine = open_engine(job["engine"], folder / MODEL, verify=False)
    maker = Maker(folder, plan, settings, data, engine, people, trust)
    maker.origin = Origin.from_dict(job["origin"])
    # All this stays until the process ends. The collector would go through it every few thousand users, a tenth of a second each time.
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # or a library that counts its objects at the end calls them leaks
    return maker


def _without_nothing(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {name: _without_nothing(value) for name, value in plain.items() if value is not None}
    return [_without_nothing(value) for value in plain] if isinstance(plain, list) else plain


def make_shard(run: str, shard: int) -> tuple[str, int, int]:
    """Make one shard of a planned run; what a worker is given.

    Returns
    -------
    trouble : str
        Why no shard at all can be made, such as a full disk; empty when it was made.
    users, aside : int
        Users with a report and users without.
    """
    try:
        made = _maker(run).make(shard)
    except ReportgenError as error:
        return str(error), 0, 0
    return "", made.users, len(made.failures)


def probe_user(run: str, place: int) -> None:
    """See whether a user, by the place in the run, kills the process that makes the report."""
    _maker(run).probe(place)
