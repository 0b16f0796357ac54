"""A chunk of users that fails as a whole: its users are made one by one, which is said, and costs nobody but the guilty."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from disturbed import Told, files_of, keys

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSummary, Tools
from reportgen.batch.watch import Watch, closing
from reportgen.data.dataset import Dataset
from reportgen.explain.why import explain_many


def run_with(
    explain: Any, told: Told, data: Dataset, scorer: AttentionScorer, out: Path, **more: Any
) -> tuple[RunSummary, list[dict[str, Any]], dict[str, Any]]:
    """A run with that tool; its summary, the lines of its log, and its last status."""
    lines: list[str] = []
    out.mkdir()
    watch = Watch(out, float, float, lambda _: "2026-01-01T00:00:00Z", lambda *_: None, lines.append)
    settings = told(out, overwrite=True, shard=20, chunk=10, **more)
    made = build_run(settings, data, scorer, watch.say, Tools(explain=explain), hear=watch.hear)
    watch.done(made)
    return made, [json.loads(line) for line in lines], json.loads((out / "run_status.json").read_bytes())


def test_a_chunk_that_fails_is_taken_apart_and_counted_without_ids(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    """One user of the second shard cannot be explained: of ten in the chunk nine are, and all is told in one line."""
    chosen = [str(user) for user, out in zip(data.user_ids, data.users["opted_out"], strict=True) if not out]

    def explain(scorer: Any, data: Dataset, ids: Sequence[str], *rest: Any) -> Any:
        if chosen[25] in ids:
            raise RuntimeError(f"cannot explain {chosen[25]}")
        return explain_many(scorer, data, ids, *rest)

    made, lines, status = run_with(explain, told, data, scorer, tmp_path / "out")
    key = keys(data, told)[25]
    assert [(failed.user, failed.stage) for failed in made.failures] == [(key, "explain")]
    assert [line for line in lines if line["event"] == "chunk_apart"] == [
        {"when": "2026-01-01T00:00:00Z", "event": "chunk_apart", "shard": 1, "stage": "explain", "users": 10}
    ]
    assert made.shards == {"done": 3, "kept": 0, "again": 0, "apart": 1}
    assert status["shards"] == {"apart": 1, "done": 3}
    assert "shards: 3 done, 1 with users made one by one" in list(closing(made, 1.0))
    everything = json.dumps([lines, status]) + "".join(closing(made, 1.0))
    assert not any(name in everything for name in (chosen[25], key))


def test_users_made_one_by_one_have_the_same_bytes(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    def one_only(scorer: Any, data: Dataset, ids: Sequence[str], *rest: Any) -> Any:
        if len(ids) > 1:
            raise MemoryError
        return explain_many(scorer, data, ids, *rest)

    made, lines, _ = run_with(one_only, told, data, scorer, tmp_path / "apart")
    assert made.users.set_aside == 0
    assert sum(line["users"] for line in lines if line["event"] == "chunk_apart") == made.users.reported
    whole, lines, status = run_with(explain_many, told, data, scorer, tmp_path / "whole")
    assert not any(line["event"] == "chunk_apart" for line in lines)
    assert "apart" not in whole.shards | status["shards"]
    apart, fine = files_of(tmp_path / "apart"), files_of(tmp_path / "whole")
    assert apart == fine


@pytest.mark.parametrize("hang", ["busy", "asleep"])
def test_one_slow_user_of_a_chunk_is_found_after_the_time_of_two(
    hang: str, data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    """The chunk of ten may take what one user may, not the sum: else the one who hangs here would be found after ten times that."""
    chosen = [str(user) for user, out in zip(data.user_ids, data.users["opted_out"], strict=True) if not out]
    waited: list[float] = []

    def explain(scorer: Any, data: Dataset, ids: Sequence[str], *rest: Any) -> Any:
        if chosen[13] in ids:
            start = time.monotonic()
            try:
                while True:
                    time.sleep(600 if hang == "asleep" else 0)
            finally:
                waited.append(time.monotonic() - start)
        return explain_many(scorer, data, ids, *rest)

    made, lines, _ = run_with(explain, told, data, scorer, tmp_path / "out", user_seconds=1.5)
    assert [(failed.user, failed.stage, failed.reason) for failed in made.failures] == [
        (keys(data, told)[13], "explain", "TimeoutError: took longer than 1.5 s")
    ]
    assert made.users.reported == len(chosen) - 1
    assert [line["users"] for line in lines if line["event"] == "chunk_apart"] == [10]
    assert len(waited) == 2, "once with the others and once alone"
    assert min(waited) >= 1.4
