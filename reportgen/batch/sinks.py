"""Where the reports of a shard go: single files in groups, or one pack. Each keeps them until it may write them durably."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from reportgen.batch.people import Person
from reportgen.batch.settings import Failure
from reportgen.formats import FORMATS
from reportgen.output.durable import Durable, remove_inside
from reportgen.output.entries import SET_ASIDE
from reportgen.output.packs import Pack, pack_path

#: Path, SHA-256 and length of a file of the run.
Listed = tuple[str, str, int]


class Files:
    """Reports as single files: collected for a chunk of users, then written in one group.

    Parameters
    ----------
    run : Path
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._waiting: dict[str, bytes] = {}
        self.outputs: list[Listed] = []

    def write(self, path: str, data: bytes, media_type: str = "") -> None:  # noqa: ARG002  (as RunFolder.write)
        """Take one report; IsADirectoryError where something of another hand stands in its place."""
        if (self._run / path).is_dir() and not (self._run / path).is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        self._waiting[path] = data

    def drop(self, paths: set[str]) -> None:
        """Take back what a user has who could not be finished."""
        for path in paths:
            self._waiting.pop(path, None)

    def flush(self) -> None:
        """Bring what waits to the disk.

        Raises
        ------
        OutputError
        """
        with Durable(self._run) as out:
            for path, data in self._waiting.items():
                out.write(path, data)
        self.outputs += [_output(path, data) for path, data in self._waiting.items()]
        self._waiting.clear()

    def close(self, failures: Iterable[Failure], people: Mapping[str, Person]) -> None:
        """Take away what a former attempt at this shard may have left of users who are set aside now."""
        for failed in failures:
            for word in FORMATS:
                with suppress(OSError):
                    remove_inside(self._run, f"{people[failed.user].stem}.{word}")


class Packed(Pack):
    """Reports as one pack, written at the end."""

    def __init__(self, run: Path, shard: int) -> None:
        super().__init__(shard)
        self._run = run
        self.outputs: list[Listed] = []

    def flush(self) -> None:
        """Wait: a pack is sorted by key."""

    def close(self, failures: Iterable[Failure], people: Mapping[str, Person]) -> None:  # noqa: ARG002  (as Files.close)
        """Write the pack.

        Raises
        ------
        OutputError
        """
        for failed in failures:
            self.absent(failed.user, SET_ASIDE)
        parts, digest = self.to_parts()
        data, path = b"".join(parts), pack_path(self.shard)
        with Durable(self._run) as out:
            out.write(path, data)
        self.outputs = [(path, digest, len(data))]


def _output(path: str, data: bytes) -> Listed:
    return path, hashlib.sha256(data).hexdigest(), len(data)
