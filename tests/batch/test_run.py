"""Runs on a small made-up shop: what lies in the folder, what it says, and who is left out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.people import Person, choose, language, report_stem
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings, RunSummary, Tools
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError, OutputError, ReportgenError
from reportgen.explain.privacy import pseudonym
from reportgen.explain.why import explain_many
from reportgen.output.facts import InputFile
from reportgen.output.folder import MARKER
from reportgen.report.build import build_report
from reportgen.report.html import render_html
from reportgen.verbs.options import make_parser

Told = Callable[..., RunSettings]
PDFS = 2
KEY = b"a key for tests, not a secret"


@pytest.fixture(scope="module")
def run(data: Dataset, scorer: AttentionScorer, told: Told, tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    """One run of all formats, only read by the tests."""
    out = tmp_path_factory.mktemp("run") / "out"
    inputs = (InputFile("events", "events.csv", "0" * 64, 1),)
    return build_run(told(out, formats=("html", "pdf", "json"), pdf_limit=PDFS, inputs=inputs), data, scorer)


def manifest_of(run: RunSummary) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.manifest.read_bytes())
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_order(data: Dataset) -> list[str]:
    """Users who may get a report, by code point."""
    out = data.users["opted_out"].to_numpy(dtype=bool)
    return [str(user) for user in data.user_ids[~out]]


def key_of(told: Told, user: str) -> str:
    return pseudonym(told(Path()).key, user)


def test_every_user_who_did_not_opt_out_has_a_report(run: RunSummary, data: Dataset, told: Told) -> None:
    people = in_order(data)
    stems = [report_stem(key_of(told, user)) for user in people]
    wanted = {f"{stem}.{word}" for stem in stems for word in ("html", "json")}
    wanted |= {f"{stem}.pdf" for stem in stems[:PDFS]}
    assert {path for path in files_of(run.index.parent) if path.startswith("reports/")} == wanted
    assert (run.users.total, run.users.reported, run.users.opted_out) == (60, 59, 1)
    assert run.made == {"html": 59, "json": 59, "pdf": PDFS}
    assert all((run.index.parent / f"{stem}.pdf").read_bytes().startswith(b"%PDF-") for stem in stems[:PDFS])


def test_the_folder_of_a_report_is_the_first_byte_of_its_key(run: RunSummary) -> None:
    for path in (run.index.parent / "reports").rglob("*.json"):
        assert re.fullmatch(r"[a-z2-7]{24}", path.stem)
        first = "".join(f"{'abcdefghijklmnopqrstuvwxyz234567'.index(letter):05b}" for letter in path.stem[:2])
        assert path.parent.name == f"{int(first[:8], 2):02x}"


def test_no_id_or_address_is_in_any_path_or_file(run: RunSummary, data: Dataset) -> None:
    private = [str(word).encode() for word in (*data.user_ids, *data.users["email"]) if word]
    assert len(private) == 120
    for path, content in files_of(run.index.parent).items():
        assert not [word for word in private if word in content or word in path.encode()], path


def test_names_stand_on_the_own_page_only(run: RunSummary, data: Dataset, told: Told) -> None:
    names = [str(name) for name in data.users["name"]]
    common = "".join((run.index.parent / name).read_text() for name in ("index.html", "manifest.json", "errors.jsonl"))
    assert not [name for name in names if name in common]
    user = in_order(data)[0]
    page = (run.index.parent / f"{report_stem(key_of(told, user))}.html").read_text()
    assert [name for name in set(names) if name in page] == [names[list(data.user_ids).index(user)]]


def test_every_record_sums_up(run: RunSummary) -> None:
    gaps = []
    for path in (run.index.parent / "reports").rglob("*.json"):
        for item in json.loads(path.read_bytes())["recommendations"]:
            gaps.append(item["base"] + sum(reason["contribution"] for reason in item["reasons"]) - item["score"])
    assert len(gaps) == 59 * 5
    assert np.abs(gaps).max() <= 1e-9


def test_the_manifest_lists_every_file_with_its_hash(run: RunSummary) -> None:
    manifest, files = manifest_of(run), files_of(run.index.parent)
    listed = {output["path"]: (output["sha256"], output["bytes"]) for output in manifest["outputs"]}
    found = {path: (hashlib.sha256(content).hexdigest(), len(content)) for path, content in files.items()}
    assert listed == {path: facts for path, facts in found.items() if path not in ("manifest.json", MARKER)}
    assert {"index.html", "errors.jsonl"} <= listed.keys()
    assert [output["path"] for output in manifest["outputs"]] == sorted(listed)
    assert list(manifest) == sorted(manifest)


def test_the_manifest_says_what_went_in(run: RunSummary, data: Dataset, scorer: AttentionScorer) -> None:
    manifest, rows = manifest_of(run), data.rows_read or {}
    assert manifest["schema"] == "reportgen.manifest/1"
    assert manifest["generated_at"] == manifest["as_of"]
    assert manifest["generated_at_source"] == "as_of"
    assert manifest["inputs"][0]["rows"] == rows["events"]
    assert {name: table["rows"] for name, table in manifest["tables"].items()} == rows
    assert manifest["model"]["items"] == scorer.item_ids_.size
    assert {"numpy", "weasyprint"} <= manifest["packages"].keys()
    assert manifest["run_id"] == run.run_id
    assert manifest["settings"]["options"]["formats"] == ["html", "pdf", "json"]
    assert str(run.index.parent) not in run.manifest.read_text()


def test_the_same_bytes_again_in_other_chunks(
    run: RunSummary, data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    inputs = (InputFile("events", "events.csv", "0" * 64, 1),)
    settings = told(tmp_path / "other", formats=("json", "pdf", "html"), pdf_limit=PDFS, inputs=inputs, chunk=7)
    again = build_run(settings, data, scorer)
    assert files_of(again.index.parent) == files_of(run.index.parent)


def test_progress_and_seconds_come_from_outside(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, int]] = []
    ticks = iter(range(10_000))
    settings = told(tmp_path / "out", limit=5, formats=("json",))
    run = build_run(settings, data, scorer, lambda *now: seen.append(now), clock=lambda: float(next(ticks)))
    assert seen == [(done, 5, 0) for done in range(6)]
    assert run.seconds["report"] == 6.0  # five users, and the rounding of their chunk
    assert list(run.seconds) == ["trust", "explain", "origins", "report", "write", "count", "finish"]


# --- who


def test_chosen_users_only(data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path) -> None:
    first, second = in_order(data)[:2]
    run = build_run(told(tmp_path / "out", users=(second, first, second), formats=("json",)), data, scorer)
    assert (run.users.reported, run.users.not_chosen) == (2, 58)
    assert manifest_of(run)["settings"]["options"]["users"] == sorted(key_of(told, user) for user in (first, second))


def test_an_unknown_user_is_an_error_before_the_folder_is_touched(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match='unknown user "nobody"'):
        build_run(told(tmp_path / "out", users=("nobody",)), data, scorer)
    assert not (tmp_path / "out").exists()


def test_an_opted_out_user_gets_no_report_even_when_named(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    out = data.users["opted_out"].to_numpy(dtype=bool)
    run = build_run(told(tmp_path / "out", users=(str(data.user_ids[out][0]),)), data, scorer)
    assert (run.users.reported, run.users.opted_out) == (0, 1)
    assert "No report was made" in run.index.read_text()


def test_users_come_in_code_point_order(data: Dataset) -> None:
    people = choose(data, b"k" * 16, "en").people
    assert [person.user_id for person in people] == sorted(in_order(data))


@pytest.mark.parametrize(
    ("own", "wanted"),
    [("zh-CN", "zh-CN"), ("zh_cn", "zh-CN"), ("EN", "en"), ("fr", "en"), (None, "en"), ("", "en")],
)
def test_a_report_is_in_the_users_own_language(own: str | None, wanted: str) -> None:
    assert language(own, "en") == wanted


@pytest.mark.parametrize(
    ("tag", "locale"),
    [("en-GB", "en"), ("EN", "en"), ("zh", "zh-CN"), ("zh_CN.UTF-8", "zh-CN"), ("zh-Hans-SG", "zh-CN")],
)
def test_a_language_on_the_command_line_is_negotiated(tag: str, locale: str) -> None:
    words = ["build", "--events", "e", "--items", "i", "--out", "o", "--locale", tag]
    assert make_parser().parse_args(words).locale == locale


@pytest.mark.parametrize("wrong", [{"formats": ("doc",)}, {"formats": ()}, {"locale": "fr"}, {"figures": "ascii"}])
def test_unknown_words_are_refused(
    wrong: dict[str, Any], data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="is not available; use one of"):
        build_run(told(tmp_path / "out", **wrong), data, scorer)


def test_an_earlier_reference_time_is_told(data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path) -> None:
    middle = int(np.median(data.timestamps))
    run = build_run(told(tmp_path / "out", as_of=middle, limit=3), data, scorer)
    manifest = manifest_of(run)
    assert "after_as_of" in [problem["reason"] for problem in manifest["problems"]]
    assert manifest["tables"]["events"]["set_aside"] == 0
    assert "after_as_of" in run.index.read_text()


def test_settings_hold_no_folder_and_no_id(data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path) -> None:
    exclude = [{"reason": "test accounts", "column": "user_id", "values": ["u00001"]}]
    logo = tmp_path / "somewhere" / "private" / "logo.svg"
    logo.parent.mkdir(parents=True)
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', "utf-8")
    config = Config.from_dict({"look": {"logo": str(logo), "logo_alt": "A shop"}, "events": {"exclude": exclude}})
    run = build_run(told(tmp_path / "out", config=config, limit=1, formats=("json",)), data, scorer)
    settings = manifest_of(run)["settings"]["config"]
    assert settings["look"]["logo"] == "logo.svg"
    assert settings["events"]["exclude"][0]["values"] == [key_of(told, "u00001")]


def test_a_message_without_the_person() -> None:
    person = Person("u\n1", "k", "Zoë", "", "en")
    assert person.hide("Zoë is 'u\\n1' or u\n1 or u 1") == "(user) is '(user)' or (user) or (user)"


def test_the_key_is_in_no_message(told: Told) -> None:
    assert "not a secret" not in repr(told(Path()))


# --- one broken user


class Broken:
    """The usual tools, but one stage fails for one user, with a message that tells too much."""

    def __init__(self, data: Dataset, key: str, stage: str) -> None:
        self.key, self.stage, self.pdfs = key, stage, 0
        person = next(person for person in choose(data, KEY, "en").people if person.key == key)
        self.user, self.message = (
            person.user_id,
            f"no luck\nwith {person.user_id} {person.name} {person.email} at 0x7f00deadbeef",
        )

    def fail(self, now: bool) -> None:
        if now:
            raise ValueError(self.message)

    def tools(self) -> Tools:
        return Tools(self.explain, self.report, self.html, self.pdf)  # type: ignore[arg-type]

    def explain(self, scorer: Any, data: Any, ids: Any, *rest: Any) -> Any:
        self.fail(self.stage == "explain" and self.user in ids)
        return explain_many(scorer, data, ids, *rest)

    def report(self, why: Any, *rest: Any) -> Any:
        self.fail(self.stage == "report" and why.user_id == self.user)
        return build_report(why, *rest)

    def html(self, report: Any, **rest: Any) -> str:
        self.fail(self.stage == "html" and report.key == self.key)
        return render_html(report, **rest)

    def pdf(self, report: Any, **_rest: Any) -> bytes:
        self.pdfs += 1
        self.fail(self.stage == "pdf" and self.pdfs == 2)
        return b"%PDF-" + report.key.encode()


@pytest.mark.parametrize("stage", ["explain", "report", "html", "pdf"])
def test_one_broken_user_stops_nobody(
    stage: str, data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    key = key_of(told, in_order(data)[1])
    settings = told(tmp_path / "out", formats=("html", "pdf", "json"), limit=4)
    run = build_run(settings, data, scorer, tools=Broken(data, key, stage).tools())
    assert (run.users.reported, run.users.set_aside) == (3, 1)
    lines = [json.loads(line) for line in (tmp_path / "out" / "errors.jsonl").read_text().splitlines()]
    assert lines == [{"user": key, "stage": stage, "reason": "ValueError: no luck with (user) (user) (user) at 0x"}]
    assert not list((tmp_path / "out").rglob(f"{key}*"))
    assert run.made == {"html": 3, "pdf": 3, "json": 3}
    assert key in run.index.read_text()


def test_a_file_that_cannot_be_written_sets_its_user_aside(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    """A folder of another hand stands where the record should be; the page, written before it, is taken back."""
    out, key = tmp_path / "out", key_of(told, in_order(data)[1])
    (out / f"{report_stem(key)}.json").mkdir(parents=True)
    (out / MARKER).touch()
    run = build_run(told(out, limit=3, overwrite=True), data, scorer)
    assert (run.users.reported, run.users.set_aside) == (2, 1)
    assert [(failed.user, failed.stage) for failed in run.failures] == [(key, "write")]
    assert str(tmp_path) not in run.failures[0].reason
    assert [path.name for path in out.rglob(f"*{key}*")] == [f"{key}.json"]
    assert not [output for output in manifest_of(run)["outputs"] if key in output["path"]]


def test_nobody_left_is_an_error_and_no_manifest(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of paper")

    with pytest.raises(ReportgenError, match=r"all 4 users failed; the first at html with RuntimeError: out of paper"):
        build_run(told(tmp_path / "out", limit=4), data, scorer, tools=Tools(html=never))
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(OutputError, match="holds a former run"):
        build_run(told(tmp_path / "out", limit=4), data, scorer)


def test_a_model_below_the_support_floor_is_refused(
    data: Dataset, scorer: AttentionScorer, told: Callable[..., RunSettings], tmp_path: Path
) -> None:
    """It would name reasons that rest on fewer shoppers than the configuration allows."""
    config = Config.from_dict({"privacy": {"support_floor": 6}})
    with pytest.raises(ConfigError, match="support_floor = 6, but the model names reasons from 5 shoppers on"):
        build_run(told(tmp_path / "out", config=config), data, scorer)
    assert not (tmp_path / "out").exists()
