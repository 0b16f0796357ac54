"""The same run again is the same, or one is told why not; two runs side by side tell what changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from sealed import call, edit, keys_of, make_inputs, manifest_of

from reportgen.audit.compare import find_causes
from reportgen.audit.erase import erase_users
from reportgen.data.dataset import Dataset
from reportgen.output.manifest import plain_inputs
from reportgen.report.record import iso
from reportgen.verbs.demo import demo_data

Sealed = dict[str, Path]


@pytest.mark.parametrize("kind", ["files", "packs"])
def test_the_same_again(sealed: Sealed, kind: str, inputs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("rebuild", sealed[kind], *inputs) == 0
    assert "the same: " in capsys.readouterr().out


def test_erased_users_are_left_out(
    sealed: Sealed, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(sealed["files"], tmp_path / "run"))
    erase_users(run, keys_of(run)[:2], "2026-07-01T00:00:00Z")
    assert call("rebuild", run, *inputs, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["erased"], told["differing"]) == (2, [])


def test_other_inputs_are_refused_by_their_hash(
    sealed: Sealed, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(inputs[1]).read_text()
    (tmp_path / "events.csv").write_text(text.rstrip("\n").rpartition("\n")[0] + "\n")
    assert call("rebuild", sealed["files"], "--events", tmp_path / "events.csv", *inputs[2:]) == 1
    told = capsys.readouterr().err
    assert "not the inputs of the run" in told
    assert "not of this run: events events.csv" in told


def test_what_differs_is_named(
    sealed: Sealed, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(sealed["files"], tmp_path / "run"))
    edit(run, lambda plain: plain["packages"].update(numpy="1.0"))
    (tmp_path / "c.toml").write_text("[report]\nn = 4\n[privacy]\nsupport_floor = 6\n")
    assert call("rebuild", run, *inputs, "--config", tmp_path / "c.toml") == 1
    told = capsys.readouterr()
    assert "package numpy: 1.0 there" in told.out
    assert "setting config.privacy.support_floor: 5 there, 6 here" in told.out
    assert "files are not the same" in told.err


def test_another_secret(
    sealed: Sealed, inputs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPORTGEN_KEY", "another key for another run")
    assert call("rebuild", sealed["files"], *inputs) == 1
    assert "made with another key" in capsys.readouterr().err


# --- the reference time, to the microsecond


@pytest.fixture(scope="module")
def fractional(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Tables whose newest event lies half a second after a whole one, as CSV and as Parquet."""
    folder = tmp_path_factory.mktemp("fractional")
    words = make_inputs(folder, 12)
    events = pd.read_csv(folder / "events.csv", dtype={"user_id": str, "item_id": str, "order_id": str})
    events["timestamp"] = pd.to_datetime(events["timestamp"]).dt.floor("s")
    newest = events["timestamp"].idxmax()
    events.loc[newest, "timestamp"] += pd.Timedelta(milliseconds=500)
    events.to_csv(folder / "events.csv", index=False, date_format="%Y-%m-%dT%H:%M:%S.%f")
    duckdb.from_df(events).write_parquet(str(folder / "events.parquet"))
    at = events["timestamp"].max().floor("s").strftime("%Y-%m-%dT%H:%M:%S")
    return {"csv": words, "parquet": ["--events", str(folder / "events.parquet"), *words[2:]], "at": [at]}


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("told", [False, True], ids=["newest event", "whole second before it"])
def test_the_reference_time_is_kept_exactly(
    fractional: dict[str, list[str]], form: str, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that was told a whole second left out the event of half a second later, and so must the run made again."""
    words, at = fractional[form], ("--as-of", fractional["at"][0]) if told else ()
    usual = ("--format", "json", "--limit", "3", "--quiet", "--out", tmp_path / "run")
    assert call("build", *words, *at, *usual) == 0
    manifest = manifest_of(tmp_path / "run")
    assert manifest["as_of_microseconds"] % 1_000_000 == (0 if told else 500_000)
    assert (manifest["as_of"], manifest["as_of"][:-1]) == (f"{fractional['at'][0]}Z", fractional["at"][0])
    after = [problem for problem in manifest["problems"] if problem["reason"] == "after_as_of"]
    assert [problem["count"] for problem in after] == ([1] if told else [])
    assert call("rebuild", tmp_path / "run", *words) == 0
    capsys.readouterr()
    before = (tmp_path / "run" / "manifest.json").stat().st_mtime_ns
    assert call("build", *words, *at, *usual[:-3], "--out", tmp_path / "run", "--resume") == 0
    assert "1 kept" in capsys.readouterr().out
    assert (tmp_path / "run" / "manifest.json").stat().st_mtime_ns == before


def test_a_run_of_another_fraction_of_the_second_is_another_run(
    fractional: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, at = fractional["csv"], ("--as-of", fractional["at"][0])
    usual = ("--format", "json", "--limit", "3", "--quiet", "--out", tmp_path / "run")
    assert call("build", *words, *usual) == 0
    assert call("build", *words, *at, *usual, "--resume") == 1
    assert "holds another run" in capsys.readouterr().err


def test_without_the_exact_time_such_a_run_would_be_guessed_wrongly(
    fractional: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control to the test above it: whole seconds alone do not tell these two runs apart."""
    words, at = fractional["csv"], ("--as-of", fractional["at"][0])
    assert call("build", *words, *at, "--format", "json", "--limit", "3", "--quiet", "--out", tmp_path / "run") == 0
    edit(tmp_path / "run", lambda plain: plain.pop("as_of_microseconds"))
    assert call("rebuild", tmp_path / "run", *words) == 1
    assert "files are not the same" in capsys.readouterr().err
    assert call("rebuild", tmp_path / "run", *words, *at) == 0


def test_manifests_of_before_the_exact_time_are_guessed(
    fractional: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = fractional["csv"]
    assert call("build", *words, "--format", "json", "--limit", "3", "--quiet", "--out", tmp_path / "run") == 0

    def forget(plain: dict[str, object]) -> None:
        del plain["as_of_microseconds"]
        for row in plain["inputs"]:  # type: ignore[attr-defined]
            row.pop("columns")
            row.pop("time_range", None)

    edit(tmp_path / "run", forget)
    assert call("rebuild", tmp_path / "run", *words) == 0
    capsys.readouterr()
    assert (
        call("build", *words, "--format", "json", "--limit", "3", "--quiet", "--out", tmp_path / "run", "--resume") == 0
    )
    assert call("verify", tmp_path / "run") == 1  # its statement names another manifest, and nothing else is wrong
    assert call("diff", tmp_path / "run", tmp_path / "run") == 0


# --- the columns that were read


def test_the_manifest_names_the_columns_of_each_file(tmp_path: Path) -> None:
    make_inputs(tmp_path, 12)
    events = pd.read_csv(tmp_path / "events.csv", dtype=str).rename(columns={"user_id": "customer", "order_id": "bon"})
    (tmp_path / "parts").mkdir()
    events.iloc[:100].drop(columns="bon").to_csv(tmp_path / "parts" / "a.csv", index=False)
    odd = events.iloc[100:].assign(u00001="a column named like an id")
    duckdb.from_df(odd).write_parquet(str(tmp_path / "parts" / "b.parquet"))
    told = '[events.columns]\nuser_id = "customer"\n[users]\nsegments = ["segment"]\n[users.columns]\nemail = ""\n'
    (tmp_path / "c.toml").write_text(told)
    words = ("--events", tmp_path / "parts", "--items", tmp_path / "items.csv", "--users", tmp_path / "users.csv")
    usual = ("--config", tmp_path / "c.toml", "--format", "json", "--limit", "2", "--quiet")
    assert call("build", *words, *usual, "--out", tmp_path / "run") == 0
    inputs = manifest_of(tmp_path / "run")["inputs"]
    rows = {(row["table"], row["name"]): row for row in inputs}
    a, b = rows["events", "a.csv"]["columns"], rows["events", "b.parquet"]["columns"]
    assert a["user_id"] == b["user_id"] == "customer"
    assert "order_id" not in a
    assert "order_id" not in b  # it has another name there, which nobody mapped
    assert "u00001" not in json.dumps(inputs)
    users = rows["users", "users.csv"]["columns"]
    assert users["segment"] == "segment"
    assert "email" not in users
    assert "opted_out" in users
    assert rows["events", "a.csv"]["time_range"] is None  # of two files only both together are known
    assert call("build", *words, *usual, "--out", tmp_path / "next", "--since", tmp_path / "run") == 0


def test_the_demo_names_the_columns_of_its_frames(tmp_path: Path) -> None:
    data, _, inputs = demo_data(10)
    rows = plain_inputs(inputs, data.rows_read or {}, data.columns_read, data.time_range)
    assert {"sponsored", "price_personalised"} & rows[1]["columns"].keys()
    assert [row["table"] for row in rows] == ["events", "items", "users"]
    assert rows[0]["time_range"] == [iso(int(data.timestamps.min())), iso(int(data.timestamps.max()))]
    data.save(tmp_path / "kept")
    assert Dataset.open(tmp_path / "kept").columns_read == data.columns_read


def test_a_database_is_read_with_its_columns(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    import sqlite3

    words = make_inputs(tmp_path, 12)
    with sqlite3.connect(tmp_path / "shop.db") as db:
        pd.read_csv(tmp_path / "events.csv", dtype=str).to_sql("events", db, index=False)
    db.close()
    events = f"sqlite:///{tmp_path / 'shop.db'}::SELECT user_id, item_id, timestamp FROM events"
    usual = ("--format", "json", "--limit", "2", "--quiet", "--out", tmp_path / "run")
    assert call("build", "--events", events, *words[2:], *usual) == 0
    row = next(row for row in manifest_of(tmp_path / "run")["inputs"] if row["table"] == "events")
    assert row["columns"].keys() == {"user_id", "item_id", "timestamp"}


def test_diff(sealed: Sealed, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Path(inputs[1]).read_text().splitlines()
    (tmp_path / "events.csv").write_text("\n".join(lines[:-40]) + "\n")
    words = ("--events", tmp_path / "events.csv", *inputs[2:], "--out", tmp_path / "run", "--n", "3", "--quiet")
    assert call("build", *words) == 0
    capsys.readouterr()
    assert call("diff", sealed["files"], tmp_path / "run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    summary = told["summary"]
    assert summary["users_in_both"] == len(keys_of(sealed["files"]))
    assert summary["same"] + len(told["users"]) == summary["users_in_both"]
    kinds = {cause["kind"] for cause in told["causes"]}
    assert {"input", "model", "setting"} <= kinds
    user = told["users"][0]
    old = json.loads(next(sealed["files"].glob(f"reports/*/{user['user']}.json")).read_bytes())
    new = json.loads(next((tmp_path / "run").glob(f"reports/*/{user['user']}.json")).read_bytes())
    before, after = ([one["item_id"] for one in record["recommendations"]] for record in (old, new))
    assert user.get("gone", []) == [item for item in before if item not in after]
    assert user.get("new", []) == [item for item in after if item not in before]
    assert abs(sum(summary["mean_change_of_share"].values())) < 1e-4  # shares of each user sum to one in both
    assert call("diff", sealed["files"], sealed["packs"]) == 0
    assert f"the same: {summary['users_in_both']}; " in capsys.readouterr().out


def test_runs_that_cannot_be_compared(sealed: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(sealed["files"], tmp_path / "run"))
    edit(run, lambda plain: plain.update(key_id="x"))
    assert call("diff", sealed["files"], run) == 1
    assert "different keys" in capsys.readouterr().err
    edit(run, lambda plain: plain.update(key_id=manifest_of(sealed["files"])["key_id"], outputs=[]))
    assert call("diff", sealed["files"], run) == 1
    assert "holds no records" in capsys.readouterr().err


def test_fonts_and_libraries_are_causes() -> None:
    row = {"family": "serif", "language": "en", "weight": "bold", "file": "a.ttf"}
    before = {"fonts": [row | {"sha256": "1"}], "native_libraries": {"pango": "1"}, "python": "3.11.1"}
    after = {"fonts": [row | {"sha256": "2"}], "native_libraries": {"pango": "2"}, "python": "3.11.1"}
    assert [str(cause) for cause in find_causes(before, after)] == [
        "native library pango: 1 there, 2 here", "font serif en bold: 1 there, 2 here",
    ]  # fmt: skip
    assert find_causes(before, before) == []


def test_a_fraction_of_a_second_is_a_cause_where_both_manifests_tell_it() -> None:
    new, old = {"as_of": "2026-01-01T00:00:05Z", "as_of_microseconds": 5_500_000}, {"as_of": "2026-01-01T00:00:05Z"}
    told = "reference time in microseconds: 5500000 there, 5000000 here"
    assert [str(cause) for cause in find_causes(new, new | {"as_of_microseconds": 5_000_000})] == [told]
    assert find_causes(old, new) == []
