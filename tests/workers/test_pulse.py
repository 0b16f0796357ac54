"""Steps within a number: what a worker tells of them, and the parent who ends one that hangs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Workers import the tasks by name: the folder must be on the path here, and is handed on to them.
sys.path.insert(0, str(Path(__file__).parent))

import tasks_for_pool as tasks

from reportgen.workers import local_pool
from reportgen.workers.local_pool import LocalPool
from reportgen.workers.pool import Task, drive
from reportgen.workers.pulse import Beat, lent, tell


def test_a_step_that_hangs_outside_of_python_is_ended_long_before_the_limit_of_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_pool, "_SLACK", 0.3)
    task = Task.of(tasks.steps, tmp_path, 0.2, 2)
    outcomes = {outcome.number: outcome for outcome in drive(task, range(4), LocalPool(2), attempts=2, seconds=3600)}
    assert sorted(outcomes) == list(range(4))
    assert [number for number, outcome in outcomes.items() if not outcome.ok] == [2]
    assert (outcomes[2].kind, outcomes[2].attempts) == ("late", 2)
    assert outcomes[2].reason == "took longer than 0.2 s in one step, and could not be interrupted"


def test_steps_that_end_in_time_may_together_take_longer_than_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the time between two steps is counted for the whole number alone."""
    monkeypatch.setattr(local_pool, "_SLACK", 0.1)
    (outcome,) = drive(Task.of(tasks.steps, tmp_path, 0.4, 99), [1], LocalPool(1), attempts=1, seconds=3600)
    assert outcome.value == 8
    monkeypatch.setattr(local_pool, "_NAP", 0.05)
    (outcome,) = drive(Task.of(tasks.slow, tmp_path, 1.5), [1], LocalPool(1), attempts=1, seconds=0.5)
    assert (outcome.kind, outcome.reason) == ("late", "took longer than 0.5 s")


def test_a_pulse_is_heard_in_the_other_process_and_nothing_is_told_where_there_is_none() -> None:
    tell(1.0)
    with lent() as (pulse, handle):
        assert pulse.hear() == Beat(0, 0.0)
        code = f"from reportgen.workers import pulse as p; p.wear({handle}); p.tell(2.5); p.tell(0.0); p.tell(0.25)"
        subprocess.run([sys.executable, "-c", code], pass_fds=[handle], check=True)
    assert pulse.hear() == Beat(3, 0.25)
