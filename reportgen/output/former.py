"""A finished run whose reports may be taken over: each is found by its key, and its hash is checked when it is read."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from reportgen.errors import InputError, OutputError
from reportgen.formats import FORMATS
from reportgen.output.durable import open_inside
from reportgen.output.entries import MADE, Entry, bucket_of, read_entry
from reportgen.output.folder import MANIFEST, is_run
from reportgen.output.pack_index import find_entries
from reportgen.output.packs import BROKEN, pack_path, read_listing, take_from

_PACKED = "packs/"


class Former:
    """A finished run, opened for reading.

    Parameters
    ----------
    run : Path

    Notes
    -----
    Of a run with packs one pack at a time is held in memory, some 20 MB for a thousand users.

    Raises
    ------
    InputError
        No run folder, or a run that did not end.
    OutputError
        Its manifest is damaged.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._shard = -1
        self._archive: zipfile.ZipFile | None = None
        self._there: dict[str, list[Entry]] = {}
        if not is_run(run):
            raise InputError(f"{run} is not a run folder of reportgen; name the folder of a finished run with --since")
        try:
            with open_inside(run, MANIFEST) as stream:
                self.manifest: dict[str, Any] = json.load(stream)
            self._files = {
                str(output["path"]): (str(output["sha256"]), int(output["bytes"]))
                for output in self.manifest["outputs"]
            }
        except FileNotFoundError as error:
            raise InputError(f"{run} has no {MANIFEST}, so its run did not end; finish it with --resume") from error
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise OutputError(f"{run}: {MANIFEST} is damaged ({error}); name another run with --since") from error

    @cached_property
    def packed(self) -> bool:
        """Whether reports lie in packs."""
        return any(path.startswith(_PACKED) for path in self._files)

    def paths(self, folder: str) -> list[str]:
        """The files of the run in one of its folders, sorted."""
        return sorted(path for path in self._files if path.startswith(f"{folder}/"))

    def read(self, path: str) -> bytes | None:
        """One file of the run; None when it is not there or not as the manifest says."""
        digest, size = self._files.get(path, ("", -1))
        try:
            with open_inside(self.run, path) as stream:
                data = stream.read(size + 1) if size >= 0 else b""
        except OSError:
            return None
        return data if len(data) == size and sha256(data).hexdigest() == digest else None

    def has(self, key: str) -> bool:
        """Whether a user has a report there, of any format."""
        if self.packed:
            return bool(self._entries(key)[1])
        return any(f"reports/{bucket_of(key)}/{key}.{word}" in self._files for word in FORMATS)

    def take(self, key: str, formats: Iterable[str]) -> dict[str, bytes] | None:
        """The reports of a user.

        Parameters
        ----------
        key : str
            Pseudonym.
        formats : iterable of str

        Returns
        -------
        dict of str to bytes or None
            By format; None unless all of them are there and whole.
        """
        found: dict[str, bytes] = {}
        for word in formats:
            data = self._packed(key, word) if self.packed else self.read(f"reports/{bucket_of(key)}/{key}.{word}")
            if data is None:
                return None
            found[word] = data
        return found

    def _packed(self, key: str, word: str) -> bytes | None:
        with suppress(*BROKEN, OutputError):
            shard, entries = self._entries(key)
            for entry in entries:
                if entry.format == word and (pack := self._pack(shard)) is not None:
                    return take_from(pack, entry)
        return None

    def _entries(self, key: str) -> tuple[int, list[Entry]]:
        """Where the reports of a user lie. The pack that is open is asked first: users come in nearly the same order in every run."""
        if key in self._there:
            return self._shard, self._there[key]
        try:
            found = [entry for entry in find_entries(self.run, key) if entry.status == MADE]
        except OutputError:
            return -1, []
        return (found[0].shard if found else -1), found

    def _pack(self, shard: int) -> zipfile.ZipFile | None:
        """A pack, held in memory once its hash is found to be that of the manifest; None when it is not."""
        if self._shard != shard:
            self.close()
            self._shard, data = shard, self.read(pack_path(shard))
            if data is not None:
                self._archive = zipfile.ZipFile(BytesIO(data))
                for entry in map(read_entry, read_listing(self.run, shard)):
                    if entry.status == MADE:
                        self._there.setdefault(entry.key, []).append(entry)
        return self._archive

    def close(self) -> None:
        """Let go of the pack that is held."""
        self._shard, self._archive = -1, None
        self._there.clear()
