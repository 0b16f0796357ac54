"""What a run says of its own reasons: measured once, on people who did not opt out, the same for one report as for all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch import trust as measuring
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings
from reportgen.batch.trust import LEAST, measure_run
from reportgen.data.dataset import Dataset
from reportgen.explain.privacy import Privacy, make_privacy, pseudonym
from reportgen.output.folder import RunFolder
from reportgen.report.words import words

Told = Callable[..., RunSettings]
FILE = "audit/fidelity.json"


def pages_of(out: Path, locale: str) -> list[str]:
    pages = [path.read_text("utf-8") for path in (out / "reports").rglob("*.html")]
    return [page for page in pages if f'<html lang="{locale}"' in page]


@pytest.fixture(scope="module")
def out(data: Dataset, scorer: AttentionScorer, told: Told, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trust") / "out"
    build_run(told(folder, formats=("html",)), data, scorer)
    return folder


def test_every_report_shows_what_the_file_says(out: Path) -> None:
    found = json.loads((out / FILE).read_bytes())
    assert found["measured"] is True
    assert LEAST <= found["n_users"] <= 59
    ours, blind = (found["methods"][name]["comprehensiveness@3"]["mean"] for name in ("ours", "random"))
    assert ours > blind
    for locale in ("en", "zh-CN"):
        say, percent = words(locale).say, words(locale).percent
        pages = pages_of(out, locale)
        assert pages
        for page in pages:
            shares = {"lost": percent(round(100 * ours)), "lost_random": percent(round(100 * blind))}
            assert say("trust.lost", found["n_users"], top="3", **shares) in page
            assert say("method.fidelity") not in page
            strong, weak = (percent(round(100 * found["methods"]["ours"][key]["mean"])) for key in ("pos@10", "neg@10"))
            assert say("trust.stays", list="10", strong=strong, weak=weak) in page


def test_the_file_is_in_the_manifest_and_names_nobody(out: Path, data: Dataset, told: Told) -> None:
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert FILE in [output["path"] for output in manifest["outputs"]]
    text = (out / FILE).read_text()
    key = told(out).key
    assert not [user for user in data.user_ids if str(user) in text or pseudonym(key, str(user)) in text]


def test_one_report_says_the_same_as_a_full_run(
    out: Path, data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    user = str(data.user_ids[~data.users["opted_out"].to_numpy(dtype=bool)][3])
    build_run(told(tmp_path / "one", formats=("html",), users=(user,), chunk=1), data, scorer)
    assert (tmp_path / "one" / FILE).read_bytes() == (out / FILE).read_bytes()
    page = next((tmp_path / "one" / "reports").rglob("*.html"))
    assert page.read_bytes() == (out / page.relative_to(tmp_path / "one")).read_bytes()


def test_too_few_people_are_not_measured_and_the_pages_say_so(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    early = int(np.sort(data.timestamps)[15])
    build_run(told(tmp_path / "out", formats=("html",), as_of=early, limit=3), data, scorer)
    found = json.loads((tmp_path / "out" / FILE).read_bytes())
    assert found["measured"] is False
    assert "are needed" in found["reason"]
    assert "methods" not in found
    for locale in ("en", "zh-CN"):
        assert all(words(locale).say("method.fidelity") in page for page in pages_of(tmp_path / "out", locale))


def test_who_opted_out_or_came_later_is_not_looked_at(
    data: Dataset, scorer: AttentionScorer, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    measure = measuring.measure_fidelity

    def spy(scorer: AttentionScorer, data: Dataset, users: np.ndarray, *rest: Any, **given: Any) -> Any:
        seen.append((data, users))
        return measure(scorer, data, users, *rest, **given)

    monkeypatch.setattr(measuring, "measure_fidelity", spy)
    half = np.arange(60) % 2 == 0
    some = replace(data, users=data.users.assign(opted_out=half))
    as_of = int(np.quantile(data.timestamps, 0.9))
    measure_run(told(Path("out"), as_of=as_of), some, scorer, make_privacy(some))
    ((before, users),) = seen
    assert users.size >= LEAST
    assert not half[users].any()
    assert before.timestamps.max() <= as_of
    keys = [pseudonym(told(Path()).key, str(data.user_ids[user])) for user in users]
    assert keys == sorted(keys)


def test_excluded_and_barred_items_are_left_out_of_the_measurement(
    data: Dataset, scorer: AttentionScorer, told: Told
) -> None:
    settings, some = told(Path("out")), np.arange(data.item_ids.size) % 3 == 0
    folded, excluded = (measure_run(settings, data, scorer, Privacy(mode, some)) for mode in ("fold", "exclude"))
    assert folded != excluded
    file, trust = measure_run(settings, data, scorer, Privacy("fold", np.ones_like(some)))
    assert trust is None
    assert json.loads(file)["reason"].startswith("only 0 users")


def test_the_file_of_a_former_run_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    RunFolder(tmp_path / "out").write(FILE, b"{}", "application/json")
    (tmp_path / "out" / "audit" / "notes.txt").touch()
    RunFolder(tmp_path / "out", overwrite=True)
    assert [path.name for path in (tmp_path / "out" / "audit").iterdir()] == ["notes.txt"]
    (tmp_path / "out" / "audit" / "notes.txt").unlink()
    RunFolder(tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "audit").exists()
