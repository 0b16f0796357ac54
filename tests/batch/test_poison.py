"""Users who kill, hang or break the process that makes their report: exactly they are set aside, and all others are done."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from disturbed import KEY, Told, brew, build, files_of, finish, keys, make_shards, results, said

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch import crew
from reportgen.batch.run import build_run
from reportgen.data.dataset import Dataset
from reportgen.errors import OutputError
from reportgen.output.entries import MADE, read_entry
from reportgen.output.folder import WORK
from reportgen.output.packs import read_listing
from reportgen.workers import local_pool

SHARD = 10
KILLED = "killed by signal 9 (SIGKILL)"


def aside(out: Path) -> dict[str, tuple[str, str]]:
    lines = (out / "errors.jsonl").read_text("utf-8").splitlines()
    return {plain["user"]: (plain["stage"], plain["reason"]) for plain in map(json.loads, lines)}


@pytest.mark.usefixtures("poisoned")
def test_exactly_the_users_who_kill_their_process_are_set_aside(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = keys(data, told)
    brew(tmp_path, {names[3]: "kill", names[41]: "break"})
    heard: list[str] = []
    settings = told(tmp_path / "out", shard=SHARD, workers=2)
    run = build_run(settings, data, scorer, hear=lambda event, **_: heard.append(event))
    assert (run.users.reported, run.users.set_aside) == (57, 2)
    told_of = {failed.user: (failed.stage, failed.reason) for failed in run.failures}
    assert told_of == {names[3]: ("worker", KILLED), names[41]: ("worker", "SystemExit: 3")}
    assert heard.count("worker_lost") == 2
    assert heard.count("shard_done") == 6
    monkeypatch.undo()
    build_run(replace(settings, out=tmp_path / "fine", workers=1), data, scorer)
    poisoned, fine = files_of(tmp_path / "out"), files_of(tmp_path / "fine")
    lost = {path for path in fine if any(name in path for name in told_of)}
    assert len(lost) == 4
    assert poisoned.keys() == fine.keys() - lost
    assert all(poisoned[path] == fine[path] for path in poisoned if path.startswith("reports/"))


@pytest.mark.usefixtures("poisoned")
def test_a_user_who_hangs_beyond_python_is_set_aside(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the one who watches can end it, and does so by the limit of the step: that of the shard is more than two minutes."""
    for name, value in {"_FIRST": 1, "_PROBES": 1}.items():
        monkeypatch.setattr(crew, name, value)
    monkeypatch.setattr(local_pool, "_SLACK", 0.5)
    names = keys(data, told)
    brew(tmp_path, {names[6]: "hang"})
    settings = told(tmp_path / "out", shard=4, workers=2, limit=8, user_seconds=2.5, formats=("html",))
    run = build_run(settings, data, scorer)
    assert [(failed.user, failed.stage, failed.reason) for failed in run.failures] == [
        (names[6], "worker", "took longer than 2.5 s in one step, and could not be interrupted")
    ]
    assert run.users.reported == 7


def test_one_worker_is_watched_after_it_died(
    shop: Path, data: Dataset, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the calling process: the run dies with the first such user. The one that goes on finds them all, and loses nobody."""
    names, out = keys(data, told), tmp_path / "out"
    brew(tmp_path, {names[13]: "kill", names[44]: "break"})
    assert build(shop, out, poisoned=True).wait(60) == -signal.SIGKILL
    assert results(out) == 2, "those before the shard of that user"
    assert build(shop, out, "--resume", poisoned=True).wait(120) == 3, said(out)
    assert aside(out) == {names[13]: ("worker", KILLED), names[44]: ("worker", "SystemExit: 3")}
    made, whole = files_of(out), files_of(shop / "whole")
    assert made.keys() == whole.keys()
    packs = {path for path in whole if path.startswith("packs/") and made[path] != whole[path]}
    assert packs == {"packs/000002.zip", "packs/000008.zip"}, "all others are those of an undisturbed run"
    for shard, guilty in ((2, names[13]), (8, names[44])):
        members = {entry.key for entry in map(read_entry, read_listing(out, shard)) if entry.status == MADE}
        assert members == set(names[5 * shard : 5 * shard + 5]) - {guilty}
    monkeypatch.setenv("REPORTGEN_KEY", KEY)
    assert finish(shop, out) == 3
    assert files_of(out) == made, "a complete run is left alone"


def test_a_process_of_a_cluster_that_dies_leaves_the_same_note(
    shop: Path, data: Dataset, told: Told, tmp_path: Path
) -> None:
    """Nobody watches ``reportgen shard`` either. One that ends in order takes its note away."""
    names, out = keys(data, told), tmp_path / "out"
    notes = out / WORK / "unwatched"
    assert build(shop, out, "--plan-only").wait(60) == 0
    brew(tmp_path, {names[13]: "kill"})
    assert make_shards(out, "5-5").wait(60) == 0
    assert (results(out), list(notes.iterdir())) == (1, [])
    assert make_shards(out, "1-4").wait(60) == -signal.SIGKILL
    assert (results(out), [note.name for note in notes.iterdir()]) == (2, ["shards-000001-000004"])
    assert build(shop, out, "--resume", poisoned=True).wait(120) == 3, said(out)
    assert aside(out) == {names[13]: ("worker", KILLED)}
    assert files_of(out).keys() == files_of(shop / "whole").keys()


def test_the_note_of_unwatched_work_stays_only_where_it_does_not_end_in_order(tmp_path: Path) -> None:
    for error, stays in (
        (None, False),
        (KeyboardInterrupt(), False),
        (OutputError("full"), False),
        (SystemExit(), True),
    ):
        try:
            with crew.unwatched(tmp_path, "build"):
                assert (tmp_path / WORK / "unwatched" / "build").exists()
                if error is not None:
                    raise error
        except BaseException as raised:
            assert raised is error  # noqa: PT017  (any of them is to come out)
        assert (tmp_path / WORK / "unwatched" / "build").exists() is stays
