"""Files that are whole or not there, also after a power cut: written in groups, read without following links.

A file gets a temporary name beside its place, its bytes, a sync, its own name, and a sync of every folder above it. The syncs are the
dear part, so many files share one round of them. Nothing below the root is reached through a symbolic link.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from reportgen.errors import OutputError
from reportgen.output.places import NEW, READ, ROOT, fill, inside, make_folder, sync_parent

#: Files per group: each keeps a descriptor open until it is synced, and so does its folder; 1,024 are allowed as a rule.
GROUP = 256
_LEFT = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_REMEDY = {
    errno.ENOSPC: "make room or name another folder",
    errno.EDQUOT: "make room within the quota or name another folder",
    errno.EROFS: "mount the disk for writing or name another folder",
    errno.EIO: "the disk may be failing: check it before anything is written again",
    errno.EFBIG: "raise the limit on the size of a file (ulimit -f) or make smaller shards",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EACCES: "give the right to write there or name another folder",
}


@contextmanager
def no_trouble(place: Path) -> Iterator[None]:
    """Turn an error of the operating system into an `OutputError` that names the place and the remedy.

    Raises
    ------
    OutputError
    """
    try:
        yield
    except OSError as error:
        remedy = _REMEDY.get(error.errno or 0, "name another folder")
        raise OutputError(f"{place} cannot be written ({error.strerror}); {remedy}") from error


@dataclass(frozen=True)
class _Staged:
    folder: str
    temporary: str
    name: str
    file: int


class Durable:
    """Writes files below a folder in group commits.

    Parameters
    ----------
    root : Path
        An existing folder. It may itself be reached through a link; nothing below it may.
    group : int, optional
        A commit happens by itself when so many files wait for one.

    Notes
    -----
    As a context manager it commits at the end, and takes everything back that was not committed when an error leaves the block.
    Until a commit, a file that was there before stays as it was. A commit gives names one by one: a process that dies in the
    middle of it leaves some of its files new and others as they were, but none in between.
    """

    def __init__(self, root: Path, group: int = GROUP) -> None:
        self.root = root
        self.group = group
        self._staged: list[_Staged] = []
        self._folders: dict[str, int] = {}

    def write(self, path: str, data: bytes) -> None:
        """Write a file under a temporary name; it gets its own with the next commit.

        Parameters
        ----------
        path : str
            Relative, with ``/``; folders on the way are made.
        data : bytes

        Raises
        ------
        OutputError
            The disk is full or failing, or a folder on the way is a link or a file.
        """
        folder, _, name = path.rpartition("/")
        # Two processes may be given the same shard: neither may touch the other's unfinished file.
        temporary = f".{name.lstrip('.')}.{secrets.token_hex(4)}.part"
        with self._all_or_nothing():
            at = self._open(folder)
            file = os.open(temporary, NEW, 0o666, dir_fd=at)
            self._staged.append(_Staged(folder, temporary, name, file))
            fill(file, data)
        if len(self._staged) >= self.group:
            self.commit()

    def commit(self) -> int:
        """Bring everything that waits to the disk and give it its name; return how many files that were.

        Raises
        ------
        OutputError
            Also when a sync fails. That is never tried again: the system may have dropped the data and say yes the second time.
        """
        staged = self._staged
        with self._all_or_nothing():
            for waiting in staged:
                os.fsync(waiting.file)
            for waiting in staged:
                at = self._folders[waiting.folder]
                os.replace(waiting.temporary, waiting.name, src_dir_fd=at, dst_dir_fd=at)
            self._sync_folders()
        self._staged = []
        self._close(staged)
        return len(staged)

    def abandon(self) -> None:
        """Take away what was not committed."""
        staged, self._staged = self._staged, []
        for waiting in staged:
            with suppress(OSError):
                os.unlink(waiting.temporary, dir_fd=self._folders[waiting.folder])
        self._close(staged)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        try:
            with no_trouble(self.root):
                yield
        except BaseException:
            self.abandon()
            raise

    def _open(self, folder: str) -> int:
        """A descriptor of a folder; each part of the way is opened without following links, and kept for the sync."""
        if "" not in self._folders:
            self._folders[""] = os.open(self.root, ROOT)
        at, way = self._folders[""], ""
        for part in filter(None, folder.split("/")):
            way = f"{way}/{part}" if way else part
            if way not in self._folders:
                self._folders[way] = make_folder(self.root, part, at)
            at = self._folders[way]
        return at

    def _sync_folders(self) -> None:
        """From below to the top, and the root's own name too. A folder that was there may be the unsynced one of a dead process."""
        for folder in sorted(self._folders, reverse=True):
            os.fsync(self._folders[folder])
        if self._folders:
            sync_parent(self.root)

    def _close(self, staged: list[_Staged]) -> None:
        for file in (*(waiting.file for waiting in staged), *self._folders.values()):
            with suppress(OSError):
                os.close(file)
        self._folders = {}

    def __enter__(self) -> Durable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.commit()
        else:
            self.abandon()


def replace_file(path: Path, data: bytes) -> None:
    """Put a small file in place of another in one step, without a sync: for what is written again in a moment.

    A reader sees the old file or the new one. Others may read it, as far as the umask allows.

    Raises
    ------
    OutputError
    """
    temporary = path.with_name(f".{path.name.lstrip('.')}.{secrets.token_hex(4)}.part")
    with no_trouble(path.parent):
        file = os.open(temporary, NEW, 0o666)
        try:
            try:
                fill(file, data)
            finally:
                os.close(file)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def clear_leftovers(root: Path, folder: str) -> int:
    """Take away temporary files that dead processes left in one folder; return how many. Nobody may be writing there.

    Raises
    ------
    OutputError
    """
    with no_trouble(root), inside(root, folder) as at:
        left = sorted(name for name in os.listdir(at) if _LEFT.fullmatch(name))
        for name in left:
            os.unlink(name, dir_fd=at)
    return len(left)


@contextmanager
def open_inside(root: Path, path: str) -> Iterator[BinaryIO]:
    """Open a plain file below a folder for reading, following no link below the root.

    Raises
    ------
    OSError
        Not there, or not a plain file.
    """
    folder, _, name = path.rpartition("/")
    with inside(root, folder) as at:
        file = os.open(name, READ, dir_fd=at)
    with open(file, "rb") as stream:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        yield stream


def list_inside(root: Path, folder: str) -> list[str]:
    """Names in a folder below another, sorted; none when it is not there.

    Raises
    ------
    OSError
        It cannot be read, or is a link.
    """
    try:
        with inside(root, folder) as at:
            return sorted(os.listdir(at))
    except FileNotFoundError:
        return []


def remove_inside(root: Path, path: str) -> None:
    """Take a file below a folder away, following no link below the root; nothing where there is none.

    Raises
    ------
    OSError
        A folder on the way is a link, or it cannot be taken away.
    """
    folder, _, name = path.rpartition("/")
    with suppress(FileNotFoundError), inside(root, folder) as at:
        os.unlink(name, dir_fd=at)
