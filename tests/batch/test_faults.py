"""Runs whose processes are really killed, hung, stopped and starved. Afterwards nobody is lost and nobody is doubled."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

# Workers import the poison by name: the folder must be on the path here, and is handed on to them.
sys.path.insert(0, str(Path(__file__).parent))

import poison_for_shards

from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import save_model
from reportgen.batch import crew
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings, Tools
from reportgen.cli import main
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.explain.privacy import pseudonym
from reportgen.output.folder import MANIFEST, WORK
from reportgen.report.html import render_html

Told = Callable[..., RunSettings]
Files = dict[str, bytes]
SHARD = 10
KEY = "a key for tests, not a secret"
ENV = os.environ | {
    "REPORTGEN_KEY": KEY,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def files_of(folder: Path) -> Files:
    """Every file of a run but its status, which tells when."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "run_status.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def children(pid: int) -> set[int]:
    """Processes below one, at any depth."""
    found = {int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()}
    return found.union(*map(children, found)) if found else found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], Any], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# --- one poisonous user


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("make_shard", "probe_user"):
        monkeypatch.setattr(crew, name, getattr(poison_for_shards, name))


def brew(folder: Path, poison: dict[str, Any]) -> None:
    (folder / "poison.json").write_text(json.dumps(poison))


def keys(data: Dataset, told: Told) -> list[str]:
    out = data.users["opted_out"].to_numpy(dtype=bool)
    return [pseudonym(told(Path()).key, str(user)) for user in data.user_ids[~out]]


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
    assert told_of == {
        names[3]: ("worker", "killed by signal 9 (SIGKILL)"),
        names[41]: ("worker", "SystemExit: 3"),
    }
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
    """Only the one who watches can end it."""
    for name, value in {"_OPENING": 2.0, "_FIRST": 1, "_PROBES": 1}.items():
        monkeypatch.setattr(crew, name, value)
    names = keys(data, told)
    brew(tmp_path, {names[6]: "hang"})
    settings = told(tmp_path / "out", shard=4, workers=2, limit=8, user_seconds=0.3, formats=("html",))
    run = build_run(settings, data, scorer)
    assert [(failed.user, failed.stage) for failed in run.failures] == [(names[6], "worker")]
    assert run.failures[0].reason.startswith("took longer than")
    assert run.users.reported == 7


def test_a_user_who_takes_too_long_is_set_aside_where_it_happens(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    slow = keys(data, told)[2]

    def html(report: Any, **rest: Any) -> str:
        while report.key == slow:
            time.sleep(0.01)
        return render_html(report, **rest)

    run = build_run(told(tmp_path / "out", limit=5, user_seconds=0.5), data, scorer, tools=Tools(html=html))
    assert [(failed.user, failed.stage, failed.reason) for failed in run.failures] == [
        (slow, "html", "TimeoutError: took longer than 0.5 s")
    ]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


# --- processes killed at random


@pytest.mark.usefixtures("poisoned")
def test_workers_killed_at_random_cost_nobody(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    brew(tmp_path, {"all": 0.01})
    settings = told(tmp_path / "out", shard=5, packs=True, workers=2)
    build_run(replace(settings, out=tmp_path / "whole"), data, scorer)
    over, killed, chance = threading.Event(), [], random.Random(5)

    def hunt() -> None:
        """Kill one that works, then wait for further shards: who is killed before it is ready, again and again, is given up."""
        while len(killed) < 3 and not over.wait(chance.uniform(0.0, 0.2)):
            prey = sorted(children(os.getpid()))
            if prey and results(tmp_path / "out") > 2 * len(killed):
                os.kill(chance.choice(prey), signal.SIGKILL)
                killed.append(1)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        run = build_run(settings, data, scorer)
    finally:
        over.set()
        hunter.join()
    assert killed
    assert run.users.set_aside == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@pytest.fixture(scope="module")
def shop(data: Dataset, scorer: AttentionScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables, a model and an undisturbed run for processes of their own."""
    folder = tmp_path_factory.mktemp("shop")
    made = make_shop(60)
    items = made.items.assign(tags=[",".join(tags) for tags in made.items["tags"]])
    for name, frame in {"events": made.events, "items": items, "users": made.users}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    assert data.user_ids.size == 60
    save_model(scorer, folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPORTGEN_KEY", KEY)
        assert finish(folder, folder / "whole") == 0
    return folder


def words(shop: Path, out: Path) -> list[str]:
    tables = [word for name in ("events", "items", "users") for word in (f"--{name}", str(shop / f"{name}.csv"))]
    return ["build", *tables, "--model", str(shop / "model"), "--out", str(out), "--shard-size", "5", "--packs"]


def build(shop: Path, out: Path, *more: str, **given: Any) -> subprocess.Popen[bytes]:
    """Begin a run in a process of its own; what it says goes to a file."""
    command = [sys.executable, "-m", "reportgen", *words(shop, out), *more]
    with open(out.with_suffix(".err"), "wb") as told:
        return subprocess.Popen(command, env=ENV, stdout=subprocess.DEVNULL, stderr=told, **given)


def said(out: Path) -> str:
    return out.with_suffix(".err").read_text("utf-8")


def finish(shop: Path, out: Path) -> int:
    return main([*words(shop, out), "--resume", "--quiet"])


@pytest.fixture
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_KEY", KEY)


def results(out: Path) -> int:
    return len(list((out / WORK / "results").glob("0*.json")))


@pytest.mark.usefixtures("_key")
def test_a_killed_parent_leaves_no_orphan_and_can_be_resumed(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = build(shop, out, "--workers", "2")
    assert until(lambda: results(out) >= 3)
    below = children(process.pid)
    process.kill()
    process.wait()
    assert below
    assert until(lambda: not any(map(alive, below)), 5)
    assert finish(shop, out) == 0
    assert files_of(out) == files_of(shop / "whole")
    assert json.loads((out / "run_status.json").read_bytes())["phase"] == "done"


@pytest.mark.usefixtures("_key")
@pytest.mark.parametrize(("asked", "workers"), [(signal.SIGTERM, "2"), (signal.SIGINT, "1")])
def test_a_signal_ends_a_run_in_order(asked: signal.Signals, workers: str, shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = build(shop, out, "--workers", workers)
    assert until(lambda: results(out) >= 1)
    below, start = children(process.pid), time.monotonic()
    process.send_signal(asked)
    assert process.wait(30) == 130, said(out)
    assert time.monotonic() - start < 5
    assert said(out).splitlines()[-1] == "reportgen: interrupted; go on with --resume, or begin again with --overwrite"
    assert not any(map(alive, below))
    assert not (out / MANIFEST).exists()
    assert json.loads((out / "run_status.json").read_bytes())["phase"] == "interrupted"
    assert finish(shop, out) == 0
    assert files_of(out) == files_of(shop / "whole")


@pytest.mark.usefixtures("_key")
def test_a_second_run_on_the_folder_is_told(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    first = build(shop, out)
    assert until((out / WORK).exists)
    first.send_signal(signal.SIGSTOP)  # it holds the folder for as long as the second one looks
    assert finish(shop, out) == 1
    first.send_signal(signal.SIGCONT)
    assert "is in use by another run" in capsys.readouterr().err
    assert first.wait(60) == 0
    assert files_of(out) == files_of(shop / "whole")


@pytest.mark.usefixtures("_key")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_limit_on_the_size_of_files_ends_the_run_resumable(workers: str, shop: Path, tmp_path: Path) -> None:
    """As a full disk does: nobody is set aside for it."""
    size = max(path.stat().st_size for path in (shop / "whole" / "packs").iterdir()) - 1
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    process = build(shop, tmp_path / "out", "--workers", workers, preexec_fn=limit)
    assert process.wait(60) == 1
    assert "File too large" in said(tmp_path / "out")
    assert said(tmp_path / "out").count("\n") == 1
    assert not (tmp_path / "out" / MANIFEST).exists()
    assert finish(shop, tmp_path / "out") == 0
    assert files_of(tmp_path / "out") == files_of(shop / "whole")
