"""``build`` called again: what is kept is not read and fitted again, what is damaged is mended, and what is another run is refused."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disturbed import files_of

from reportgen.batch.job import DATA, KEPT, MODEL
from reportgen.batch.logline import EVENTS
from reportgen.cli import main
from reportgen.data.shop import make_shop
from reportgen.explain.privacy import pseudonym
from reportgen.output.folder import MANIFEST, WORK
from reportgen.verbs import build, model

KEY = "a key for tests, not a secret"
USERS, REPORTS = 30, 29
#: What a build calls to read and to fit, each where it is called.
WORK_OF_A_BUILD = ((build, "read_data"), (model, "fit_scorer"))
Run = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, shop = tmp_path_factory.mktemp("tables"), make_shop(USERS)
    items = shop.items.assign(tags=[",".join(tags) for tags in shop.items["tags"]])
    for name, frame in {"events": shop.events, "items": items, "users": shop.users}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture
def run(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("REPORTGEN_KEY", KEY)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    shutil.copytree(tables, tmp_path / "in")

    def call(*words: str, out: str = "out", **instead: str) -> int:
        named = {name: str(tmp_path / "in" / f"{name}.csv") for name in ("events", "items", "users")} | instead
        given = [word for name, where in named.items() for word in (f"--{name}", where)]
        usual = ["--format", "json", "--shard-size", "10", "--out", str(tmp_path / out)]
        return main(["build", *given, *usual, *words])

    return call


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a call reads and fits."""
    seen: list[str] = []
    for place, name in WORK_OF_A_BUILD:
        real = getattr(place, name)

        def told(*given: Any, _real: Any = real, _name: str = name) -> Any:
            seen.append(_name)
            return _real(*given)

        monkeypatch.setattr(place, name, told)
    return seen


@pytest.fixture
def broken_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the next shard but one be the last thing that happens."""

    def arm() -> None:
        from reportgen.batch import shard

        made, real = [0], shard.Maker.make

        def make(self: Any, number: int) -> Any:
            made[0] += 1
            if made[0] > 1:
                raise KeyboardInterrupt
            return real(self, number)

        monkeypatch.setattr(shard.Maker, "make", make)

    return arm


def last_line(capsys: Capture) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_an_interrupted_run_is_not_read_and_fitted_again(
    run: Run, fitted: list[str], broken_off: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: Capture,
) -> None:  # fmt: skip
    assert run(out="whole") == 0
    fitted.clear()
    with monkeypatch.context():
        broken_off()
        assert run() == 130
        assert fitted == ["read_data", "fit_scorer"]
        assert (tmp_path / "out" / KEPT).exists()
        assert (tmp_path / "out" / WORK).stat().st_mode & 0o077 == 0
    monkeypatch.undo()
    monkeypatch.setenv("REPORTGEN_KEY", KEY)
    for place, name in WORK_OF_A_BUILD:
        monkeypatch.setattr(place, name, lambda *_: pytest.fail("it was read or fitted again"))
    assert run("--resume") == 0
    assert "1 kept" in capsys.readouterr().out
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    assert run("--resume") == 0  # it is complete now, and still nothing is read
    assert f"made: {REPORTS} JSON" in capsys.readouterr().out
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("what", ["model", "data", "note"])
def test_what_was_kept_and_is_damaged_is_read_and_fitted_again(
    what: str, run: Run, broken_off: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(out="whole") == 0
    with pytest.MonkeyPatch.context():
        broken_off()
        assert run() == 130
    monkeypatch.undo()
    monkeypatch.setenv("REPORTGEN_KEY", KEY)
    victim = {
        "model": tmp_path / "out" / MODEL / "theta_.npy",
        "data": tmp_path / "out" / DATA / "items.npy",
        "note": tmp_path / "out" / KEPT,
    }[what]
    content = bytearray(victim.read_bytes())
    content[-3] ^= 1
    victim.write_bytes(content)
    assert run("--resume") == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def test_other_inputs_settings_or_models_are_another_run(run: Run, tmp_path: Path, capsys: Capture) -> None:
    """Of a complete run and of one that was only planned."""
    assert run() == 0
    assert run("--plan-only", out="planned") == 0
    lines = (tmp_path / "in" / "events.csv").read_text().splitlines(keepends=True)
    (tmp_path / "in" / "fewer.csv").write_text("".join(lines[: len(lines) // 2]))
    (tmp_path / "in" / "model").mkdir()
    assert main(
        ["fit", "--events", str(tmp_path / "in" / "fewer.csv"), "--items", str(tmp_path / "in" / "items.csv"),
         "--model", str(tmp_path / "in" / "model")]
    ) == 0  # fmt: skip
    for out in ("out", "planned"):
        before = files_of(tmp_path / out)
        for words, instead, named in (
            (("--n", "4"), {}, "settings.options.n (5 there, 4 now)"),
            (("--as-of", "2025-01-01"), {}, "as_of"),
            ((), {"events": str(tmp_path / "in" / "fewer.csv")}, "inputs"),
            (("--model", str(tmp_path / "in" / "model")), {}, "model.id"),
        ):
            capsys.readouterr()
            assert run("--resume", *words, out=out, **instead) == 1
            told = last_line(capsys)
            assert "holds another run, it differs in" in told
            assert named in told
            assert "--overwrite" in told
        assert files_of(tmp_path / out) == before


@pytest.mark.parametrize(
    "victim", ["packs/000001.zip", "index/*.jsonl", "origins/000000.json", "statistics/000002.json"]
)
def test_a_damaged_pack_or_index_is_named_and_made_again(
    victim: str, run: Run, tmp_path: Path, capsys: Capture
) -> None:
    assert run("--packs") == 0
    before = files_of(tmp_path / "out")
    path = max((tmp_path / "out").glob(victim), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-2] + b"??")
    capsys.readouterr()
    assert run("--packs", "--resume", "--log-format", "json") == 0
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    named = [event["file"] for event in events if event["event"] == "damaged"]
    name = path.relative_to(tmp_path / "out").as_posix()
    assert named == [name if name.startswith(("packs/", "index/")) else None]
    assert files_of(tmp_path / "out") == before


def test_nobody_and_one_user(run: Run, tmp_path: Path, capsys: Capture) -> None:
    header = (tmp_path / "in" / "events.csv").read_text().splitlines()[0]
    (tmp_path / "in" / "none.csv").write_text(header + "\n")
    (tmp_path / "in" / "nobody.csv").write_text((tmp_path / "in" / "users.csv").read_text().splitlines()[0] + "\n")
    none = {name: str(tmp_path / "in" / f"{where}.csv") for name, where in (("events", "none"), ("users", "nobody"))}
    assert run(**none) == 1
    assert "none.csv: no rows after the header" in last_line(capsys)
    assert not (tmp_path / "out").exists()
    assert run("--user", "u00001") == 0
    assert "made: 1 JSON for 1 users" in capsys.readouterr().out
    assert run("--user", "u00001", "--user", "nobody", out="two") == 1
    assert 'unknown user "nobody"' in last_line(capsys)


def test_users_whom_no_event_knows_get_a_plain_report(run: Run, tmp_path: Path, capsys: Capture) -> None:
    users = tmp_path / "in" / "users.csv"
    last = users.read_text().splitlines()[-1].split(",")
    users.write_text(users.read_text() + ",".join(["somebody new", *last[1:-1], "False"]) + "\n")
    assert run("--user", "somebody new") == 0
    assert "made: 1 JSON for 1 users" in capsys.readouterr().out


def test_a_database_that_fails_midway_leaves_no_run(run: Run, tmp_path: Path, capsys: Capture) -> None:
    """The tenth row is a number too large for the function that makes it: SQLite says so when it comes to it."""
    with sqlite3.connect(tmp_path / "shop.db") as base:
        base.execute("CREATE TABLE events (user_id TEXT, item_id TEXT, timestamp TEXT, n INTEGER)")
        rows = [("u00001", "i00001", "2026-01-01", 1)] * 9 + [("u00001", "i00001", "2026-01-01", -(2**63))]
        base.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
    base.close()
    query = f"sqlite:///{tmp_path}/shop.db::SELECT user_id, item_id, timestamp, abs(n) AS quantity FROM events"
    assert run(events=query) == 1
    told = last_line(capsys)
    assert "integer overflow" in told
    assert not (tmp_path / "out").exists()


def test_a_machine_reads_no_id_in_an_error(run: Run, capsys: Capture) -> None:
    for name in ("nobody", 'a"quote', '"'):
        assert run("--user", name, "--log-format", "json") == 1
        event = json.loads(last_line(capsys))
        assert event["message"].startswith('unknown user "..."; ids are text')
        assert name == '"' or name not in json.dumps(event)
        assert run("--user", name) == 1
        assert "unknown user" in last_line(capsys)


def test_what_a_machine_reads_of_a_run(run: Run, tmp_path: Path, capsys: Capture) -> None:
    metrics = tmp_path / "m.prom"
    assert run("--log-format", "json", "--metrics-file", str(metrics)) == 0
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["phase"] for event in events if event["event"] == "phase"] == [
        "read",
        "fit",
        "plan",
        "reports",
        "finish",
    ]
    started = next(event for event in events if event["event"] == "run_started")
    assert (started["users"], started["shards"], started["resumed"]) == (REPORTS, 3, False)
    done = [event for event in events if event["event"] == "shard_done"]
    assert [event["shard"] for event in done] == [0, 1, 2]
    assert all(event["seconds"] >= event["report_seconds"] >= 0 for event in done)
    assert {event["event"] for event in events} <= EVENTS.keys()
    assert 'reportgen_users_total{state="opted_out"} 1' in metrics.read_text()
    assert 'reportgen_stage_seconds_total{stage="report"}' in metrics.read_text()


def test_since_on_the_command_line(run: Run, tmp_path: Path, capsys: Capture) -> None:
    assert main(["fit", *(word for name in ("events", "items") for word in (f"--{name}", str(tmp_path / "in" / f"{name}.csv"))),
                 "--model", str(tmp_path / "model")]) == 0  # fmt: skip
    model = ("--model", str(tmp_path / "model"))
    assert run(*model) == 0
    users = tmp_path / "in" / "users.csv"
    users.write_text(users.read_text().replace(",en,", ",zh-CN,", 1))
    capsys.readouterr()
    assert run(*model, "--since", str(tmp_path / "out"), out="again") == 0
    assert f"taken over: {REPORTS - 1} of {REPORTS} users from out; made: 1 that changed" in capsys.readouterr().out
    assert run(*model, out="scratch") == 0
    assert files_of(tmp_path / "again") == files_of(tmp_path / "scratch")
    capsys.readouterr()
    assert run(*model, "--n", "4", "--since", str(tmp_path / "out"), out="other") == 0
    assert "taken over: nobody; other than in out: settings" in capsys.readouterr().out


def test_a_run_is_copied(run: Run, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    place = (tmp_path / "copies" / "run").as_uri()
    assert run("--copy-to", place) == 0
    assert f"copied to {place}: " in capsys.readouterr().out
    kept = {path: data for path, data in files_of(tmp_path / "out").items() if path != ".reportgen-run"}
    copied = files_of(tmp_path / "copies" / "run")
    assert {path: data for path, data in copied.items() if path != ".reportgen-run"} == kept
    victim = next((tmp_path / "copies" / "run" / "reports").rglob("*.json"))
    victim.write_bytes(b"spoilt")
    assert run("--resume", "--copy-to", place) == 0
    assert "1 files sent" in capsys.readouterr().out
    assert files_of(tmp_path / "copies" / "run") == copied
    assert run("--n", "4", "--copy-to", place, out="other") == 1
    told = last_line(capsys)
    assert "holds a copy of another run" in told
    assert "is complete; the same call with --resume copies it again" in told
    assert (tmp_path / "other" / MANIFEST).exists()
    for url, named in (("nonsense://x", "nonsense"), ("s3://bucket/x", "s3fs")):
        monkeypatch.setitem(sys.modules, "s3fs", None)
        assert run("--copy-to", url, out="never") == 1
        assert named in last_line(capsys)
    assert run("--copy-to", place, "--plan-only", out="never") == 1
    assert not (tmp_path / "never").exists()
    assert pseudonym(KEY.encode(), "u00001") not in told
