"""Runs whose processes are really killed, hung, stopped and starved. Afterwards nobody is lost and nobody is doubled."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from disturbed import KEY, Told, alive, brew, build, children, files_of, finish, keys, results, said, until

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.run import build_run
from reportgen.batch.settings import Tools
from reportgen.data.dataset import Dataset
from reportgen.output.folder import MANIFEST, WORK
from reportgen.report.html import render_html


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


@pytest.fixture
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_KEY", KEY)


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
    process = build(shop, tmp_path / "out", "--workers", workers, "--quiet", preexec_fn=limit)
    assert process.wait(60) == 1
    assert "File too large" in said(tmp_path / "out")
    assert said(tmp_path / "out").count("\n") == 1
    assert not (tmp_path / "out" / MANIFEST).exists()
    assert finish(shop, tmp_path / "out") == 0
    assert files_of(tmp_path / "out") == files_of(shop / "whole")
