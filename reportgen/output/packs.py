"""A pack: the reports of one shard in one ZIP, the same bytes for the same reports, with a seal over the whole file.

Unpacked in the run folder, all packs together give the folders of a run without packs. A pack knows by itself what is in it
(`LISTING`) and whether a byte of it has changed (its comment), so that the index of a run can be made from packs alone.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from reportgen.errors import OutputError
from reportgen.output.durable import list_inside, open_inside
from reportgen.output.entries import ABSENT, MADE, MAX_LINE, PATH, Entry, entry_line, open_line, read_entry, sealed_line
from reportgen.output.zipped import Member, zip_parts

FOLDER, LISTING = "packs", "pack.jsonl"
SCHEMA = "reportgen.pack/1"
MEDIA_TYPE = "application/zip"
#: A PDF is compressed inside. Everything else is text.
_STORED = ("pdf",)
_SEAL, _DIGITS = b"sha256:", 64
_NAME = re.compile(r"(\d{6,})\.zip")
_BLOCK = 1 << 20
#: What reading a ZIP with a changed byte can end in.
BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, KeyError, RuntimeError, OverflowError,
)  # fmt: skip


class DamagedError(OutputError):
    """A pack or an index does not hold what was written into it."""


@dataclass(frozen=True)
class Damage:
    """One damaged file of a run folder, with what is wrong with it."""

    path: str
    reason: str


def pack_path(shard: int) -> str:
    """Where the pack of a shard lies in a run folder."""
    return f"{FOLDER}/{shard:06}.zip"


def packs_of(run: Path) -> list[int]:
    """The shards of a run folder that have a pack, in their order."""
    found = (_NAME.fullmatch(name) for name in list_inside(run, FOLDER))
    return sorted(int(match[1]) for match in found if match)


class Pack:
    """Collects the reports of one shard; takes the place of a `RunFolder` where reports are written.

    Parameters
    ----------
    shard : int
        Number of the shard, from 0.

    Notes
    -----
    A ZIP is written in the order of keys, and reports come in the order of users. So each is compressed when it comes, and that is
    kept until `to_parts`: about 18 kB for a user with HTML and JSON, where the reports themselves have 75.
    """

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self._files: dict[str, tuple[Entry, Member]] = {}
        self._absent: dict[str, str] = {}

    def write(self, path: str, data: bytes, media_type: str = "") -> None:  # noqa: ARG002  (as RunFolder.write)
        """Take one report.

        Parameters
        ----------
        path : str
            ``reports/<2 hex>/<key>.<format>``, see `reportgen.batch.people.report_stem`.
        data : bytes
        media_type : str
            Not used; the format says it.

        Raises
        ------
        ValueError
            Another path, or one that is there already.
        """
        match = PATH.fullmatch(path)
        if match is None or path in self._files:
            raise ValueError(f"{path!r} is not the path of a report or is in the pack already")
        digest = sha256(data).hexdigest()
        entry = Entry(match["key"], match["format"], self.shard, path, len(data), digest, MADE)
        self._files[path] = entry, Member.of(data, match["format"] in _STORED)

    def drop(self, paths: set[str]) -> None:
        """Take back reports of a user who could not be finished."""
        for path in paths:
            self._files.pop(path, None)

    def absent(self, key: str, status: str) -> None:
        """Note a user who has no report, and why: one of `reportgen.output.entries.ABSENT`."""
        if status not in ABSENT:
            raise ValueError(f"{status!r} is not one of {', '.join(ABSENT)}")
        self._absent[key] = status

    def entries(self) -> list[Entry]:
        """What the pack says about its reports, in the order of keys and formats."""
        found = [Entry(key, "", self.shard, "", 0, "", status) for key, status in self._absent.items()]
        found += [entry for entry, _ in self._files.values()]
        return sorted(found, key=lambda entry: (entry.key, entry.format))

    def to_parts(self) -> tuple[list[bytes], str]:
        """The ZIP, sealed, as parts that follow each other, and the SHA-256 of the whole.

        Its bytes follow from the reports and from what compresses: see `reportgen.output.zipped.deflate_version`.
        """
        entries = self.entries()
        members = [(LISTING, Member.of(_listing(self.shard, entries)))]
        members += [(entry.member, self._files[entry.member][1]) for entry in entries if entry.status == MADE]
        # The seal is the end of the ZIP's comment, which the ZIP only needs to know the length of.
        *parts, comment = zip_parts(members, _SEAL + b"0" * _DIGITS)
        parts.append(comment[:-_DIGITS])
        digest = sha256()
        for part in parts:
            digest.update(part)
        seal = digest.hexdigest().encode("ascii")
        digest.update(seal)
        return [*parts, seal], digest.hexdigest()

    def to_bytes(self) -> bytes:
        """The ZIP, sealed."""
        return b"".join(self.to_parts()[0])


def _listing(shard: int, entries: Sequence[Entry]) -> bytes:
    head = sealed_line({"schema": SCHEMA, "shard": shard, "lines": len(entries)})
    return b"".join([head, *map(entry_line, entries)])


@contextmanager
def _readable(shard: int, what: str = "") -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedError(f"{pack_path(shard)} is missing; make it again with --resume") from error
    except PermissionError as error:
        raise OutputError(f"{pack_path(shard)} cannot be read ({error.strerror}); give the right to read it") from error
    except BROKEN as error:
        told = f"{pack_path(shard)} is damaged{what and f' at {what}'}"
        raise DamagedError(f"{told} ({error}); make it again with --resume") from error


def check_pack(run: Path, shard: int) -> list[bytes]:
    """See whether every byte of a pack is as it was written, and whether it is the pack of that shard. No report is unpacked for that.

    Returns
    -------
    list of bytes
        As `read_listing`.

    Raises
    ------
    DamagedError
        The pack is missing, cut off or changed.
    """
    with _readable(shard), open_inside(run, pack_path(shard)) as stream:
        size, digest = stream.seek(0, 2), hashlib.sha256()
        stream.seek(0)
        for at in range(0, max(size - _DIGITS, 0), _BLOCK):
            digest.update(stream.read(min(_BLOCK, size - _DIGITS - at)))
        if stream.read() != digest.hexdigest().encode("ascii"):
            raise ValueError("its seal is broken")
        return _lines(stream, shard)


def read_listing(run: Path, shard: int) -> list[bytes]:
    """The lines of a pack about its reports; the rest of the pack is not read.

    The ZIP's own checksum covers them, so they are not checked one by one.

    Raises
    ------
    DamagedError
    """
    with _readable(shard, LISTING), open_inside(run, pack_path(shard)) as stream:
        return _lines(stream, shard)


def _lines(stream: BinaryIO, shard: int) -> list[bytes]:
    with zipfile.ZipFile(stream) as archive:
        head, *lines = archive.read(LISTING).splitlines(keepends=True) or [b""]
    told = open_line(head)
    if told != {"schema": SCHEMA, "shard": shard, "lines": len(lines)}:
        raise ValueError("it is the list of another pack or of another version")
    if any(len(line) > MAX_LINE for line in lines):
        raise ValueError("a line is too long")
    return lines


def read_report(run: Path, entry: Entry) -> bytes:
    """Take one report out of its pack.

    Raises
    ------
    DamagedError
        The pack is missing, or the report in it is not the one that was written.
    """
    path = pack_path(entry.shard)
    with _readable(entry.shard, entry.member), open_inside(run, path) as stream, zipfile.ZipFile(stream) as archive:
        return take_from(archive, entry)


def take_from(archive: zipfile.ZipFile, entry: Entry) -> bytes:
    """One report out of an open pack; an error of `BROKEN` when it is not the one that was written."""
    with archive.open(entry.member) as member:
        data = member.read(entry.bytes + 1)  # never more than was written, whatever the pack says now
    if len(data) != entry.bytes or sha256(data).hexdigest() != entry.sha256:
        raise ValueError("its SHA-256 is not the one that was noted")
    return data


def find_damage(run: Path, shards: Sequence[int] | None = None) -> Iterator[Damage]:
    """Look at every byte of the packs of a run and name what is damaged, with the reports that are lost by it.

    Parameters
    ----------
    run : Path
    shards : sequence of int, optional
        Those that must be there; all that are there when None.

    Yields
    ------
    Damage
    """
    for shard in packs_of(run) if shards is None else shards:
        try:
            check_pack(run, shard)
        except DamagedError as error:
            yield Damage(pack_path(shard), f"{error}. {_lost(run, shard)}")


def _lost(run: Path, shard: int) -> str:
    try:
        entries = [read_entry(line) for line in read_listing(run, shard)]
        with open_inside(run, pack_path(shard)) as stream, zipfile.ZipFile(stream) as archive:
            lost = [entry.member for entry in entries if entry.status == MADE and not _whole(archive, entry)]
    except (DamagedError, *BROKEN):
        return "Nothing in it can be trusted"
    return f"{len(lost)} reports in it are lost" + (f", the first is {lost[0]}" if lost else "")


def _whole(archive: zipfile.ZipFile, entry: Entry) -> bool:
    try:
        take_from(archive, entry)
    except BROKEN:
        return False
    return True
