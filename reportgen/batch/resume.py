"""Going on with a run: the lock on its folder, which shards stand, and what a complete run says of its own shards.

A shard stands when its result is there, is of this plan, and every file that it lists has the hash it lists. A complete run has no
results any more; they follow from its manifest, so that a damaged one can be mended shard by shard.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reportgen.batch.counting import FOLDER as STATISTICS
from reportgen.batch.counting import fold_path
from reportgen.batch.origins import FOLDER as ORIGINS
from reportgen.batch.origins import origin_path
from reportgen.batch.people import People
from reportgen.batch.plan import Plan, differences, read_plan
from reportgen.batch.settings import Failure
from reportgen.batch.shard import Result, read_result, result_path
from reportgen.batch.sinks import Listed
from reportgen.errors import ConfigError, OutputError
from reportgen.output.durable import Durable, clear_leftovers, list_inside, open_inside
from reportgen.output.folder import MANIFEST, WORK
from reportgen.output.manifest import reports_by_format
from reportgen.output.packs import DamagedError, pack_path, read_listing

ERRORS = "errors.jsonl"
_BLOCK = 1 << 20
_FORMAT = b'"format":"'


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other runs out of a folder, as long as the block lasts or this process lives. The system holds the lock, no file does.

    Raises
    ------
    OutputError
        Another run is working there.
    """
    at = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks: the shards themselves bear two runs
            try:
                fcntl.flock(at, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(f"{out} is in use by another run; wait for its end or name another --out") from error
        yield
    finally:
        os.close(at)


def check_plan(out: Path, plan: Plan) -> bool:
    """Whether there is a run to go on with.

    Raises
    ------
    ConfigError
        The run there has another plan; names what differs.
    OutputError
        Its plan is damaged, or it is complete and has none.
    """
    old = read_plan(out)
    if old is None and (out / MANIFEST).exists():
        raise OutputError(f"{out} holds a run without a plan, which cannot be resumed; replace it with --overwrite")
    if old is not None and old.plan_id != plan.plan_id:
        told = differences(old, plan) or "the reference time, within its second"  # of which a plan tells no more
        raise ConfigError(f"{out} holds another run, it differs in {told}; give the same again or use --overwrite")
    return old is not None


def clear_parts(run: Path) -> None:
    """Take away temporary files that dead processes left."""
    reports = [f"reports/{name}" for name in list_inside(run, "reports")]
    for folder in (
        "",
        "audit",
        "packs",
        "index",
        STATISTICS,
        ORIGINS,
        WORK,
        f"{WORK}/results",
        f"{WORK}/aside",
        *reports,
    ):
        if (run / folder).is_dir():
            clear_leftovers(run, folder)


def is_whole(run: Path, output: Listed) -> bool:
    """Whether a file of a run is there, byte by byte."""
    path, digest, size = output
    found = hashlib.sha256()
    try:
        with open_inside(run, path) as stream:
            if os.fstat(stream.fileno()).st_size == size:
                while block := stream.read(_BLOCK):
                    found.update(block)
        return found.hexdigest() == digest
    except OSError:
        return False


def standing(run: Path, plan: Plan) -> Iterator[tuple[int, Result | None, str]]:
    """Look at every byte of a run that was begun.

    Yields
    ------
    shard : int
    result : Result or None
        None when the shard is to be made again.
    damaged : str
        The first file that is not as it was written; empty when there is none.
    """
    for shard in range(plan.shards):
        result = read_result(run, plan, shard)
        damaged = next((output[0] for output in result.outputs if not is_whole(run, output)), "") if result else ""
        yield shard, None if damaged else result, damaged


# --- a complete run


def read_manifest(run: Path) -> dict[str, Any] | None:
    """What the manifest of a complete run says; None when there is none, or one that cannot be read."""
    try:
        with open_inside(run, MANIFEST) as stream:
            found: dict[str, Any] = json.load(stream)
        return found if all({"path", "sha256", "bytes"} <= output.keys() for output in found["outputs"]) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def listed(manifest: dict[str, Any]) -> list[Listed]:
    """The files that a manifest lists."""
    return [(output["path"], output["sha256"], output["bytes"]) for output in manifest["outputs"]]


def read_failures(run: Path) -> list[Failure]:
    """The users whom a complete run set aside."""
    with open_inside(run, ERRORS) as stream:
        return [Failure(**json.loads(line)) for line in stream]


def recovered(run: Path, plan: Plan, people: People, outputs: list[Listed]) -> list[Result]:
    """The results of a complete run, by its manifest; none when they cannot be known.

    The times of the stages are lost. Nothing is said about whether the files are whole.
    """
    errors = next((output for output in outputs if output[0] == ERRORS), None)
    if errors is None or not is_whole(run, errors):
        return []
    failures = read_failures(run)
    by_shard: dict[int, list[Listed]] = defaultdict(list)
    shard_of = {str(key): place // plan.size for place, key in enumerate(people.table["key"].astype(str).tolist())}
    for output in outputs:
        folder, name = output[0].split("/")[0], output[0].rpartition("/")[2].partition(".")[0]
        if folder in ("reports", "packs", STATISTICS, ORIGINS):
            by_shard[shard_of[name] if folder == "reports" else int(name)].append(output)
    aside: dict[int, list[Failure]] = defaultdict(list)
    for failed in failures:
        aside[shard_of[failed.user]].append(failed)
    return [_recovered(run, plan, shard, by_shard[shard], aside[shard]) for shard in range(plan.shards)]


def _recovered(run: Path, plan: Plan, shard: int, outputs: list[Listed], failures: list[Failure]) -> Result:
    first, last = plan.span(shard)
    users = last - first - len({failed.user for failed in failures})
    made = packed_reports(run, shard) if plan.packs else reports_by_format(path for path, _, _ in outputs)
    outputs = _expected(shard, plan, outputs)
    return Result(shard, plan.plan_id, users, tuple(failures), dict(made), tuple(outputs), {}, 0)


def _expected(shard: int, plan: Plan, outputs: list[Listed]) -> list[Listed]:
    """What a manifest lists of a shard; what it must list and does not is put down as damaged, so that the shard is made again."""
    wanted = [fold_path(shard), origin_path(shard), *([pack_path(shard)] if plan.packs else [])]
    there = {path for path, _, _ in outputs}
    return [*outputs, *((path, "", -1) for path in wanted if path not in there)]


def packed_reports(run: Path, shard: int) -> Counter[str]:
    """Reports in a pack by format; nothing where the pack is damaged, which is made again anyway."""
    try:
        lines = read_listing(run, shard)
    except DamagedError:
        return Counter()
    words = (line.partition(_FORMAT)[2].partition(b'"')[0].decode("ascii") for line in lines)
    return Counter(word for word in words if word)


def write_results(run: Path, results: list[Result]) -> None:
    """Write results again that a complete run did not keep."""
    (run / WORK).mkdir(mode=0o700, exist_ok=True)
    with Durable(run) as out:
        for result in results:
            out.write(result_path(result.shard), result.to_line())
