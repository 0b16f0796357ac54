"""The same run again is the same, or one is told why not; two runs side by side tell what changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sealed import call, edit, keys_of, manifest_of

from reportgen.audit.compare import find_causes
from reportgen.audit.erase import erase_users

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
