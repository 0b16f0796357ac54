"""Shards in which some users do harm to the process that draws their page. Workers import this by name.

``poison.json`` beside the run folder says what each key does: ``kill``, ``hang``, ``break`` (an error no stage catches), or for
the key ``all`` how many seconds each page takes.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from reportgen.batch import crew, job
from reportgen.report.html import render_html
from reportgen.verbs import shard as shard_verb


def arm_all() -> None:
    """Make every shard of this process and of its workers a poisoned one."""
    vars(crew).update(make_shard=make_shard, probe_user=probe_user)
    vars(shard_verb).update(make_shard=make_shard)


def make_shard(run: str, shard: int) -> tuple[str, int, int]:
    _arm(run)
    return job.make_shard(run, shard)


def probe_user(run: str, place: int) -> None:
    _arm(run)
    job.probe_user(run, place)


def _arm(run: str) -> None:
    poison: dict[str, Any] = json.loads((Path(run).parent / "poison.json").read_text("utf-8"))

    def html(report: Any, **rest: Any) -> str:
        time.sleep(poison.get("all", 0.0))
        _harm(poison.get(report.key, ""))
        return render_html(report, **rest)

    maker = job._maker(run)
    maker.tools = replace(maker.tools, html=html)


def _harm(how: str) -> None:
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # as code does that never comes back to Python
        time.sleep(600)
    if how == "break":
        raise SystemExit(3)
