"""Runs on another system's tables, from the command line to the audit report and back: counted, proven, made again, compared."""

from __future__ import annotations

import json
import re
import shutil
from math import fsum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_shop import write_tables
from sealed import call, found, manifest_of, reports_of

from reportgen.audit.audit_data import Audit, collect
from reportgen.audit.audit_page import render_audit, render_audit_pdf
from reportgen.audit.verify_record import check_record
from reportgen.batch.get import find_report
from reportgen.report.words import LOCALES, words

#: Words that claim more than attention tells.
CLAIMS = {"en": r"reason|because|speaks? for|contribut|counts? (most|for)", "zh-CN": r"理由|因为|支持|贡献"}
ALLOWED = {
    "en": ("no share in this report is one of reasons", "A rule that was met is a reason to look"),
    "zh-CN": ("没有任何份额是理由的份额", "规则被触发是查看的理由"),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("foreign")
    return folder, write_tables(folder)


@pytest.fixture(scope="module")
def runs(shop: tuple[Path, list[str]]) -> dict[str, Path]:
    """A run on weights that nobody measured, one with an ablation, one with given lists."""
    folder, inputs = shop
    (folder / "show.toml").write_text('[privacy]\nsensitive = "show"\n')  # every share of a record is then one item's
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPORTGEN_KEY", "0123456789abcdef0123456789abcdef")
        usual = ("build", *inputs, "--format", "json", "--quiet")
        weights = ("--weights", folder / "weights.csv", "--model-name", "SASRec")
        assert call(*usual, *weights, "--out", folder / "plain") == 0
        ablation = ("--ablation", folder / "ablation.csv", "--shard-size", "7", "--config", folder / "show.toml")
        assert call(*usual, *weights, *ablation, "--out", folder / "measured") == 0
        assert call(*usual, "--recommendations", folder / "lists.csv", "--out", folder / "lists") == 0
        assert call(*usual, "--weights", folder / "parts.csv", "--out", folder / "parts") == 0
    return {name: folder / name for name in ("plain", "measured", "lists", "parts")}


def audit_of(run: Path, **given: Any) -> Audit:
    return collect(run, lambda key: find_report(run, key, "json"), **given)


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads((run / path).read_bytes()) for path in reports_of(run)]


def shares(product: dict[str, Any]) -> list[float]:
    return [reason["share"] for reason in product["reasons"]]


def test_the_figures_are_those_of_the_records(runs: dict[str, Path]) -> None:
    told = records(runs["measured"])
    statistics = audit_of(runs["measured"]).plain["statistics"]
    lists = [[max(shares(product)) for product in record["recommendations"]] for record in told]
    strongest = fsum(fsum(most) / len(most) for most in lists) / len(lists)
    assert statistics["people"] == len(told)
    assert statistics["foreign"]["lies"]["strongest"]["mean"] == pytest.approx(strongest, abs=2e-6)
    taus = [[p["kendall_tau"] for p in record["recommendations"] if p["kendall_tau"] is not None] for record in told]
    tau = np.mean([np.mean(one) for one in taus if one])
    measured = statistics["foreign"]["measured"]
    assert audit_of(runs["plain"]).plain["statistics"]["foreign"]["measured"]["products"] == 0
    assert measured["tau"]["mean"] == pytest.approx(tau, abs=2e-6)
    assert measured["by"] == {"ablation": len(told)}
    assert measured["products"] == measured["of"] == sum(len(record["recommendations"]) for record in told)
    assert statistics["privacy"]["usage"]["used"] == sum(record["usage"]["used"] for record in told)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", ["plain", "measured"])
def test_attention_is_never_called_a_reason(runs: dict[str, Path], kind: str, locale: str) -> None:
    page = render_audit(audit_of(runs[kind]), locale)
    spoken = re.sub(r"<[^>]+>", " ", re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL))
    law = page.index('id="controls"')  # what laws ask for is told in their words
    before = re.sub(r"<[^>]+>", " ", page[page.index("<body") : law])
    for sentence in ALLOWED[locale]:
        before = before.replace(sentence, "")
    assert re.findall(CLAIMS[locale], before, re.IGNORECASE) == []
    assert "SASRec" in spoken


def test_what_was_not_measured_is_said(runs: dict[str, Path]) -> None:
    plain, measured = (audit_of(runs[kind]) for kind in ("plain", "measured"))
    assert "was not measured in this run" in render_audit(plain, "en")
    rules = {one["rule"]: one["count"] for one in plain.plain["exceptions"]}
    assert rules["unmeasured"] == plain.plain["statistics"]["people"]
    assert "disagrees" not in rules  # that nothing disagrees is no finding where nothing was measured
    assert {one["rule"] for one in measured.plain["exceptions"]} >= {"disagrees", "unmeasured"}
    assert "Kendall" in render_audit(measured, "en")


def status(audit: Audit, field: str) -> set[bool]:
    """Whether a field has a value, over all controls that ask for it."""
    fields = [one for control in audit.plain["controls"]["controls"] for one in control["fields"]]
    return {one["value"] is not None for one in fields if one["name"] == field}


def test_law_packs_take_attention_for_no_reason(runs: dict[str, Path]) -> None:
    plain, measured, lists = (audit_of(runs[kind]) for kind in ("plain", "measured", "lists"))
    for field in ("report.reasons", "fidelity.measured"):
        assert [status(one, field) for one in (plain, measured)] == [{False}, {True}], field
    assert [status(one, "report.sums") for one in (plain, measured, lists)] == [{False}, {False}, {True}]
    assert [status(one, "report.counterfactuals") for one in (plain, measured)] == [{False}, {False}]
    for field in ("statistics.sponsored", "users.opted_out", "report.data_used", "run.complete"):
        assert [status(one, field) for one in (plain, measured, lists)] == [{True}] * 3, field


@pytest.mark.parametrize("locale", LOCALES)
def test_contributions_are_the_models_own_account_and_are_added_up(runs: dict[str, Path], locale: str) -> None:
    audit = audit_of(runs["parts"])
    page = render_audit(audit, locale)
    assert words(locale).say("audit.looked.heading_contribution") in page
    assert words(locale).say("audit.looked.what_attention")[:9] not in page
    rules = {one["rule"]: one["count"] for one in audit.plain["exceptions"]}
    assert rules["not_adding"] == 1
    assert "disagrees" not in rules
    assert status(audit, "report.sums") == {False}  # of one product they do not
    assert status(audit, "report.reasons") == {True}


def test_cases_are_read_from_the_records(runs: dict[str, Path]) -> None:
    cases = audit_of(runs["measured"]).plain["cases"]
    assert all(case["record"] and case["record"]["sums"] for case in cases)
    told = {record["user"]: record for record in records(runs["measured"])}
    for case in cases:
        for shown, product in zip(case["record"]["products"], told[case["key"]]["recommendations"], strict=True):
            assert shown["looked"][0]["share"] == product["reasons"][0]["share"]
            best = max(one["effect"] for one in product["reasons"] if one.get("effect") is not None)
            assert shown["effects"][0]["effect"] == best
            assert shown["tau"] == product["kendall_tau"]


@pytest.mark.parametrize("kind", ["plain", "measured", "lists", "parts"])
def test_the_run_is_proven(runs: dict[str, Path], kind: str) -> None:
    assert found(runs[kind]) == ""


def test_a_weight_that_was_changed_is_found_by_its_sum(runs: dict[str, Path]) -> None:
    path = runs["plain"] / reports_of(runs["plain"])[0]
    record = json.loads(path.read_bytes())
    assert check_record(path.read_bytes(), record["user"]) is None
    record["recommendations"][0]["reasons"][0]["weight"] += 1e-3
    assert "weights of rank 1 sum to" in str(check_record(json.dumps(record).encode(), record["user"]))


def test_the_columns_of_every_table_stand_in_the_manifest(runs: dict[str, Path]) -> None:
    columns = {row["table"]: row["columns"] for row in manifest_of(runs["measured"])["inputs"]}
    assert columns["weights"].keys() == {"user_id", "item_id", "history_item_id", "weight", "rank", "score"}
    assert columns["ablation"].keys() == {"user_id", "item_id", "removed_item_id", "score"}
    assert "opted_out" in columns["users"]
    assert {row["table"]: row["columns"] for row in manifest_of(runs["lists"])["inputs"]}["recommendations"] is not None


@pytest.mark.parametrize(
    ("kind", "tables"),
    [
        ("measured", ("--weights", "weights.csv", "--ablation", "ablation.csv")),
        ("lists", ("--recommendations", "lists.csv")),
    ],
)
def test_the_same_again(
    runs: dict[str, Path], shop: tuple[Path, list[str]], kind: str, tables: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder, inputs = shop
    named = [folder / word if word.endswith(".csv") else word for word in tables]
    assert call("rebuild", runs[kind], *inputs, *named) == 0
    assert "the same: " in capsys.readouterr().out
    assert call("rebuild", runs[kind], *inputs) == 1
    assert "lacking: " in capsys.readouterr().err


def test_a_change_of_the_reading_is_told(
    runs: dict[str, Path], shop: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, inputs = shop
    lines = (folder / "weights.csv").read_text().splitlines()
    user, item, past, weight, *rest = lines[1].split(",")
    (tmp_path / "w.csv").write_text(
        "\n".join([lines[0], ",".join([user, item, past, str(float(weight) + 0.25), *rest]), *lines[2:]]) + "\n"
    )
    usual = ("build", *inputs, "--format", "json", "--quiet", "--model-name", "SASRec")
    assert call(*usual, "--weights", tmp_path / "w.csv", "--out", tmp_path / "run") == 0
    capsys.readouterr()
    assert call("diff", runs["plain"], tmp_path / "run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["summary"]["list_changed"], told["summary"]["reasons_changed"]) == (0, 1)
    assert [one["weights"] for one in told["users"]] == [[item]]
    against = audit_of(tmp_path / "run", against=runs["plain"]).plain["against"]["changes"]
    assert {one["measure"] for one in against} >= {"strongest", "weighted"}


def test_the_report_is_written_in_every_form(runs: dict[str, Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs["measured"], tmp_path / "run"))
    audit = audit_of(run)
    page = render_audit(audit, "zh-CN")
    assert render_audit_pdf(audit, page).startswith(b"%PDF-1.7")
    assert json.loads(audit.to_json())["statistics"]["foreign"]["kind"] == "attention"
