"""One report out of a copy of a run at a URL: from real servers, in few small parts, checked as in a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import copytree

import pytest
from disturbed import finish
from made_runs import KEY, crowded, in_folders, key_of, packed, report

# Test modules are imported by path; the servers are in the folder of what is copied.
sys.path.insert(0, str(Path(__file__).parents[1] / "output"))

from stores import PASSWORD, QUOTED, USER, Answered, Server, serving

from reportgen.batch.get import find_report, get_report
from reportgen.batch.people import report_stem
from reportgen.cli import main
from reportgen.errors import ConfigError, InputError, OutputError, ReportgenError
from reportgen.output.entries import bucket_of
from reportgen.output.pack_index import find_entries, index_path
from reportgen.output.packs import pack_path
from reportgen.output.remote import copy_run

both = pytest.mark.parametrize("make", [packed, in_folders])


@pytest.fixture(scope="module", name="http")
def _http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("http", tmp_path_factory.mktemp("http") / "root") as server:
        yield server


@both
def test_a_url_gives_and_says_the_same_as_the_folder(make: Callable[[Path], Path], http: Server) -> None:
    name = make.__name__
    run, url = make(http.root / name), http.url("http", f"{name}/")
    for user, word in (("ann", "html"), ("ann", "json"), ("bob", "json")):
        assert find_report(url, key_of(user), word) == get_report(url, user, KEY, word) == report(user, word)
    for user, word in (("bob", "html"), ("cem", "html"), ("dot", "html"), ("eve", "json")):
        with pytest.raises(InputError) as here:
            get_report(run, user, KEY, word)
        with pytest.raises(InputError) as there:
            get_report(url, user, KEY, word)
        assert str(there.value) == str(here.value)
    with pytest.raises(ConfigError, match=r"^http://127\.0\.0\.1:\d+/\w+/ was made with another key"):
        get_report(url, "ann", b"another key, also long enough")


def test_only_a_file_of_the_index_and_the_member_are_fetched(http: Server) -> None:
    """Bytes and requests as the server counted them, for users at the beginning, in the middle and at the end of packs of 1.1 MB."""
    run = http.root / "crowded"
    made = crowded(run)
    manifest = (run / "manifest.json").stat().st_size
    members = sorted(path for path in made if path.endswith(".json"))
    http.answered()
    for path in (members[0], members[900], members[-1]):
        key = path.split("/")[2].removesuffix(".json")
        assert find_report(http.url("http", "crowded"), key, "json") == made[path]
        (shard,) = {entry.shard for entry in find_entries(run, key)}
        pack, index = run / pack_path(shard), run / index_path(bucket_of(key))
        whole, *parts = answered = http.answered(5)
        assert whole == Answered("GET", "/crowded/manifest.json", "", 200, manifest)
        assert parts.pop(0) == Answered("GET", f"/crowded/{index_path(bucket_of(key))}", "", 200, index.stat().st_size)
        assert {(one.method, one.path, one.status) for one in parts} == {("GET", f"/crowded/{pack_path(shard)}", 206)}
        end, directory, member = (one.bytes for one in parts)
        assert end == (1 << 16) + 22
        assert end + directory == pytest.approx(1_200 * 90, rel=0.05), "the list of 1,200 members, once"
        assert 700 < member < 1_800, "one report and its head"
        size = pack.stat().st_size
        assert size > 1_000_000
        assert sum(one.bytes for one in answered[2:]) < size / 8


def test_a_server_without_ranges_costs_whole_files_and_gives_the_same(tmp_path: Path) -> None:
    made = crowded(tmp_path / "root", packs=1, users=400)
    path = sorted(made)[400]
    with serving("http", tmp_path / "root", "--no-ranges") as server:
        url = server.url("http", "")
        assert find_report(url, path.split("/")[2][:24], path.rpartition(".")[2]) == made[path]
        assert {one.status for one in server.answered(3)} == {200}


def test_a_report_comes_out_of_what_was_copied_by_ftp(tmp_path: Path) -> None:
    made = crowded(tmp_path / "run", packs=1, users=400)
    path = sorted(made)[1]
    (tmp_path / "run" / ".reportgen-run").write_bytes(b"a run folder of reportgen\n")
    with serving("ftp", tmp_path / "root") as server:
        url = server.url("ftp", "a folder/run", f"{USER}:{QUOTED}@")
        copy_run(tmp_path / "run", url)
        assert find_report(url, path.split("/")[2][:24], path.rpartition(".")[2]) == made[path]
        server.process.kill()
        server.process.wait()
        with pytest.raises(OutputError, match=r"^ftp://127\.0\.0\.1:\d+/a folder/run cannot be reached \(Conn"):
            find_report(url, "a" * 24)


def test_memory_and_files_are_read_too(tmp_path: Path) -> None:
    run = packed(tmp_path / "run")
    (run / ".reportgen-run").write_bytes(b"a run folder of reportgen\n")
    for url in ("memory://shop/for-get", f"file://{tmp_path}/copy"):
        copy_run(run, url)
        assert get_report(url, "ann", KEY) == report("ann", "html")


# --- what is not as it was written


@pytest.fixture(name="copy")
def _copy(http: Server, request: pytest.FixtureRequest) -> tuple[Path, str]:
    """A copy that may be spoilt, and its URL."""
    name = request.node.name.partition("[")[0]
    return http.root / name, http.url("http", name)


def test_a_damaged_copy_is_named_and_never_given_out(copy: tuple[Path, str]) -> None:
    run, url = copy
    packed(run)
    pack, index = run / pack_path(0), run / index_path(bucket_of(key_of("ann")))
    for file, told in ((pack, r"packs/000000\.zip is damaged"), (index, r"index/[0-9a-f]{2}\.jsonl is damaged")):
        data = file.read_bytes()
        spoilt = [b"", data[: len(data) // 2], data[:-1], data + b"x", data[:40] + b"\0\0\0\0" + data[44:], data[::-1]]
        for wrong in spoilt:
            file.write_bytes(wrong)
            with suppress(OutputError):
                assert find_report(url, key_of("ann")) == report("ann", "html"), "what was hit lies elsewhere"
        file.write_bytes(data[: len(data) // 2])
        with pytest.raises(OutputError, match=rf"^{url}: {told}.*; copy the run there again$"):
            find_report(url, key_of("ann"))
        file.unlink()
        with pytest.raises(OutputError, match=rf"^{url}: {told}.*\(it is not there\); copy the run there again$"):
            find_report(url, key_of("ann"))
        file.write_bytes(data)
    manifest = (run / "manifest.json").read_bytes()
    for wrong in (b"", b"<html>welcome</html>", b"[]", manifest[:-9], manifest.replace(b'"sha256"', b'"sha265"', 1)):
        (run / "manifest.json").write_bytes(wrong)
        with pytest.raises(OutputError, match=r"manifest\.json is damaged .*; copy the run there again$"):
            find_report(url, key_of("ann"))


def test_another_report_in_the_place_of_one_is_not_given_out(copy: tuple[Path, str]) -> None:
    """Index and pack are whole and of one run, but not of the one that the manifest names."""
    run, url = copy
    in_folders(run)
    ann, bob = (run / f"{report_stem(key_of(user))}.json" for user in ("ann", "bob"))
    ann.write_bytes(bob.read_bytes())
    with pytest.raises(OutputError, match=r"\.json is damaged \(its SHA-256 is not the one in manifest\.json\)"):
        find_report(url, key_of("ann"), "json")


def test_what_is_no_finished_copy_is_refused(copy: tuple[Path, str]) -> None:
    run, url = copy
    with pytest.raises(
        InputError, match=rf"^{url} holds no run of reportgen; name what build was given with --copy-to"
    ):
        find_report(url, key_of("ann"))
    packed(run)
    (run / "manifest.json").unlink()
    (run / ".reportgen-run").touch()
    with pytest.raises(OutputError, match=r"its copy did not end; copy the run there again with --resume --copy-to"):
        find_report(url, key_of("ann"))


# --- names, passwords and packages


def test_a_password_is_used_and_never_told(tmp_path: Path) -> None:
    packed(tmp_path / "root")
    with serving("http", tmp_path / "root", "--locked") as server:
        url = server.url("http", "", f"{USER}:{QUOTED}@")
        assert get_report(url, "ann", KEY) == report("ann", "html")
        with pytest.raises(OutputError, match="401") as caught:
            get_report(server.url("http", "", f"{USER}:hunter2@"), "ann", KEY)
        assert "hunter2" not in str(caught.value)


def test_a_run_is_built_copied_and_read_and_no_file_or_line_knows_the_password(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPORTGEN_KEY", KEY.decode())
    out = tmp_path / "out"
    copytree(shop / "whole", out)
    with serving("ftp", tmp_path / "root") as server:
        url = server.url("ftp", "run", f"{USER}:{QUOTED}@")
        assert finish(shop, out, "--copy-to", url, "--log-format", "json", "--metrics-file", f"{tmp_path}/m.prom") == 0
        user = next(line.split(",")[0] for line in (shop / "users.csv").read_text().splitlines()[1:] if "False" in line)
        assert get_report(url, user, KEY, "json") == get_report(out, user, KEY, "json")
        server.process.kill()
        assert finish(shop, out, "--copy-to", url) == 1
    told = capsys.readouterr()
    assert "look at address, name and password" in told.err
    everything = told.out + told.err + (tmp_path / "m.prom").read_text()
    written = [path for folder in (out, tmp_path / "root") for path in folder.rglob("*") if path.is_file()]
    for secret in (QUOTED, PASSWORD):
        assert secret not in everything
        assert not any(secret.encode() in path.read_bytes() for path in written)


@pytest.mark.parametrize("kind", ["http", "ftp"])
def test_who_does_not_answer_is_told_without_the_password(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(kind, tmp_path / "root") as server:
        url = server.url(kind, "run", f"{USER}:hunter2@")
    assert main(["get", url, key_of("ann"), "--by-key"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert f"{kind}://127.0.0.1:{server.port}/run " in told.err
    assert "hunter2" not in told.err


def test_the_command_line_takes_a_url(
    http: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packed(http.root / "line")
    monkeypatch.setenv("REPORTGEN_KEY", KEY.decode())
    assert main(["get", http.url("http", "line"), "ann", "--out", str(tmp_path / "ann.html")]) == 0
    assert (tmp_path / "ann.html").read_bytes() == report("ann", "html")
    assert main(["get", http.url("http", "line"), "eve"]) == 1
    assert "is not known in this run" in capsys.readouterr().err


def test_a_package_that_is_missing_has_an_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(
        ConfigError, match=r'^s3://bucket/run cannot be reached: .*pip install "reportgen\[remote\]" s3fs'
    ):
        find_report("s3://bucket/run", key_of("ann"))
    with pytest.raises(ConfigError, match=r"^carrier://host/run cannot be used .*carrier"):
        find_report("carrier://me:hunter2@host/run", key_of("ann"))
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError, match=r'pip install "reportgen\[remote\]"'):
        find_report("memory://x", key_of("ann"))


def test_a_folder_is_read_without_what_urls_need(tmp_path: Path) -> None:
    copytree(packed(tmp_path / "run"), tmp_path / "again")
    code = (
        "import sys; from reportgen.cli import main; "
        f"code = main(['get', {str(tmp_path / 'again')!r}, {key_of('ann')!r}, '--by-key', '--out', {str(tmp_path / 'o')!r}]); "
        "import json; print(json.dumps([code, [name for name in ('fsspec', 'aiohttp', 'asyncio') if name in sys.modules]]))"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert json.loads(told) == [0, []]


def test_troubles_have_a_class_of_ours() -> None:
    for url in ("http://", "ftp://", "http://127.0.0.1:1/x", "memory://", "file:///nowhere/at/all", "http://[::1/x"):
        with pytest.raises(ReportgenError):
            find_report(url, key_of("ann"))
