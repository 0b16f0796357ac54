"""Files are whole or not there: whatever kills the writer, fills the disk or cuts the power."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from reportgen.errors import OutputError
from reportgen.output import durable
from reportgen.output.durable import Durable, clear_leftovers, list_inside, open_inside, replace_file

#: Where `dying` lies.
TESTS = str(Path(__file__).parents[1])
NeedTool = Callable[[str, str], str]
#: Two files of a former commit, both written again, and a new one in a new folder.
OLD = {"a/one": b"old one", "two": b"old two"}
NEW = {"a/one": b"new one" * 9, "two": b"new two" * 9, "b/c/three": b"new three"}
#: A process whose children each write NEW over OLD in a folder of their own. The n-th child dies at the n-th call of durable.py
#: and places.py: before it, after it, or halfway through it. With no folder it only counts the calls, in the folder "count".
CHILD = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {TESTS!r})
from dying import Dying
from reportgen.output import durable, places

base, how, calls = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
CALLS = ("open", "mkdir", "write", "fsync", "replace", "unlink", "close")

def write(folder, at):
    durable.os = places.os = Dying(CALLS, how, at)
    with durable.Durable(folder) as out:
        for path, data in {NEW!r}.items():
            out.write(path, data)
    return durable.os.count

if not calls:
    print(write(base / "count", 0))
for at in range(1, calls + 1):
    child = os.fork()
    if not child:
        write(base / str(at), at)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, at
"""


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def put(root: Path, content: dict[str, bytes]) -> None:
    root.mkdir(exist_ok=True)
    with Durable(root) as out:
        for path, data in content.items():
            out.write(path, data)


def run_child(script: str, *args: object, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-c", script, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def whole(root: Path) -> set[str]:
    """Assert that every file is the old one or the new one, and return what else lies there: only temporary files may."""
    found = files(root)
    left = {path for path in found if path.endswith(".part")}
    for path, data in found.items():
        assert path in left or data in (OLD.get(path), NEW[path]), path
    assert OLD.keys() <= found.keys()
    return left


def test_nothing_has_its_name_before_the_commit(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    with Durable(tmp_path) as out:
        for path, data in NEW.items():
            out.write(path, data)
        assert {path: data for path, data in files(tmp_path).items() if not path.endswith(".part")} == OLD
        assert out.commit() == 3
        assert files(tmp_path) == NEW
    assert files(tmp_path) == NEW


def test_an_error_takes_back_what_was_not_committed(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    with suppress(KeyboardInterrupt), Durable(tmp_path) as out:
        out.write("two", b"never")
        raise KeyboardInterrupt
    assert files(tmp_path) == OLD


def test_a_group_commits_by_itself_and_keeps_few_descriptors_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Durable(tmp_path, group=16) as out:
        for k in range(100):
            out.write(f"{k % 5}/f{k}", b"x" * k)
            assert len(os.listdir("/proc/self/fd")) <= before + 16 + 6 + 1
        assert len([path for path in files(tmp_path) if not path.endswith(".part")]) == 96
    assert len(files(tmp_path)) == 100
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_group_has_one_round_of_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file once, each folder once, each folder above once: and every sync of a file before the first name."""
    seen: list[str] = []
    fsync, replace = os.fsync, os.replace

    def told(file: int) -> None:
        seen.append("folder" if os.path.isdir(f"/proc/self/fd/{file}") else "file")
        fsync(file)

    def named(*args: Any, **more: Any) -> None:
        seen.append("name")
        replace(*args, **more)

    monkeypatch.setattr(durable.os, "fsync", told)
    monkeypatch.setattr(durable.os, "replace", named)
    put(tmp_path / "run", {f"reports/{k % 3}/f{k}": b"x" for k in range(30)})
    # 3 folders, `reports`, the root, and the folder that holds the root's name.
    assert seen == ["file"] * 30 + ["name"] * 30 + ["folder"] * 6


@pytest.mark.parametrize("how", ["before", "after", "half"])
def test_killed_at_every_call_nothing_is_torn(how: str, tmp_path: Path) -> None:
    put(tmp_path / "count", OLD)
    calls = int(run_child(CHILD, tmp_path, how, 0).stdout)
    assert calls >= 3 * 3 + 3 + 4  # open, write and sync a file; give it its name; open folders
    roots = [tmp_path / str(at) for at in range(1, calls + 1)]
    for root in roots:
        put(root, OLD)
    died = run_child(CHILD, tmp_path, how, calls)
    assert died.returncode == 0, died.stderr
    outcomes = set()
    for root in roots:
        left = whole(root)
        outcomes.add(sum(files(root).get(path) == data for path, data in NEW.items()))
        assert sum(clear_leftovers(root, folder) for folder in ("", "a", "b/c") if (root / folder).is_dir()) == len(
            left
        )
        put(root, NEW)
        assert files(root) == NEW
    assert outcomes == {0, 1, 2, 3}  # each name is given by itself


@pytest.mark.slow
def test_killed_at_every_system_call_nothing_is_torn(need_tool: NeedTool, tmp_path: Path) -> None:
    """As above, with SIGKILL by the kernel's own view of the calls."""
    strace = need_tool("strace", "apt-get install strace")
    script = f"""
import sys; from pathlib import Path; from reportgen.output.durable import Durable
with Durable(Path(sys.argv[1])) as out:
    for path, data in {NEW!r}.items():
        out.write(path, data)
"""
    total = 0
    for call in ("write", "fsync", "renameat", "mkdirat"):
        put(tmp_path / call, OLD)
        seen = run_child(script, tmp_path / call, before=(strace, "-f", "-qq", "-e", f"trace={call}")).stderr
        if "attach" in seen or "ptrace" in seen:
            pytest.skip("strace may not trace here")
        ordinals = range(1, sum(line.startswith(call) or f" {call}(" in line for line in seen.splitlines()) + 1)
        for at in ordinals:
            root = tmp_path / f"{call}{at}"
            put(root, OLD)
            inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={at}")
            run_child(script, root, before=(strace, "-f", "-qq", "-o", "/dev/null", *inject))
            whole(root)
        total += len(ordinals)
    assert total >= 3 + 8 + 3 + 2


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_failed_sync_is_not_tried_again(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, OLD)
    calls: list[int] = []

    def fails(file: int) -> None:
        calls.append(file)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(durable.os, "fsync", fails)
    with pytest.raises(OutputError, match=r"cannot be written .*; \w+"):
        put(tmp_path, NEW)
    assert len(calls) == 1
    assert files(tmp_path) == OLD


@contextmanager
def mounted(kind: str, source: str, options: str, where: Path) -> Iterator[Path]:
    where.mkdir(exist_ok=True)
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    made = subprocess.run(["mount", "-t", kind, "-o", options, source, where], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no {kind} can be mounted here: {made.stderr.decode(errors='replace').strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


@pytest.mark.parametrize("limit", ["size=64k", "size=10m,nr_inodes=12"])
def test_a_full_disk_is_told_and_leaves_what_was_there(limit: str, tmp_path: Path) -> None:
    with mounted("tmpfs", "tmpfs", limit, tmp_path / "small") as root:
        put(root, OLD)
        with pytest.raises(OutputError, match=r"No space left on device.*make room"):
            put(root, {f"f{k}": b"x" * 4096 for k in range(100)})
        assert files(root) == OLD
        put(root, {"two": b"there is room again"})


def test_a_disk_for_reading_only_is_told(tmp_path: Path) -> None:
    with (
        mounted("tmpfs", "tmpfs", "size=64k,ro", tmp_path / "ro") as root,
        pytest.raises(OutputError, match="Read-only"),
    ):
        put(root, OLD)


def test_a_limit_on_the_size_of_a_file_is_told(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(OutputError, match=r"File too large.*ulimit -f"):
            put(tmp_path, {"two": b"x" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path) == OLD


@pytest.mark.slow
def test_a_power_cut_after_the_commit_loses_nothing(need_tool: NeedTool, tmp_path: Path) -> None:
    """ext4 is stopped without writing its log, as when the power fails. A file beside it that nobody synced is the control."""
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run([need_tool("mkfs.ext4", "apt-get install e2fsprogs"), "-q", image], check=True)
    script = f"""
import fcntl, os, struct, sys; from pathlib import Path; from reportgen.output.durable import Durable
root = Path(sys.argv[1]) / "run"; root.mkdir()
with Durable(root) as out:
    for k in range(400):
        out.write(f"reports/{{k % 7}}/f{{k}}", b"x" * 3000)
(root / "loose").write_bytes(b"x" * 3000)
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), {0x8004587D}, struct.pack("I", 2))
"""
    with mounted("ext4", str(image), "loop", tmp_path / "disk") as disk:
        cut = run_child(script, disk)
    if "Inappropriate ioctl" in cut.stderr or "Operation not" in cut.stderr:
        pytest.skip("this kernel cannot stop a file system")
    assert cut.returncode == 0, cut.stderr
    with mounted("ext4", str(image), "loop", tmp_path / "disk") as disk:
        found = files(disk / "run")
    assert found.pop("loose", b"") == b""
    assert found == {f"reports/{k % 7}/f{k}": b"x" * 3000 for k in range(400)}


def test_no_link_below_the_root_is_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for folder in (root, elsewhere):
        folder.mkdir()
    (root / "linked").symlink_to(elsewhere)
    (elsewhere / "secret").write_bytes(b"mine")
    (root / "file").symlink_to(elsewhere / "secret")
    (root / "plain").touch()
    for path in ("linked/x", "plain/x"):
        with pytest.raises(OutputError, match="is a link or a file; remove it by hand"):
            put(root, {path: b"x"})
    put(root, {"file": b"a file of its own"})  # the name is given to a new file, the link goes
    assert files(elsewhere) == {"secret": b"mine"}
    assert not (root / "file").is_symlink()
    (root / "again").symlink_to(elsewhere / "secret")
    os.mkfifo(root / "pipe")
    for path in ("linked/secret", "again", "pipe", "absent"):
        with pytest.raises(OSError), open_inside(root, path):  # noqa: PT011  (link, link, no file, nothing)
            pass
    assert list_inside(root, "nothing") == []


def test_two_writers_of_one_file_do_not_touch_each_other(tmp_path: Path) -> None:
    with Durable(tmp_path) as first:
        first.write("packs/000001.zip", b"first")
        with Durable(tmp_path) as second:
            second.write("packs/000001.zip", b"second")
        assert files(tmp_path)["packs/000001.zip"] == b"second"
    assert files(tmp_path) == {"packs/000001.zip": b"first"}


def test_replacing_a_file_leaves_no_trace_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(tmp_path / "x.prom", b"old")
    assert (tmp_path / "x.prom").stat().st_mode & 0o444 == 0o444 & ~_umask()
    monkeypatch.setattr(durable, "fill", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OutputError, match="make room"):
        replace_file(tmp_path / "x.prom", b"new")
    assert files(tmp_path) == {"x.prom": b"old"}


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def test_only_our_leftovers_are_cleared(tmp_path: Path) -> None:
    for name in (".000001.zip.0123abcd.part", ".x.part", "mine.0123abcd.part", ".a.0123ABCD.part"):
        (tmp_path / name).touch()
    assert clear_leftovers(tmp_path, "") == 1
    assert sorted(files(tmp_path)) == [".a.0123ABCD.part", ".x.part", "mine.0123abcd.part"]


def test_the_check_of_these_tests_sees_a_torn_file(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    (tmp_path / "two").write_bytes(NEW["two"][:5])
    with pytest.raises(AssertionError, match="two"):
        whole(tmp_path)
