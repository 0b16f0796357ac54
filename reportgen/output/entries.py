"""One line for each report in a pack: what it is, where it lies, its hash, and a checksum of the line itself.

The same line stands in the list inside a pack and in the index of a run. Lines begin with the key and have a fixed form, so that sorted
lines are sorted by key and format, and an index can be searched without being read.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass

#: What became of a user: `made` stands at a report, the others at a user who has none.
MADE, SET_ASIDE, OPTED_OUT = "made", "set_aside", "opted_out"
ABSENT = (SET_ASIDE, OPTED_OUT)
#: Base32, in the order in which lines are sorted.
LETTERS = "234567abcdefghijklmnopqrstuvwxyz"
KEY = re.compile(r"[a-z2-7]{24}")
PATH = re.compile(r"reports/(?P<folder>[0-9a-f]{2})/(?P<key>[a-z2-7]{24})\.(?P<format>[a-z]{2,8})")
#: A line is shorter than this: 24 letters of key, 64 of hash, a path of at most 44.
MAX_LINE = 384
_HEAD = len(b'{"key":"')
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}\n')
_CRC_BYTES = len(b',"crc":"00000000"}\n')


@dataclass(frozen=True)
class Entry:
    """One report, or one user who has none.

    Attributes
    ----------
    key : str
        Pseudonym of the user.
    format : str
        Of `reportgen.formats.FORMATS`; empty for a user without a report.
    shard : int
    member : str
        Path inside the pack: ``reports/<2 hex>/<key>.<format>``, the same that the file has in a run without packs.
    bytes : int
    sha256 : str
        Both of the report itself, not of its compressed form.
    status : str
        `MADE`, or one of `ABSENT`.
    """

    key: str
    format: str
    shard: int
    member: str
    bytes: int
    sha256: str
    status: str


def bucket_of(key: str) -> str:
    """First byte of a key as two hex digits: the folder of a report and the file of the index that knows it."""
    return f"{base64.b32decode(key.upper())[0]:02x}"


def line_key(line: bytes) -> str:
    """Key of a line, without reading the rest of it."""
    return line[_HEAD : _HEAD + 24].decode("ascii", "replace")


def sealed_line(plain: dict[str, object]) -> bytes:
    """One line of JSON, fields in the order given, with a CRC-32 of everything before it as the last field."""
    body = json.dumps(plain, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")[:-1]
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def open_line(line: bytes) -> dict[str, object]:
    """Check the checksum of a line and read it.

    Raises
    ------
    ValueError
        A byte of it is not as it was written.
    """
    found = _CRC.fullmatch(line[-_CRC_BYTES:])
    if found is None or int(found[1], 16) != zlib.crc32(line[:-_CRC_BYTES]):
        raise ValueError("the checksum of a line is wrong")
    plain: dict[str, object] = json.loads(line)
    del plain["crc"]
    return plain


def entry_line(entry: Entry) -> bytes:
    """The entry as one line of JSON that ends with its own CRC-32."""
    return sealed_line(vars(entry))


def read_entry(line: bytes) -> Entry:
    """Read a line of the list of a pack or of an index.

    Raises
    ------
    ValueError
        A byte of it is not as it was written, or it is no such line.
    """
    try:
        return Entry(**open_line(line))  # type: ignore[arg-type]  # the checksum says that it was written from an Entry
    except TypeError as error:
        raise ValueError("a line has other fields than an entry") from error
