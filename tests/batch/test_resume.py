"""Going on with a run: only what is missing or damaged is made again, and in the end every byte is as if nothing had happened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch import closing, run
from reportgen.batch.plan import FILE as PLAN
from reportgen.batch.resume import locked
from reportgen.batch.run import build_run, plan_run
from reportgen.batch.settings import RunSettings, RunSummary, Tools
from reportgen.batch.shard import result_path
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, OutputError, ReportgenError
from reportgen.output.folder import MANIFEST, MARKER, WORK
from reportgen.report.html import render_html

Told = Callable[..., RunSettings]
Go = Callable[..., RunSummary]
SHARD = 10


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def times_of(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture(scope="module", params=[False, True], ids=["files", "packs"])
def packs(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def go(data: Dataset, scorer: AttentionScorer, told: Told, packs: bool) -> Go:
    def make(
        out: Path, hear: Any = lambda *_, **__: None, tools: Tools | None = None, stop: Any = bool, **given: Any
    ) -> RunSummary:
        settings = replace(told(out, shard=SHARD, packs=packs, chunk=4), **given)
        return build_run(settings, data, scorer, tools=tools, hear=hear, stop=stop)

    return make


class After:
    """Stop when so many users were drawn."""

    def __init__(self, users: int) -> None:
        self.left = users

    def tools(self) -> Tools:
        return Tools(html=self.html)

    def html(self, report: Any, **rest: Any) -> str:
        self.left -= 1
        return render_html(report, **rest)

    def stop(self) -> bool:
        return self.left <= 0


@pytest.mark.parametrize("users", [1, 10, 33, 58])
def test_an_interrupted_run_goes_on(users: int, go: Go, whole: Path, tmp_path: Path) -> None:
    out, after = tmp_path / "out", After(users)
    with pytest.raises(KeyboardInterrupt):
        go(out, tools=after.tools(), stop=after.stop)
    assert not (out / MANIFEST).exists()
    assert (out / WORK).stat().st_mode & 0o077 == 0
    heard: list[tuple[str, dict[str, Any]]] = []
    summary = go(out, resume=True, hear=lambda event, **facts: heard.append((event, facts)))
    done = [facts["shard"] for event, facts in heard if event == "shard_done"]
    kept = (users - 1) // SHARD  # it stopped at that user, before the shard was written
    assert done == list(range(kept, 6))
    assert summary.shards == {"done": 6 - kept, "kept": kept, "again": 0}
    assert files_of(out) == files_of(whole)


def test_a_whole_run_is_left_alone(go: Go, out: Path, whole: Path) -> None:
    before = times_of(out)
    summary = go(out, resume=True, workers=2)
    assert times_of(out) == before
    assert (summary.users.reported, summary.made, summary.shards) == (59, {"html": 59, "json": 59}, {"kept": 6})
    assert summary.run_id == json.loads((whole / MANIFEST).read_bytes())["run_id"]


@pytest.mark.parametrize("how", ["flip", "cut", "remove", "link"])
def test_a_damaged_report_is_named_and_its_shard_alone_made_again(
    how: str, go: Go, out: Path, whole: Path, packs: bool
) -> None:
    victim = sorted((out / ("packs" if packs else "reports")).rglob("*.*"))[2]
    content = victim.read_bytes()
    if how == "flip":
        victim.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
    elif how == "cut":
        victim.write_bytes(content[:-1])
    else:
        victim.unlink()
    if how == "link":
        victim.symlink_to(out / MANIFEST)
    before, heard = times_of(out / ("packs" if packs else "reports")), []
    summary = go(out, resume=True, hear=lambda event, **facts: heard.append((event, facts)))
    events = [event for event, _ in heard if event not in ("run_started", "phase")]
    assert events == ["damaged", "shard_done"]
    assert ("damaged", {"file": victim.relative_to(out).as_posix(), "cause": "damaged"}) in heard
    assert summary.shards == {"done": 1, "kept": 5, "again": 0}
    touched = [
        path for path, time in times_of(out / ("packs" if packs else "reports")).items() if before.get(path) != time
    ]
    assert len([path for path in touched if path.is_file()]) == (1 if packs else 2 * SHARD)
    assert files_of(out) == files_of(whole)
    assert not (out / "reports").is_symlink()


@pytest.mark.parametrize("name", ["index.html", "errors.jsonl", "audit/fidelity.json", PLAN, MANIFEST])
def test_a_file_of_the_run_itself_is_made_again(name: str, go: Go, out: Path, whole: Path) -> None:
    (out / name).unlink()
    if name == PLAN:  # nobody can say any more whether it is the same run
        with pytest.raises(OutputError, match="without a plan"):
            go(out, resume=True)
        return
    go(out, resume=True)
    assert files_of(out) == files_of(whole)


def test_what_dead_processes_left_is_taken_away(go: Go, out: Path, whole: Path) -> None:
    (out / MANIFEST).unlink()
    place = next(path for path in (out / "packs", *(out / "reports").glob("*")) if path.is_dir())
    for folder in (out, place):
        (folder / ".000001.zip.0123abcd.part").touch()
    go(out, resume=True)
    assert files_of(out) == files_of(whole)


@pytest.mark.parametrize("spoilt", [b"", b"{}", b'{"shard":0}\n'])
def test_a_damaged_result_is_no_result(spoilt: bytes, go: Go, whole: Path, tmp_path: Path) -> None:
    out, after = tmp_path / "out", After(25)
    with pytest.raises(KeyboardInterrupt):
        go(out, tools=after.tools(), stop=after.stop)
    (out / result_path(1)).write_bytes(spoilt)
    assert go(out, resume=True).shards["kept"] == 1
    assert files_of(out) == files_of(whole)


def test_a_result_of_another_shard_does_not_count_for_this_one(go: Go, whole: Path, tmp_path: Path) -> None:
    out, after = tmp_path / "out", After(25)
    with pytest.raises(KeyboardInterrupt):
        go(out, tools=after.tools(), stop=after.stop)
    shutil.copy(out / result_path(0), out / result_path(4))
    assert go(out, resume=True).shards["kept"] == 2
    assert files_of(out) == files_of(whole)


def test_other_settings_are_refused_and_nothing_is_touched(go: Go, out: Path) -> None:
    before = times_of(out)
    with pytest.raises(
        ConfigError, match=r"settings\.options\.n \(5 there, 4 now\); give the same again or use --overwrite"
    ):
        go(out, resume=True, n=4)
    assert times_of(out) == before


def test_resume_begins_where_nothing_is(go: Go, whole: Path, tmp_path: Path) -> None:
    """A run may be killed before its plan is written."""
    out = tmp_path / "out"
    out.mkdir()
    (out / MARKER).touch()
    go(out, resume=True)
    assert files_of(out).keys() == files_of(whole).keys()


def test_overwrite_takes_everything_of_the_former_run_away(go: Go, out: Path) -> None:
    (out / "notes.txt").write_text("mine")
    (out / WORK).mkdir()
    (out / WORK / "old").touch()
    go(out, overwrite=True, limit=3, formats=("json",), packs=False)
    left = files_of(out)
    assert len([path for path in left if path.startswith("reports/")]) == 3
    assert "notes.txt" in left
    assert not [path for path in left if path.startswith(("packs/", "index/", WORK))]


def test_two_runs_on_one_folder(go: Go, out: Path) -> None:
    with locked(out):
        for given in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(OutputError, match=r"in use by another run"):
                go(out, **given)
    go(out, resume=True)


def test_a_user_in_two_results_is_not_passed_over(go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the count at the end is made from the disk and has to come out even."""
    read = closing.read_result

    def one_more(*given: Any) -> Any:
        result = read(*given)
        return result and replace(result, users=result.users + 1)

    monkeypatch.setattr(closing, "read_result", one_more)
    with pytest.raises(ReportgenError, match="65 users with a report and 0 without are not 59"):
        go(tmp_path / "out")
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_a_plan_alone(data: Dataset, scorer: AttentionScorer, told: Told, packs: bool, tmp_path: Path) -> None:
    settings = told(tmp_path / "out", shard=SHARD, packs=packs)
    plan, missing = plan_run(settings, data, scorer)
    assert (plan.shards, missing) == (6, list(range(6)))
    with pytest.raises(ReportgenError, match="own cannot be sent to other processes"):
        build_run(replace(settings, workers=2, resume=True), data, scorer, tools=Tools())
    build_run(replace(settings, resume=True), data, scorer)
    assert plan_run(replace(settings, resume=True), data, scorer)[1] == []
    assert run.check_plan(tmp_path / "out", plan)
