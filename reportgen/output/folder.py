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
from reportgen.output.manifest import SCHEMA, Output

MARKER = ".reportgen-run"
MANIFEST = "manifest.json"
#: What a run may have left at the top, in its folders, and in a folder of reports. Nothing else is ever taken away.
_TOP = ("index.html", "errors.jsonl", "run_status.json", "run_plan.json", MANIFEST)
_SHARD = re.compile(r"[0-9a-f]{2}")
_PART = r"(\.[0-9a-f]{8})?(\.part)?"
_TOP_PART = re.compile(r"\.(index\.html|errors\.jsonl|run_status\.json|run_plan\.json|manifest\.json)" + _PART)
_OURS = re.compile(r"\.?[a-z2-7]{24}\.(html|pdf|json|eml)" + _PART)
_FOLDERS = {
    "audit": re.compile(r"\.?fidelity\.json" + _PART),
    "packs": re.compile(r"\.?[0-9]{6,}\.zip" + _PART),
    "index": re.compile(r"\.?[0-9a-f]{2}\.jsonl" + _PART),
}
#: Work in progress, for the owner of the run alone.
WORK = ".work"
_REAL, _MADE_UP = b"a run folder of reportgen\n", b"a run folder of reportgen, made-up data\n"
#: Trouble that would meet every further file too.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


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
    names = _listed(out) if out.exists() else []
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
    try:
        marker = out / MARKER
        return not marker.is_symlink() and marker.read_bytes() == _MADE_UP
    except OSError:
        return False


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
            if not keep or not (out / MARKER).is_file():
                self._put(MARKER, _MADE_UP if synthetic else _REAL)

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
        for name in filter(_TOP_PART.fullmatch, os.listdir(self.out)):
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
                _clear_names(reports / shard, _OURS)

    def clear_work(self) -> None:
        """Take away what a run needs only until it is complete."""
        work = self.out / WORK
        if os.path.lexists(work):
            self._refuse_link(work)
            shutil.rmtree(work)

    def unseal(self) -> None:
        """Take the manifest away: from here on the run is not complete."""
        with self._named(), suppress(FileNotFoundError):
            os.unlink(self.out / MANIFEST)

    def _refuse_link(self, folder: Path) -> None:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            where = folder.relative_to(self.out).as_posix()
            raise OutputError(f"{self.out}: {where} is not a folder of its own but a link or a file; remove it by hand")

    @contextmanager
    def _folder(self, path: str) -> Iterator[int]:
        """A descriptor of the folder that `path` lies in, each part opened without following links."""
        at = os.open(self.out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in path.split("/")[:-1]:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=at)
                try:
                    below = os.open(part, _FOLDER, dir_fd=at)
                except OSError as error:
                    if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                        raise
                    raise OutputError(f"{self.out}: {part} is a link or a file; remove it by hand") from error
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)

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

    def _put(self, path: str, data: bytes, sync: bool = False) -> None:
        name = path.rpartition("/")[2]
        temporary = f".{name.lstrip('.')}.part"
        with self._folder(path) as folder:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            try:
                _fill(os.open(temporary, _NEW, 0o666, dir_fd=folder), data, sync)
                os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def drop(self, paths: set[str]) -> None:
        """Take files of a user back who could not be finished."""
        self.outputs = [output for output in self.outputs if output.path not in paths]
        for path in sorted(paths):
            with suppress(OSError), self._folder(path) as folder:
                os.unlink(path.rpartition("/")[2], dir_fd=folder)

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
                _sync(self.out / output.path)
            for folder in sorted(folders, reverse=True):
                _sync(self.out / folder)
            self._put(MANIFEST, manifest, sync=True)
            _sync(self.out)
        return self.out / MANIFEST


def _clear_names(folder: Path, ours: re.Pattern[str]) -> None:
    for name in sorted(os.listdir(folder)):
        if ours.fullmatch(name) and not stat.S_ISDIR(os.lstat(folder / name).st_mode):
            os.unlink(folder / name)
    with suppress(OSError):  # something of another hand lies there
        os.rmdir(folder)


def _fill(file: int, data: bytes, sync: bool) -> None:
    with open(file, "wb", buffering=0) as stream:
        left = memoryview(data)
        while left:
            left = left[stream.write(left) :]
        if sync:
            os.fsync(stream.fileno())


def _sync(path: Path) -> None:
    """A failed sync is an error and is never tried again: the data may be gone by then."""
    at = os.open(path, os.O_RDONLY | os.O_NOFOLLOW * (not path.is_dir()) | os.O_CLOEXEC)
    try:
        os.fsync(at)
    finally:
        os.close(at)
