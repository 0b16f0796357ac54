"""Where a run may be written, what it takes away and what it never touches."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.people import Person
from reportgen.batch.run import build_run
from reportgen.batch.settings import Failure, RunSettings
from reportgen.batch.sinks import Files
from reportgen.data.dataset import Dataset
from reportgen.errors import OutputError
from reportgen.output.folder import MARKER, RunFolder, check_folder, is_made_up

Told = Callable[..., RunSettings]
KEY_FILE = "reports/00/" + "a" * 24 + ".json"


def test_a_new_an_empty_and_a_deep_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "new", tmp_path / "a" / "b" / "c"):
        check_folder(out, overwrite=False)
    assert os.listdir(tmp_path) == ["empty"]
    RunFolder(tmp_path / "a" / "b" / "c").write("index.html", b"x", "text/html")
    assert (tmp_path / "a" / "b" / "c" / "index.html").read_bytes() == b"x"


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_things_are_never_replaced(overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    (tmp_path / "full" / "manifest.json").write_text('{"schema": "another"}')
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    for name, told in (
        ("file", "is a file"),
        ("full", "not a run"),
        ("nowhere", "link to nothing"),
        ("file/x", "is a file"),
    ):
        with pytest.raises(OutputError, match=told):
            check_folder(tmp_path / name, overwrite)
    assert len(os.listdir(tmp_path / "full")) == 2


def test_a_folder_without_the_right_to_write_is_refused_before_any_work(
    data: Dataset, scorer: AttentionScorer, told: Told
) -> None:
    """/proc takes no new file from anybody, not even from root."""
    if not Path("/proc/self").exists():
        pytest.skip("no /proc on this system")
    calls: list[int] = []
    with pytest.raises(OutputError, match="/proc cannot be written"):
        build_run(told(Path("/proc/reportgen-test")), data, scorer, lambda *_: calls.append(1))
    assert not calls


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        check_folder(tmp_path, overwrite=False)


def test_a_former_run_is_replaced_only_with_leave(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build_run(told(out, formats=("json",), limit=9), data, scorer)
    (out / "notes.txt").write_text("mine")
    (out / "reports" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds a former run; .* --overwrite"):
        build_run(told(out, formats=("json",), limit=1), data, scorer)
    assert len(list(out.rglob("reports/*/*"))) == 9
    (out / MARKER).unlink()  # the manifest alone tells as well
    run = build_run(told(out, formats=("html",), limit=1, overwrite=True), data, scorer)
    assert [path.suffix for path in out.rglob("reports/*/*")] == [".html"]
    assert (out / "notes.txt").read_text() == (out / "reports" / "mine.txt").read_text() == "mine"
    assert run.users.reported == 1


def test_a_run_that_did_not_end_is_known_by_its_marker(tmp_path: Path) -> None:
    RunFolder(tmp_path).write(KEY_FILE, b"{}", "application/json")
    with pytest.raises(OutputError, match="former run"):
        RunFolder(tmp_path)
    RunFolder(tmp_path, overwrite=True)
    assert not (tmp_path / KEY_FILE).exists()


def test_made_up_data_are_noted_in_the_marker(tmp_path: Path) -> None:
    assert not is_made_up(tmp_path)
    RunFolder(tmp_path, synthetic=True)
    assert is_made_up(tmp_path)
    RunFolder(tmp_path, overwrite=True)
    assert not is_made_up(tmp_path)


@pytest.mark.parametrize("link", ["reports", "reports/00"])
def test_a_linked_folder_inside_is_refused(link: str, tmp_path: Path) -> None:
    victim, out = tmp_path / "victim", tmp_path / "out"
    (victim / "00").mkdir(parents=True)
    for name in (Path(KEY_FILE).name, "00/" + Path(KEY_FILE).name):
        (victim / name).write_text("keep")
    folder = RunFolder(out)
    (out / link).parent.mkdir(exist_ok=True)
    (out / link).symlink_to(victim)
    with pytest.raises(OutputError, match="remove it by hand"):
        folder.write(KEY_FILE, b"{}", "application/json")
    with pytest.raises(OutputError, match="remove it by hand"):
        RunFolder(out, overwrite=True)
    assert {path.read_text() for path in victim.rglob("*.json")} == {"keep"}


def test_a_linked_file_inside_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, out = tmp_path / "victim", tmp_path / "out"
    victim.write_text("keep")
    folder = RunFolder(out)
    (out / "reports" / "00").mkdir(parents=True)
    name = Path(KEY_FILE).name
    for path in ("index.html", ".index.html.part", KEY_FILE, f"reports/00/.{name}.part"):
        (out / path).symlink_to(victim)
    for path in ("index.html", KEY_FILE):
        folder.write(path, b"new", "text/html")
        assert not (out / path).is_symlink()
        assert (out / path).read_bytes() == b"new"
    (out / KEY_FILE).unlink()
    (out / KEY_FILE).symlink_to(victim)
    RunFolder(out, overwrite=True)
    assert not (out / KEY_FILE).is_symlink()
    assert victim.read_text() == "keep"


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write(KEY_FILE, b"{}", "application/json")
    (tmp_path / "reports" / "00" / "b.json").mkdir()
    with pytest.raises(IsADirectoryError):
        folder.write("reports/00/b.json", b"{}", "application/json")
    folder.seal(b"{}")
    assert not list(tmp_path.rglob("*.part"))
    assert [output.path for output in folder.outputs] == [KEY_FILE]


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        folder.write(KEY_FILE, b"{}", "application/json")
    assert not list(tmp_path.rglob("*.part"))


def test_a_run_of_every_form_goes_without_a_trace(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    """With what dead writers of both kinds leave beside each of its files."""
    out = tmp_path / "out"
    for packs in (True, False):
        build_run(told(out, packs=packs, limit=9, overwrite=True), data, scorer)
        found = [path for path in out.rglob("*") if path.is_file()]
        for path in found:
            for left in (f".{path.name.lstrip('.')}.part", f".{path.name.lstrip('.')}.0123abcd.part"):
                path.with_name(left).touch()
        (out / "unmailed.jsonl").touch()
        (out / "notes.part").touch()
        RunFolder(out, overwrite=True)
        assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [MARKER, "notes.part"]
        (out / "notes.part").unlink()


def test_the_name_of_the_folder_itself_is_brought_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def told(file: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{file}"))
        real(file)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc on this system")
    run = RunFolder(tmp_path / "out")
    run.write("index.html", b"x", "text/html")
    monkeypatch.setattr(os, "fsync", told)
    run.seal(b"{}")
    assert synced[-2:] == [str(tmp_path / "out"), str(tmp_path)]


def test_a_user_set_aside_is_not_taken_away_through_a_link(tmp_path: Path) -> None:
    """A folder of reports that is a link leads to somebody else's files."""
    person = Person("u", "a" * 24, "", "", "en")
    for place in ("elsewhere", "out/reports"):
        (tmp_path / place).mkdir(parents=True)
    victim = tmp_path / "elsewhere" / f"{person.key}.html"
    victim.touch()
    (tmp_path / "out" / person.stem).parent.symlink_to(tmp_path / "elsewhere")
    sink = Files(tmp_path / "out")
    sink.close([Failure(person.key, "html", "")], {person.key: person})
    assert victim.exists()
    (tmp_path / "out" / person.stem).parent.unlink()
    sink.write(f"{person.stem}.html", b"x")
    sink.flush()
    sink.close([Failure(person.key, "html", "")], {person.key: person})
    assert not (tmp_path / "out" / f"{person.stem}.html").exists()
