"""Whole runs on a real Dask cluster: as by this machine alone, whatever happens to a user, a worker or the scheduler."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workers"))

from dask_cluster import FOLDER as WORKERS
from dask_cluster import Cluster, clusters, wait_for_workers
from disturbed import FOLDER, KEY, Told, brew, build, files_of, finish, keys, results, said, until

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.foreign import Foreign
from reportgen.batch.run import build_run
from reportgen.data.dataset import Dataset
from reportgen.data.weights import read_weights
from reportgen.output.folder import MANIFEST

#: Imported by every Python that starts with it on its path: a worker of another version, without installing one.
OTHER = """
import reportgen.version
reportgen.version.VERSION = "0.0.1"
"""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_KEY", KEY)


@pytest.fixture(scope="module")
def make_cluster(
    tmp_path_factory: pytest.TempPathFactory, need_tool: Callable[[str, str], str]
) -> Iterator[Callable[[], Cluster]]:
    """Makes a scheduler with two workers."""
    with clusters(tmp_path_factory.mktemp, need_tool, (WORKERS, FOLDER)) as empty:

        def make() -> Cluster:
            cluster = empty()
            for _ in range(2):
                cluster.worker()
            wait_for_workers(cluster, 2)
            return cluster

        yield make


@pytest.fixture(scope="module")
def two(make_cluster: Callable[[], Cluster]) -> Cluster:
    return make_cluster()


def test_a_run_on_weights_is_the_same_on_a_cluster(two: Cluster, data: Dataset, told: Told, tmp_path: Path) -> None:
    rows = [(user, data.item_ids[at], data.item_ids[at + 5], 1.0) for at, user in enumerate(data.user_ids[:30])]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "history_item_id", "weight"])
    engine = Foreign(read_weights(frame, data))
    for out, scheduler in (("here", ""), ("there", two.address)):
        build_run(told(tmp_path / out, shard=5, scheduler=scheduler), data, engine)
    assert files_of(tmp_path / "here") == files_of(tmp_path / "there")
    assert len(list((tmp_path / "there").rglob("reports/*/*.html"))) > 20


def test_a_worker_killed_in_a_whole_run_costs_nothing(two: Cluster, shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    brew(tmp_path, {"all": 0.02})
    process = build(shop, out, "--scheduler", two.address, poisoned=True)
    assert until(lambda: results(out) >= 2)
    victim = next(worker for worker in two.processes[1:] if worker.poll() is None)
    below = [
        int(pid) for path in Path(f"/proc/{victim.pid}/task").glob("*/children") for pid in path.read_text().split()
    ]
    assert below, "the nanny has a worker"
    os.kill(below[-1], signal.SIGKILL)
    assert process.wait(60) == 0, said(out)
    assert files_of(out) == files_of(shop / "whole")
    wait_for_workers(two, 2)


@pytest.mark.slow
@pytest.mark.usefixtures("poisoned")
def test_exactly_the_user_who_kills_the_process_is_set_aside(
    two: Cluster, data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    names = keys(data, told)
    brew(tmp_path, {names[7]: "kill"})
    run = build_run(told(tmp_path / "out", shard=5, limit=20, scheduler=two.address), data, scorer)
    assert [(failed.user, failed.stage, failed.reason) for failed in run.failures] == [
        (names[7], "worker", "killed by signal 9 (SIGKILL)")
    ]
    assert run.users.reported == 19
    made = {
        path.partition(".")[0].rpartition("/")[2] for path in files_of(tmp_path / "out") if path.startswith("reports/")
    }
    assert made == set(names[:20]) - {names[7]}


def test_a_worker_of_another_version_is_refused(
    two: Cluster, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(OTHER, "utf-8")
    stranger = two.worker(PYTHONPATH=os.pathsep.join([str(tmp_path), WORKERS, FOLDER]))
    try:
        wait_for_workers(two, 3)
        assert finish(shop, tmp_path / "out", "--scheduler", two.address) == 1
    finally:
        two.end(stranger)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("reportgen: the Dask worker tcp://127.0.0.1:")
    assert "has reportgen 0.0.1 instead of" in line
    assert line.endswith("; install the same there")
    wait_for_workers(two, 2)
    assert finish(shop, tmp_path / "out", "--scheduler", two.address) == 0, "and then it goes on"
    assert files_of(tmp_path / "out") == files_of(shop / "whole")


def test_a_scheduler_that_is_lost_midway_is_told_and_the_run_goes_on_without(
    make_cluster: Callable[[], Cluster], shop: Path, tmp_path: Path
) -> None:
    cluster, out = make_cluster(), tmp_path / "out"
    brew(tmp_path, {"all": 0.05})
    process = build(shop, out, "--scheduler", cluster.address, "--quiet", poisoned=True)
    assert until(lambda: results(out) >= 2)
    cluster.processes[0].kill()
    assert process.wait(60) == 1
    lost = f"reportgen: the Dask scheduler {cluster.address} was lost; what is done is kept: run again with --resume"
    assert said(out).splitlines()[-1] == lost
    assert not (out / MANIFEST).exists()
    assert results(out) < 12
    assert finish(shop, out) == 0
    assert files_of(out) == files_of(shop / "whole")


def test_a_scheduler_that_cannot_be_reached_is_told(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = pytest.importorskip("reportgen.workers.dask_pool").DaskPool
    monkeypatch.setattr(pool.__init__, "__defaults__", (None, 0.5))
    assert finish(shop, tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("reportgen: no Dask scheduler answers at tcp://127.0.0.1:9 within 0.5 s: ")
