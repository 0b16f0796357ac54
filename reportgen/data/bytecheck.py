"""The bytes of a text file, checked in one stream before any parser sees them, and rewritten only where needed."""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reportgen.config import InputConfig
from reportgen.data.schema import show
from reportgen.data.sources import Source
from reportgen.errors import InputError

CHUNK = 1 << 20
HEADER_LIMIT = 4 << 20
# Below this size a high ratio is no danger, and short repetitive files reach it honestly.
RATIO_FLOOR = 16 << 20
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass
class Counts:
    """What one pass over the bytes found."""

    size: int = 0
    newlines: int = 0
    returns: int = 0
    pairs: int = 0
    nuls: int = 0

    @property
    def plain(self) -> bool:
        """Whether the parser can read the file as it is: one kind of line end and no NUL."""
        return not self.nuls and (not self.returns or self.returns == self.newlines == self.pairs)


@dataclass(frozen=True)
class Checked:
    """A text file that may be parsed.

    Attributes
    ----------
    path : Path
        The file itself, or its rewritten copy.
    compression : str
        Of ``path``.
    header : tuple of str
    nuls : int
        NUL bytes that were replaced.
    """

    path: Path
    compression: str
    header: tuple[str, ...]
    nuls: int


def raw_chunks(source: Source) -> Iterator[bytes]:
    """Stream a plain or gzip file, unpacked."""
    assert source.path is not None
    try:
        with gzip.open(source.path) if source.compression == "gz" else open(source.path, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{show(source.name)}: the compressed file is damaged ({error})") from error
    except OSError as error:
        raise InputError(f"{show(source.name)}: cannot be read ({error.strerror or error})") from error


def check_text(source: Source, chunks: Iterable[bytes], config: InputConfig, copy: Path) -> Checked:
    """Check a text file and, where the parser could stumble, write a clean copy.

    Parameters
    ----------
    source : Source
    chunks : iterable of bytes
        The unpacked content.
    config : InputConfig
    copy : Path
        Where a rewritten file may be put.

    Raises
    ------
    InputError
        Wrong encoding (with line and byte offset), a decompression bomb, an empty file, an unusable header.
    """
    assert source.path is not None
    path, compression = source.path, source.compression
    stream = _within_ratio(chunks, source, config)
    if codecs.lookup(config.encoding).name not in ("utf-8", "utf-8-sig", "ascii"):
        _write(copy, _recoded(stream, source, config.encoding))
        path, compression, stream = copy, "", _file_chunks(copy)
    elif compression == "zst":
        _write(copy, stream)
        path, compression, stream = copy, "", _file_chunks(copy)
    counts, first = _scan(stream, source, config)
    if not counts.plain:
        reread = raw_chunks(Source(source.name, path, source.delimiter, compression))
        clean = copy.with_suffix(".clean")
        _write(clean, _mended(reread))
        path, compression = clean, ""
    return Checked(path, compression, _header(first, source), counts.nuls)


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with open(path, "wb") as file:
        file.writelines(chunks)


def _file_chunks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _within_ratio(chunks: Iterable[bytes], source: Source, config: InputConfig) -> Iterator[bytes]:
    assert source.path is not None
    limit = max(RATIO_FLOOR, config.max_ratio * source.path.stat().st_size) if source.compression else float("inf")
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise InputError(
                f"{show(source.name)}: unpacks to more than {config.max_ratio:g} times its size; "
                "if the file can be trusted, raise [input] max_ratio"
            )
        yield chunk


def _recoded(chunks: Iterable[bytes], source: Source, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    for chunk in _peek_end(chunks):
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{show(source.name)}: not valid {encoding} near byte {done + error.start} ({error.reason}); "
                "correct [input] encoding"
            ) from error
        done += len(chunk)
        yield text.encode("utf-8", "replace")


def _peek_end(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, then an empty one: the decoder's sign to finish."""
    yield from (chunk for chunk in chunks if chunk)
    yield b""


def _scan(chunks: Iterable[bytes], source: Source, config: InputConfig) -> tuple[Counts, bytes]:
    """Count line ends and NULs, hold the text to UTF-8, and return the first line."""
    counts, first, last = Counts(), b"", b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in _peek_end(chunks):
        if not counts.size:
            _refuse_marks(chunk, source)
        _decode(decoder, chunk, counts, source)
        if not _complete(first):
            first += chunk
        counts.size += len(chunk)
        counts.newlines += chunk.count(b"\n")
        counts.returns += chunk.count(b"\r")
        counts.pairs += chunk.count(b"\r\n") + (last == b"\r" and chunk[:1] == b"\n")
        counts.nuls += chunk.count(b"\0")
        last = chunk[-1:]
        if max(counts.newlines, counts.returns) > config.max_rows + 1:
            raise InputError(f"{show(source.name)}: more rows than [input] max_rows = {config.max_rows}; raise it")
    if not counts.size or not first.strip():
        raise InputError(f"{show(source.name)}: the file is empty; it needs a header line and rows")
    if len(first) > HEADER_LIMIT and not _line_end(first):
        raise InputError(f"{show(source.name)}: line 1 is longer than {HEADER_LIMIT} bytes; is this a table of text?")
    return counts, first


def _complete(first: bytes) -> bool:
    return _line_end(first) or len(first) > HEADER_LIMIT


def _line_end(text: bytes) -> bool:
    return b"\n" in text or b"\r" in text[:-1]


def _refuse_marks(chunk: bytes, source: Source) -> None:
    found = next((name for mark, name in _MARKS if chunk.startswith(mark)), "")
    if not found and chunk[:64].count(b"\0") >= 8:
        found = "utf-16-le" if chunk[1:2] == b"\0" else "utf-16-be"
    if found:
        raise InputError(
            f'{show(source.name)}: is encoded as {found}, not UTF-8; set [input] encoding = "{found}" or convert it'
        )


def _decode(decoder: codecs.IncrementalDecoder, chunk: bytes, counts: Counts, source: Source) -> None:
    pending = len(decoder.getstate()[0])
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        start = error.start - pending
        seen = chunk[: max(start, 0)]
        line = 1 + max(counts.newlines + seen.count(b"\n"), counts.returns + seen.count(b"\r"))
        raise InputError(
            f"{show(source.name)}: line {line}, byte {counts.size + start}: not valid UTF-8; "
            'if the file is in another encoding set it, for example [input] encoding = "latin-1"'
        ) from error


def _mended(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Every line end as LF, every NUL as U+FFFD."""
    held = b""
    for chunk in _peek_end(chunks):
        text = held + chunk
        # A CR at the very end may be half of CR LF: it waits for the next chunk.
        held = b"\r" if chunk and text.endswith(b"\r") else b""
        text = text[: len(text) - len(held)]
        yield text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", "\ufffd".encode())


def _header(first: bytes, source: Source) -> tuple[str, ...]:
    """Split the header line and refuse one that cannot name columns."""
    text = first.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").replace("\r", "\n").replace("\0", "\ufffd")
    line = next(iter(text.split("\n")), "")
    try:
        names = next(csv.reader([line], delimiter=source.delimiter, strict=True), [])
    except csv.Error as error:
        raise InputError(f"{show(source.name)}: line 1: the header cannot be read ({error})") from error
    if not line.strip():
        raise InputError(f"{show(source.name)}: line 1 is blank; the header must stand there")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f'{show(source.name)}: the header names "{show(twice)}" twice; rename one of the columns')
    other = next((mark for mark in ";\t|," if mark != source.delimiter and mark in line), "")
    if len(names) == 1 and other:
        shown = "\\t" if other == "\t" else other
        raise InputError(f'{show(source.name)}: found 1 column named "{show(line)}"; set [input] delimiter = "{shown}"')
    return tuple(names)
