"""A run folder: checked before any work, written through temporary names, never through a symbolic link."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reportgen.errors import OutputError
from reportgen.formats import FORMATS
from reportgen.output.durable import remove_inside
from reportgen.output.manifest import SCHEMA, Output
from reportgen.output.places import NEW, fill, inside, sync, sync_parent

MARKER = ".reportgen-run"
MANIFEST = "manifest.json"
#: What a run may have left at the top, in its folders, and in a folder of reports. Nothing else is ever taken away.
_TOP = (
    "index.html", "errors.jsonl", "unmailed.jsonl", "run_status.json", "run_plan.json", "erasures.jsonl", MANIFEST,
)  # fmt: skip
_TOP_PARTS = (*_TOP, "reportgen-run")
_SHARD = re.compile(r"[0-9a-f]{2}")
_REPORT = re.compile(rf"[a-z2-7]{{24}}\.({'|'.join(FORMATS)})")
_FOLDERS = {
    "audit": re.compile(
        r"(fidelity|statistics|stability|surrogate|statement|seal\.dsse|erasing|audit|cases)\.[a-z]+|(leaves|salts)\.bin"
    ),
    "origins": re.compile(r"[0-9]{6,}\.json"),
    "statistics": re.compile(r"[0-9]{6,}\.json"),
    "packs": re.compile(r"[0-9]{6,}\.zip"),
    "index": re.compile(r"[0-9a-f]{2}\.jsonl"),
}
#: A file of a run under a temporary name: `RunFolder` ends it in ``.part``, `reportgen.output.durable` in eight digits and ``.part``.
_PART = re.compile(r"\.(?P<name>.+?)(\.[0-9a-f]{8})?\.part")
#: Work in progress, for the owner of the run alone.
WORK = ".work"
_REAL, _MADE_UP = b"a run folder of reportgen\n", b"a run folder of reportgen, made-up data\n"
#: Trouble that would meet every further file too.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


def check_folder(out: Path, overwrite: bool) -> None:
    """Say before any work whether a run may be written there. Changes nothing.

    Raises
    ------
    OutputError
        A file, a folder with something else in it, a former run without leave to replace it, or no right to write.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder with --out")
    if out.is_symlink() and not out.exists():
        raise OutputError(f"{out} is a link to nothing; name a folder with --out")
    names = set(_listed(out) if out.exists() else []) - {
        f"{MARKER}.part"
    }  # a process may have died with its first file
    if names and not is_run(out):
        raise OutputError(f"{out} is not empty and not a run of reportgen; name an empty or new folder with --out")
    if names and not overwrite:
        raise OutputError(f"{out} holds a former run; name another folder with --out, or replace it with --overwrite")
    _check_writable(out)


def _listed(out: Path) -> list[str]:
    try:
        return os.listdir(out)
    except OSError as error:
        raise OutputError(f"{out} cannot be read ({error.strerror}); name another folder with --out") from error


def is_run(out: Path) -> bool:
    """Whether a folder holds a run of ours, finished or not."""
    marker, manifest = out / MARKER, out / MANIFEST
    if marker.is_file() and not marker.is_symlink():
        return True
    try:
        found = json.loads(manifest.read_bytes()) if manifest.is_file() and not manifest.is_symlink() else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("schema") == SCHEMA


def is_made_up(out: Path) -> bool:
    """Whether a folder holds a run of ours on made-up data, which nobody can miss."""
    return _holds(out / MARKER, _MADE_UP)


def _check_writable(out: Path) -> None:
    nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not nearest.is_dir():
        raise OutputError(f"{nearest} is a file, so {out} cannot be made; name another folder with --out")
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise OutputError(f"{nearest} cannot be written ({error.strerror}); name another folder with --out") from error


@contextmanager
def _no_trouble(out: Path) -> Iterator[None]:
    """Turn trouble that concerns the whole folder into an error that ends the run."""
    try:
        yield
    except OSError as error:
        if error.errno in _FATAL:
            raise OutputError(f"{out} cannot be written ({error.strerror}); make room or name another --out") from error
        raise


class RunFolder:
    """Writes the files of one run and remembers them.

    Every file is written under a temporary name beside its place and then renamed; folders are opened without following
    links. `seal` brings everything to the disk before the manifest gets its name.

    Parameters
    ----------
    out : Path
        Made when absent; what a former run left is taken away.
    overwrite : bool
    synthetic : bool
        Noted in the folder's marker: a demo may replace made-up runs only.
    keep : bool
        Go on with the run that is there, and take nothing away.

    Raises
    ------
    OutputError
        As `check_folder`.
    """

    def __init__(self, out: Path, overwrite: bool = False, synthetic: bool = False, keep: bool = False) -> None:
        check_folder(out, overwrite or keep)
        self.out = out
        self.outputs: list[Output] = []
        with self._named():
            out.mkdir(parents=True, exist_ok=True)
            if not keep:
                self._clear()
            marker = _MADE_UP if synthetic else _REAL
            if not keep or not _holds(out / MARKER, marker):
                self._put(MARKER, marker, synced=True)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            with _no_trouble(self.out):
                yield
        except OSError as error:
            raise OutputError(
                f"{self.out} cannot be written ({error.strerror}); name another folder with --out"
            ) from error

    def _clear(self) -> None:
        """Take away a former run, the manifest first: a run without one is not finished."""
        for name in reversed(_TOP):
            with suppress(FileNotFoundError):
                os.unlink(self.out / name)
        for name in os.listdir(self.out):
            if (part := _PART.fullmatch(name)) and part["name"] in _TOP_PARTS:
                os.unlink(self.out / name)
        self.clear_work()
        for name, ours in _FOLDERS.items():
            if os.path.lexists(self.out / name):
                self._refuse_link(self.out / name)
                _clear_names(self.out / name, ours)
        reports = self.out / "reports"
        if not os.path.lexists(reports):
            return
        self._refuse_link(reports)
        for shard in sorted(os.listdir(reports)):
            if _SHARD.fullmatch(shard):
                self._refuse_link(reports / shard)
                _clear_names(reports / shard, _REPORT)

    def clear_work(self) -> None:
        """Take away what a run needs only until it is complete."""
        work = self.out / WORK
        if os.path.lexists(work):
            self._refuse_link(work)
            shutil.rmtree(work)
            sync(self.out)  # it holds ids of users: a power cut is not to bring it back

    def unseal(self) -> None:
        """Take the manifest away: from here on the run is not complete."""
        with self._named(), suppress(FileNotFoundError):
            os.unlink(self.out / MANIFEST)

    def _refuse_link(self, folder: Path) -> None:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            where = folder.relative_to(self.out).as_posix()
            raise OutputError(f"{self.out}: {where} is not a folder of its own but a link or a file; remove it by hand")

    def write(self, path: str, data: bytes, media_type: str) -> None:
        """Write one file; `path` is relative and uses ``/``.

        Raises
        ------
        OutputError
            The disk is full or failing, or a folder on the way is a link.
        """
        with _no_trouble(self.out):
            self._put(path, data)
        self.note(path, data, media_type)

    def note(self, path: str, data: bytes, media_type: str) -> None:
        """Remember a file that is there already."""
        self.outputs.append(Output(path, hashlib.sha256(data).hexdigest(), len(data), media_type))

    def _put(self, path: str, data: bytes, synced: bool = False) -> None:
        name = path.rpartition("/")[2]
        temporary = f".{name.lstrip('.')}.part"
        with inside(self.out, path.rpartition("/")[0], make=True) as folder:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            try:
                _write(os.open(temporary, NEW, 0o666, dir_fd=folder), data, synced)
                os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def drop(self, paths: set[str]) -> None:
        """Take files of a user back who could not be finished."""
        self.outputs = [output for output in self.outputs if output.path not in paths]
        for path in sorted(paths):
            with suppress(OSError):
                remove_inside(self.out, path)

    def seal(self, manifest: bytes) -> Path:
        """Bring every file and folder to the disk, then write the manifest.

        Raises
        ------
        OutputError
        """
        with self._named():
            folders = {""}
            for output in self.outputs:
                parts = output.path.split("/")[:-1]
                folders |= {"/".join(parts[: k + 1]) for k in range(len(parts))}
                sync(self.out / output.path)
            for folder in sorted(folders, reverse=True):
                sync(self.out / folder)
            self._put(MANIFEST, manifest, synced=True)
            sync(self.out)
            sync_parent(self.out)
        return self.out / MANIFEST


def _holds(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == data
    except OSError:
        return False


def _write(file: int, data: bytes, synced: bool) -> None:
    try:
        fill(file, data)
        if synced:
            os.fsync(file)
    finally:
        os.close(file)


def _is_ours(name: str, ours: re.Pattern[str]) -> bool:
    """Whether a file is one of the run's, under its own name or a temporary one."""
    part = _PART.fullmatch(name)
    return ours.fullmatch(part["name"] if part else name) is not None


def _clear_names(folder: Path, ours: re.Pattern[str]) -> None:
    for name in sorted(os.listdir(folder)):
        if _is_ours(name, ours) and not stat.S_ISDIR(os.lstat(folder / name).st_mode):
            os.unlink(folder / name)
    with suppress(OSError):  # something of another hand lies there
        os.rmdir(folder)
