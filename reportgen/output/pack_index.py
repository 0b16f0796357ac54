"""The index of a run with packs: 256 sorted text files that say in which pack a report lies.

A line of the index is the line that the pack itself has (`reportgen.output.entries`), so the index is the lists of all packs in another
order: it can be made again at any time, with the same bytes. A search reads some twenty lines of one file, whatever its length, and checks
each of them. Its first line holds the length and the hash of the rest: a file cut off is not taken for one in which the key is unknown.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from reportgen.errors import OutputError
from reportgen.output.durable import Durable, no_trouble, open_inside
from reportgen.output.entries import LETTERS, MAX_LINE, Entry, bucket_of, line_key, open_line, read_entry, sealed_line
from reportgen.output.packs import Damage, DamagedError, pack_path, packs_of, read_listing

FOLDER = "index"
SCHEMA = "reportgen.index/1"
MEDIA_TYPE = "application/x-ndjson"
BUCKETS = tuple(f"{k:02x}" for k in range(256))
#: Bytes of lines kept in memory before they go to temporary files, one for each file of the index.
SPILL = 32 << 20
#: The first two letters of a key hold its first byte.
_BUCKET_OF = {first + second: bucket_of(first + second + "a" * 22) for first in LETTERS for second in LETTERS}
_REMEDY = "make the index again from the packs with --resume"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class IndexFile:
    """One file of the index: its path in the run folder, its hash and its length, for the manifest."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Rebuilt:
    """What `rebuild_index` made and what it could not read."""

    files: tuple[IndexFile, ...]
    entries: int
    damaged: tuple[Damage, ...]


def index_path(bucket: str) -> str:
    """Where a file of the index lies in a run folder; `bucket` is one of `BUCKETS`."""
    return f"{FOLDER}/{bucket}.jsonl"


def build_index(run: Path, listings: Iterable[Sequence[bytes]], spill: int = SPILL) -> list[IndexFile]:
    """Write the index, whatever the order of the packs.

    Parameters
    ----------
    run : Path
    listings : iterable of sequence of bytes
        The lines of each pack, see `reportgen.output.packs.read_listing`.
    spill : int
        Bytes of lines in memory. Besides them the largest file of the index is in memory once: a 256th of all lines.

    Raises
    ------
    OutputError
        The disk is full or failing, or a user is in two packs.
    """
    with ExitStack() as stack, no_trouble(run):
        lines = _Sorted(run, stack, spill)
        for listing in listings:
            lines.add(listing)
        made = []
        with Durable(run) as out:
            for bucket in BUCKETS:
                data = index_file(bucket, _single(lines.take(bucket)))
                out.write(index_path(bucket), data)
                made.append(IndexFile(index_path(bucket), hashlib.sha256(data).hexdigest(), len(data)))
    return made


class _Sorted:
    """Lines by bucket: in memory, and beyond `spill` bytes in nameless files, which vanish with the process."""

    def __init__(self, run: Path, stack: ExitStack, spill: int) -> None:
        self._run, self._stack, self._spill = run, stack, spill
        self._lines: dict[str, list[bytes]] = defaultdict(list)
        self._files: dict[str, BinaryIO] = {}
        self._size = 0

    def add(self, listing: Iterable[bytes]) -> None:
        for line in listing:
            self._lines[_BUCKET_OF[line_key(line)[:2]]].append(line)
            self._size += len(line)
        if self._size > self._spill:
            self._out()

    def _out(self) -> None:
        for bucket, lines in self._lines.items():
            if bucket not in self._files:
                file = tempfile.TemporaryFile(dir=self._run, buffering=0)  # noqa: SIM115  (the stack closes it)
                self._files[bucket] = self._stack.enter_context(file)
            # One unbuffered write of many lines: an error shows here and not when the file is closed.
            data = memoryview(b"".join(lines))
            while data:
                data = data[self._files[bucket].write(data) :]
        self._lines.clear()
        self._size = 0

    def take(self, bucket: str) -> list[bytes]:
        lines = self._lines.pop(bucket, [])
        if bucket in self._files:
            self._files[bucket].seek(0)
            lines += self._files[bucket].read().splitlines(keepends=True)
        return sorted(lines)


def _single(lines: list[bytes]) -> list[bytes]:
    """Refuse a user who is in two packs, or twice in one: somebody would get a report that is not counted."""
    for before, line in pairwise(lines):
        if line_key(line) == line_key(before) and not _go_together(before, line):
            where = " and ".join(dict.fromkeys(pack_path(read_entry(one).shard) for one in (before, line)))
            raise OutputError(f"user {line_key(line)} is twice in {where}; the packs are of two runs: use --overwrite")
    return lines


def _go_together(before: bytes, line: bytes) -> bool:
    """Whether two lines of one user are two formats in one pack. Compared as text: millions of them are."""
    (_, first, shard, _), (_, second, other, _) = before.split(b",", 3), line.split(b",", 3)
    return shard == other and first != second and first != b'"format":""'


def index_file(bucket: str, lines: Sequence[bytes]) -> bytes:
    """One file of the index, of its sorted lines."""
    body = b"".join(lines)
    digest = hashlib.sha256(body).hexdigest()
    told = {"schema": SCHEMA, "bucket": bucket, "lines": len(lines), "bytes": len(body), "sha256": digest}
    return sealed_line(told) + body


def rebuild_index(run: Path, spill: int = SPILL) -> Rebuilt:
    """Make the index of a run again from its packs; the bytes are the same when the packs are.

    A pack whose list cannot be read is left out and named. One that is damaged elsewhere is listed: the reports in it that
    are whole can still be had, since each is checked when it is taken out.

    Raises
    ------
    OutputError
        The disk is full or failing, or a user is in two packs.
    """
    damaged: list[Damage] = []
    entries = 0

    def listings() -> Iterator[list[bytes]]:
        nonlocal entries
        for shard in packs_of(run):
            try:
                lines = read_listing(run, shard)
            except DamagedError as error:
                damaged.append(Damage(pack_path(shard), str(error)))
                continue
            entries += len(lines)
            yield lines

    files = build_index(run, listings(), spill)
    return Rebuilt(tuple(files), entries, tuple(damaged))


@contextmanager
def _opened(run: Path, bucket: str) -> Iterator[tuple[int, int, dict[str, object], Callable[[int, int], bytes]]]:
    """Start and end of the lines of one file, what its first line says, and a way to read a part."""
    path = index_path(bucket)
    try:
        with open_inside(run, path) as stream:
            file = stream.fileno()
            head = os.pread(file, MAX_LINE, 0).partition(b"\n")[0] + b"\n"
            told, size = open_line(head), os.fstat(file).st_size
            if told["schema"] != SCHEMA or told["bucket"] != bucket or told["bytes"] != size - len(head):
                raise ValueError("its length or its name is not the one that was noted")
            yield len(head), size, told, lambda start, end: os.pread(file, end - start, start)
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing; {_REMEDY}") from error
    except PermissionError as error:
        raise OutputError(f"{path} cannot be read ({error.strerror}); give the right to read it") from error
    except (OSError, ValueError, KeyError) as error:
        raise DamagedError(f"{path} is damaged ({error}); {_REMEDY}") from error


def find_entries(run: Path, key: str) -> list[Entry]:
    """Everything that the index of a run knows about a user: none, one entry per report, or one that says why there is no report.

    Parameters
    ----------
    run : Path
    key : str
        Pseudonym, 24 letters.

    Raises
    ------
    DamagedError
        The file of the index for this key is missing, cut off, or changed at a line that was read.
    """
    with _opened(run, bucket_of(key)) as (low, high, _, read):
        end = high
        while low < high:
            start, line = _line_around(read, low, high, (low + high) // 2)
            if read_entry(line).key < key:
                low = start + len(line)
            else:
                high = start
        found: list[Entry] = []
        while low < end:
            start, line = _line_around(read, low, end, low)
            entry = read_entry(line)
            if entry.key != key:
                break
            found.append(entry)
            low = start + len(line)
        return found


def _line_around(read: Callable[[int, int], bytes], low: int, high: int, at: int) -> tuple[int, bytes]:
    """The line that holds the byte at `at`, and where it starts; `low` and `high` are borders of lines."""
    first = max(low, at - MAX_LINE)
    block = read(first, min(high, at + MAX_LINE))
    start = block.rfind(b"\n", 0, at - first) + 1
    return first + start, block[start : block.find(b"\n", at - first) + 1]


def check_index(run: Path, buckets: Sequence[str] = BUCKETS) -> Iterator[Damage]:
    """Look at every byte of the index, or of some of its files, and name those that are missing or damaged."""
    for bucket in buckets:
        try:
            with _opened(run, bucket) as (start, end, told, read):
                digest = hashlib.sha256()
                for at in range(start, end, _BLOCK):
                    digest.update(read(at, min(at + _BLOCK, end)))
                if digest.hexdigest() != told["sha256"]:
                    raise ValueError("its SHA-256 is not the one that was noted")
        except DamagedError as error:
            yield Damage(index_path(bucket), str(error))
