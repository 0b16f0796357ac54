"""Runs on another model's weights and on another system's lists, from the command line to the proof."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reportgen.audit.verify_record import check_record
from reportgen.batch.foreign import ForeignRun, build_foreign_run
from reportgen.cli import main
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.data.weights import read_weights
from reportgen.explain.foreign import ForeignModel
from reportgen.explain.privacy import pseudonym

KEY = b"a key for tests, not a secret"
Build = Callable[..., int]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop, weights of a made-up model for most of its users, and a list of the most taken items for the same."""
    folder = tmp_path_factory.mktemp("foreign")
    shop = make_shop(40, 40, random_state=2)
    for name in ("events", "items", "users"):
        frame = getattr(shop, name).map(lambda cell: ";".join(cell) if isinstance(cell, list | tuple) else cell)
        frame.to_csv(folder / f"{name}.csv", index=False)
    data, rng = Dataset.from_frames(shop.events, shop.items, shop.users), np.random.default_rng(0)
    first = data.item_ids[np.argsort(-np.bincount(data.items, minlength=data.item_ids.size))[:6]]
    lists, weights = [], [("ghost", first[0], "x", 0.5, 1)]
    for user in range(data.user_ids.size - 4):
        name = data.user_ids[user]
        seen = data.item_ids[list(dict.fromkeys(data.items[data.history(user)].tolist()))]
        for rank, item in enumerate(first, start=1):
            lists.append((name, item, rank, "Engine"))
            shares = zip(seen, rng.dirichlet(np.ones(max(seen.size, 1))), strict=False)
            weights += [(name, item, past, share, rank) for past, share in shares]
    columns = ["user_id", "item_id", "history_item_id", "weight", "rank"]
    pd.DataFrame(weights, columns=columns).to_csv(folder / "weights.csv", index=False)
    pd.DataFrame(lists, columns=["user_id", "item_id", "rank", "source"]).to_csv(folder / "lists.csv", index=False)
    return folder


@pytest.fixture
def build(tables: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.setenv("REPORTGEN_KEY", KEY.decode())
    monkeypatch.chdir(tables)
    usual = ["build", "--events", "events.csv", "--items", "items.csv", "--users", "users.csv", "--quiet"]
    return lambda *words: main([*usual, *words])


def records(run: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(run.rglob("reports/*/*.json"))]


def test_a_run_on_weights(build: Build, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert build("--weights", "weights.csv", "--model-name", "SASRec", "--out", str(out)) == 0
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert (manifest["model"]["name"], manifest["model"]["kind"]) == ("SASRec", "attention")
    assert manifest["model"]["id"].startswith("foreign-")
    assert manifest["tables"]["weights"]["set_aside"] == 1  # the ghost
    assert "weights" in {file["table"] for file in manifest["inputs"]}
    assert manifest["users"]["reported"] == len(records(out)) > 30
    assert "SASRec" in next(out.rglob("reports/*/*.html")).read_text("utf-8")
    assert main(["verify", str(out), "--quiet"]) == 0
    again = tmp_path / "again"
    assert build("--weights", "weights.csv", "--model-name", "SASRec", "--out", str(again)) == 0
    assert (again / "manifest.json").read_bytes() == (out / "manifest.json").read_bytes()


def test_a_run_on_lists(build: Build, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert build("--recommendations", "lists.csv", "--out", str(out)) == 0
    found = [json.loads(record) for record in records(out)]
    assert {record["surrogate"]["source"] for record in found} == {"Engine"}
    over_all = json.loads((out / "audit" / "surrogate.json").read_text("utf-8"))
    assert over_all["users"] == len(found) > 30
    shares = [record["surrogate"]["in_top"] for record in found]
    assert over_all["in_top"] == pytest.approx(np.mean(shares), abs=1e-6)
    assert main(["verify", str(out), "--quiet"]) == 0
    assert {item["rank"] for record in found for item in record["recommendations"]} <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--weights", "weights.csv", "--workers", "2"], "--workers does not go with --weights"),
        (["--recommendations", "lists.csv", "--plan-only"], "--plan-only does not go with --recommendations"),
        (["--weights", "weights.csv", "--model", "x"], "--model goes without --weights"),
        (["--ablation", "x.csv"], "--ablation goes with --weights"),
        (["--softmax-pooled"], "--softmax-pooled goes with --weights"),
        (["--weights", "weights.csv", "--heads", "7"], "heads '7' is not in the weights"),
        (["--weights", "weights.csv", "--packs"], "--packs is not there for --weights"),
        (["--weights", "nowhere.csv"], "no file found"),
        (["--weights", "items.csv"], 'the weights have no column "user_id"'),
    ],
)
def test_what_does_not_go_together_is_said(
    words: list[str], told: str, build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(*words, "--out", str(tmp_path / "out")) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert told in said[-1]
    assert not records(tmp_path / "out")


def test_one_bad_user_stops_nobody(tmp_path: Path, told: Callable[..., object]) -> None:
    shop = make_shop(10, 30, random_state=2)
    shop.items.loc[shop.items["item_id"] == shop.items["item_id"][0], "sensitive"] = True
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    secret, item, past = shop.items["item_id"][0], shop.items["item_id"][5], shop.items["item_id"][6]
    stay = data.user_ids[~data.users["opted_out"].to_numpy(dtype=bool)][:2]
    frame = pd.DataFrame({"user_id": stay, "item_id": [secret, item], "history_item_id": past, "weight": 1.0})
    table = read_weights(frame, data)
    summary = build_foreign_run(ForeignRun(told(tmp_path / "out"), data, table, model=ForeignModel("M")))  # type: ignore[arg-type]
    assert summary.users.reported == 1
    assert [(one.user, one.stage) for one in summary.failures] == [(pseudonym(KEY, str(stay[0])), "explain")]
    assert str(stay[0]) not in (tmp_path / "out" / "errors.jsonl").read_text("utf-8")


def test_a_record_that_claims_too_much_is_caught() -> None:
    product = {
        "rank": 1, "score": 1.5, "base": 0.5, "weight_sum": 1.0, "adds_up": True, "markers": 0.0, "padding": 0.0,
        "reasons": [{"weight": 1.0}],
    }  # fmt: skip

    def check(**changed: object) -> str | None:
        return check_record(json.dumps({"user": "k", "recommendations": [product | changed]}).encode(), "k")

    assert check() is None
    assert "miss the score" in str(check(score=1.6))
    assert check(score=1.6, adds_up=False) is None
    assert "the weights of rank 1 sum to" in str(check(weight_sum=0.9))
