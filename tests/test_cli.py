"""The command line from outside: exit codes, one line per error, and the same bytes whatever surrounds it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reportgen.batch.people import report_stem
from reportgen.batch.status import Progress
from reportgen.cli import main
from reportgen.data.shop import make_shop
from reportgen.explain.privacy import pseudonym
from reportgen.output.folder import MARKER
from reportgen.verbs.console import Terminal
from reportgen.verbs.keys import DEMO_KEY, make_key

KEY = "a key for tests, not a secret"
Capture = pytest.CaptureFixture[str]
Run = Callable[..., int]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    shop = make_shop(60)
    items = shop.items.assign(tags=[",".join(tags) for tags in shop.items["tags"]])
    for name, frame in {"events": shop.events, "items": items, "users": shop.users}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def inputs(tables: Path) -> list[str]:
    return [word for name in ("events", "items", "users") for word in (f"--{name}", str(tables / f"{name}.csv"))]


@pytest.fixture
def run(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("--limit", "3")``: build into ``out``."""
    monkeypatch.setenv("REPORTGEN_KEY", KEY)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return lambda *words: main(["build", *inputs(tables), "--out", str(tmp_path / "out"), *words])


def one_line(capsys: Capture) -> str:
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err


def manifest(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "manifest.json").read_bytes())
    return found


# --- exit codes


def test_0_and_the_path_first(run: Run, tmp_path: Path, capsys: Capture) -> None:
    assert run("--limit", "3") == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0] == str(tmp_path / "out" / "index.html")
    assert lines[1].startswith("made: 3 HTML, 3 JSON for 3 users")
    assert any(line.startswith("seconds: read ") for line in lines)
    assert any(line.startswith("peak memory: ") for line in lines)
    assert len(list((tmp_path / "out").rglob("reports/*/*"))) == 6


def test_quiet_prints_the_path_alone(run: Run, tmp_path: Path, capsys: Capture) -> None:
    assert run("--limit", "1", "--quiet", "--format", "json") == 0
    assert capsys.readouterr() == (f"{tmp_path / 'out' / 'index.html'}\n", "")


def test_json_on_stderr(run: Run, capsys: Capture) -> None:
    assert run("--limit", "2", "--log-format", "json") == 0
    assert run("--limit", "2", "--log-format", "json") == 1
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    seen = [event["event"] for event in events[:-1] if event["event"] not in ("progress", "phase")]
    assert seen == ["run_started", "shard_done", "run_done"]
    assert (events[-2]["reported"], events[-2]["set_aside"]) == (2, 0)
    assert events[-1]["event"] == "error"
    assert events[-1]["exit_code"] == 1


def test_1_and_one_line_for_errors(run: Run, tmp_path: Path, capsys: Capture) -> None:
    assert run("--user", "nobody") == 1
    assert 'unknown user "nobody"' in one_line(capsys)
    assert run("--model", str(tmp_path / "absent")) == 1
    assert "reportgen fit" in one_line(capsys)
    assert run("--config", str(tmp_path / "absent.toml")) == 1
    assert "absent.toml" in one_line(capsys)
    assert run("--templates", str(tmp_path / "absent")) == 1
    assert "--templates" in one_line(capsys)
    assert run("--key-file", str(tmp_path / "absent")) == 1
    assert "--key-file" in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_1_for_an_output_folder_in_use(run: Run, tmp_path: Path, capsys: Capture) -> None:
    assert run("--limit", "1", "--quiet") == 0
    capsys.readouterr()
    assert run("--limit", "1") == 1
    assert "--overwrite" in one_line(capsys)
    assert run("--limit", "1", "--overwrite") == 0
    (tmp_path / "file").touch()
    capsys.readouterr()
    assert run("--out", str(tmp_path / "file")) == 1
    assert "is a file" in one_line(capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "doc"], ["--format", ""], ["--format", "html,doc"], ["--locale", "fr"], ["--figures", "ascii"],
        ["--n", "0"], ["--n", "five"], ["--limit", "0"], ["--pdf-limit", "-1"], ["--as-of", "yesterday"],
        ["--workers", "0"], ["--shard-size", "0"], ["--packs", "--no-packs"], ["--weights", "x", "--recommendations", "x"],
        ["--pdf", "3"],
        ["--log-format", "xml"],
    ],
)  # fmt: skip
def test_2_for_what_is_not_an_option_or_value(words: list[str], run: Run, tmp_path: Path, capsys: Capture) -> None:
    assert run(*words) == 2
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [[], ["evaluate"], ["build"], ["fit", "--model", "x"], ["demo", "--users", "0"]])
def test_2_for_verbs(words: list[str], capsys: Capture) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("usage: ")


def own_templates(folder: Path, condition: str) -> str:
    """A page that cannot be drawn where the condition holds."""
    folder.mkdir()
    (folder / "report.html").write_text("{% if " + condition + " %}{{ 1 // 0 }}{% endif %}<p>{{ report.title }}</p>")
    return str(folder)


def test_3_when_a_user_was_set_aside(run: Run, tmp_path: Path, capsys: Capture) -> None:
    key = pseudonym(KEY.encode(), "u00002")
    words = ["--templates", own_templates(tmp_path / "mine", f'report.key == "{key}"')]
    assert run("--user", "u00001", "--user", "u00002", *words) == 3
    assert "users set aside: 1 (html 1); see errors.jsonl" in capsys.readouterr().out
    lines = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    assert [json.loads(line)["user"] for line in lines] == [key]
    assert "template report.html, line 1: integer division" in lines[0]
    assert str(tmp_path) not in lines[0]
    assert len(list((tmp_path / "out").rglob("*.html"))) == 2


def test_1_when_everybody_failed(run: Run, tmp_path: Path, capsys: Capture) -> None:
    assert run("--limit", "2", "--quiet", "--templates", own_templates(tmp_path / "mine", "true")) == 1
    assert "all 2 users failed" in one_line(capsys)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_130_when_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("reportgen.output.folder.check_folder", interrupt)
    assert run() == 130
    assert "--overwrite" in one_line(capsys)


def test_help_and_version(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    assert "build" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("reportgen ")


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from reportgen.cli import main; main(['--help']); print(sorted(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(told.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert not loaded & {
        "numpy",
        "pandas",
        "scipy",
        "sklearn",
        "duckdb",
        "jinja2",
        "weasyprint",
        "matplotlib",
        "babel",
        "regex",
    }


# --- what it does


def test_the_same_bytes_whatever_surrounds_it(tables: Path, tmp_path: Path) -> None:
    words = [*inputs(tables), "--limit", "8", "--pdf-limit", "1", "--format", "html,pdf,json"]
    surroundings = [("1", "Asia/Tokyo", "C", "a"), ("2", "America/New_York", "C.UTF-8", "b/c")]
    for seed, zone, language, name in surroundings:
        env = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language, "REPORTGEN_KEY": KEY}
        env.pop("SOURCE_DATE_EPOCH", None)
        command = [sys.executable, "-m", "reportgen", "build", *words, "--out", str(tmp_path / name)]
        subprocess.run(command, env=env, check=True, capture_output=True)
    first, second = (
        {
            path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file() and path.name != "run_status.json"  # it tells when
        }
        for name in ("a", "b/c")
    )
    # reports, the PDF; index, manifest, errors, marker, fidelity, plan; statistics twice; leaves, salts, statement; origins
    assert len(first) == 8 * 2 + 1 + 6 + 2 + 3 + 1
    assert first.keys() == second.keys()
    assert not [path for path in first if first[path] != second[path]]
    assert str(tables).encode() not in b"".join(first.values())


def test_a_model_fitted_before_gives_the_same_run(run: Run, tables: Path, tmp_path: Path, capsys: Capture) -> None:
    model = str(tmp_path / "model")
    fit = ["fit", *inputs(tables), "--model", model]
    assert main(fit) == 0
    assert capsys.readouterr().out.splitlines()[0] == model
    assert main(fit) == 1
    assert "--overwrite" in one_line(capsys)
    assert main([*fit, "--overwrite"]) == 0
    assert run("--limit", "2", "--model", model) == 0
    assert run("--limit", "2", "--out", str(tmp_path / "other")) == 0
    assert (tmp_path / "out" / "manifest.json").read_bytes() == (tmp_path / "other" / "manifest.json").read_bytes()


def test_the_time_in_the_documents(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1900000000")
    assert run("--limit", "1", "--as-of", "2026-01-31T12:00:00+02:00") == 0
    found = manifest(tmp_path / "out")
    assert found["as_of"] == "2026-01-31T10:00:00Z"
    assert (found["generated_at"], found["generated_at_source"]) == ("2030-03-17T17:46:40Z", "SOURCE_DATE_EPOCH")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    capsys.readouterr()
    assert run("--limit", "1", "--overwrite") == 1
    assert "SOURCE_DATE_EPOCH" in one_line(capsys)


def test_events_after_tomorrow_are_set_aside(
    run: Run, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    newest = max(row.split(",")[2] for row in (tables / "events.csv").read_text().splitlines()[1:])
    now = datetime.fromisoformat(newest).replace(tzinfo=UTC) - timedelta(days=60)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(now.timestamp())))
    assert run("--limit", "9", "--format", "json") == 0
    assert "timestamp_out_of_range" in capsys.readouterr().out
    assert str(manifest(tmp_path / "out")["as_of"]) <= (now + timedelta(days=1)).isoformat()


def test_features_of_the_configuration(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "reportgen.toml"
    config.write_text('[features.label]\nkind = "category"\ncolumn = "brand"\n')
    assert run("--limit", "1", "--config", str(config)) == 0
    found = manifest(tmp_path / "out")["model"]
    assert isinstance(found, dict)
    assert {"together", "category", "label", "title"} <= set(found["heads"])


def test_a_key_is_made_once_for_its_owner_alone(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("REPORTGEN_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    words = ["build", *inputs(tables), "--limit", "1", "--quiet", "--format", "json", "--out"]
    assert main([*words, str(tmp_path / "a")]) == 0
    path = tmp_path / "config" / "reportgen" / "key"
    assert str(path) in capsys.readouterr().err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert main([*words, str(tmp_path / "b")]) == 0
    assert capsys.readouterr().err == ""
    assert main([*words, str(tmp_path / "c"), "--key-file", str(path)]) == 0
    names = [[found.name for found in (tmp_path / out).rglob("reports/*/*")] for out in ("a", "b", "c")]
    assert names[0] == names[1] == names[2]
    assert make_key(path) == path.read_bytes().strip()


def test_a_short_key_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("REPORTGEN_KEY", "secret")
    assert run() == 1
    told = one_line(capsys)
    assert "REPORTGEN_KEY: a key has 16" in told
    assert "secret" not in told


def test_demo(tmp_path: Path, capsys: Capture) -> None:
    words = ["demo", "--out", str(tmp_path / "demo"), "--users", "3"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0] == str(tmp_path / "demo" / "index.html")
    assert "made: 3 HTML, 3 PDF, 3 JSON" in told
    page = (tmp_path / "demo" / f"{report_stem(pseudonym(DEMO_KEY, 'u00001'))}.html").read_text()
    assert "Made-up data" in page or "虚构" in page or 'class="banner"' in page
    assert manifest(tmp_path / "demo")["synthetic"] is True
    before = (tmp_path / "demo" / "manifest.json").read_bytes()
    assert main([*words, "--quiet"]) == 0  # a demo may replace a demo
    assert (tmp_path / "demo" / "manifest.json").read_bytes() == before


def test_a_demo_does_not_replace_a_run_on_real_data(run: Run, tmp_path: Path, capsys: Capture) -> None:
    assert run("--limit", "1", "--quiet") == 0
    capsys.readouterr()
    assert main(["demo", "--users", "30", "--out", str(tmp_path / "out")]) == 1
    assert "--overwrite" in one_line(capsys)
    assert b"made-up" not in (tmp_path / "out" / MARKER).read_bytes()


def test_a_date_without_a_zone_is_utc(run: Run, tmp_path: Path) -> None:
    assert run("--limit", "1", "--as-of", "2026-01-31") == 0
    assert manifest(tmp_path / "out")["as_of"] == "2026-01-31T00:00:00Z"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    console = Terminal(sys.stderr, sys.stdout, (time.monotonic, time.perf_counter))
    console.wait = console.last = 0.0
    seen = Progress(2, 0.0)
    seen.update(1.0, 1, 0)
    console.show(seen, 1.0)
    assert console.error("no paper", 1) == 1
    seen.update(2.0, 1, 1)
    console.show(seen, 2.0)
    bars = capsys.readouterr().err.split("\r")
    first, error = bars[1].splitlines()
    assert first.startswith("[#")
    assert first.rstrip().endswith("1 of 2 users (50 %), 1.0 users/s, 1 s left")
    assert error == "reportgen: no paper"
    assert bars[2].rstrip(" ").endswith("\n")
    assert "2 of 2 users (100 %), 1 set aside" in bars[2]


# --- many users


def status(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "run_status.json").read_bytes())
    return found


def test_status_metrics_and_resume(run: Run, tmp_path: Path, capsys: Capture) -> None:
    words = ["--packs", "--shard-size", "20", "--format", "json", "--quiet", "--metrics-file", str(tmp_path / "m.prom")]
    assert run(*words) == 0
    assert status(tmp_path / "out")["phase"] == "done"
    assert status(tmp_path / "out")["users"] == {"total": 59, "done": 59, "set_aside": 0}
    assert 'reportgen_users_total{state="reported"} 59' in (tmp_path / "m.prom").read_text()
    before = manifest(tmp_path / "out")
    (tmp_path / "out" / "packs" / "000001.zip").write_bytes(b"spoilt")
    assert run(*words, "--resume") == 0
    assert manifest(tmp_path / "out") == before
    capsys.readouterr()
    assert run(*words, "--resume", "--n", "4") == 1
    assert "settings.options.n (5 there, 4 now)" in one_line(capsys)
    assert run(*words[:-1], str(tmp_path / "m.txt"), "--resume") == 1
    assert ".prom" in one_line(capsys)


def test_get(run: Run, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    out = str(tmp_path / "out")
    for packs in (["--packs"], ["--no-packs", "--overwrite"]):
        assert run("--limit", "3", "--quiet", *packs) == 0
        capsysbinary.readouterr()
        assert main(["get", out, "u00001", "--format", "json"]) == 0
        record = capsysbinary.readouterr().out
        key = pseudonym(KEY.encode(), "u00001")
        assert json.loads(record)["user"] == key
        assert main(["get", out, key, "--by-key", "--format", "json", "--out", str(tmp_path / "one.json")]) == 0
        assert (tmp_path / "one.json").read_bytes() == record
        assert main(["get", out, "u00059"]) == 1
        assert b"not known in this run" in capsysbinary.readouterr().err


def test_a_plan_shards_made_apart_and_the_end(run: Run, tmp_path: Path, capsys: Capture) -> None:
    """The recipe for a queue: plan, shards in any order and by any process, then --resume."""
    plan, words = str(tmp_path / "out" / "run_plan.json"), ["--shard-size", "20", "--format", "json"]
    assert run(*words, "--out", str(tmp_path / "whole")) == 0
    capsys.readouterr()
    assert run(*words, "--plan-only") == 0
    assert capsys.readouterr().out.splitlines() == [plan, "shards: 0-2, 3 to make; then the same build with --resume"]
    assert main(["get", str(tmp_path / "out"), "u00001"]) == 1
    assert "--resume" in one_line(capsys)
    assert main(["shard", "--plan", plan, "--shards", "1-2"]) == 0
    assert main(["shard", "--plan", plan, "--shards", "3"]) == 1
    assert "has 3 shards" in capsys.readouterr().err
    assert main(["shard", "--plan", str(tmp_path), "--shards", "0"]) == 1
    assert main(["shard", "--plan", plan, "--shards", "2-1"]) == 2
    capsys.readouterr()
    assert run(*words, "--resume") == 0
    assert "shards: 1 done, 2 kept" in capsys.readouterr().out
    assert (tmp_path / "out" / "manifest.json").read_bytes() == (tmp_path / "whole" / "manifest.json").read_bytes()
    assert main(["shard", "--plan", plan, "--shards", "0"]) == 1  # it is complete: its job is gone
    assert "--resume" in one_line(capsys)


def test_evaluate_prints_the_table_and_writes_on_request(tables: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["evaluate", *inputs(tables), "--n", "5", "--max-users", "30"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    page, *lines = told.out.splitlines()
    assert page == str(tmp_path / "out" / "evaluation.html")
    assert sum(line.startswith(("reportgen ", "EASE ", "Popularity ")) for line in lines) >= 3
    assert any("NDCG@5" in line and "Fit s" in line for line in lines)
    assert "judging" in told.err
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert sorted(first) == ["evaluation.html", "evaluation.json"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 1
    assert "--overwrite" in one_line(capsys)
    assert main([*words, "--out", str(tmp_path / "out"), "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr() == (f"{page}\n", "")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first


def test_evaluate_needs_second_orders(tables: Path, tmp_path: Path, capsys: Capture) -> None:
    lines = (tables / "events.csv").read_text("utf-8").splitlines()
    (tmp_path / "events.csv").write_text("\n".join(lines[:2]) + "\n")
    words = ["--events", str(tmp_path / "events.csv"), "--items", str(tables / "items.csv")]
    assert main(["evaluate", *words, "--out", str(tmp_path / "out")]) == 1
    assert "second order" in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_doctor_tells_what_is_there(capsys: Capture) -> None:
    code = main(["doctor"])
    told = capsys.readouterr()
    assert code == int("fail " in told.out)
    for name in ("Python", "weasyprint", "Pango", "HarfBuzz subset", "Latin font", "temporary files"):
        assert name in told.out
