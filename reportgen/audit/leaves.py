"""What a leaf says of one user, and the two files that hold leaves and salts of a run in 47 and 16 bytes per user.

A leaf covers all reports of one user. Its content is the list that ``sha256sum`` prints of them, in the order of paths:

    leaf = SHA-256(0x00 || salt || SHA-256(list)),  list = "<sha256>  reports/<2 hex>/<key>.<format>\\n" ...

So a leaf binds the key, the formats and every byte of them. Leaves stand in the order of the bytes of the keys. The salt keeps a leaf from
being guessed by who knows what the report may have said; erasing a user erases the salt, and the leaf stays as a number that says nothing.

Salts are not random, or the same run could not be made again byte by byte: ``HMAC-SHA256(HMAC-SHA256(secret, label || run_id), key)``, the
first 16 bytes. The holder of the secret of a run can therefore compute the salt of an erased user again, and test a guess of the erased
report against its leaf. For all others the leaf is closed for good, and for everybody once the secret is destroyed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from reportgen.audit.merkle import LENGTH, leaf_hash, merkle_root
from reportgen.errors import OutputError
from reportgen.output.durable import open_inside
from reportgen.output.entries import PATH, bucket_of

LEAVES, SALTS = "audit/leaves.bin", "audit/salts.bin"
MEDIA_TYPE = "application/octet-stream"
_LEAVES_HEAD, _SALTS_HEAD = b"reportgen.leaves/1\n", b"reportgen.salts/1\n"
_LABEL = b"reportgen/v1/salt|"
KEY_BYTES, SALT_BYTES = 15, 16
_RECORD = KEY_BYTES + LENGTH
#: In place of the salt of an erased user, and in place of the key after a purge.
NO_SALT, NO_KEY = bytes(SALT_BYTES), bytes(KEY_BYTES)


def raw_key(key: str) -> bytes:
    """The 15 bytes of a pseudonym."""
    return base64.b32decode(key.upper())


def text_key(raw: bytes) -> str:
    """The 24 letters of a pseudonym."""
    return base64.b32encode(raw).decode("ascii").lower()


def salt_seed(secret: bytes, run_id: str) -> bytes:
    """What the salts of one run are derived from."""
    return hmac.new(secret, _LABEL + run_id.encode("ascii"), hashlib.sha256).digest()


def salt_of(seed: bytes, raw: bytes) -> bytes:
    """Salt of one user; never the sixteen zeros that stand for an erased one."""
    return hmac.digest(seed, raw, "sha256")[:SALT_BYTES].replace(NO_SALT, b"\1" * SALT_BYTES)


def report_path(key: str, word: str) -> str:
    """Path of one report in a run folder, or in the pack of its shard."""
    return f"reports/{bucket_of(key)}/{key}.{word}"


def list_digest(key: str, hashes: Mapping[str, str]) -> bytes:
    """SHA-256 of the list of a user's reports.

    Parameters
    ----------
    key : str
        Pseudonym.
    hashes : mapping of str to str
        Format -> SHA-256 in hexadecimal digits.
    """
    stem = report_path(key, "")
    return hashlib.sha256(
        "".join(f"{hashes[word]}  {stem}{word}\n" for word in sorted(hashes)).encode("ascii")
    ).digest()


def user_leaf(salt: bytes, key: str, hashes: Mapping[str, str]) -> bytes:
    """Leaf of one user."""
    return leaf_hash(salt + list_digest(key, hashes))


@dataclass
class Leaves:
    """All leaves of a run, in the order of their keys.

    Attributes
    ----------
    keys : list of bytes
        15 bytes each.
    hashes : list of bytes
        32 bytes each.
    salts : list of bytes
        16 bytes each; `NO_SALT` where the user was erased.
    """

    keys: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    salts: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def root(self) -> bytes:
        """The Merkle root."""
        return merkle_root(self.hashes)

    def find(self, key: str) -> int | None:
        """Place of a user's leaf; None when there is none."""
        raw = raw_key(key)
        at = bisect_left(self.keys, raw)
        return at if at < len(self.keys) and self.keys[at] == raw else None

    def leaves_file(self) -> bytes:
        """For `LEAVES`: a line, then key and leaf of each user."""
        return _LEAVES_HEAD + b"".join([part for pair in zip(self.keys, self.hashes, strict=True) for part in pair])

    def salts_file(self) -> bytes:
        """For `SALTS`: a line, then the salts in the same order."""
        return _SALTS_HEAD + b"".join(self.salts)


def make_leaves(users: Iterable[tuple[str, Mapping[str, str]]], seed: bytes) -> Leaves:
    """Leaves of users, each with the hashes of the reports by format, in the order of `by_key`."""
    made = Leaves()
    for key, hashes in users:
        raw = raw_key(key)
        salt = salt_of(seed, raw)
        made.keys.append(raw)
        made.salts.append(salt)
        made.hashes.append(user_leaf(salt, key, hashes))
    return made


def by_key(files: Iterable[tuple[str, str]]) -> Iterator[tuple[str, dict[str, str]]]:
    """Group paths and hashes of reports by user, in the order of the bytes of the keys; other files are passed over."""
    users: dict[str, dict[str, str]] = {}
    for path, digest in files:
        if (match := PATH.fullmatch(path)) is not None:
            users.setdefault(match["key"], {})[match["format"]] = digest
    for key in sorted(users, key=raw_key):
        yield key, users[key]


def read_leaves(run: Path, most: int) -> Leaves:
    """Read both files of a run; without salts, which a purge takes away, every user counts as erased.

    Parameters
    ----------
    run : Path
    most : int
        Users at most; a larger file is refused unread.

    Raises
    ------
    OutputError
        One is missing, too large, cut off, or out of order.
    """
    records = _records(run, LEAVES, _LEAVES_HEAD, _RECORD, most)
    if records is None:
        raise OutputError(f"{LEAVES} is missing, so nothing proves the reports")
    salts = _records(run, SALTS, _SALTS_HEAD, SALT_BYTES, most)
    keys = [record[:KEY_BYTES] for record in records]
    if any(before > after or before == after != NO_KEY for before, after in pairwise(keys)):
        raise OutputError(f"{LEAVES} is damaged (its keys are not in their order)")
    if salts is not None and len(salts) != len(records):
        raise OutputError(f"{SALTS} has {len(salts)} salts for {len(records)} leaves")
    return Leaves(keys, [record[KEY_BYTES:] for record in records], salts or [NO_SALT] * len(records))


def _records(run: Path, path: str, head: bytes, size: int, most: int) -> list[bytes] | None:
    try:
        with open_inside(run, path) as stream:
            data = stream.read(len(head) + size * most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{path} cannot be read ({error.strerror})") from error
    body = data[len(head) :]
    if not data.startswith(head) or len(body) % size or len(body) // size > most:
        raise OutputError(f"{path} is damaged (not the length or the first line of such a file)")
    return [body[at : at + size] for at in range(0, len(body), size)]
