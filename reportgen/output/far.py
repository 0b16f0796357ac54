"""A finished run that lies at a URL, read in parts: one report costs the manifest, one file of the index and one member of a pack.

What is read is checked as in a run folder, from above: the manifest has the hash of each file, a file of the index has the hash of each
report. A pack is a ZIP, whose end says where its members lie; so its end and the one member are fetched, and never the rest.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NoReturn

from reportgen.errors import InputError, OutputError
from reportgen.output.entries import Entry, bucket_of, line_key, read_entry
from reportgen.output.folder import MANIFEST, MARKER
from reportgen.output.pack_index import index_path
from reportgen.output.packs import BROKEN, DamagedError, pack_path, take_from
from reportgen.output.store import Store

#: What `zipfile` looks through for the end of a ZIP: its last record and the longest comment.
_END = (1 << 16) + 22
#: The head of a member before its name; and what a member may take beyond the report itself when that does not compress.
_HEAD, _MORE = 30, 1 << 10
_AGAIN = "copy the run there again"


#: What a manifest says of one file: ``path``, ``sha256``, ``bytes``. Not made into objects: a run may have 100,000 of them.
Facts = Mapping[str, Any]


def parsed(data: bytes) -> tuple[dict[str, Any], dict[str, Facts]]:
    """Read a manifest: all that it says, and its files by path.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        manifest = dict(json.loads(data))
        outputs = manifest["outputs"]
        if not all({"path", "sha256", "bytes"} <= output.keys() for output in outputs):
            raise ValueError("an output without path, hash or length")
        return manifest, {output["path"]: output for output in outputs}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


class FarRun:
    """A copy of a run at a URL.

    Parameters
    ----------
    url : str
        What ``build --copy-to`` was given.
    options : mapping, optional
        As for `reportgen.output.store.Store`.

    Attributes
    ----------
    name : str
        The URL as it may be said.
    manifest : dict
    files : dict of str to Facts
        What the manifest says of the files, by path: they are checked against it.

    Raises
    ------
    ConfigError
        fsspec or the package for this kind of URL is not installed, or the kind is not known.
    InputError
        No run there.
    OutputError
        It cannot be reached, the copy did not end, or its manifest is damaged (`DamagedError`).
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.store = Store(url, options)
        self.name = self.store.name
        with self.store.trouble():
            found = self.store.read(MANIFEST)
            if found is None:
                self._nothing()
        try:
            self.manifest, self.files = parsed(found)
        except BROKEN as error:
            raise DamagedError(f"{self.name}: {MANIFEST} is damaged ({error}); {_AGAIN}") from error

    def _nothing(self) -> NoReturn:
        if self.store.read(MARKER) is None:
            raise InputError(f"{self.name} holds no run of reportgen; name what build was given with --copy-to")
        raise OutputError(f"{self.name} has no {MANIFEST}, so its copy did not end; {_AGAIN} with --resume --copy-to")

    def read(self, path: str) -> bytes:
        """A whole file of the run.

        Raises
        ------
        DamagedError
            It is missing, or not what the manifest says.
        OutputError
            The store fails.
        """
        with self._whole(path):
            wanted = self.files[path]
            with self.store.trouble():
                data = self.store.read(path)
            if data is None:
                raise ValueError("it is not there")
            if len(data) != wanted["bytes"]:
                raise ValueError(f"it has {len(data)} bytes of {wanted['bytes']}")
            if sha256(data).hexdigest() != wanted["sha256"]:
                raise ValueError(f"its SHA-256 is not the one in {MANIFEST}")
        return data

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of a file, which is read as `read` does."""
        yield from self.read(path).splitlines()

    @contextmanager
    def _whole(self, path: str, what: str = "") -> Iterator[None]:
        """Say of what is wrong with a file where it lies and what helps; troubles of the store are no damage and pass through."""
        try:
            yield
        except BROKEN as error:
            why = "the manifest does not know it" if isinstance(error, KeyError) and error.args == (path,) else error
            told = f"{self.name}: {path} is damaged{what and f' at {what}'} ({why}); {_AGAIN}"
            raise DamagedError(told) from error

    def entries(self, key: str) -> list[Entry]:
        """As `reportgen.output.pack_index.find_entries`; the one file of the index is read as a whole, since each read is a journey.

        Raises
        ------
        OutputError
            As `read`.
        """
        path = index_path(bucket_of(key))
        lines = self.read(path).splitlines(keepends=True)[1:]
        with self._whole(path):
            return [read_entry(line) for line in lines if line_key(line) == key]

    def report(self, entry: Entry) -> bytes:
        """One report out of its pack, of which only the end and the member are fetched.

        Raises
        ------
        DamagedError
            The pack is missing or cut off, or the report in it is not the one that was written.
        OutputError
            The store fails.
        """
        path = pack_path(entry.shard)
        with self._whole(path, entry.member):
            stream = _Parts(self.store, path, self.files[path]["bytes"])
            stream.hold(stream.size - _END, stream.size)
            with zipfile.ZipFile(stream) as archive:
                member = archive.getinfo(entry.member)
                most = _HEAD + len(entry.member) + min(member.compress_size, entry.bytes + _MORE)
                stream.hold(member.header_offset, member.header_offset + most)
                return take_from(archive, entry)


class _Parts(io.RawIOBase):
    """A file of a store as a stream. What is read is fetched in one journey, unless it was fetched before with `hold`."""

    def __init__(self, store: Store, path: str, size: int) -> None:
        self._store, self._path, self.size = store, path, size
        self._at, self._start, self._held = 0, 0, b""

    def hold(self, start: int, end: int) -> None:
        """Fetch a part, as far as it lies in the file, and keep it instead of what was kept before."""
        start, end = max(start, 0), min(end, self.size)
        kept = self._start + len(self._held)
        if self._start <= start and end <= kept:
            return
        if start < self._start <= end <= kept:  # the list of members, whose last part is in the end of the ZIP
            self._held = self._fetch(start, self._start) + self._held
        else:
            self._held = self._fetch(start, end)
        self._start = start

    def _fetch(self, start: int, end: int) -> bytes:
        with self._store.trouble():
            try:
                found = self._store.part(self._path, start, end)
            except FileNotFoundError:
                found = None
        if found is None:
            raise ValueError("it is not there")
        if len(found) < end - start:
            raise ValueError(f"it is cut off: not {self.size} bytes")
        return found

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self.size)
        if end <= self._at:
            return 0
        self.hold(self._at, end)
        data = self._held[self._at - self._start : end - self._start]
        buffer[: len(data)] = data
        self._at = end
        return len(data)
