"""The Dask pool with a real scheduler and real workers, each a process of its own on this machine's loopback."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tasks_for_pool as tasks
from dask_cluster import FOLDER, Cluster, alive, clusters, stat, until, wait_for_workers

from reportgen.errors import ReportgenError
from reportgen.workers.dask_pool import DaskPool, versions
from reportgen.workers.local_pool import LocalPool
from reportgen.workers.pool import Outcome, Task, drive
from reportgen.workers.pool_worker import Limits


def traces(folder: Path) -> list[tuple[int, int]]:
    """Number and process of everything that was begun."""
    lines = [line for path in folder.iterdir() for line in path.read_text("ascii").splitlines()]
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


@pytest.fixture(scope="module")
def make_cluster(
    tmp_path_factory: pytest.TempPathFactory, need_tool: Callable[[str, str], str]
) -> Iterator[Callable[[], Cluster]]:
    with clusters(tmp_path_factory.mktemp, need_tool) as make:
        yield make


@pytest.fixture(scope="module")
def two(make_cluster: Callable[[], Cluster]) -> Cluster:
    """A scheduler with two workers."""
    cluster = make_cluster()
    for _ in range(2):
        cluster.worker()
    wait_for_workers(cluster, 2)
    return cluster


def by_number(outcomes: list[Outcome], n: int) -> dict[int, Outcome]:
    assert sorted(outcome.number for outcome in outcomes) == list(range(n)), "one lost, or one told twice"
    return {outcome.number: outcome for outcome in outcomes}


@pytest.mark.parametrize("n", [0, 1, 60])
def test_every_number_is_done_once(two: Cluster, n: int, tmp_path: Path) -> None:
    outcomes = by_number(list(drive(Task.of(tasks.traced, tmp_path), range(n), DaskPool(two.address))), n)
    assert all(outcome.ok and outcome.value == number**2 for number, outcome in outcomes.items())
    assert Counter(number for number, _ in traces(tmp_path)) == dict.fromkeys(range(n), 1)


def test_the_work_is_done_beside_both_workers_on_one_thread(two: Cluster, tmp_path: Path) -> None:
    list(drive(Task.of(tasks.slow, tmp_path, 0.05), range(20), DaskPool(two.address)))
    assert len({pid for _, pid in traces(tmp_path)}) == 2
    limits = Limits(memory=1 << 33)
    (outcome,) = drive(Task.of(tasks.facts_of_worker), [0], DaskPool(two.address, limits))
    assert outcome.value[:3] == ("1", True, 1 << 33)


@pytest.mark.parametrize(
    ("how", "kind", "reason"),
    [
        ("SIGKILL", "died", "killed by signal 9 (SIGKILL)"),
        ("segfault", "died", "killed by signal 11 (SIGSEGV)"),
        ("hang", "late", "took longer than 0.4 s"),
        ("unpicklable", "error", "UnpicklableError: has a function inside"),
    ],
)
def test_exactly_the_guilty_number_fails(two: Cluster, how: str, kind: str, reason: str, tmp_path: Path) -> None:
    task = Task.of(tasks.poison, tmp_path, how, 3)
    outcomes = by_number(list(drive(task, range(12), DaskPool(two.address), attempts=2, seconds=0.4)), 12)
    assert [number for number, outcome in outcomes.items() if not outcome.ok] == [3]
    assert (outcomes[3].kind, outcomes[3].reason, outcomes[3].attempts) == (kind, reason, 2)
    assert Counter(number for number, _ in traces(tmp_path)) == dict.fromkeys(range(12), 1) | {3: 2}


def test_a_dask_worker_killed_midway_loses_nothing(two: Cluster, tmp_path: Path) -> None:
    run = drive(Task.of(tasks.slow, tmp_path, 0.05), range(60), DaskPool(two.address))
    outcomes = [next(run) for _ in range(10)]
    beside = traces(tmp_path)[0][1]
    victim = int(stat(beside)[1])
    os.kill(victim, signal.SIGKILL)
    found = by_number([*outcomes, *run], 60)
    assert all(outcome.ok and outcome.attempts == 1 for outcome in found.values()), "nobody is to blame"
    assert not alive(victim)
    assert not alive(beside), "it does not outlive the worker"
    wait_for_workers(two, 2)


def test_a_number_that_kills_the_dask_worker_itself_is_found_alone(two: Cluster, tmp_path: Path) -> None:
    task = Task.of(tasks.poison, tmp_path, "kill the Dask worker", 3)
    outcomes = by_number(list(drive(task, range(12), DaskPool(two.address), attempts=1)), 12)
    assert [number for number, outcome in outcomes.items() if not outcome.ok] == [3]
    assert (outcomes[3].kind, outcomes[3].reason) == ("died", "killed 1 Dask worker in a row")
    assert all(outcome.attempts == 1 for outcome in outcomes.values())
    wait_for_workers(two, 2)


def test_stop_ends_what_runs_beside_the_workers(two: Cluster, tmp_path: Path) -> None:
    task = Task.of(tasks.slow, tmp_path, 600.0)
    run = drive(task, range(10), DaskPool(two.address), stop=lambda: len(traces(tmp_path)) == 2, grace=0.1)
    assert list(run) == []
    assert until(lambda: not any(alive(pid) for _, pid in traces(tmp_path)), seconds=5.0)
    assert len(traces(tmp_path)) == 2
    (outcome,) = drive(Task.of(tasks.square), [3], DaskPool(two.address))
    assert outcome.value == 9, "the workers are free again"


def test_a_task_that_the_workers_cannot_import_is_told(two: Cluster) -> None:
    with pytest.raises(ReportgenError, match=r"cannot work: .* No module named 'no_such_module'.*--resume"):
        list(drive(Task("no_such_module", "f"), range(3), DaskPool(two.address)))


#: Imported by every Python that starts with it on its path: a worker of another version, without installing one.
OTHER = """
import reportgen.version
reportgen.version.VERSION = "0.0.1"
"""
WITHOUT = """
import sys
sys.modules["reportgen"] = None
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OTHER, r"has reportgen 0\.0\.1 instead of \S+; install the same there"),
        (WITHOUT, "cannot run reportgen: "),
    ],
    ids=["another version", "none at all"],
)
def test_a_worker_that_does_not_fit_is_refused(two: Cluster, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(text, "utf-8")
    stranger = two.worker(PYTHONPATH=os.pathsep.join([str(tmp_path), FOLDER]))
    try:
        wait_for_workers(two, 3)
        with pytest.raises(ReportgenError, match=rf"the Dask worker tcp://127\.0\.0\.1:\d+ {message}"):
            list(drive(Task.of(tasks.square), range(3), DaskPool(two.address)))
    finally:
        two.end(stranger)
    wait_for_workers(two, 2)
    assert versions()["python"] == sys.version.split()[0]


def test_a_worker_that_comes_later_and_does_not_fit_is_refused(two: Cluster, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(OTHER, "utf-8")
    (tmp_path / "traces").mkdir()
    run = drive(Task.of(tasks.slow, tmp_path / "traces", 0.1), range(1000), DaskPool(two.address))
    next(run)
    stranger = two.worker(PYTHONPATH=os.pathsep.join([str(tmp_path), FOLDER]))
    try:
        with pytest.raises(ReportgenError, match=r"cannot work: it has reportgen 0\.0\.1 instead of"):
            list(run)
    finally:
        two.end(stranger)
    wait_for_workers(two, 2)


def test_a_worker_with_two_threads_is_refused(make_cluster: Callable[[], Cluster]) -> None:
    cluster = make_cluster()
    with pytest.raises(ReportgenError, match=r"the Dask scheduler tcp://127\.0\.0\.1:\d+ has no worker after 0\.5 s"):
        list(drive(Task.of(tasks.square), range(3), DaskPool(cluster.address, patience=0.5)))
    cluster.worker(threads=2)
    with pytest.raises(ReportgenError, match=r"has 2 threads; start workers with --nthreads 1"):
        list(drive(Task.of(tasks.square), range(3), DaskPool(cluster.address)))


def test_no_scheduler_is_told() -> None:
    pytest.importorskip("distributed")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ReportgenError, match=r"no Dask scheduler answers at tcp://\S+ within 0\.5 s"):
            list(drive(Task.of(tasks.square), range(3), DaskPool(address, patience=0.5)))
    for address in ("nonsense", "tcp://nowhere", "pigeon://roof:1"):
        with pytest.raises(ReportgenError, match=f"{address} is not the address of a Dask scheduler"):
            list(drive(Task.of(tasks.square), range(3), DaskPool(address, patience=0.5)))


@pytest.mark.slow
def test_losing_everything_midway_is_told(make_cluster: Callable[[], Cluster], tmp_path: Path) -> None:
    cluster = make_cluster()
    worker = cluster.worker()
    run = drive(Task.of(tasks.slow, tmp_path, 0.05), range(1000), DaskPool(cluster.address, patience=4.0))
    outcomes = [next(run) for _ in range(5)]
    ending = threading.Timer(0.2, cluster.end, [worker])
    ending.start()
    with pytest.raises(
        ReportgenError, match=r"has had no worker for 4 s; what is done is kept: run again with --resume"
    ):
        outcomes.extend(run)
    ending.join()
    cluster.worker()
    run = drive(Task.of(tasks.slow, tmp_path, 0.05), range(1000), DaskPool(cluster.address, patience=4.0))
    outcomes += [next(run) for _ in range(5)]
    cluster.processes[0].send_signal(signal.SIGSTOP)  # it stands still, and every connection stays open
    with pytest.raises(
        ReportgenError, match=r"has not answered for 4 s; what is done is kept: run again with --resume"
    ):
        outcomes.extend(run)
    cluster.processes[0].send_signal(signal.SIGCONT)
    run = drive(Task.of(tasks.slow, tmp_path, 0.05), range(1000), DaskPool(cluster.address))
    outcomes += [next(run) for _ in range(5)]
    cluster.processes[0].kill()
    with pytest.raises(
        ReportgenError, match=r"the Dask scheduler \S+ was lost; what is done is kept: run again with --resume"
    ):
        list(run)
    assert len(outcomes) >= 15
    assert all(outcome.ok for outcome in outcomes)


def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ReportgenError, match=r"pip install 'reportgen\[dask\]'"):
        list(drive(Task.of(tasks.square), range(3), DaskPool("tcp://127.0.0.1:1")))


def test_both_pools_give_the_same(two: Cluster, tmp_path: Path) -> None:
    task = Task.of(tasks.poison, tmp_path, "exit 0", 5)
    found = [by_number(list(drive(task, range(10), pool)), 10) for pool in (LocalPool(2), DaskPool(two.address))]
    assert found[0] == found[1]
