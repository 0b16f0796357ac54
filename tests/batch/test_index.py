"""The page of a run: what it says, that its links lead to files, and that every report is found from its key."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.given import PATH as AGREEMENT
from reportgen.batch.index import MOST_LISTED, Packed, render_index
from reportgen.batch.people import Person, report_stem
from reportgen.batch.run import build_run
from reportgen.batch.settings import Failure, RunSettings, RunSummary
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.explain.privacy import pseudonym
from reportgen.output.facts import InputFile
from reportgen.output.manifest import Manifest, Output, Users
from reportgen.output.packs import pack_path
from reportgen.report.words import message_keys

Told = Callable[..., RunSettings]
PDFS, REPORTS = 2, 59
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>'


class Page(HTMLParser):
    """Tags, links, ids and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.levels: list[int] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] != "style":
            self.words.append(data)


@pytest.fixture(scope="module")
def run(data: Dataset, scorer: AttentionScorer, told: Told, tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    out = tmp_path_factory.mktemp("index") / "out"
    inputs = (InputFile("events", "events.csv", "0" * 64, 1),)
    return build_run(told(out, formats=("html", "pdf", "json"), pdf_limit=PDFS, inputs=inputs), data, scorer)


@pytest.fixture(scope="module")
def page(run: RunSummary) -> Page:
    return Page(run.index.read_text("utf-8"))


def many(told: Told, n: int, formats: tuple[str, ...] = ("html",), failures: int = 0, locale: str = "en") -> str:
    """The page of a run of `n` made-up users, without making their reports."""
    people = [Person(f"u{k}", pseudonym(b"k" * 16, f"u{k}"), "", "", "en") for k in range(n)]
    outputs = [Output(f"{person.stem}.{word}", "x/y", "0" * 64, 1) for person in people for word in formats]
    failed = [Failure(person.key, "html", "ValueError: <b>no</b> luck") for person in people[:failures]]
    manifest = Manifest(
        "0123456789abcdef", "2026-06-30T00:00:00Z", "as_of", "2026-06-30T12:00:00Z", False, "k", "t", {}, {"id": "m"},
        Users(n + 3, n - failures, failures, 2, 1), {}, (), (),
    )  # fmt: skip
    return render_index(manifest, told(Path(), locale=locale), people, outputs, failed)


def test_the_index_leads_to_files_that_are_there(run: RunSummary, page: Page) -> None:
    assert len([link for link in page.links if link.startswith("reports/")]) == REPORTS * 2 + PDFS
    assert all((run.index.parent / link).is_file() for link in page.links if not link.startswith("#"))
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    text = run.index.read_text("utf-8")
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    assert '<html lang="en" dir="ltr">' in text
    assert "no-referrer" in text


def test_the_index_is_in_order(page: Page) -> None:
    assert page.levels[0] == 1
    assert set(page.levels[1:]) == {2}
    assert len(page.ids) == len(set(page.ids))
    assert (page.tags.count("main"), page.tags.count("header"), page.tags.count("footer")) == (1, 1, 1)


def test_the_figures_are_those_of_the_manifest(run: RunSummary, page: Page) -> None:
    users = run.users
    assert f"{REPORTS} people each got a report" in page.text
    for count, what in (
        (users.reported, "with a report"),
        (users.opted_out, "opted out"),
        (users.set_aside, "set aside after"),
    ):
        assert re.search(rf"{what}[a-z ]* {count}\b", page.text), what
    assert f"{REPORTS} HTML, {PDFS} PDF, and {REPORTS} JSON" in page.text
    assert "None: no user and no row was set aside" in page.text


def test_every_report_has_its_place_on_the_page(run: RunSummary, page: Page) -> None:
    keys = {path.stem for path in (run.index.parent / "reports").rglob("*.html")}
    assert len(keys) == REPORTS
    listed = [
        name.removeprefix("key-") for name in page.ids if name.startswith("key-")
    ]  # index.html#key-<key> leads there
    assert set(listed) == keys
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    assert listed == sorted(listed, key=lambda key: [letters.index(letter) for letter in key])


def test_the_line_to_verify_runs(run: RunSummary, page: Page) -> None:
    command = re.search(r"sha256sum (\S+)", page.text)
    assert command
    done = subprocess.run(["sha256sum", command[1]], cwd=run.index.parent, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] in run.manifest.read_text("utf-8")


@pytest.mark.parametrize("n", [MOST_LISTED, MOST_LISTED + 1, 50_000])
def test_the_page_stays_small(told: Told, n: int) -> None:
    html = many(told, n, ("html", "pdf", "json"))
    assert len(html.encode()) < 600_000
    assert ('<table class="folders">' in html) == (n > MOST_LISTED)
    assert f"{n:,} people" in html


def test_a_key_is_found_in_the_table_of_folders(told: Told) -> None:
    html = many(told, MOST_LISTED + 500)
    cells = dict(re.findall(r'<a href="(reports/[0-9a-f]{2}/)">([a-z2-7]{4})</a>', html))
    rows = {
        letter: re.findall(r'href="(reports/../)"', row)
        for letter, row in re.findall(r'<tr><th scope="row">(.)</th>(.*?)</tr>', html)
    }
    assert list(rows) == list("abcdefghijklmnopqrstuvwxyz234567")
    for k in range(MOST_LISTED + 500):
        key = pseudonym(b"k" * 16, f"u{k}")
        found = [folder for folder in rows[key[0]] if key[1] in cells[folder]]
        assert found == [f"{report_stem(key).rpartition('/')[0]}/"]


def test_a_folder_without_reports_is_no_link(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reportgen.batch.index.MOST_LISTED", 2)
    html = many(told, 3)
    assert len(re.findall(r'<a href="reports/../">', html)) <= 3
    assert html.count('<span class="quiet">') == 256 - len(set(re.findall(r'href="reports/(..)/"', html)))


def test_failures_are_told_and_escaped(told: Told) -> None:
    html = many(told, 5, failures=2)
    assert "2 users were set aside after a failure" in html
    assert "ValueError: &lt;b&gt;no&lt;/b&gt; luck" in html
    assert 'class="warn"' in html
    assert "None: no user" not in html


def test_the_index_speaks_the_language_of_the_run(told: Told) -> None:
    html = many(told, 5, failures=1, locale="zh-CN")
    page = Page(html)
    assert '<html lang="zh-CN" dir="ltr">' in html
    assert "查找报告" in page.text
    assert "截至 2026年6月30日" in page.text or "截至2026年6月30日" in page.text
    english = [text for key, text in message_keys("en").items() if key.startswith("index.") and len(text) > 12]
    assert [text for text in english if text in page.text] == []


def test_the_operators_look_is_on_the_index(data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(SVG, "utf-8")
    look = {"accent": "#b00020", "logo": str(tmp_path / "a.svg"), "logo_alt": "A shop"}
    run = build_run(told(tmp_path / "out", config=Config.from_dict({"look": look}), limit=1), data, scorer)
    html = run.index.read_text("utf-8")
    assert "--accent-light:#b00020" in html
    assert 'alt="A shop"' in html


@pytest.mark.parametrize(("packs", "groups"), [(1, 0), (50, 0), (51, 2), (MOST_LISTED + 3, MOST_LISTED // 50)])
def test_a_run_of_packs_says_how_to_take_a_report_out(packs: int, groups: int, told: Told) -> None:
    manifest = Manifest(
        "0123456789abcdef", "2026-06-30T00:00:00Z", "as_of", "2026-06-30T12:00:00Z", False, "k", "t", {}, {"id": "m"},
        Users(packs * 7, packs * 7, 0, 0, 0), {"users": {"rows": 1, "set_aside": 0}, "events": {"rows": 2, "set_aside": 0}},
        (), (),
    )  # fmt: skip
    outputs = [Output(pack_path(shard), "x/y", "0" * 64, 1) for shard in range(packs)]
    html = render_index(manifest, told(Path()), [], outputs, [], Packed([7] * packs, {"pdf": 7 * packs}))
    page = Page(html)
    assert len(html) < 500_000
    linked = [link for link in page.links if link.startswith("packs/")]
    assert linked == [pack_path(shard) for shard in range(min(packs, MOST_LISTED))]
    assert page.tags.count("details") == groups
    assert "reportgen get FOLDER USER --format pdf" in page.text
    assert f"{packs * 7:,} PDF, in {packs:,} pack" in page.text
    assert ("3 more packs are in the folder packs." in page.text) == (packs > MOST_LISTED)
    assert page.text.index(" events ") < page.text.index(" users ", page.text.index("Rows by table"))
    assert "sha256sum packs/000000.zip" in page.text


def test_the_page_of_a_packed_run_counts_its_reports(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    run = build_run(told(tmp_path / "out", packs=True, shard=25, locale="zh-CN"), data, scorer)
    page = Page(run.index.read_text("utf-8"))
    assert [link for link in page.links if link.startswith("packs/")] == [pack_path(shard) for shard in range(3)]
    assert "000002.zip 9" in page.text
    assert "59 HTML" in page.text
    assert not [key for key in message_keys("en") if f"[{key}]" in page.text]


TABLES = {"events": {"rows": 1, "set_aside": 0}, "weights": {"rows": 1, "set_aside": 0}}
LISTS = {"events": {"rows": 1, "set_aside": 0}, "recommendations": {"rows": 1, "set_aside": 0}}


def about(
    told: Told, tables: dict[str, dict[str, int]], model: dict[str, object], locale: str = "en", n: int = 3
) -> str:
    """The page of a run on other tables."""
    people = [Person(f"u{k}", pseudonym(b"k" * 16, f"u{k}"), "", "", locale) for k in range(n)]
    outputs = [Output(f"{person.stem}.html", "x/y", "0" * 64, 1) for person in people]
    manifest = Manifest(
        "0123456789abcdef", "2026-06-30T00:00:00Z", "as_of", "2026-06-30T12:00:00Z", False, "k", "t", {}, model,
        Users(n, n, 0, 0, 0), tables, (), (),
    )  # fmt: skip
    return render_index(manifest, told(Path(), locale=locale), people, outputs, [])


def test_a_run_on_weights_says_that_another_model_looked_and_claims_no_sum(told: Told) -> None:
    html = about(told, TABLES, {"id": "foreign-1", "name": "<SASRec>", "version": "2.1", "kind": "attention"})
    text = Page(html).text
    assert "What another model looked at: the reports of a run" in text
    assert "3 people each got a report that shows where in their own history another model looked" in text
    assert "not what decided" in text
    assert "Model <SASRec> 2.1 (foreign-1)" in text
    assert "add up to the score" not in text
    assert "why these products were suggested" not in text
    assert "audit/surrogate.json" not in html
    counted = Page(about(told, TABLES, {"id": "foreign-1", "kind": "contribution"})).text
    assert "by another model's own account" in counted
    assert "Attention" not in counted
    assert "Model foreign-1" in counted


def test_a_run_on_lists_says_that_our_model_stands_in_and_where_it_agrees(told: Told) -> None:
    html = about(told, LISTS, {"id": "m"})
    page = Page(html)
    assert "3 people each got a report on the list that another system made for them." in page.text
    assert "our own model stands in to explain it" in page.text
    assert AGREEMENT in page.links
    assert "add up to the score" in page.text  # of our model, whose numbers the pages show
    assert "1 person got a report on the list" in Page(about(told, LISTS, {"id": "m"}, n=1)).text
    none = Page(about(told, LISTS, {"id": "m"}, n=0))
    assert "No report was made in this run." in none.text
    assert AGREEMENT not in none.links


@pytest.mark.parametrize("tables", [TABLES, LISTS])
def test_pages_about_others_are_in_the_language_of_the_run(told: Told, tables: dict[str, dict[str, int]]) -> None:
    page = Page(about(told, tables, {"id": "m", "kind": "attention"}, "zh-CN"))
    english = [text for key, text in message_keys("en").items() if key.startswith("index.") and len(text) > 12]
    assert [text for text in english if text in page.text] == []
    assert "另一个" in page.text


def test_who_has_no_mail_is_counted_by_reason(told: Told) -> None:
    def page(unmailed: dict[str, int] | None) -> Page:
        manifest = Manifest(
            "0123456789abcdef", "2026-06-30T00:00:00Z", "as_of", "2026-06-30T12:00:00Z", False, "k", "t", {}, {"id": "m"},
            Users(9, 9, 0, 0, 0), {}, (), (),
        )  # fmt: skip
        return Page(render_index(manifest, told(Path()), [], [], [], None, unmailed))

    told_twice = page({"<no> address": 1200, "there is no product to tell of": 34})
    assert "with a report, but without a mail 1,234" in told_twice.text
    assert "1,234 people have a report and no mail." in told_twice.text
    assert "<no> address 1,200" in told_twice.text
    assert "unmailed.jsonl" in told_twice.links
    assert "None: no user" not in told_twice.text
    everybody = page({})
    assert "with a report, but without a mail 0" in everybody.text
    assert "None: no user" in everybody.text
    assert "unmailed.jsonl" not in everybody.links
    assert "mail" not in page(None).text
