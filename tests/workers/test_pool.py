"""The driver of shards and the pools of this machine, with real processes that are really killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

# Workers import the tasks by name: the folder must be on the path here, and is handed on to them.
sys.path.insert(0, str(Path(__file__).parent))

import tasks_for_pool as tasks

from reportgen.errors import ReportgenError
from reportgen.workers.local_pool import HerePool, LocalPool, _Deadline
from reportgen.workers.pool import LONGEST_REASON, Answer, Outcome, Task, died, drive, told
from reportgen.workers.pool_worker import Limits
from reportgen.workers.pulse import lent

FOLDER = str(Path(__file__).parent)


def begun(folder: Path) -> Counter[int]:
    """How often each number was begun, by the traces."""
    return Counter({int(path.name): len(path.read_text("ascii").splitlines()) for path in folder.iterdir()})


def pids(folder: Path) -> set[int]:
    return {int(line.split()[1]) for path in folder.iterdir() for line in path.read_text("ascii").splitlines()}


def alive(pid: int) -> bool:
    """A process that has ended but that nobody has asked for (a zombie) is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait until something is so; False when it never is."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def check_only_one_failed(outcomes: list[Outcome], n: int, bad: int) -> Outcome:
    assert sorted(outcome.number for outcome in outcomes) == list(range(n)), "one lost, or one told twice"
    (failed,) = [outcome for outcome in outcomes if not outcome.ok]
    assert failed.number == bad
    assert failed.value is None
    assert all(outcome.value == outcome.number**2 for outcome in outcomes if outcome.ok)
    return failed


# --- tasks


def test_a_task_is_a_name_and_plain_arguments() -> None:
    task = Task.of(tasks.slow, Path("x"), 0.5)
    assert task == Task("tasks_for_pool", "slow", (Path("x"), 0.5))
    assert Task.of(tasks.square).load()(7) == 49
    Task.of(tasks.slow, ("a", b"b", 1, True, None, (2.5, Path("x"))), 0.1)


@pytest.mark.parametrize(
    "argument", [np.zeros(3), [1], {"a": 1}, (1, [2]), object()], ids=["array", "list", "dict", "inside", "object"]
)
def test_arguments_that_are_not_plain_are_refused(argument: object) -> None:
    with pytest.raises(TypeError, match="tasks are given paths and numbers"):
        Task.of(tasks.slow, argument)


def test_functions_that_a_worker_cannot_import_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def local(number: int) -> int:
        return number

    with pytest.raises(TypeError, match="a worker can import"):
        Task.of(local)
    with pytest.raises(TypeError, match="a worker can import"):
        Task.of(lambda number: number)
    monkeypatch.setattr(tasks.square, "__module__", "__main__")
    with pytest.raises(TypeError, match="a worker can import"):
        Task.of(tasks.square)


# --- the driver's own promises, with a pool that does its worst


@dataclass
class WorstPool:
    """Answers in any order, with any failure, as drawn; looks that the driver keeps its word."""

    window: int
    draw: random.Random
    guilty: set[int]
    flight: list[int] = field(default_factory=list)
    seen: Counter[int] = field(default_factory=Counter)
    suspected: set[int] = field(default_factory=set)
    closed: bool = False

    def open(self, _task: Task, _seconds: float | None) -> None:
        self.closed = False

    def submit(self, number: int) -> None:
        if number in self.suspected:
            assert not self.flight, "a suspect must run alone"
        self.flight.append(number)
        self.seen[number] += 1
        assert len(self.flight) <= self.window

    def wait(self) -> list[Answer]:
        if self.draw.random() < 0.2:
            return []
        if set(self.flight) & self.guilty and self.draw.random() < 0.5:  # the process of all dies
            gone, self.flight = self.flight, []
            self.suspected |= set(gone)
            return [Answer(number, "suspect", reason="died") for number in gone]
        number = self.flight[self.draw.randrange(len(self.flight))]
        if number in self.guilty:
            return []
        self.flight.remove(number)
        flaky = self.draw.random() < 0.1 and self.seen[number] < 3
        return [Answer(number, "error", reason="flaky") if flaky else Answer(number, "done", number)]

    def recall(self) -> set[int]:
        return set()

    def close(self) -> None:
        self.closed = True


@given(
    st.integers(0, 40), st.integers(1, 8), st.sets(st.integers(0, 39), max_size=4), st.randoms(use_true_random=False)
)
def test_each_number_has_one_outcome_whatever_the_pool_does(
    n: int, window: int, guilty: set[int], draw: random.Random
) -> None:
    pool = WorstPool(window, draw, guilty)
    outcomes = list(drive(Task.of(tasks.square), range(n), pool))
    assert sorted(outcome.number for outcome in outcomes) == list(range(n))
    assert {outcome.number for outcome in outcomes if not outcome.ok} == guilty & set(range(n))
    assert all(outcome.kind == "died" and outcome.attempts == 3 for outcome in outcomes if not outcome.ok)
    assert pool.closed or not n


def test_a_death_by_a_neighbour_is_not_charged() -> None:
    pool = WorstPool(4, random.Random(3), {2})
    outcomes = {outcome.number: outcome for outcome in drive(Task.of(tasks.square), range(4), pool, attempts=1)}
    assert len(pool.suspected) > 1, "the neighbours were in it"
    assert {number: outcome.ok for number, outcome in outcomes.items()} == {0: True, 1: True, 2: False, 3: True}
    assert all(outcome.attempts == 1 for outcome in outcomes.values())


def test_what_the_driver_does_not_take() -> None:
    with pytest.raises(ValueError, match="twice"):
        drive(Task.of(tasks.square), [1, 2, 1], HerePool())
    with pytest.raises(ValueError, match="attempt"):
        drive(Task.of(tasks.square), [1], HerePool(), attempts=0)
    with pytest.raises(ValueError, match="attempt"):
        drive(Task.of(tasks.square), [1], HerePool(), seconds=0.0)
    with pytest.raises(ValueError, match="worker"):
        LocalPool(0)


# --- counts


@pytest.mark.parametrize("make", [HerePool, lambda: LocalPool(2)], ids=["here", "local"])
@pytest.mark.parametrize("n", [0, 1, 200])
def test_every_number_is_done_once(make: Callable[[], HerePool | LocalPool], n: int, tmp_path: Path) -> None:
    outcomes = list(drive(Task.of(tasks.traced, tmp_path), range(n), make()))
    assert sorted((outcome.number, outcome.value) for outcome in outcomes) == [(k, k * k) for k in range(n)]
    assert all(outcome.ok and outcome.attempts == 1 and not outcome.reason for outcome in outcomes)
    assert begun(tmp_path) == dict.fromkeys(range(n), 1)


def test_a_pool_starts_no_more_workers_than_there_is_work(tmp_path: Path) -> None:
    list(drive(Task.of(tasks.slow, tmp_path, 0.2), [7], LocalPool(4)))
    assert len(pids(tmp_path)) == 1


def test_a_pool_can_be_used_again() -> None:
    pool = LocalPool(2)
    for function in (tasks.square, tasks.facts_of_worker):
        assert all(outcome.ok for outcome in drive(Task.of(function), range(5), pool))


# --- numbers that do harm

HARM = {
    "SIGKILL": ("died", "killed by signal 9 (SIGKILL)"),
    "SIGTERM": ("died", "killed by signal 15 (SIGTERM)"),
    "segfault": ("died", "killed by signal 11 (SIGSEGV)"),
    "exit 0": ("died", "its process ended by itself with code 0"),
    "memory": ("error", "MemoryError: "),
    "sys.exit": ("error", "SystemExit: 5"),
    "unpicklable": ("error", "UnpicklableError: has a function inside"),
    "unreadable": ("error", "UnreadableError: its message cannot be read"),
    "anything": ("error", "ValueError: anything"),
    "hang": ("late", "took longer than 0.4 s"),
    "spin": ("late", "took longer than 0.4 s"),
    "SIGSTOP": ("late", "took longer than 0.4 s"),
}


@pytest.mark.parametrize("how", HARM)
def test_exactly_the_guilty_number_fails(how: str, tmp_path: Path) -> None:
    late = HARM[how][0] == "late"
    task = Task.of(tasks.poison, tmp_path, how, 3)
    outcomes = list(drive(task, range(12), LocalPool(2), attempts=2, seconds=0.4 if late else None))
    failed = check_only_one_failed(outcomes, 12, bad=3)
    assert (failed.kind, failed.reason, failed.attempts) == (*HARM[how], 2)
    assert begun(tmp_path) == dict.fromkeys(range(12), 1) | {3: 2}, "no other number may be run twice"
    assert not any(alive(pid) for pid in pids(tmp_path))


def test_a_death_is_seen_though_a_child_keeps_the_pipe_open(tmp_path: Path) -> None:
    (outcome,) = drive(Task.of(tasks.leaves_a_child, tmp_path), [0], LocalPool(1), attempts=1)
    assert (outcome.kind, outcome.reason) == ("died", "its process ended by itself with code 3")
    (child,) = pids(tmp_path)
    assert alive(child), "it is seen while the child still lives"
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("how", ["unpicklable", "unreadable", "anything", "memory"])
def test_here_an_exception_is_told_in_the_same_words(how: str, tmp_path: Path) -> None:
    task = Task.of(tasks.poison, tmp_path, how, 3)
    failed = check_only_one_failed(list(drive(task, range(5), HerePool())), 5, bad=3)
    assert (failed.kind, failed.reason, failed.attempts) == (*HARM[how], 3)


def test_here_a_limit_of_time_interrupts_python(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGALRM)
    task = Task.of(tasks.poison, tmp_path, "spin", 1)
    failed = check_only_one_failed(list(drive(task, range(3), HerePool(), seconds=0.2, attempts=1)), 3, bad=1)
    assert (failed.kind, failed.reason) == ("late", "took longer than 0.2 s")
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_here_a_limit_of_time_is_refused_where_it_cannot_work() -> None:
    met: list[BaseException] = []

    def run() -> None:
        try:
            list(drive(Task.of(tasks.square), [1], HerePool(), seconds=1.0))
        except ReportgenError as error:
            met.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "needs worker processes" in str(met[0])


def test_a_value_that_cannot_be_sent_fails_its_number_only() -> None:
    outcomes = {outcome.number: outcome for outcome in drive(Task.of(tasks.unsendable), range(3), LocalPool(1))}
    assert outcomes[1].reason.startswith("its value cannot be sent: ")
    assert outcomes[0].ok
    assert outcomes[2].ok


def test_limits_of_memory_and_processor_time(tmp_path: Path) -> None:
    limits = Limits(memory=1 << 33, cpu_seconds=1)
    outcomes = drive(Task.of(tasks.poison, tmp_path, "spin", 1), range(4), LocalPool(2, limits), attempts=1)
    failed = check_only_one_failed(list(outcomes), 4, bad=1)
    assert (failed.kind, failed.reason) == ("late", "used more than 1 s of processor time")
    (outcome,) = drive(Task.of(tasks.facts_of_worker), [0], LocalPool(1, limits))
    assert outcome.value == ("1", True, 1 << 33, os.getpid())


def test_workers_that_cannot_begin_are_told_and_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ReportgenError, match=r"cannot begin: ModuleNotFoundError: No module named 'no_such_module'"):
        list(drive(Task("no_such_module", "f"), range(3), LocalPool(2)))
    (tmp_path / "dies_at_once.py").write_text("import os\nos._exit(7)\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ReportgenError, match=r"3 workers in a row ended before they could begin: .* code 7"):
        list(drive(Task("dies_at_once", "f"), range(3), LocalPool(2)))


# --- workers killed from outside


def kill_sometimes(pool: LocalPool, over: threading.Event, seed: int, killed: list[int]) -> None:
    draw = random.Random(seed)
    while len(killed) < 25 and not over.wait(draw.uniform(0.0, 0.15)):
        if workers := list(pool._workers):
            victim = draw.choice(workers).process
            victim.kill()
            killed.append(victim.pid)


@pytest.mark.parametrize("seed", range(2))
def test_workers_killed_at_random_moments_lose_nothing(seed: int, tmp_path: Path) -> None:
    pool, over, killed = LocalPool(2), threading.Event(), list[int]()
    killer = threading.Thread(target=kill_sometimes, args=(pool, over, seed, killed))
    # A worker may be killed again and again before it is ready: that is not what is tested here.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reportgen.workers.local_pool._FALSE_STARTS", 1000)
        killer.start()
        try:
            outcomes = list(drive(Task.of(tasks.slow, tmp_path, 0.01), range(200), pool, attempts=100))
        finally:
            over.set()
            killer.join()
    assert sorted((outcome.number, outcome.value) for outcome in outcomes) == [(k, k * k) for k in range(200)]
    assert len(killed) >= 5
    extra = sum(begun(tmp_path).values()) - 200
    assert extra <= len(killed), "a kill may cost one run at most"
    assert not any(alive(pid) for pid in pids(tmp_path) | set(killed))


def test_a_worker_killed_while_idle_costs_nobody(tmp_path: Path) -> None:
    pool = LocalPool(2)
    pool.open(Task.of(tasks.slow, tmp_path, 0.01), None)
    answers: list[Answer] = []
    for numbers in (range(4), range(4, 8), range(8, 12)):
        for number in numbers:
            pool.submit(number)
        while len(answers) < numbers.stop:
            answers += pool.wait()
        for worker in pool._workers:
            worker.process.kill()
            worker.process.wait()
    pool.close()
    assert sorted((answer.number, answer.kind) for answer in answers) == [(number, "done") for number in range(12)]
    assert len(pids(tmp_path)) >= 3, "each time there were new workers"


def test_a_deadline_that_is_called_off_in_time_does_not_strike() -> None:
    with subprocess.Popen(["sleep", "60"]) as process, lent() as (pulse, _):
        deadline = _Deadline(60, process, pulse)
        assert deadline.call_off() == ""
        deadline._strike("late")  # its time was up just before
        assert process.poll() is None
        struck = _Deadline(0.01, process, pulse)
        process.wait()
        assert struck.call_off() == "took longer than 0.01 s"


# --- stopping


def test_stop_begins_nothing_more_and_lets_the_window_end(tmp_path: Path) -> None:
    task = Task.of(tasks.slow, tmp_path, 0.8)
    run = drive(task, range(100), LocalPool(2), stop=lambda: len(traces_in(tmp_path)) == 2, grace=20.0)
    assert {outcome.number for outcome in run} == {0, 1}, "what was begun was finished"
    assert set(begun(tmp_path)) == {0, 1}, "and what waited for a worker was not begun"
    assert not any(alive(pid) for pid in pids(tmp_path))


def traces_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def test_what_is_not_ready_after_the_grace_is_dropped(tmp_path: Path) -> None:
    task = Task.of(tasks.slow, tmp_path, 600.0)
    run = drive(task, range(10), LocalPool(2), stop=lambda: len(traces_in(tmp_path)) == 2, grace=0.1)
    assert list(run) == []
    assert set(begun(tmp_path)) == {0, 1}
    assert not any(alive(pid) for pid in pids(tmp_path))


def test_stop_before_the_first_number(tmp_path: Path) -> None:
    for pool in (HerePool(), LocalPool(2)):
        assert list(drive(Task.of(tasks.traced, tmp_path), range(10), pool, stop=lambda: True)) == []
    assert begun(tmp_path) == {}


def test_here_nothing_is_begun_after_stop(tmp_path: Path) -> None:
    outcomes = list(
        drive(Task.of(tasks.traced, tmp_path), range(10), HerePool(), stop=lambda: len(traces_in(tmp_path)) == 3)
    )
    assert [outcome.number for outcome in outcomes] == [0, 1, 2]
    assert set(begun(tmp_path)) == {0, 1, 2}


def test_a_caller_who_walks_away_leaves_no_workers(tmp_path: Path) -> None:
    run: Iterator[Outcome] = drive(Task.of(tasks.slow, tmp_path, 0.05), range(100), LocalPool(2))
    next(run)
    run.close()  # type: ignore[attr-defined]
    assert pids(tmp_path)
    assert not any(alive(pid) for pid in pids(tmp_path))


PARENT = f"""
import signal, sys
from pathlib import Path
sys.path.insert(0, {FOLDER!r})
import tasks_for_pool as tasks
from reportgen.workers.local_pool import LocalPool
from reportgen.workers.pool import Task, drive
stopped = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *told: stopped.append(told[0]))
task = Task.of(tasks.slow, Path(sys.argv[1]), 600.0)
done = list(drive(task, range(10), LocalPool(2), stop=lambda: bool(stopped), grace=0.5))
print(len(done), stopped[0].real)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert until(lambda: len(traces_in(tmp_path)) == 2), "two workers, two numbers"
        workers = pids(tmp_path)
        assert all(alive(pid) for pid in workers)
        os.killpg(parent.pid, how)  # the whole group, as Ctrl-C does
        said, _ = parent.communicate(timeout=30)
    assert until(lambda: not any(alive(pid) for pid in workers), seconds=5.0)
    assert said == ("" if how is signal.SIGKILL else f"0 {how.value}\n")
    assert set(begun(tmp_path)) == {0, 1}


def test_the_signal_that_kills_the_parent_group_alone_would_not_reach_the_workers(tmp_path: Path) -> None:
    """The control of the test above: what ends the workers is not the group."""
    pool = LocalPool(1)
    run = drive(Task.of(tasks.slow, tmp_path, 0.01), range(3), pool)
    next(run)
    assert os.getpgid(pool._workers[0].process.pid) != os.getpgid(0)
    deque(run, maxlen=0)


# --- words


def test_the_words_for_a_failure() -> None:
    assert told(FileNotFoundError(2, "No such file or directory", "/home/me/x")) == (
        "FileNotFoundError: No such file or directory"
    ), "no folder of this machine"
    assert len(told(ValueError("x" * 10_000))) == LONGEST_REASON
    assert died(-64) in ("killed by signal 64 (SIGRTMAX)", "killed by signal 64 (unknown)")
    assert died(3) == "its process ended by itself with code 3"


def test_a_program_started_by_a_task_works(tmp_path: Path) -> None:
    (outcome,) = drive(Task.of(tasks.starts_a_program, tmp_path), [0], LocalPool(1))
    assert outcome.value == 0
