"""The chapter on stability: what it says where nothing was asked, where too few are there, and of real figures; and their intervals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counted import run
from sealed import SECRET, call, found, make_inputs, manifest_of, relist

from reportgen.audit.audit_data import Audit, collect
from reportgen.audit.audit_page import render_audit
from reportgen.audit.lawpacks import controls, facts_of_run, packs_of
from reportgen.audit.statistics_intervals import crossed_mean, share_of
from reportgen.batch.get import find_report
from reportgen.explain.stability import MEASURES
from reportgen.report.words import LOCALES

PATH = "audit/stability.json"


def audit_of(folder: Path, **given: Any) -> Audit:
    return collect(folder, lambda key: find_report(folder, key, "json"), **given)


@pytest.fixture(scope="module")
def asked(audited: Callable[[str], Path]) -> Path:
    return audited("full")


@pytest.fixture(scope="module")
def silent(audited: Callable[[str], Path]) -> Path:
    return audited("bare")


@pytest.fixture(scope="module")
def audit(asked: Path) -> Audit:
    return audit_of(asked)


def chapter(audit: Audit, locale: str = "en", **other: Any) -> str:
    """The chapter as it is read, one space between words."""
    page = render_audit(Audit(audit.plain | other, audit.settings), locale)
    part = re.search(r'<h2 id="stable">.*?</section>', page, flags=re.DOTALL)
    assert part is not None
    return " ".join(re.sub(r"<[^>]+>", " ", part[0]).split())


def changed(audit: Audit, **parts: Any) -> dict[str, Any]:
    plain: dict[str, Any] = deepcopy(audit.plain["stability"])
    return plain | parts


# --- what it says


@pytest.mark.parametrize("locale", LOCALES)
def test_a_run_that_did_not_measure_says_so_and_names_the_option(silent: Path, locale: str) -> None:
    said = chapter(audit_of(silent), locale)
    assert "reportgen build --stability 20" in said
    assert not re.search(r"\d\s*%", said)


def test_the_option_that_the_chapter_names_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("build", "--help") == 0
    assert "--stability N" in capsys.readouterr().out


@pytest.mark.parametrize("locale", LOCALES)
def test_the_figures_are_those_of_the_file(audit: Audit, asked: Path, locale: str) -> None:
    found = json.loads((asked / PATH).read_bytes())
    assert audit.plain["stability"] == found
    said = chapter(audit, locale)
    for name in MEASURES:
        for value in (found[name]["mean"], found[name]["low"], found[name]["high"]):
            assert f"{100 * value:.1f}%" in said, (name, value)
        assert f"± {100 * found['spread'][name]:.1f} " in said, name
    assert str(found["n_users"]) in said
    for count in found["by_user"]["first_reason"]:
        assert re.search(rf"\b{count} {100 * count / found['n_users']:.1f}%", said), count
    assert not re.search(r"\{[a-z_]+\}|None|audit\.", said)


@pytest.mark.parametrize("locale", LOCALES)
def test_too_few_people(audit: Audit, locale: str) -> None:
    few = {"measured": False, "needed": 20, "n_users": 7, "reason": "only 7"}
    said = chapter(audit, locale, stability=few)
    assert re.search(r"\b7\b|7 人", said)
    assert "20" in said
    assert "%" not in said


def test_a_model_of_other_data_is_told(audit: Audit) -> None:
    assert "every reason, product and sign was the same" in chapter(audit)
    other = changed(audit, unchanged=audit.plain["stability"]["unchanged"] | {"first_item": 0.734})
    said = chapter(audit, stability=other)
    assert "was learnt from other data" in said
    assert "73.4% of the first products" in said
    assert "every reason, product and sign" not in said


def test_the_run_before_stands_beside_it_where_it_was_measured(
    audit: Audit, silent: Path, asked: Path, audited: Callable[[str], Path]
) -> None:
    against = audit_of(asked, against=audited("before")).plain["against"]
    assert against["stability"] == json.loads((audited("before") / PATH).read_bytes())
    before = against["stability"] | {"first_reason": {"mean": 0.123, "se": 0.0, "n": 20, "low": 0.111, "high": 0.135}}
    said = chapter(audit, against=against | {"stability": before})
    assert "Before" in said
    assert "12.3% 11.1% to 13.5%" in said
    assert "Before" not in chapter(audit, against=audit_of(asked, against=silent).plain["against"])


def test_law_packs_find_it_only_where_it_was_measured(asked: Path, silent: Path, tmp_path: Path) -> None:
    def value(folder: Path) -> str | None:
        facts = facts_of_run(folder)
        fields = [field for one in controls(facts, packs_of(facts)) for field in one.fields]
        (one,) = {field.value for field in fields if field.name == "statistics.stability"}
        return one

    assert value(asked) == PATH
    assert value(silent) is None
    few = run(tmp_path / "few", people=12, stability=2)
    assert json.loads((few / PATH).read_bytes())["measured"] is False
    assert value(few) is None


# --- from the command line to the proof


def test_it_is_sealed_verified_and_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_KEY", SECRET)
    inputs, out = make_inputs(tmp_path, 30), tmp_path / "run"
    assert call("build", *inputs, "--out", out, "--format", "json", "--stability", "2", "--quiet") == 0
    assert PATH in [output["path"] for output in manifest_of(out)["outputs"]]
    assert call("verify", out) == 0
    assert call("rebuild", out, *inputs) == 0
    forged = json.loads((out / PATH).read_bytes())
    forged["first_reason"]["mean"] = 1.0
    (out / PATH).write_text(json.dumps(forged))
    assert "stability.json" in found(out)
    relist(out, PATH)
    assert call("rebuild", out, *inputs) == 1


@pytest.mark.parametrize("number", ["1", "-3", "1001", "many", "2.5", "٢", "00000000000020"])
def test_an_absurd_number_is_a_wrong_use(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("build", "--events", "e.csv", "--items", "i.csv", "--out", "o", "--stability", number) == 2
    told = capsys.readouterr().err
    assert "give 0 to measure nothing, or 2 to 1000" in told or "expected one argument" in told


@pytest.mark.parametrize("table", ["weights", "recommendations"])
def test_lists_of_others_have_no_model_to_fit_again(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "--events",
        "e.csv",
        "--items",
        "i.csv",
        "--out",
        tmp_path / "out",
        "--stability",
        "5",
        f"--{table}",
        "w.csv",
    )
    assert call("build", *words, "--format", "json") == 1
    assert f"--stability does not go with --{table}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- the interval


def test_an_interval_adds_what_people_and_rounds_vary() -> None:
    found = crossed_mean(0.5, 0.03, 100, 0.04 * 20**0.5, 20)
    assert found is not None
    assert found.se == pytest.approx(0.05)
    assert found.high is not None
    assert found.high - 0.5 == pytest.approx(2.0930 * 0.05, rel=1e-4)  # Student's t, 19 degrees of freedom, 97.5 %
    assert found.low == pytest.approx(1.0 - found.high)


def test_an_interval_of_what_never_varied_is_wilsons() -> None:
    found, wilson = crossed_mean(1.0, 0.0, 100, 0.0, 20), share_of(20, 20)
    assert found is not None
    assert wilson is not None
    assert (found.low, found.high, found.n) == (wilson.low, 1.0, 100)


@pytest.mark.parametrize(("people", "rounds"), [(0, 20), (20, 0)])
def test_nobody_and_no_round_are_nothing(people: int, rounds: int) -> None:
    assert crossed_mean(0.0, 0.0, people, 0.0, rounds) is None


@pytest.mark.parametrize(("people", "rounds"), [(1, 20), (20, 1)])
def test_one_person_or_one_round_has_no_interval(people: int, rounds: int) -> None:
    found = crossed_mean(0.5, 0.1, people, 0.1, rounds)
    assert found is not None
    assert (found.mean, found.low, found.high) == (0.5, None, None)


@pytest.mark.parametrize(("of_people", "of_rounds"), [(0.2, 0.0), (0.0, 0.1), (0.2, 0.1)])
def test_intervals_hold_the_truth_as_often_as_they_say(of_people: float, of_rounds: float) -> None:
    """Ones and zeros whose chance has a part of the person and a part of the round: of 1,000 intervals at least 95 % hold the truth."""
    rng, held, people, rounds = np.random.default_rng(5), 0, 60, 12
    for _ in range(1000):
        chance = (
            0.5
            + rng.uniform(-of_people, of_people, people)[None, :]
            + rng.uniform(-of_rounds, of_rounds, rounds)[:, None]
        )
        drawn = (rng.random((rounds, people)) < chance).astype(float)
        by_person, by_round = drawn.mean(axis=0), drawn.mean(axis=1)
        se = float(by_person.std(ddof=1) / people**0.5)
        found = crossed_mean(float(drawn.mean()), se, people, float(by_round.std(ddof=1)), rounds)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.5 <= found.high
    assert held >= 940  # three standard errors of 1,000 draws at 95 %
