"""A run copied to a real FTP server on the loopback, which dies, is full, or does not let us in."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest

# Test modules are imported by path.
sys.path.insert(0, str(Path(__file__).parent))

from stores import PASSWORD, QUOTED, USER, Server, serving

from reportgen.errors import OutputError
from reportgen.output.manifest import SCHEMA
from reportgen.output.remote import copy_run

LARGE = "packs/000002.zip"
FILES = {
    ".reportgen-run": b"a run folder of reportgen\n", "packs/000000.zip": b"PK" * 30_000,
    "packs/000001.zip": b"KP" * 30_000, LARGE: bytes(range(256)) * 1_200, "index/00.jsonl": b"{}\n",
    "reports/0a/x.html": b"<p>", "reports/0b/y.html": b"<p>", "errors.jsonl": b"",
}  # fmt: skip


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    for path, data in FILES.items():
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).write_bytes(data)
    outputs = [
        {"path": path, "sha256": sha256(data).hexdigest(), "bytes": len(data), "media_type": ""}
        for path, data in FILES.items()
        if not path.startswith(".")
    ]
    (run / "manifest.json").write_text(json.dumps({"schema": SCHEMA, "outputs": outputs}))
    return run


def place(server: Server, who: str = f"{USER}:{QUOTED}@") -> str:
    return server.url("ftp", "shop/runs/march", who)


def there(root: Path) -> dict[str, bytes]:
    copy = root / "shop" / "runs" / "march"
    return {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*") if path.is_file()}


def expected(run: Path) -> dict[str, bytes]:
    local = {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    return local | {".reportgen-run": b"a copy of a run folder of reportgen\n"}


def received(server: Server) -> list[str]:
    """Files that the server took as a whole since the last time, in their order, each once; fsspec ends some with an empty part."""
    lines = server.log.read_text("utf-8").splitlines()
    server.log.write_text("")
    return [line.removeprefix("shop/runs/march/") for line in dict.fromkeys(lines)]


def test_a_copy_is_the_run_with_the_manifest_last_and_a_second_one_sends_nothing(run: Path, tmp_path: Path) -> None:
    with serving("ftp", tmp_path / "root") as server:
        first = copy_run(run, place(server))
        order = received(server)
        second = copy_run(run, place(server))
        assert received(server) == []
    assert there(tmp_path / "root") == expected(run)
    assert (order[0], order[-1]) == (".reportgen-run", "manifest.json")
    assert sorted(order) == sorted(expected(run))
    assert (first.sent, first.kept, second.sent, second.kept) == (8, 0, 0, 8)
    assert first.url == f"ftp://127.0.0.1:{server.port}/shop/runs/march"


@pytest.mark.parametrize("after", [10, 40_000, 100_000, 250_000, 427_200])
def test_a_server_that_dies_in_the_middle_of_a_file_gets_only_the_rest(after: int, run: Path, tmp_path: Path) -> None:
    """Each number lies in another file: the marker, a pack, the next one, the large one, and the manifest."""
    root = tmp_path / "root"
    with serving("ftp", root, "--die-after", str(after)) as server:
        with pytest.raises(
            OutputError, match=r"/shop/runs/march failed \(.*; look at the connection and run the same ag"
        ):
            copy_run(run, place(server))
        assert server.process.wait(10) == -9
        whole = received(server)
    assert there(root).get("manifest.json") != expected(run)["manifest.json"], (
        "a copy that did not end has no whole manifest"
    )
    with serving("ftp", root) as server:
        copied = copy_run(run, place(server))
        assert not set(received(server)) & set(whole), "nothing that was there is sent again"
    assert there(root) == expected(run)
    assert copied.kept == len(set(whole) - {".reportgen-run"})


def test_a_full_server_is_told_and_gets_the_rest_when_there_is_room(run: Path, tmp_path: Path) -> None:
    """The system does not let the server write more of a file, as on a full disk."""
    root = tmp_path / "root"
    with (
        serving("ftp", root, "--most", "100000") as server,
        pytest.raises(OutputError, match=r"failed \(.*4\d\d .*; look at the connection"),
    ):
        copy_run(run, place(server))
    received(server)
    assert "manifest.json" not in there(root)
    assert len(there(root)[LARGE]) <= 100_000
    with serving("ftp", root) as server:
        copy_run(run, place(server))
        assert received(server) == [*list(FILES)[3:], "manifest.json"], "the first two packs are there"
    assert there(root) == expected(run)


@pytest.mark.parametrize(
    "who", ["", "shop:hunter2@", "nobody:hunter2@", f"{USER}:{QUOTED[:-6]}@", f"{USER}%40x:{QUOTED}@"]
)
def test_who_may_not_write_there_is_told_without_the_password(who: str, run: Path, tmp_path: Path) -> None:
    with serving("ftp", tmp_path / "root") as server:
        with pytest.raises(
            OutputError, match=r"^ftp://127\.0\.0\.1:\d+/shop/runs/march cannot be reached \(.*530"
        ) as caught:
            copy_run(run, place(server, who))
        for secret in ("hunter2", QUOTED, PASSWORD, QUOTED[:-6], USER + "@"):
            assert secret not in str(caught.value)
    assert not there(tmp_path / "root")


def test_name_and_password_may_come_from_the_environment(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no other user of the machine sees them in a list of processes. fsspec reads them when it is loaded."""
    fsspec_config = pytest.importorskip("fsspec.config")
    monkeypatch.setitem(fsspec_config.conf, "ftp", {})
    fsspec_config.set_conf_env(fsspec_config.conf, {"FSSPEC_FTP_USERNAME": USER, "FSSPEC_FTP_PASSWORD": PASSWORD})
    with serving("ftp", tmp_path / "root") as server:
        copy_run(run, place(server, ""))
    assert there(tmp_path / "root") == expected(run)
