"""Progress, status file, log lines, closing words and metrics: right numbers, valid forms, and no user in any of them."""

from __future__ import annotations

import json
import math
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch import metrics as metrics_module
from reportgen.batch.hearing import Hearing
from reportgen.batch.logline import EVENTS, log_line
from reportgen.batch.metrics import Metrics, check_metrics_file, last_success, render_metrics, write_metrics
from reportgen.batch.run import plan_run
from reportgen.batch.settings import Failure, RunSettings
from reportgen.batch.shard import Result, result_path
from reportgen.batch.status import (
    PHASES,
    POINTS,
    Closing,
    Progress,
    Status,
    closing_lines,
    duration,
    status_of,
    write_status,
)
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, OutputError
from reportgen.output.durable import Durable

WHEN = "2026-01-31T18:00:00Z"


def test_a_steady_run_has_its_rate_and_its_end() -> None:
    progress = Progress(1000, now=50.0)
    assert (progress.rate(50.0), progress.remaining(50.0)) == (0.0, None)
    for second in range(1, 101):
        progress.update(50.0 + second, done=4 * second, set_aside=second)
    assert progress.rate(150.0) == pytest.approx(5.0)
    assert progress.remaining(150.0) == pytest.approx(100.0)
    assert progress.finished == 500


def test_the_rate_looks_back_one_window_and_no_further() -> None:
    progress = Progress(100_000, now=0.0, window=60.0)
    for second in range(1, 601):
        progress.update(float(second), done=10 * second, set_aside=0)
    for second in range(601, 701):
        progress.update(float(second), done=6000 + 100 * (second - 600), set_aside=0)
    assert progress.rate(700.0) == pytest.approx(100.0)
    # Nothing happens for two minutes: the rate falls, and the end moves away.
    assert progress.rate(820.0) < 35.0
    assert (progress.remaining(820.0) or 0) > (progress.remaining(700.0) or 0)


def test_users_of_a_former_run_do_not_count_for_the_rate() -> None:
    progress = Progress(1000, now=0.0, done=900, set_aside=10)
    assert progress.line(0.0) == "910 of 1,000 users (91 %), 10 set aside"
    progress.update(10.0, done=920, set_aside=10)
    assert progress.rate(10.0) == pytest.approx(2.0)
    assert progress.line(10.0) == "930 of 1,000 users (93 %), 10 set aside, 2.0 users/s, 35 s left"


@given(
    steps=st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50), st.integers(0, 3)), max_size=300),
    window=st.floats(0.5, 200),
)
def test_progress_never_says_nonsense(steps: list[tuple[float, int, int]], window: float) -> None:
    progress = Progress(20_000, now=0.0, window=window)
    now, done, aside = 0.0, 0, 0
    for waited, more, broken in steps:
        now, done, aside = now + waited, done + more, aside + broken
        progress.update(now, done, aside)
        rate, remaining = progress.rate(now), progress.remaining(now)
        assert rate >= 0
        assert math.isfinite(rate)
        assert (remaining is None) == (rate == 0)
        assert len(progress.bar(now, 60)) <= 60
    assert len(progress._points) <= POINTS + 3


def test_quick_updates_keep_few_points_and_the_right_rate() -> None:
    progress = Progress(10**6, now=0.0)
    for k in range(1, 100_001):
        progress.update(k / 1000, done=k, set_aside=0)
    assert len(progress._points) <= POINTS + 3
    assert progress.rate(100.0) == pytest.approx(1000.0, rel=0.01)


@pytest.mark.parametrize(("done", "aside"), [(4, 0), (5, 1), (5, 96), (101, 0)])
def test_lost_and_doubled_users_are_noticed(done: int, aside: int) -> None:
    progress = Progress(100, now=0.0)
    progress.update(1.0, 5, 2)
    with pytest.raises(ValueError, match="lost or doubled"):
        progress.update(2.0, done, aside)


def test_a_run_without_users_and_a_finished_one() -> None:
    assert Progress(0, now=0.0).line(1.0) == "0 of 0 users (0 %)"
    assert Progress(0, now=0.0).remaining(1.0) == 0.0
    progress = Progress(200, now=0.0)
    progress.update(2.0, 200, 0)
    assert progress.line(2.0) == "200 of 200 users (100 %), 100 users/s"
    assert progress.bar(2.0, 60) == "[####################] 200 of 200 users (100 %), 100 users/s"
    assert progress.bar(2.0, 20) == "200 of 200 users (10"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (59.5, "1 min 00 s"),
        (108, "1 min 48 s"),
        (3599.1, "1 h 00 min"),
        (10_925, "3 h 02 min"),
    ],
)
def test_a_time_is_said_as_people_say_it(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_the_status_file_says_it_in_a_fixed_form(tmp_path: Path) -> None:
    progress = Progress(1000, now=0.0)
    progress.update(30.0, done=98, set_aside=2)
    write_status(tmp_path, status_of(progress, 30.0, "reports", WHEN, WHEN, {"total": 10, "done": 1}))
    told = json.loads((tmp_path / "run_status.json").read_text())
    assert told == {
        "schema": "reportgen.status/1",
        "phase": "reports",
        "started": WHEN,
        "updated": WHEN,
        "users": {"total": 1000, "done": 98, "set_aside": 2},
        "users_per_second": 3.33,
        "eta_seconds": 270.0,
        "shards": {"done": 1, "total": 10},
    }
    assert os.listdir(tmp_path) == ["run_status.json"]
    with pytest.raises(ValueError, match="phase 'asleep' is not one of"):
        Status("asleep", WHEN, WHEN, 1, 0, 0)
    with pytest.raises(OutputError, match="cannot be written"):
        write_status(tmp_path / "absent", Status("done", WHEN, WHEN, 1, 1, 0))


def test_a_reader_sees_one_whole_status_or_the_next(tmp_path: Path) -> None:
    """A reader in a second thread reads without a pause while the file is written again 300 times."""
    write_status(tmp_path, Status("reports", WHEN, WHEN, 300, 0, 0))
    end, seen = threading.Event(), []

    def read() -> None:
        while not end.is_set():
            seen.append(json.loads((tmp_path / "run_status.json").read_text())["users"]["done"])

    reader = threading.Thread(target=read)
    reader.start()
    for done in range(1, 301):
        write_status(tmp_path, Status("reports", WHEN, WHEN, 300, done, 0))
    end.set()
    reader.join()
    assert seen
    assert seen == sorted(seen)


def test_a_log_line_is_one_line_of_json() -> None:
    line = log_line("progress", WHEN, done=98, total=1000, set_aside=2, users_per_second=3.3, eta_seconds=None)
    assert line == (
        f'{{"when":"{WHEN}","event":"progress","done":98,"total":1000,"set_aside":2,"users_per_second":3.3,"eta_seconds":null}}'
    )
    for event, facts in (
        ("user_set_aside", {"shard": 3, "stage": "html", "error": "RenderError"}),
        ("damaged", {"file": "packs/000012.zip", "cause": "damaged"}),
        ("run_started", {"run_id": "0123456789abcdef", "users": 5, "shards": 1, "workers": 2, "resumed": 0}),
        ("run_interrupted", {"signal": "SIGTERM", "done": 1, "total": 2}),
        ("worker_lost", {"shard": 1, "exit_code": -9, "cause": "killed"}),
        *(("phase", {"phase": phase}) for phase in PHASES),
    ):
        assert json.loads(log_line(event, WHEN, **facts)) == {"when": WHEN, "event": event} | facts  # type: ignore[arg-type]


@given(st.sampled_from(sorted(EVENTS)), st.data())
def test_no_text_of_a_user_gets_into_a_log_line(event: str, draw: st.DataObject) -> None:
    """Ids, names, keys and messages are refused in every field of every event."""
    name = draw.draw(st.sampled_from(EVENTS[event]))
    text = draw.draw(
        st.sampled_from(
            ["u00042", "anna", "anna@example.org", "aai5pyo3ezobnqoywxajqh7r", "html\n", "", "0123456789abcdeF"]
        )
        | st.from_regex(r"[a-z]+\d+", fullmatch=True)
    )
    if name == "run_id" and re.fullmatch("[0-9a-f]{16}", text):
        return
    with pytest.raises(ValueError, match="is no finite number and no word that this field takes"):
        log_line(event, WHEN, **{name: text})


def test_unknown_events_fields_and_numbers_are_mistakes() -> None:
    for event, facts in (
        ("hello", {}),
        ("phase", {"user": 1}),
        ("phase", {"phase": math.nan}),
        ("phase", {"phase": [1]}),
    ):
        with pytest.raises(ValueError, match=r"see EVENTS|is no finite number"):
            log_line(event, WHEN, **facts)  # type: ignore[arg-type]


def test_the_closing_says_what_was_made_and_what_it_took() -> None:
    closing = Closing(
        "0123456789abcdef", {"json": 99_000, "html": 99_000}, 99_000, opted_out=700, not_chosen=1,
        stages_aside={"pdf": 250, "explain": 50}, seconds={"explain": 10.0, "html": 30.0}, wall=110.4, bytes=310_000_000,
        peaks={"parent": 400_000_000, "worker": 250_000_000}, shards={"done": 100, "kept": 20, "again": 1},
    )  # fmt: skip
    assert list(closing_lines(closing)) == [
        "made: 99,000 HTML, 99,000 JSON for 99,000 users (run 0123456789abcdef)",
        "users opted out: 700",
        "users not chosen: 1",
        "users set aside: 300 (explain 50, pdf 250); see errors.jsonl",
        "shards: 100 done, 20 kept, 1 again",
        "seconds of work: explain 10.00 (25%), html 30.00 (75%)",
        "time: 1 min 51 s, 897 users/s",
        "written: 310.0 MB",
        "peak memory: parent 400 MB, worker 250 MB",
    ]
    assert list(closing_lines(Closing("0" * 16, {}, 0))) == [f"made: no report for 0 users (run {'0' * 16})"]


# --- metrics

FULL = Metrics(
    True, 1000, {"reported": 900, "set_aside": 3}, {"html": 12.5, 'od"d\\\n': 1.0}, {"done": 9, "total": 10}, 83.25,
    3_100_000, 1_769_882_400.0,
)  # fmt: skip
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf'({_NAME})(?:\{{([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"\}})? (\S+)')
Samples = dict[tuple[str, str, str], float]


def parse(text: str) -> Samples:
    """A strict reader of the part of the text format that we write: HELP, TYPE, samples of that family, in this order, each once."""
    assert text.endswith("\n")
    samples: Samples = {}
    families: list[str] = []
    kind, waiting = "", ""
    for line in text.splitlines():
        if help_line := re.fullmatch(rf"# HELP ({_NAME}) (\S.*)", line):
            assert help_line[1] not in families
            families.append(help_line[1])
            kind, waiting = "", "TYPE"
        elif type_line := re.fullmatch(rf"# TYPE ({_NAME}) (counter|gauge)", line):
            assert (type_line[1], waiting) == (families[-1], "TYPE")
            kind, waiting = type_line[2], "sample"
            assert (kind == "counter") == families[-1].endswith("_total")
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] == families[-1]
            assert waiting != "TYPE"
            waiting = ""
            place = (
                sample[1],
                sample[2] or "",
                re.sub(r'\\([\\"n])', lambda m: "\n" if m[1] == "n" else m[1], sample[3] or ""),
            )
            assert place not in samples
            samples[place] = float(sample[4])
    assert waiting == ""
    return samples


def test_the_metrics_are_what_was_counted() -> None:
    found = parse(render_metrics(FULL))
    version = next(value for name, _, value in found if name == "reportgen_build_info")
    assert found == {
        ("reportgen_build_info", "version", version): 1,
        ("reportgen_up", "", ""): 1,
        ("reportgen_users_planned", "", ""): 1000,
        ("reportgen_users_total", "state", "reported"): 900,
        ("reportgen_users_total", "state", "set_aside"): 3,
        ("reportgen_users_total", "state", "opted_out"): 0,
        ("reportgen_users_per_second", "", ""): 83.25,
        ("reportgen_stage_seconds_total", "stage", "html"): 12.5,
        ("reportgen_stage_seconds_total", "stage", 'od"d\\\n'): 1.0,
        ("reportgen_shards", "state", "done"): 9,
        ("reportgen_shards", "state", "total"): 10,
        ("reportgen_written_bytes_total", "", ""): 3_100_000,
        ("reportgen_last_success_timestamp_seconds", "", ""): 1_769_882_400,
    }


@pytest.mark.parametrize(
    "text",
    [
        "reportgen_up 1\n",
        "# HELP reportgen_up x\nreportgen_up 1\n",
        "# HELP reportgen_up x\n# TYPE reportgen_up gauge\n",
        "# HELP reportgen_up x\n# TYPE reportgen_up gauge\nreportgen_up 1",
        "# HELP a_total x\n# TYPE a_total gauge\na_total 1\n",
        '# HELP up x\n# TYPE up gauge\nup{a="b""} 1\n',
        "# HELP up x\n# TYPE up gauge\nup 1\nup 2\n",
    ],
)
def test_the_reader_of_these_tests_is_strict(text: str) -> None:
    with pytest.raises((AssertionError, IndexError)):
        parse(text)


@given(
    numbers=st.lists(st.floats(0, 1e18), min_size=4, max_size=4),
    seconds=st.dictionaries(st.text(max_size=20), st.floats(0, 1e9)),
)
def test_any_numbers_and_labels_are_valid(numbers: list[float], seconds: dict[str, float]) -> None:
    metrics = Metrics(False, int(numbers[0]), {"reported": int(numbers[1])}, seconds, {}, numbers[2], 0, numbers[3])
    found = parse(
        render_metrics(metrics)
        .replace("\r", "?")
        .replace("\x0b", "?")
        .translate(dict.fromkeys(map(ord, "\x0c\x1c\x1d\x1e\x85\u2028\u2029"), "?"))
    )
    assert found["reportgen_users_per_second", "", ""] == numbers[2]
    assert sum(name == "reportgen_stage_seconds_total" for name, _, _ in found) <= len(seconds)


def test_numbers_that_cannot_be_are_mistakes() -> None:
    with pytest.raises(ValueError, match="are not states of a user"):
        render_metrics(Metrics(True, 1, {"anna": 1}))
    for wrong in (math.nan, math.inf, -1.0):
        with pytest.raises(ValueError, match="is not a finite number of at least 0"):
            render_metrics(Metrics(True, 1, {}, rate=wrong))


def test_a_metrics_file_is_readable_and_keeps_the_last_success(tmp_path: Path) -> None:
    path = tmp_path / "reportgen.prom"
    assert last_success(path) is None
    write_metrics(path, FULL)
    assert last_success(path) == 1_769_882_400.0
    write_metrics(path, Metrics(True, 5, {}, last_success=last_success(path)))
    assert last_success(path) == 1_769_882_400.0
    assert path.stat().st_mode & 0o444 == 0o444  # the collector runs as somebody else
    assert os.listdir(tmp_path) == ["reportgen.prom"]
    for wrong in (
        b"\xff",
        b"reportgen_last_success_timestamp_seconds soon\n",
        b"reportgen_last_success_timestamp_seconds nan\n",
    ):
        path.write_bytes(wrong)
        assert last_success(path) is None


def test_a_metrics_file_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    check_metrics_file(tmp_path / "x.prom")
    (tmp_path / "folder.prom").mkdir()
    for wrong, told in (
        ("x.txt", "end in .prom"),
        ("folder.prom", "end in .prom"),
        ("absent/x.prom", "no folder that can be written"),
    ):
        with pytest.raises(ConfigError, match=told):
            check_metrics_file(tmp_path / wrong)
    with pytest.raises(OutputError, match="cannot be written"):
        write_metrics(tmp_path / "absent" / "x.prom", FULL)


def test_the_parser_of_prometheus_reads_all_of_it() -> None:
    """Not ours: the reader of the reference client. `promtool check metrics` had nothing to say either, when tried by hand."""
    families = list(text_string_to_metric_families(render_metrics(FULL)))
    assert families
    assert all(family.documentation and family.type in ("counter", "gauge") and family.samples for family in families)
    with pytest.raises(ValueError, match="float"):
        list(text_string_to_metric_families("reportgen_up one"))


def test_the_states_are_counters_of_users_who_do_not_come_back() -> None:
    assert metrics_module.STATES == ("reported", "set_aside", "opted_out")


def test_a_finished_shard_tells_who_was_set_aside_and_how_often_it_was_tried(
    data: Dataset, scorer: AttentionScorer, told: Callable[..., RunSettings], tmp_path: Path
) -> None:
    """What the disk knows of a shard goes into the log as numbers and words of a fixed form, never as a key."""
    settings = told(tmp_path / "out", limit=6, formats=("html",))
    plan, _ = plan_run(settings, data, scorer)
    failed = Failure("k" * 24, "html", "ValueError: somebody's title")
    with Durable(settings.out) as out:
        result = Result(0, plan.plan_id, 5, (failed,), {"html": 5}, (), {"html": 1.25, "write": 0.5}, 1)
        out.write(result_path(0), result.to_line())
    heard: list[tuple[str, dict[str, Any]]] = []
    hear = Hearing(settings.out, plan, lambda event, **facts: heard.append((event, facts)))
    hear("shard_done", shard=0, users=5, set_aside=1, attempt=2)
    assert heard == [
        ("shard_again", {"shard": 0, "attempt": 2}),
        ("user_set_aside", {"shard": 0, "stage": "html", "error": "ValueError"}),
        ("shard_done", {"shard": 0, "users": 5, "set_aside": 1, "attempt": 2, "html_seconds": 1.25, "write_seconds": 0.5,
                        "seconds": 1.75}),
    ]  # fmt: skip
    for event, facts in heard:
        log_line(event, "2026-01-01T00:00:00Z", **facts)
