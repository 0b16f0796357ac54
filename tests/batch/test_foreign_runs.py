"""Runs on another model's weights and on another system's lists, from the command line to the proof."""

from __future__ import annotations

import email
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from disturbed import ENV, brew, files_of, results, until

from reportgen.attention.scorer import AttentionScorer
from reportgen.audit.verify_record import check_record
from reportgen.batch.foreign import Foreign
from reportgen.batch.get import find_report
from reportgen.batch.given import Given
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings
from reportgen.cli import main
from reportgen.data import ingest_long
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.data.weights import Ablation, GivenLists, WeightTable, read_ablation, read_lists, read_weights
from reportgen.data.weights_store import open_table, save_table
from reportgen.errors import ConfigError, InputError
from reportgen.explain.foreign import ForeignModel
from reportgen.explain.privacy import pseudonym
from reportgen.report.record import iso

KEY = b"a key for tests, not a secret"
Build = Callable[..., int]
USUAL = ["build", "--events", "events.csv", "--items", "items.csv", "--users", "users.csv"]
POISONED = (
    "import sys, poison_for_shards; from reportgen.cli import main; poison_for_shards.arm_all(); sys.exit(main())"
)


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
    return lambda *words: main([*USUAL, "--quiet", *words])


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
        (["--weights", "weights.csv", "--stability", "3"], "--stability does not go with --weights"),
        (["--weights", "weights.csv", "--model", "x"], "--model goes without --weights"),
        (["--ablation", "x.csv"], "--ablation goes with --weights"),
        (["--softmax-pooled"], "--softmax-pooled goes with --weights"),
        (["--weights", "weights.csv", "--heads", "7"], "heads '7' is not in the weights"),
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
    summary = build_run(told(tmp_path / "out"), data, Foreign(table, model=ForeignModel("M")))  # type: ignore[arg-type]
    assert summary.users.reported == 1
    assert [(one.user, one.stage) for one in summary.failures] == [(pseudonym(KEY, str(stay[0])), "explain")]
    assert str(stay[0]) not in (tmp_path / "out" / "errors.jsonl").read_text("utf-8")


# --- as any other run: shards, workers, packs, resume


#: Options of a run on each kind of table, whose shards are small.
RUNS = {
    "weights": ["--weights", "weights.csv", "--model-name", "SASRec", "--shard-size", "9"],
    "lists": ["--recommendations", "lists.csv", "--shard-size", "9"],
}


@pytest.fixture(scope="module")
def whole(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """An undisturbed run of each kind, by one worker, made when first asked for."""
    folder, made = tmp_path_factory.mktemp("whole"), dict[str, Path]()

    def run(kind: str) -> Path:
        if kind not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("REPORTGEN_KEY", KEY.decode())
                patch.chdir(tables)
                assert main([*USUAL, "--quiet", *RUNS[kind], "--out", str(folder / kind)]) == 0
            made[kind] = folder / kind
        return made[kind]

    return run


@pytest.mark.parametrize("kind", RUNS)
def test_two_workers_make_the_bytes_of_one(
    kind: str, whole: Callable[[str], Path], build: Build, tmp_path: Path
) -> None:
    assert build(*RUNS[kind], "--workers", "2", "--out", str(tmp_path / "out")) == 0
    assert files_of(tmp_path / "out") == files_of(whole(kind))
    assert not (tmp_path / "out" / ".work").exists()


@pytest.mark.parametrize("kind", RUNS)
def test_packs_hold_the_reports_that_files_hold(
    kind: str, whole: Callable[[str], Path], build: Build, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert build(*RUNS[kind], "--packs", "--out", str(out)) == 0
    assert not records(out)
    assert main(["verify", str(out), "--quiet"]) == 0
    for path in sorted(whole(kind).rglob("reports/*/*"))[::7]:
        assert find_report(out, path.stem, path.suffix[1:]) == path.read_bytes()


@pytest.mark.parametrize("kind", RUNS)
def test_a_killed_run_goes_on_to_the_same_bytes(
    kind: str, whole: Callable[[str], Path], build: Build, tables: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    brew(tmp_path, {"all": 0.02})
    command = [sys.executable, "-c", POISONED, *USUAL, "--quiet", *RUNS[kind], "--workers", "2", "--out", str(out)]
    with subprocess.Popen(command, env=ENV, cwd=tables, stderr=subprocess.DEVNULL) as process:
        assert until(lambda: results(out) >= 2)
        process.send_signal(signal.SIGKILL)
    assert not (out / "manifest.json").exists()
    made = results(out)
    assert build(*RUNS[kind], "--out", str(out), "--resume") == 0
    assert files_of(out) == files_of(whole(kind))
    assert made >= 2


def test_what_was_kept_is_read_again_where_it_is_damaged(
    whole: Callable[[str], Path], build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert build(*RUNS["weights"], "--plan-only", "--out", str(out)) == 0
    assert main(["shard", "--plan", str(out), "--shards", "0-1", "--quiet"]) == 0
    weights = out / ".work" / "model" / "weights" / "weight.npy"
    weights.write_bytes(weights.read_bytes()[:-8] + bytes(8))
    assert build(*RUNS["weights"][:-2], "--heads", "max", "--shard-size", "9", "--out", str(out), "--resume") == 1
    assert "it differs in" in capsys.readouterr().err
    assert build(*RUNS["weights"], "--out", str(out), "--resume") == 0
    assert files_of(out) == files_of(whole("weights"))


def test_a_complete_run_is_told_again_and_a_damaged_one_is_mended(
    whole: Callable[[str], Path], build: Build, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole("lists"), out)
    assert build(*RUNS["lists"], "--out", str(out), "--resume") == 0
    page = next(out.rglob("reports/*/*.html"))
    page.write_bytes(b"damaged")
    assert build(*RUNS["lists"], "--out", str(out), "--resume") == 0
    assert files_of(out) == files_of(whole("lists"))


@pytest.mark.usefixtures("poisoned")
def test_a_poisoned_user_of_a_run_on_weights_is_set_aside(
    whole: Callable[[str], Path], build: Build, tmp_path: Path
) -> None:
    key = sorted(path.stem for path in whole("weights").rglob("reports/*/*.html"))[0]
    brew(tmp_path, {key: "kill"})
    assert build(*RUNS["weights"], "--workers", "2", "--out", str(tmp_path / "out")) == 3
    failed = [json.loads(line) for line in (tmp_path / "out" / "errors.jsonl").read_text("utf-8").splitlines()]
    assert [(one["user"], one["stage"]) for one in failed] == [(key, "worker")]
    others = {path.name: path.read_bytes() for path in whole("weights").rglob("reports/*/*") if path.stem != key}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("reports/*/*")} == others


@pytest.mark.usefixtures("build")
def test_reports_of_the_same_weights_are_taken_over(
    whole: Callable[[str], Path], tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(tables / "weights.csv", dtype={"user_id": str, "item_id": str, "history_item_id": str})
    mine = frame["user_id"] == frame["user_id"].iloc[-1]
    frame.loc[mine, "weight"] = frame.loc[mine, "weight"].to_numpy()[::-1]
    frame.to_csv(tmp_path / "newer.csv", index=False)
    newer = ["--weights", str(tmp_path / "newer.csv"), *RUNS["weights"][2:]]
    words = [word for word in USUAL if word != "--quiet"]
    for out, more in (("since", ["--since", str(whole("weights"))]), ("anew", [])):
        assert main([*words, *newer, *more, "--out", str(tmp_path / out)]) == 0
    users = len(records(tmp_path / "anew"))
    assert f"taken over: {users - 1:,} of {users:,} users" in capsys.readouterr().out
    assert records(tmp_path / "since") == records(tmp_path / "anew") != records(whole("weights"))


@pytest.mark.parametrize("kind", RUNS)
def test_everybody_of_a_run_is_counted(kind: str, whole: Callable[[str], Path]) -> None:
    run = whole(kind)
    counted = json.loads((run / "audit" / "statistics.json").read_text("utf-8"))
    assert counted["users"] == len(records(run)) == counted["marks"]["all"]["users"]
    assert counted["counts"].get("uncounted", 0) == 0
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert manifest["settings"]["options"]["users"] is None  # everybody of the table, not a list of thousands of keys
    assert (manifest["settings"]["options"].get("weights") is None) == (kind == "lists")


def test_the_first_users_and_a_user_without_a_row(
    build: Build, tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(*RUNS["weights"], "--limit", "3", "--out", str(tmp_path / "few")) == 0
    assert len(records(tmp_path / "few")) == 3
    users = pd.read_csv(tables / "events.csv", dtype=str)["user_id"]
    asked = next(
        user for user in sorted(users, reverse=True) if user not in set(pd.read_csv(tables / "lists.csv")["user_id"])
    )
    assert build(*RUNS["lists"], "--user", asked, "--out", str(tmp_path / "none")) == 1
    assert "has no row in the table that is explained" in capsys.readouterr().err


MAIL = """
[operator]
name = "Example Shop Ltd"
address = "1 Any Street, Anytown"
[operator.links]
non_personalised = "https://example.org/plain"
[mail]
from_address = "hello@example.org"
unsubscribe = "https://example.org/stop/{token}"
"""


@pytest.mark.parametrize(("kind", "subject"), [("weights", "What a model looked at"), ("lists", "How our model would")])
def test_mails_of_a_run_on_a_table_say_whose_list_it_is(kind: str, subject: str, build: Build, tmp_path: Path) -> None:
    (tmp_path / "mail.toml").write_text(MAIL, "utf-8")
    more = ["--format", "json,eml", "--config", str(tmp_path / "mail.toml"), "--limit", "4", "--locale", "en"]
    out = tmp_path / "out"
    assert build(*RUNS[kind], *more, "--out", str(out)) in (0, 3)  # 3: somebody has no address
    mails = [email.message_from_bytes(path.read_bytes()) for path in sorted(out.rglob("reports/*/*.eml"))]
    assert mails
    assert any(str(mail["Subject"]).startswith(subject) for mail in mails)
    assert not any(str(mail["Subject"]).startswith("Why you saw") for mail in mails)
    assert main(["verify", str(out), "--quiet"]) == 0


# --- tables longer than a block, and from the disk


READ = {"weights": read_weights, "lists": read_lists, "ablation": read_ablation}


@pytest.fixture
def frames(tables: Path) -> tuple[Dataset, dict[str, pd.DataFrame]]:
    """The data, and tables in a mixed order with everything that can be wrong."""
    shop = make_shop(40, 40, random_state=2)
    ids = dict.fromkeys(("user_id", "item_id", "history_item_id"), str)
    weights = pd.read_csv(tables / "weights.csv", dtype=ids).sample(frac=1.0, random_state=1)
    weights["position"], weights["layer"] = np.arange(len(weights)) % 3, np.arange(len(weights)) % 11
    rng = np.random.default_rng(3)
    for value in (np.nan, -1.0, np.inf):
        weights.loc[rng.choice(weights.index, 2), "weight"] = value
    weights.loc[rng.choice(weights.index, 5), "history_item_id"] = None
    weights = pd.concat([weights, weights.iloc[::40], weights.iloc[::55].assign(weight=0.123)])
    lists = pd.read_csv(tables / "lists.csv", dtype=ids).sample(frac=1.0, random_state=1)
    lists = pd.concat([lists, lists.iloc[::9].assign(rank=0.5)])
    ablation = weights.rename(columns={"history_item_id": "removed_item_id"}).assign(score=weights["weight"])
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    return data, {"weights": weights, "lists": lists, "ablation": ablation}


@pytest.mark.parametrize("name", READ)
def test_a_table_is_the_same_in_blocks_of_any_size(
    name: str, frames: tuple[Dataset, dict[str, pd.DataFrame]], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, tables = frames
    at_once = READ[name](tables[name], data)  # type: ignore[operator]
    for size in (1, 100):
        monkeypatch.setattr(ingest_long, "BLOCK", size)
        parts = READ[name](tables[name], data)  # type: ignore[operator]
        assert parts.digest() == at_once.digest()
        assert set(parts.problems) == set(at_once.problems)
    assert at_once.problems
    assert at_once.indptr[-1] > 100


@pytest.mark.parametrize("name", READ)
def test_a_table_comes_back_from_its_folder(
    name: str, frames: tuple[Dataset, dict[str, pd.DataFrame]], tmp_path: Path
) -> None:
    data, tables = frames
    table = READ[name](tables[name], data)  # type: ignore[operator]
    save_table(table, tmp_path / "t")
    again = open_table(type(table), tmp_path / "t")
    assert (again.digest(), again.problems) == (table.digest(), table.problems)
    assert {type(value) for value in vars(again).values()} == {type(value) for value in vars(table).values()}
    other = next(kind for kind in (WeightTable, GivenLists, Ablation) if kind is not type(table))
    with pytest.raises(InputError, match=f"it is no {other.__name__} of this version"):
        open_table(other, tmp_path / "t")
    path = tmp_path / "t" / "item.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(InputError, match=r"item\.npy is not what was saved"):
        open_table(type(table), tmp_path / "t")
    path.unlink()
    with pytest.raises(InputError, match="the table cannot be read"):
        open_table(type(table), tmp_path / "t", verify=False)


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


@pytest.mark.parametrize("kind", ["weights", "lists"])
def test_refits_say_nothing_about_lists_of_others(
    kind: str, frames: tuple[Dataset, dict[str, pd.DataFrame]], tmp_path: Path
) -> None:
    data, tables = frames
    table = READ[kind](tables[kind], data)  # type: ignore[operator]
    engine = Foreign(table) if kind == "weights" else Given(AttentionScorer().fit(data), table)
    as_of = int(data.timestamps.max())
    settings = RunSettings(tmp_path / "out", KEY, as_of, iso(as_of), stability=2)
    with pytest.raises(ConfigError, match=r"stability: .*does not make these lists"):
        build_run(settings, data, engine)
    assert not (tmp_path / "out").exists()
