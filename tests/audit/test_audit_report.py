"""The audit report of real runs: what it says, in which language, and that nothing gets out or through it."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pikepdf
import pytest
from counted import AUDITED, HOSTILE, KEY, run, shop
from sealed import call

from reportgen.audit.audit_data import Audit, collect
from reportgen.audit.audit_page import render_audit, render_audit_pdf
from reportgen.audit.exceptions import RULES
from reportgen.audit.fold import Fold
from reportgen.audit.sampling import STRATA, Drawn, draw
from reportgen.batch.counting import merged
from reportgen.batch.get import find_report
from reportgen.errors import ConfigError, InputError, OutputError, RenderError
from reportgen.explain.privacy import pseudonym
from reportgen.report.pdf import render_pdf
from reportgen.report.words import LOCALES, words
from reportgen.verbs.options import make_parser

ORDER = [
    "scope", "drives", "concentration", "age", "paid", "faithful", "stable", "fair", "private", "exceptions", "cases",
    "controls", "model", "proof",
]  # fmt: skip
Keep = Callable[[str], bytes]


def reader(folder: Path) -> Keep:
    return lambda key: find_report(folder, key, "json")


@pytest.fixture(scope="module")
def full(audited: Callable[[str], Path]) -> Path:
    """A run with segments, one of them hostile and one of a single member; in packs of 20."""
    return audited("full")


@pytest.fixture(scope="module")
def audit(full: Path) -> Audit:
    return collect(full, reader(full))


@pytest.fixture(scope="module")
def pages(audit: Audit) -> dict[str, str]:
    """The report of `full` in each language."""
    return {locale: render_audit(audit, locale) for locale in LOCALES}


def spoken(page: str) -> str:
    return re.sub(r"<[^>]+>", " ", re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL))


# --- what it says


@pytest.mark.parametrize("locale", LOCALES)
def test_the_chapters_stand_in_their_order(pages: dict[str, str], locale: str) -> None:
    page = pages[locale]
    assert re.findall(r'<h2 id="([a-z]+)">', page) == ORDER
    assert f'<html lang="{locale}"' in page
    assert re.findall(r"\{[a-z_]+\}|None|nan\b|audit\.[a-z]+\.", spoken(page)) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_every_name_that_is_put_together_has_words(locale: str) -> None:
    told = words(locale)
    asked = [f"audit.rule.{rule}{end}" for _, rule, _ in RULES for end in ("", "_what")]
    asked += [f"audit.severity.{severity}" for _, _, severity in RULES] + [f"audit.stratum.{name}" for name in STRATA]
    assert [key for key in asked if key not in told] == []
    assert len({number for number, _, _ in RULES}) == len(RULES)


def test_every_plot_is_beside_its_number(pages: dict[str, str]) -> None:
    page = pages["en"]
    for row in re.findall(r"<tr.*?</tr>", page, flags=re.DOTALL):
        if 'class="fill"' in row:
            assert re.search(r'<td class="num">[^<]*\d', row), row
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", page)]
    assert len(widths) > 60
    assert all(0 <= width <= 100 for width in widths)


def test_the_page_stands_alone(pages: dict[str, str]) -> None:
    page = pages["en"]
    assert not re.search(r"<script|<link|<iframe|<object|@import|src=|url\(", page.replace(HOSTILE, ""))


def test_names_from_the_data_are_text(pages: dict[str, str]) -> None:
    for page in pages.values():
        assert "<script" not in page
        assert "<b>purpose" not in page
        assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page
        assert "华东" in page
        assert "\u202e" not in page


def test_nobody_is_named_and_nothing_is_promised(audit: Audit, full: Path, pages: dict[str, str]) -> None:
    data, _, _ = shop()
    told = [audit.to_json(), *map(spoken, pages.values())]
    told += [path.read_text("utf-8") for path in sorted((full / "statistics").iterdir())]
    anybody = re.compile(rf"\b(?:{'|'.join(re.escape(str(user)) for user in data.user_ids)})\b")
    assert anybody.search(f"<b>{data.user_ids[5]}</b>")
    for text in told:
        assert anybody.search(text) is None
        assert not any(name in text for name in data.users["name"].dropna())
        assert not re.search(r"\bcompliant|complies\b", text, re.IGNORECASE)


def test_a_group_of_one_is_told_nowhere(audit: Audit, full: Path) -> None:
    files = [*sorted((full / "statistics").iterdir()), full / "audit" / "statistics.json"]
    assert not any(b'"alone"' in path.read_bytes() for path in files)
    table = next(table for table in audit.plain["statistics"]["fairness"] if table["dimension"] == "region")
    assert all(row["people"] is None or row["people"] >= 10 for row in table["rows"])
    assert all(figure is None or figure["n"] >= 10 for row in table["rows"] for figure in row["figures"].values())


def test_cases_are_the_records_and_their_sums_close(audit: Audit, full: Path) -> None:
    cases = audit.plain["cases"]
    assert len(cases) >= 10
    for case in cases:
        record = json.loads(find_report(full, case["key"], "json"))
        assert case["record"]["sums"]
        assert [one["title"] for one in case["record"]["products"]] == [
            one["title"] for one in record["recommendations"]
        ]


def test_a_sum_that_does_not_close_is_told(audit: Audit, full: Path, pages: dict[str, str]) -> None:
    def forged(key: str) -> bytes:
        record = json.loads(find_report(full, key, "json"))
        record["recommendations"][0]["score"] += 1e-6
        return json.dumps(record).encode()

    changed = Audit(audit.plain | {"cases": collect(full, forged).plain["cases"]}, audit.settings)
    assert not changed.plain["cases"][0]["record"]["sums"]
    assert "do not add up to each score" in spoken(render_audit(changed))
    assert "do not add up" not in spoken(pages["en"])


def test_exceptions_name_users_of_whom_they_are_so(audit: Audit, full: Path) -> None:
    priced = next(one for one in audit.plain["exceptions"] if one["rule"] == "priced")
    assert priced["count"] == audit.plain["statistics"]["prices"]["people"]["count"] > 0
    data, _, _ = shop()
    dear = {str(item) for item, yes in zip(data.item_ids, data.catalogue["price_personalised"], strict=True) if yes}
    for key in priced["examples"]:
        record = json.loads(find_report(full, key, "json"))
        assert {one["item_id"] for one in record["recommendations"]} & dear


def test_users_set_aside_are_an_exception(tmp_path: Path, audit: Audit) -> None:
    from reportgen.batch.run import build_run
    from reportgen.batch.settings import RunSettings, Tools
    from reportgen.report.record import iso

    data, scorer, config = shop()
    unlucky = pseudonym(KEY, str(data.user_ids[3]))

    def report(*given: object, **named: object) -> object:
        if given[4].key == unlucky:  # type: ignore[attr-defined]
            raise ValueError("broken")
        return Tools().report(*given, **named)

    as_of = int(data.timestamps.max())
    settings = RunSettings(tmp_path / "run", KEY, as_of, iso(as_of), config=config, formats=("json",))
    build_run(settings, data, scorer, tools=Tools(report=report))  # type: ignore[arg-type]
    found = collect(tmp_path / "run", reader(tmp_path / "run"))
    first = found.plain["exceptions"][0]
    assert (first["rule"], first["severity"], first["count"], first["examples"]) == ("set_aside", "high", 1, [unlucky])
    assert found.plain["statistics"]["people"] == audit.plain["statistics"]["people"] - 1


# --- small and odd runs


def test_one_user_no_segment_nothing_sponsored(audited: Callable[[str], Path]) -> None:
    audit = collect(audited("bare"), reader(audited("bare")))
    for locale in LOCALES:
        page = render_audit(audit, locale)
        assert words(locale).say("audit.paid.no_sponsored") in page
        assert words(locale).say("audit.fair.none") in page
        assert words(locale).say("audit.scope.few", 1) in page
        assert '<p class="notice">' in page
    assert audit.plain["statistics"]["sponsored"]["places"] == 0


def test_a_run_without_records_still_names_the_cases(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", formats=("html",), limit=12)
    audit = collect(folder, reader(folder))
    assert {case["record"] is None for case in audit.plain["cases"]} == {True}
    assert "no report as json" in spoken(render_audit(audit))


def test_a_record_of_another_shape_is_told() -> None:
    fold = Fold(collect_frame(), 1)
    fold._mark("all", mark("a" * 24))
    for bad in (b"", b"[]", b"{}", b'{"recommendations": 3, "as_of": "", "usage": {}}', b"{" * 9000):
        assert draw(fold, lambda _, bad=bad: bad) == [Drawn("a" * 24, "all", None, "the record is damaged")]


def collect_frame() -> object:
    from counted import counted

    return counted()[0].frame


def mark(key: str) -> object:
    from reportgen.audit.fold import Mark

    return Mark(1, [key])


def test_a_change_is_told_against_another_run_only(full: Path, audited: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match="is the same run as"):
        collect(full, reader(full), full)
    audit = collect(full, reader(full), audited("before"))
    told = {one["measure"]: one for one in audit.plain["against"]["changes"]}
    assert told["reasoned"]["now"]["n"] == told["reasoned"]["before"]["n"]
    page = render_audit(audit)
    assert audit.plain["against"]["run_id"] in page
    assert "Is it clear?" in page


# --- the same bytes


def test_the_statistics_depend_on_nothing_but_the_people(full: Path, tmp_path: Path) -> None:
    other = run(tmp_path / "run", packs=False, shard=7, chunk=5)
    one, two = (Fold.from_json((folder / "audit" / "statistics.json").read_bytes()) for folder in (full, other))
    assert (one.users, one.sums, one.counts, one.items) == (two.users, two.sums, two.counts, two.items)
    assert {name: m.users for name, m in one.marks.items()} == {name: m.users for name, m in two.marks.items()}
    assert len(list((other / "statistics").iterdir())) == -(-one.users // 7)


def test_the_statistics_are_the_sum_of_those_of_the_shards(full: Path) -> None:
    whole = (full / "audit" / "statistics.json").read_bytes()
    parts = range(len(list((full / "statistics").iterdir())))
    assert merged(full, Fold.from_json(whole).frame, parts).to_json() == whole
    listed = {output["path"] for output in json.loads((full / "manifest.json").read_bytes())["outputs"]}
    assert {"audit/statistics.json", *(f"statistics/{shard:06}.json" for shard in parts)} <= listed


@pytest.mark.parametrize("lost", ["statistics/000001.json", "audit/statistics.json", "packs/000002.zip"])
def test_a_damaged_run_is_mended_to_the_same_statistics(full: Path, tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(full, folder)
    (folder / lost).write_bytes(b"damaged")
    run(folder, **AUDITED["full"], resume=True)
    for name in ("audit/statistics.json", lost):
        assert (folder / name).read_bytes() == (full / name).read_bytes()


def test_the_same_run_is_the_same_report(full: Path, audit: Audit, pages: dict[str, str]) -> None:
    again = collect(full, reader(full))
    assert again.to_json() == audit.to_json()
    assert render_audit(again, "zh-CN") == pages["zh-CN"]


def test_the_pdf_is_the_same_twice_and_carries_the_data(audit: Audit) -> None:
    audit = Audit(audit.plain | {"cases": audit.plain["cases"][:1], "controls": None}, audit.settings)
    page = render_audit(audit)
    data = render_audit_pdf(audit, page)
    assert data == render_audit_pdf(audit, page)
    with pikepdf.open(io.BytesIO(data)) as pdf:
        assert list(pdf.attachments) == ["audit.json"]
        attached = pdf.attachments["audit.json"].get_file().read_bytes()
        assert attached.decode("utf-8") == audit.to_json()
        assert len(pdf.Root.AF) == 1
        assert pdf.Root.AF[0].AFRelationship == "/Data"


def test_a_page_without_a_time_carries_nothing() -> None:
    with pytest.raises(RenderError, match=r"dcterms\.created"):
        render_pdf("<!DOCTYPE html><html lang='en'><title>x</title><p>x</p></html>", attached=("a.json", "s", "{}"))


# --- the verb


@pytest.fixture
def copy(full: Path, tmp_path: Path) -> Path:
    shutil.copytree(full, tmp_path / "run")
    return tmp_path / "run"


def test_the_verb_writes_into_the_run_and_the_run_stays_proven(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("audit", copy, "--format", "html,json") == 0
    told = capsys.readouterr().out
    assert str(copy / "audit" / "audit.html") in told
    assert "people counted: 9" in told
    assert json.loads((copy / "audit" / "audit.json").read_bytes())["schema"] == "reportgen.audit/1"
    assert not (copy / "audit" / "audit.pdf").exists()
    assert call("verify", copy, "--quiet") == 0


def test_the_verb_writes_elsewhere_in_another_language(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    assert call("audit", copy, "--out", out, "--format", "html", "--locale", "zh_Hans_SG.UTF-8", "--quiet") == 0
    assert '<html lang="zh-CN"' in (out / "audit.html").read_text("utf-8")
    assert sorted(path.name for path in (copy / "audit").iterdir() if path.name.startswith("audit.")) == []


@pytest.mark.parametrize(
    "words_", [["audit", "RUN"], ["answer", "RUN", "USER", "--out", "a.zip"], ["lawpack", "eu-gdpr"]]
)
def test_a_language_is_negotiated_as_for_a_run(words_: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for tag, served in (("en-GB", "en"), ("zh", "zh-CN"), ("zh_Hans_SG", "zh-CN")):
        assert make_parser().parse_args([*words_, "--locale", tag]).locale == served
    with pytest.raises(SystemExit):
        make_parser().parse_args([*words_, "--locale", "zh-TW"])
    assert "'zh-TW' is not available; use one of en, zh-CN" in capsys.readouterr().err


@pytest.mark.parametrize("words_", [["--format", "docx"], ["--locale", "fr"], []])
def test_wrong_words_are_usage(copy: Path, words_: list[str]) -> None:
    assert call("audit", *([copy] if words_ else []), *words_) == 2


@pytest.mark.parametrize(
    ("hurt", "told"),
    [
        ("audit/statistics.json", "audit/statistics.json is damaged; mend the run with --resume"),
        ("audit/fidelity.json", "audit/fidelity.json is damaged"),
        ("errors.jsonl", "errors.jsonl is damaged"),
        ("manifest.json", "manifest.json is damaged"),
    ],
)
def test_a_damaged_run_is_one_line(copy: Path, hurt: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / hurt).write_bytes(b"damaged")
    assert call("audit", copy) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="finished run"):
        collect(tmp_path, reader(tmp_path))


def test_a_run_of_a_version_without_statistics_says_so(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["outputs"] = [output for output in manifest["outputs"] if "statistics" not in output["path"]]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(OutputError, match="made by a version without audit; make the run again"):
        collect(copy, reader(copy))


def test_no_link_is_followed_out_of_the_run(copy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    shutil.move(copy / "audit" / "statistics.json", outside)
    (copy / "audit" / "statistics.json").symlink_to(outside)
    with pytest.raises(OutputError, match="statistics"):
        collect(copy, reader(copy))
