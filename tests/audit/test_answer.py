"""The answer pack: everything about one person, nothing about anybody else, the same bytes each time."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sealed import SECRET, call

from reportgen.audit.answer import events_csv, guarded, make_answer, record_of
from reportgen.audit.answer_person import EVENT_COLUMNS, SET_ASIDE, STATUSES, Person, why_none
from reportgen.audit.answer_words import answer_words
from reportgen.audit.lawpacks import Facts, controls
from reportgen.data.shop import make_shop
from reportgen.explain.privacy import pseudonym
from reportgen.languages import LOCALES

USERS = 24
ROOT = Path(__file__).resolve().parents[2]
HOSTILE = '=HYPERLINK("https://evil.test";"x")<script>alert(1)</script>\u202e'


def mark(user: str) -> str:
    """A word that stands in one person's rows only."""
    return f"sentinel{user}x"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables in which everybody has a name and an item of their own, the titles hostile; one person opted out."""
    folder, shop = tmp_path_factory.mktemp("answer"), make_shop(USERS)
    ids = shop.users["user_id"].tolist()
    users = shop.users.assign(name=[f"{mark(u)} <b>" for u in ids], email=[f"{mark(u)}@example.org" for u in ids])
    users["opted_out"] = users["user_id"] == ids[3]
    users.loc[users["user_id"] == ids[1], "locale"] = "zh-CN"
    own = [{"item_id": f"own-{u}", "title": f"{HOSTILE} {mark(u)}"} for u in ids]
    events = [
        {"user_id": u, "item_id": f"own-{u}", "timestamp": "2026-01-31T10:00:00Z", "event_type": "purchase"}
        for u in ids
    ]
    pd.concat([shop.items, pd.DataFrame(own)]).to_csv(folder / "items.csv", index=False)
    pd.concat([shop.events, pd.DataFrame(events)]).to_csv(folder / "events.csv", index=False)
    users.to_csv(folder / "users.csv", index=False)
    (folder / "reportgen.toml").write_text('[operator]\nname = "<i>Shop"\ncontact = "who@example.org"\n')
    return folder


@pytest.fixture(scope="module")
def ids(folder: Path) -> list[str]:
    found: list[str] = pd.read_csv(folder / "users.csv", dtype=str)["user_id"].tolist()
    return found


@pytest.fixture(scope="module")
def tables(folder: Path) -> list[str]:
    words = [word for name in ("events", "items", "users") for word in (f"--{name}", str(folder / f"{name}.csv"))]
    return [*words, "--config", str(folder / "reportgen.toml")]


@pytest.fixture(scope="module")
def runs(folder: Path, tables: list[str], ids: list[str]) -> dict[str, Path]:
    """A run with single files and one with packs; the person at place 5 was not chosen."""
    chosen = [word for place, user in enumerate(ids) if place != 5 for word in ("--user", user)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPORTGEN_KEY", SECRET)
        for kind, more in (("files", []), ("packs", ["--packs"])):
            assert call("build", *tables, *chosen, *more, "--out", folder / kind, "--quiet") == 0
    return {kind: folder / kind for kind in ("files", "packs")}


def answer(run: Path, user: str, *more: str, out: Path) -> dict[str, bytes]:
    assert call("answer", run, user, "--out", out, *more, "--quiet") == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("kind", ["files", "packs"])
def test_a_pack_holds_one_persons_sentinel_and_no_other(
    kind: str, runs: dict[str, Path], tables: list[str], ids: list[str], tmp_path: Path
) -> None:
    for user in (ids[0], ids[1]):
        files = answer(runs[kind], user, *tables, out=tmp_path / "a.zip")
        whole = b"\0".join([*files.values(), *map(str.encode, files)]).decode("utf-8")
        assert mark(user) in whole
        for other in set(ids) - {user}:
            assert mark(other) not in whole
            assert f"own-{other}" not in whole
            assert pseudonym(SECRET.encode(), other) not in whole
        assert {"README.txt", "README.html", "report.html", "report.json", "record.json", "law-fields.json", "proof.json",
                "run.json", "data/events.csv", "data/events.jsonl", "data/profile.json"} == set(files)  # fmt: skip


def test_all_parts_belong_together(runs: dict[str, Path], tables: list[str], ids: list[str], tmp_path: Path) -> None:
    files = answer(runs["files"], ids[0], *tables, out=tmp_path / "a.zip")
    key = pseudonym(SECRET.encode(), ids[0])
    where = next(runs["files"].glob(f"reports/*/{key}.html"))
    assert files["report.html"] == where.read_bytes()
    assert sha256(files["record.json"]).hexdigest()[:12] in files["report.html"].decode()
    rows = [json.loads(line) for line in files["data/events.jsonl"].splitlines()]
    events = pd.read_csv(tables[1], dtype=str)
    assert sorted(row["item_id"] for row in rows) == sorted(events[events["user_id"] == ids[0]]["item_id"])
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert sum(row["not_later_than_report"] for row in rows) == len(rows)
    assert json.loads(files["data/profile.json"])["user_id"] == ids[0]
    fields = json.loads(files["law-fields.json"])
    told = {(c["pack"], c["id"]): c for c in fields["controls"]}
    assert all(control["person"] for control in told.values())
    assert told["eu-gdpr", "controller"]["status"] == "provided"
    assert told["eu-gdpr", "logic"]["status"] == "provided"
    assert told["eu-dsa", "options"]["status"] == "missing"
    assert told["eu-gdpr", "variation"]["fields"][0]["value"] == "5 / 5"


def test_the_proof_in_the_pack_is_checked_by_the_strangers_script(
    runs: dict[str, Path], ids: list[str], tmp_path: Path
) -> None:
    files = answer(runs["files"], ids[0], out=tmp_path / "a.zip")
    root = json.loads((runs["files"] / "manifest.json").read_bytes())["merkle"]["root"]
    assert root in files["README.txt"].decode()
    for name in ("proof.json", "report.html", "report.json"):
        (tmp_path / name).write_bytes(files[name])

    def checked() -> int:
        words = [ROOT / "docs" / "verify_proof.py", "proof.json", root, "report.html", "report.json"]
        return subprocess.run([sys.executable, "-I", *words], cwd=tmp_path, capture_output=True, check=False).returncode

    assert checked() == 0
    (tmp_path / "report.html").write_bytes(files["report.html"] + b" ")
    assert checked() == 1


def test_the_same_bytes_each_time(runs: dict[str, Path], tables: list[str], ids: list[str], tmp_path: Path) -> None:
    answer(runs["files"], ids[0], *tables, out=tmp_path / "a.zip")
    words = ["answer", str(runs["files"]), ids[0], *tables, "--out", str(tmp_path / "b.zip")]
    code = f"import sys; from reportgen.cli import main; sys.exit(main({words!r}))"
    environment = {"REPORTGEN_KEY": SECRET, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, cwd=ROOT)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_reader_is_told_in_their_language(
    runs: dict[str, Path], tables: list[str], ids: list[str], tmp_path: Path
) -> None:
    assert 'lang="zh-CN"' in answer(runs["files"], ids[1], *tables, out=tmp_path / "a.zip")["README.html"].decode()
    assert (
        'lang="en"' in answer(runs["files"], ids[1], "--locale", "en", out=tmp_path / "a.zip")["README.html"].decode()
    )


def test_without_tables_the_pack_says_that_events_are_not_in_it(
    runs: dict[str, Path], ids: list[str], tmp_path: Path
) -> None:
    files = answer(runs["files"], ids[0], "--locale", "en", out=tmp_path / "a.zip")
    assert not any(name.startswith("data/") for name in files)
    assert "The events themselves are not in this file" in files["README.txt"].decode()
    key = pseudonym(SECRET.encode(), ids[0])
    assert answer(runs["files"], key, "--by-key", "--locale", "en", out=tmp_path / "b.zip") == files


def test_opted_out_not_chosen_and_erased_people_get_a_pack_that_says_so(
    runs: dict[str, Path], tables: list[str], ids: list[str], tmp_path: Path
) -> None:
    for place, told in ((3, "you opted out"), (5, "for other people only")):
        files = answer(runs["files"], ids[place], *tables, "--locale", "en", out=tmp_path / "a.zip")
        assert told in files["README.txt"].decode()
        assert mark(ids[place]) in files["data/events.jsonl"].decode()
        assert not any(name.startswith(("report", "proof")) for name in files)
        fields = {c["id"]: c for c in json.loads(files["law-fields.json"])["controls"] if c["pack"] == "eu-gdpr"}
        assert fields["logic"]["status"] == "missing"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPORTGEN_KEY", SECRET)
        assert call("build", *tables, "--out", tmp_path / "run", "--quiet") == 0
    assert call("forget", tmp_path / "run", ids[0], "--quiet") == 0
    files = answer(tmp_path / "run", ids[0], *tables, "--locale", "en", out=tmp_path / "a.zip")
    assert "was erased" in files["README.txt"].decode()
    assert json.loads(files["proof.json"])["erased"] is True


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nobody"], "is not known in this run"),
        (["{u}", "--events", "{f}/events.csv"], "give both --events and --items"),
        (
            ["{u}", "--events", "{f}/items.csv", "--items", "{f}/items.csv", "--config", "{f}/reportgen.toml"],
            "another SHA-256",
        ),
        (
            ["{u}", "--events", "{f}/events.csv", "--items", "{f}/items.csv", "--config", "{f}/odd.toml"],
            "[events] is not as",
        ),
        (["{k}", "--by-key", "--events", "{f}/events.csv", "--items", "{f}/items.csv"], "without --by-key"),
        (["{u}", "--key-file", "{f}/key"], "made with another key"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_pack(
    words: list[str], told: str, runs: dict[str, Path], ids: list[str], folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (folder / "odd.toml").write_text('[events]\ndefault_type = "view"\n')
    (folder / "key").write_text("f" * 32)
    said = [word.format(u=ids[0], f=folder, k=pseudonym(SECRET.encode(), ids[0])) for word in words]
    assert call("answer", runs["files"], *said, "--out", tmp_path / "a.zip") == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "a.zip").exists()


class Seen(HTMLParser):
    """Elements and headings of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, *tags: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag in tags)


def test_the_page_is_accessible_and_hostile_words_stay_words(
    runs: dict[str, Path], tables: list[str], ids: list[str], tmp_path: Path
) -> None:
    files = answer(runs["files"], ids[0], *tables, "--locale", "en", out=tmp_path / "a.zip")
    page = Seen(files["README.html"].decode())
    assert [*page.named("script", "iframe", "img", "link", "i", "b")] == []
    assert len([*page.named("h1")]) == len([*page.named("main")]) == len([*page.named("title")]) == 1
    assert len([*page.named("caption")]) == len([*page.named("table")]) >= 2
    assert all(cell.get("scope") in ("col", "row") for cell in page.named("th"))
    assert {cell.get("data-label") for cell in page.named("td")} == {
        "What it is", "Status", "What was found, or what would provide it",
    }  # what a phone shows in place of the head of the table  # fmt: skip
    assert {link["href"] for link in page.named("a")} == set(files)
    assert "&lt;i&gt;Shop" in files["README.html"].decode()
    for row in csv.reader(io.StringIO(files["data/events.csv"].decode("utf-8-sig"))):
        assert not any(cell.lstrip().startswith(("=", "+", "@", "-")) for cell in row)
    assert "=HYPERLINK" in files["data/events.jsonl"].decode()


@given(st.text())
def test_no_cell_is_a_formula_and_none_is_lost(text: str) -> None:
    cell = str(guarded(text))
    assert not cell.lstrip(" \"'\u00a0").startswith(("=", "+", "-", "@", "\t", "\r", "\n")) or cell.startswith("'")
    assert cell.removeprefix("'") in (text.replace("\0", "\ufffd"), text.replace("\0", "\ufffd").removeprefix("'"))
    data = events_csv([dict.fromkeys(EVENT_COLUMNS, text)]).decode("utf-8-sig")
    assert len(next(iter(csv.reader(io.StringIO(data))))) == len(EVENT_COLUMNS)


def test_numbers_stay_numbers() -> None:
    assert guarded(-1.5) == -1.5
    assert guarded("-1+1") == "'-1+1"


def test_a_record_is_the_report_without_its_page() -> None:
    assert record_of(b'{"page":{"a":1},"b":[0.1],"a":"\xc3\xa9"}') == '{"a":"é","b":[0.1]}'.encode()


def test_somebody_set_aside_is_told_why(tmp_path: Path) -> None:
    key = "a" * 24
    lines = [
        {"user": "b" * 24, "stage": "html", "reason": "other"},
        {"user": key, "stage": "report", "reason": "<broken>"},
    ]
    (tmp_path / "errors.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    manifest: dict[str, Any] = {"outputs": [], "settings": {"config": {}}}
    assert why_none(tmp_path, key, manifest, None) == (SET_ASIDE, "report: <broken>")
    assert why_none(tmp_path, "c" * 24, manifest, None) == ("", "")
    asked = controls(Facts(manifest, {}, record={}), person=True)
    data = make_answer(Person(key, SET_ASIDE, "en", manifest, "report: <broken>", controls=asked))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert "report: &lt;broken&gt;" in archive.read("README.html").decode()
        assert "other" not in archive.read("law-fields.json").decode().split('"controls"')[0]


def test_the_operators_colour_is_on_the_page_and_nothing_else_from_a_forged_look() -> None:
    def page(**look: object) -> str:
        manifest = {"outputs": [], "settings": {"config": {"look": look}}}
        with zipfile.ZipFile(io.BytesIO(make_answer(Person("a" * 24, SET_ASIDE, "en", manifest)))) as archive:
            return archive.read("README.html").decode()

    assert "--accent-light:#7a1f3d" in page(accent="#7a1f3d", logo="logo.png")
    for forged in ({"font": "x}</style><script>"}, {"accent": "red"}, {"accent": 1}, {"paper": "A4;}"}):
        assert page(**forged) == page()


def test_the_packs_are_counted_and_each_has_its_table() -> None:
    manifest: dict[str, Any] = {"outputs": [], "settings": {"config": {}}}
    asked = controls(Facts(manifest, {}, record={}), person=True)
    with zipfile.ZipFile(
        io.BytesIO(make_answer(Person("a" * 24, SET_ASIDE, "en", manifest, controls=asked)))
    ) as archive:
        page, text = archive.read("README.html").decode(), archive.read("README.txt").decode()
    assert page.count('<table class="a controls">') == len({control.pack for control in asked}) > 1
    assert page.count('<td class="is ') == len(asked)
    provided = sum(control.status == "provided" for control in asked)
    told = f"Provided: {provided}. Missing: {len(asked) - provided}. Not applicable, declared by the operator: 0."
    assert told in page
    assert told in text


def test_chinese_has_no_half_width_signs() -> None:
    assert not [
        text for text in answer_words()["zh-CN"].values() if re.search('[,;:!?()"]|[\u4e00-\u9fff][0-9A-Za-z{]', text)
    ]


def test_every_sentence_is_there_in_every_language() -> None:
    words = answer_words()
    assert set(words) == set(LOCALES)
    assert len({frozenset(sentences) for sentences in words.values()}) == 1
    assert all(f"status_{status}" in words["en"] for status in STATUSES)
    assert not any(
        "compliant" in text.casefold() or "合规" in text for told in words.values() for text in told.values()
    )
