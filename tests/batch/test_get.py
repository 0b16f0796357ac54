"""One report out of a run folder: the right one, whole, or a clear reason why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import KEY, in_folders, key_of, packed, report

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.get import find_report, get_report
from reportgen.batch.people import report_stem
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings, Tools
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError, OutputError
from reportgen.output.packs import pack_path
from reportgen.report.html import render_html

both = pytest.mark.parametrize("make", [packed, in_folders])


@both
def test_a_report_comes_out_as_it_was_written(make: Callable[[Path], Path], tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    for user, word in (("ann", "html"), ("ann", "json"), ("bob", "json")):
        assert find_report(run, key_of(user), word) == get_report(run, user, KEY, word) == report(user, word)


@both
@pytest.mark.parametrize(
    ("user", "word", "told"),
    [
        ("bob", "html", r"has no report as html, but as json; choose with --format"),
        ("cem", "html", r"was set aside at html \(RenderError: template x.html, line 3\); see errors.jsonl"),
        ("eve", "html", r"is not known in this run \(1 users opted out, 5 users were not chosen\)"),
        ("", "html", r"is not known in this run"),
    ],
)
def test_no_report_has_a_reason(make: Callable[[Path], Path], user: str, word: str, told: str, tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    with pytest.raises(InputError, match=told) as caught:
        get_report(run, user, KEY, word)
    assert str(caught.value).startswith(key_of(user))
    assert not user or user not in str(caught.value)


def test_packs_know_who_opted_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has opted out"):
        get_report(packed(tmp_path / "run"), "dot", KEY)


def test_a_reason_that_is_lost_is_not_made_up(tmp_path: Path) -> None:
    run = packed(tmp_path / "run")
    (run / "errors.jsonl").write_text("{" + key_of("cem"))
    with pytest.raises(InputError, match=r"was set aside; see errors\.jsonl"):
        get_report(run, "cem", KEY)


@both
def test_another_key_an_unknown_format_and_no_key_are_refused(make: Callable[[Path], Path], tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"made with another key; .*--key-file"):
        get_report(run, "ann", b"another key, also long enough")
    with pytest.raises(ConfigError, match="format 'docx' is not available; use one of html, pdf, json"):
        find_report(run, key_of("ann"), "docx")
    for wrong in ("ann", "../../etc/passwd", key_of("ann").upper(), key_of("ann") + "\n", "é" * 24):
        with pytest.raises(InputError, match="is not a key"):
            find_report(run, wrong)


@both
def test_a_folder_that_is_no_finished_run_is_refused(make: Callable[[Path], Path], tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="is not a run folder of reportgen"):
            find_report(folder, key_of("ann"))
    run = make(tmp_path / "run")
    (run / ".reportgen-run").touch()
    manifest = (run / "manifest.json").read_bytes()
    for wrong in (b"", b"[]", b"{}", manifest[:-9], manifest.replace(b'"path"', b'"pest"', 1), b"\xff"):
        (run / "manifest.json").write_bytes(wrong)
        with pytest.raises(OutputError, match=r"manifest\.json is damaged"):
            find_report(run, key_of("ann"))
    (run / "manifest.json").unlink()
    with pytest.raises(OutputError, match=r"its run did not end; finish it with --resume"):
        find_report(run, key_of("ann"))


def test_a_damaged_file_is_not_given_out(tmp_path: Path) -> None:
    run, secret = in_folders(tmp_path / "run"), tmp_path / "secret"
    path = run / f"{report_stem(key_of('ann'))}.html"
    whole = path.read_bytes()
    for wrong in (whole[:-1], whole + b"x", b"X" + whole[1:], b""):
        path.write_bytes(wrong)
        with pytest.raises(OutputError, match=r"\.html is damaged \(its SHA-256"):
            get_report(run, "ann", KEY)
    secret.write_bytes(whole)
    path.unlink()
    with pytest.raises(OutputError, match="cannot be read"):
        get_report(run, "ann", KEY)
    path.symlink_to(secret)
    with pytest.raises(OutputError, match="cannot be read"):
        get_report(run, "ann", KEY)


def test_a_damaged_pack_and_index_are_told(tmp_path: Path) -> None:
    run = packed(tmp_path / "run")
    (run / pack_path(0)).write_bytes((run / pack_path(0)).read_bytes()[:-200])
    with pytest.raises(OutputError, match=r"packs/000000.zip is damaged .*; make it again with --resume"):
        get_report(run, "ann", KEY)
    for file in (run / "index").iterdir():
        file.unlink()
    with pytest.raises(OutputError, match=r"index/[0-9a-f]{2}.jsonl is missing; .* with --resume"):
        get_report(run, "ann", KEY)


def test_every_user_of_a_real_run_is_found(
    data: Dataset, scorer: AttentionScorer, told: Callable[..., RunSettings], tmp_path: Path
) -> None:
    """The run as it is made today: every file it wrote, those who opted out, and one whom the renderer does not survive."""
    poisoned = str(data.user_ids[7])

    def html(made: Any, **look: Any) -> str:
        if key_of(poisoned) in made.to_json():
            raise RuntimeError("no page today")
        return render_html(made, **look)

    settings = told(tmp_path / "run", limit=20)
    build_run(settings, data, scorer, tools=Tools(html=html))
    found = 0
    for user in map(str, data.user_ids):
        for word in ("html", "json"):
            path = settings.out / f"{report_stem(key_of(user))}.{word}"
            if path.exists():
                assert get_report(settings.out, user, settings.key, word) == path.read_bytes()
                found += 1
            else:
                reason = "set aside at html .RuntimeError: no page today" if user == poisoned else "is not known"
                with pytest.raises(InputError, match=reason):
                    get_report(settings.out, user, settings.key, word)
    assert found == 2 * 19
