"""Stability in a run: measured where it is asked for, after the reports, never twice, the same bytes whatever happened on the way."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch import refits
from reportgen.batch.refits import PATH, refit_path
from reportgen.batch.run import build_run, plan_run
from reportgen.batch.settings import RunSettings, RunSummary
from reportgen.batch.signals import at_once, stopping
from reportgen.batch.trust import LEAST
from reportgen.batch.watch import Watch
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError
from reportgen.explain.privacy import pseudonym
from reportgen.explain.stability import MEASURES, Bootstrap
from reportgen.output.folder import MANIFEST, WORK
from reportgen.verbs.console import Terminal

Told = Callable[..., RunSettings]
Go = Callable[..., RunSummary]
N = 2


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def quick(data: Dataset) -> AttentionScorer:
    """A model whose fit takes half as long."""
    return AttentionScorer(half_lives=(float("inf"),), max_users=20, n_negatives=50).fit(data)


@pytest.fixture(scope="module")
def go(data: Dataset, quick: AttentionScorer, told: Told) -> Go:
    def make(out: Path, hear: Any = lambda *_, **__: None, stop: Any = bool, **given: Any) -> RunSummary:
        return build_run(
            told(out, **{"shard": 20, "stability": N, "formats": ("json",)} | given), data, quick, hear=hear, stop=stop
        )

    return make


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the refits that are made."""
    numbers: list[int] = []
    fit = Bootstrap.refit

    def noted(boot: Bootstrap, number: int) -> np.ndarray:
        numbers.append(number)
        return fit(boot, number)

    monkeypatch.setattr(Bootstrap, "refit", noted)
    return numbers


class Heard:
    """Stop when so many refits are there."""

    def __init__(self, refits: int) -> None:
        self.wanted, self.there = refits, -1

    def __call__(self, event: str, **facts: Any) -> None:
        if event == "refits":
            self.there = facts["done"]

    def stop(self) -> bool:
        return self.there >= self.wanted


# --- what is measured


def test_the_file_is_listed_and_says_what_was_measured(whole: Path, data: Dataset, told: Told) -> None:
    manifest = json.loads((whole / MANIFEST).read_bytes())
    assert PATH in [output["path"] for output in manifest["outputs"]]
    assert manifest["settings"]["options"]["stability"] == N
    found = json.loads((whole / PATH).read_bytes())
    assert (found["measured"], found["n_boot"], found["random_state"], found["n_drawn"]) == (True, N, 0, 60)
    assert LEAST <= found["n_users"] <= 59
    assert found["unchanged"] == {"top3": 1, "first_reason": 1, "first_item": 1, "same_sign": 1, "flipped": 0}
    for name in MEASURES:
        one = found[name]
        assert 0 <= one["low"] <= one["mean"] <= one["high"] <= 1
        assert sum(found["by_user"][name]) == one["n"] == found["n_users"]
    assert found["first_item"]["mean"] < 1
    text, key = (whole / PATH).read_text(), told(whole).key
    assert not [user for user in data.user_ids if str(user) in text or pseudonym(key, str(user)) in text]
    assert not (whole / WORK).exists()


def test_no_report_depends_on_it_and_without_it_nothing_is_there(
    go: Go, whole: Path, tmp_path: Path, made: list[int]
) -> None:
    go(tmp_path / "plain", stability=0)
    plain, asked = files_of(tmp_path / "plain"), files_of(whole)
    assert made == []
    assert asked.keys() - plain.keys() == {PATH}
    same = {name for name in plain if plain[name] == asked[name]}
    assert {name for name in plain if name.startswith(("reports/", "origins/"))} < same
    assert {"audit/fidelity.json", "errors.jsonl"} < same
    assert "stability" not in json.loads(plain["manifest.json"])["settings"]["options"]


def test_who_opted_out_or_came_later_is_not_explained(
    data: Dataset, quick: AttentionScorer, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Bootstrap] = []

    class Spied(Bootstrap):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            seen.append(self)

    monkeypatch.setattr(refits, "Bootstrap", Spied)
    half, as_of = np.arange(60) % 2 == 0, int(np.quantile(data.timestamps, 0.9))
    some = replace(data, users=data.users.assign(opted_out=half))
    build_run(told(tmp_path / "out", as_of=as_of, stability=2, formats=("json",)), some, quick)
    (boot,) = seen
    assert boot.before.users.size >= LEAST
    assert not half[boot.before.users].any()
    assert boot.data.timestamps.max() <= as_of


def test_too_few_people_are_not_measured(go: Go, tmp_path: Path, data: Dataset, made: list[int]) -> None:
    go(tmp_path / "out", as_of=int(np.sort(data.timestamps)[15]), limit=3)
    found = json.loads((tmp_path / "out" / PATH).read_bytes())
    assert made == []
    assert (found["measured"], found["needed"]) == (False, LEAST)
    assert found["n_users"] < LEAST
    assert "are needed" in found["reason"]
    assert not found.keys() & set(MEASURES)


@pytest.mark.parametrize("refits", [-1, 1, 1001])
def test_an_absurd_number_is_refused_before_any_work(refits: int, go: Go, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give 0 to measure nothing, or 2 to 1000"):
        go(tmp_path / "out", stability=refits)
    assert not (tmp_path / "out").exists()


# --- interrupted, resumed, mended


@pytest.mark.parametrize("after", range(N + 1))
def test_an_interrupted_measurement_goes_on(after: int, go: Go, whole: Path, tmp_path: Path, made: list[int]) -> None:
    out, heard = tmp_path / "out", Heard(after)
    with pytest.raises(KeyboardInterrupt):
        go(out, hear=heard, stop=heard.stop)
    assert made == list(range(after))
    assert not (out / MANIFEST).exists()
    go(out, resume=True)
    assert made == list(range(N + 1))
    assert files_of(out) == files_of(whole)


@pytest.mark.parametrize("how", ["flip", "cut", "of another plan", "of other people"])
def test_a_damaged_refit_is_made_again(how: str, go: Go, whole: Path, tmp_path: Path, made: list[int]) -> None:
    out, heard = tmp_path / "out", Heard(2)
    with pytest.raises(KeyboardInterrupt):
        go(out, hear=heard, stop=heard.stop)
    victim = out / refit_path(1)
    content = victim.read_bytes()
    if how == "flip":
        victim.write_bytes(content.replace(b"1.0", b"0.0", 1))
    elif how == "cut":
        victim.write_bytes(content[:-9])
    else:
        plain = refits.open_line(content)
        plain |= {"plan_id": "0" * 16} if how == "of another plan" else {"content": [[1.0]] * len(MEASURES)}
        victim.write_bytes(refits.sealed_line(plain))
    go(out, resume=True)
    assert made == [0, 1, 1, 2]
    assert files_of(out) == files_of(whole)


def test_mending_a_report_measures_nothing_again(go: Go, out: Path, whole: Path, made: list[int]) -> None:
    next((out / "reports").rglob("*.json")).unlink()
    go(out, resume=True)
    assert made == []
    assert files_of(out) == files_of(whole)


def test_a_damaged_measurement_is_made_again(go: Go, out: Path, whole: Path, made: list[int]) -> None:
    (out / PATH).write_bytes((out / PATH).read_bytes().replace(b"0.", b"1.", 1))
    go(out, resume=True)
    assert made == list(range(N + 1))
    assert files_of(out) == files_of(whole)


def test_another_number_is_another_run(go: Go, out: Path) -> None:
    with pytest.raises(ConfigError, match=r"settings.options.stability \(2 there, 4 now\)"):
        go(out, resume=True, stability=4)
    with pytest.raises(ConfigError, match=r"settings.options.stability \(2 there, None now\)"):
        go(out, resume=True, stability=0)


def test_shards_of_others_and_more_workers_change_no_byte(
    go: Go, whole: Path, tmp_path: Path, data: Dataset, quick: AttentionScorer, told: Told, made: list[int]
) -> None:
    out = tmp_path / "out"
    plan_run(told(out, shard=20, stability=N, formats=("json",)), data, quick)
    assert made == []  # it is measured where the run is completed
    go(out, resume=True, workers=2)
    assert files_of(out) == files_of(whole)


def test_a_former_run_that_did_not_measure_is_taken_over(go: Go, tmp_path: Path) -> None:
    go(tmp_path / "plain", stability=0)
    found = go(tmp_path / "out", since=tmp_path / "plain").since
    assert (found.changed, found.outcomes) == ((), {"taken": 59})


# --- while it is going on


def test_a_signal_interrupts_a_fit_at_once_and_is_named() -> None:
    with stopping() as stop:
        with pytest.raises(KeyboardInterrupt), at_once():
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.name == "SIGTERM"
    with stopping() as stop:  # the negative control: without it a first signal is noted only
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.name == "SIGINT"


def test_the_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with at_once():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_progress_and_closing_tell_of_it(go: Go, tmp_path: Path) -> None:
    told, seconds = io.StringIO(), iter(range(0, 10_000, 10))
    terminal = Terminal(told, io.StringIO(), (lambda: float(next(seconds)), lambda: 0.0))
    watch = Watch(tmp_path / "out", lambda: float(next(seconds)), lambda: 0.0, str, terminal.show)
    summary = go(tmp_path / "out", hear=watch.hear)
    lines = [line for line in told.getvalue().splitlines() if "refits" in line]
    assert lines[0].startswith("reportgen: 0 of 3 refits (0 %)")
    assert lines[-1].startswith("reportgen: 3 of 3 refits (100 %), 0.1 refits/s")
    assert next(iter(summary.seconds)) == "trust"
    assert list(summary.seconds)[-2:] == ["stability", "finish"]
