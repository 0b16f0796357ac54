"""A run copied to where fsspec reaches: the manifest last, everything read back, nothing of others touched."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from reportgen.errors import ConfigError, InputError, OutputError
from reportgen.output.manifest import SCHEMA
from reportgen.output.remote import Copied, copy_run

FILES = {"packs/000000.zip": b"PK" * 900, "index/00.jsonl": b"{}\n", "index.html": b"<p>", "errors.jsonl": b""}


def make_run(run: Path, files: dict[str, bytes]) -> Path:
    outputs = [
        {"path": path, "sha256": sha256(data).hexdigest(), "bytes": len(data), "media_type": ""}
        for path, data in files.items()
    ]
    for path, data in files.items():
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).write_bytes(data)
    (run / ".reportgen-run").write_bytes(b"a run folder of reportgen\n")
    (run / "manifest.json").write_text(json.dumps({"schema": SCHEMA, "outputs": outputs}))
    return run


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", FILES)


@pytest.fixture(name="memory")
def _memory() -> Iterator[MemoryFileSystem]:
    files = MemoryFileSystem()
    files.store.clear()
    yield files
    files.store.clear()


def there(memory: MemoryFileSystem, root: str = "/shop/run") -> dict[str, bytes]:
    return {path.removeprefix(f"{root}/"): memory.cat_file(path) for path in memory.find(root)}


def expected(run: Path) -> dict[str, bytes]:
    local = {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    return local | {".reportgen-run": b"a copy of a run folder of reportgen\n"}


def test_a_copy_is_the_run_with_the_manifest_last(
    run: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    pipe = MemoryFileSystem.pipe_file

    def told(self: Any, path: str, value: bytes, **more: Any) -> None:
        order.append(path)
        pipe(self, path, value, **more)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", told)
    size = sum(map(len, FILES.values())) + (run / "manifest.json").stat().st_size
    assert copy_run(run, "memory://shop/run/") == Copied("memory://shop/run/", 5, 0, size)
    assert there(memory) == expected(run)
    names = [path.removeprefix("/shop/run/") for path in order]
    assert (names[0], names[-1]) == (".reportgen-run", "manifest.json")
    assert sorted(names[1:-1]) == sorted(FILES)
    order.clear()
    assert copy_run(run, "memory://shop/run").sent == 0
    assert order == []


def test_a_copy_that_broke_off_at_any_object_is_continued(
    run: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = MemoryFileSystem.pipe_file
    for at in range(6):
        memory.store.clear()
        left = [at]

        def breaks(self: Any, path: str, value: bytes, left: list[int] = left, **more: Any) -> None:
            if not left[0]:
                raise ConnectionResetError("gone: see s3://user:p@secret@host/x")
            left[0] -= 1
            pipe(self, path, value, **more)

        with monkeypatch.context() as patch:
            patch.setattr(MemoryFileSystem, "pipe_file", breaks)
            with pytest.raises(OutputError, match=r"memory://shop/run failed .*run the same again") as caught:
                copy_run(run, "memory://shop/run")
        assert "secret" not in str(caught.value)
        assert "manifest.json" not in there(memory)
        assert copy_run(run, "memory://shop/run").kept == max(at - 1, 0)
        assert there(memory) == expected(run)


@pytest.mark.parametrize("read_back", [True, False])
@pytest.mark.parametrize("broken", [0, 1, 2, 3, 4, 99])
def test_another_copy_is_replaced_only_with_leave_and_only_what_was_its_own(
    broken: int, read_back: bool, run: Path, memory: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when replacing breaks off: then the place is no finished run, and the next call ends what was begun."""
    other = make_run(tmp_path / "other", {"index.html": b"<b>", "packs/000001.zip": b"PK", "errors.jsonl": b"x"})
    url = "memory://shop/run"
    copy_run(other, url)
    memory.pipe_file("/shop/run/notes.txt", b"mine")
    before = there(memory)
    with pytest.raises(OutputError, match=r"holds a copy of another run; .*--overwrite"):
        copy_run(run, url)
    assert there(memory) == before
    pipe, left = MemoryFileSystem.pipe_file, [broken]

    def breaks(self: Any, path: str, value: bytes, **more: Any) -> None:
        if not left[0]:
            raise TimeoutError
        left[0] -= 1
        pipe(self, path, value, **more)

    if broken < 9:
        with monkeypatch.context() as patch:
            patch.setattr(MemoryFileSystem, "pipe_file", breaks)
            with pytest.raises(OutputError, match="TimeoutError"):
                copy_run(run, url, overwrite=True, read_back=read_back)
    copy_run(run, url, overwrite=True, read_back=read_back)
    assert there(memory) == expected(run) | {"notes.txt": b"mine"}


def test_a_place_with_something_else_is_refused(run: Path, memory: MemoryFileSystem) -> None:
    memory.pipe_file("/shop/run/deep/thesis.txt", b"years")
    with pytest.raises(OutputError, match="holds something that is no copy of a run; name an empty or new place"):
        copy_run(run, "memory://shop/run", overwrite=True)
    assert there(memory) == {"deep/thesis.txt": b"years"}


@pytest.mark.parametrize("read_back", [True, False])
def test_an_object_that_is_not_as_it_was_sent_is_found(
    read_back: bool, run: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = MemoryFileSystem.pipe_file

    def loses(self: Any, path: str, value: bytes, **more: Any) -> None:
        short = value[:-1] if not read_back else value[:-1] + b"?"
        pipe(self, path, short if path.endswith(".zip") else value, **more)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", loses)
    with pytest.raises(OutputError, match=r"packs/000000\.zip is not there as it was sent"):
        copy_run(run, "memory://shop/run", read_back=read_back)
    assert "manifest.json" not in there(memory)


def test_a_damaged_run_is_not_passed_on(run: Path, memory: MemoryFileSystem) -> None:
    (run / "index.html").write_bytes(b"<q>")
    with pytest.raises(OutputError, match=r"index\.html is damaged \(its SHA-256"):
        copy_run(run, "memory://shop/run")
    (run / "index.html").unlink()
    with pytest.raises(OutputError, match=r"index\.html cannot be read"):
        copy_run(run, "memory://shop/run")
    assert "manifest.json" not in there(memory)
    (run / "manifest.json").write_text("{")
    with pytest.raises(OutputError, match=r"manifest\.json is damaged"):
        copy_run(run, "memory://shop/run")
    (run / "manifest.json").unlink()
    with pytest.raises(InputError, match="its run did not end"):
        copy_run(run, "memory://shop/run")
    with pytest.raises(InputError, match="is not a run folder"):
        copy_run(run.parent, "memory://shop/run")


def test_a_former_manifest_cannot_make_us_take_away_other_files(run: Path, memory: MemoryFileSystem) -> None:
    memory.pipe_file("/shop/mine.txt", b"mine")
    memory.pipe_file("/shop/run/.reportgen-run", b"")
    paths = ["../mine.txt", "/shop/mine.txt", "a/../../mine.txt", ""]
    memory.pipe_file("/shop/run/manifest.json", json.dumps({"outputs": [{"path": path} for path in paths]}).encode())
    copy_run(run, "memory://shop/run", overwrite=True)
    assert memory.cat_file("/shop/mine.txt") == b"mine"
    assert there(memory) == expected(run)


def test_a_folder_is_a_target_too(run: Path, tmp_path: Path) -> None:
    copy_run(run, f"file://{tmp_path}/deep/copy")
    copy = tmp_path / "deep" / "copy"
    assert expected(run) == {
        path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*.*") if path.is_file()
    }


def test_what_is_missing_or_unknown_is_told_without_a_password(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError, match=r"carrier://host/x cannot be used .*write it as s3://bucket/folder"
    ) as caught:
        copy_run(run, "carrier://user:secret@host/x")
    assert "secret" not in str(caught.value)
    fsspec.register_implementation("carriage", "no_such_package.Files", errtxt="install carriage_fs")
    with pytest.raises(ConfigError, match="carriage://bucket/x cannot be reached: install carriage_fs"):
        copy_run(run, "carriage://user:secret@bucket/x")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError, match=r'pip install "reportgen\[remote\]"'):
        copy_run(run, "memory://x")
