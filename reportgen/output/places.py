"""Folders and files opened below a root without following links, and synced: what everything that writes a run folder shares."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reportgen.errors import OutputError

#: The root may itself be reached through a link; a folder below it may not.
ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FOLDER = ROOT | os.O_NOFOLLOW
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: A named pipe must not hold the reader up, hence no blocking.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_A_FOLDER = (errno.ELOOP, errno.ENOTDIR)


def make_folder(root: Path, part: str, at: int) -> int:
    """A descriptor of the folder `part` in the folder `at`, made when absent.

    Parameters
    ----------
    root : Path
        Named in the error.
    part : str
    at : int

    Raises
    ------
    OutputError
        There is a link or a file in its place.
    OSError
    """
    with suppress(FileExistsError):
        os.mkdir(part, dir_fd=at)
    try:
        return os.open(part, FOLDER, dir_fd=at)
    except OSError as error:
        if error.errno not in _NOT_A_FOLDER:
            raise
        raise OutputError(f"{root}: {part} is a link or a file; remove it by hand") from error


@contextmanager
def inside(root: Path, folder: str, *, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder below `root`, each part of the way opened without following links.

    Parameters
    ----------
    root : Path
    folder : str
        Relative, with ``/``; empty for the root itself.
    make : bool
        Make what is absent.

    Raises
    ------
    OutputError, OSError
    """
    at = os.open(root, ROOT)
    try:
        for part in filter(None, folder.split("/")):
            below = make_folder(root, part, at) if make else os.open(part, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


def fill(file: int, data: bytes | memoryview) -> None:
    """Write all bytes to a descriptor, however many calls that takes."""
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def sync(path: Path) -> None:
    """Bring a file or a folder to the disk. A failed sync is an error and is never tried again: the data may be gone by then."""
    at = os.open(path, ROOT if path.is_dir() else os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(at)
    finally:
        os.close(at)


def sync_parent(root: Path) -> None:
    """Bring the name of a folder to the disk, which its parent holds."""
    try:
        above = os.open(root.absolute().parent, ROOT)
    except OSError:
        return  # a folder above that may be passed but not read: its entry for the root cannot be synced from here
    try:
        os.fsync(above)
    finally:
        os.close(above)
