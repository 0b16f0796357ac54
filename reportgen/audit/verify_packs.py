"""The reports in packs against the leaves, the packs against what they list, and the index against the packs."""

from __future__ import annotations

import hashlib
import secrets
import struct
import zipfile
import zlib
from collections import defaultdict
from hashlib import sha256
from io import BytesIO
from typing import Any

from reportgen.audit.leaves import report_path
from reportgen.audit.verify_reports import Reports, check_users
from reportgen.output.durable import open_inside
from reportgen.output.entries import MADE, SET_ASIDE, Entry, read_entry
from reportgen.output.pack_index import BUCKETS, index_path
from reportgen.output.packs import LISTING, DamagedError, find_damage, pack_path, read_listing

_LOCAL_HEADER = 30
#: What a pack can end in that somebody wrote to do harm.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, KeyError, RuntimeError, TypeError,
    AttributeError, OverflowError, DamagedError,
)  # fmt: skip
#: A report is far smaller; what lists more is not unpacked.
_MOST = 1 << 28


class _Lines:
    """Whether two places hold the same lines in any order: sums of hashes under a key that nobody knew before."""

    def __init__(self) -> None:
        self._key, self.sums = secrets.token_bytes(32), defaultdict[str, int](int)

    def add(self, where: str, line: bytes, sign: int) -> None:
        digest = hashlib.blake2b(line, key=self._key, digest_size=24).digest()
        self.sums[where] += sign * int.from_bytes(digest, "big")


def check_packs(state: Reports, outputs: dict[str, dict[str, Any]]) -> None:
    """Check packs report by report, and the index against their lists."""
    lines = _Lines()
    for path in sorted(path for path in outputs if path.startswith("packs/")):
        _check_pack(state, path, outputs[path], lines)
    for bucket in BUCKETS:
        path = index_path(bucket)
        try:
            with open_inside(state.run, path) as stream:
                data = stream.read()
        except OSError:
            continue  # named with the files that are listed
        for line in data.splitlines(keepends=True)[1:]:
            lines.add(bucket, line, -1)
        if lines.sums[bucket]:
            state.find(path, "does not list what the packs hold; make it again with --resume")


def _check_pack(state: Reports, path: str, listed: dict[str, Any], lines: _Lines) -> None:
    shard = int(path[6:-4]) if path[6:-4].isdigit() and path.endswith(".zip") else -1
    if path != pack_path(shard):
        state.find(path, "is no name of a pack")
        return
    try:
        with open_inside(state.run, path) as stream:
            data = stream.read(listed["bytes"] + 1)
    except OSError as error:
        state.find(path, f"cannot be read ({error.strerror})")
        return
    if len(data) != listed["bytes"]:
        state.find(path, f"has not the {listed['bytes']} bytes that manifest.json says")
    if sha256(data).hexdigest() != listed["sha256"]:
        damage = next(find_damage(state.run, [shard]), None)
        told = damage.reason if damage else "it was made anew by another hand"
        state.find(path, f"is not as it was written (its SHA-256 is not the one in manifest.json): {told}")
    try:
        _check_members(state, path, data, read_listing(state.run, shard), lines)
    except _BROKEN as error:
        if not any(one.where == path for one in state.findings):
            state.find(path, f"is damaged ({error})")


def _check_members(state: Reports, path: str, data: bytes, listing: list[bytes], lines: _Lines) -> None:
    entries = [read_entry(line) for line in listing]
    users: dict[str, dict[str, str]] = defaultdict(dict)
    spoilt: set[str] = set()
    with zipfile.ZipFile(BytesIO(data)) as archive:
        _check_shape(state, path, archive, [LISTING, *(one.member for one in entries if one.status == MADE)])
        for entry, line in zip(entries, listing, strict=True):
            lines.add(report_path(entry.key, "")[8:10], line, 1)
            if entry.status != MADE:
                state.set_aside += entry.status == SET_ASIDE
            elif (report := _member(archive, entry)) is not None:
                users[entry.key][entry.format] = entry.sha256
                state.report(f"{path}/{entry.member}", report, entry.key, entry.format)
            else:
                state.find(f"{path}/{entry.member}", "is not as it was written")
                spoilt.add(entry.key)
    check_users(state, users, spoilt)


def _member(archive: zipfile.ZipFile, entry: Entry) -> bytes | None:
    """One report of a pack; None when it is not the one that was noted."""
    try:
        if entry.member != report_path(entry.key, entry.format) or entry.bytes > _MOST:
            return None
        with archive.open(entry.member) as member:
            data = member.read(entry.bytes + 1)
    except Exception:
        return None
    return data if sha256(data).hexdigest() == entry.sha256 else None


def _check_shape(state: Reports, path: str, archive: zipfile.ZipFile, names: list[str]) -> None:
    """Nothing but the listed members, one after the other, with no byte between them."""
    if archive.namelist() != names:
        odd = sorted(set(archive.namelist()) ^ set(names)) or ["the same members in another order"]
        state.find(path, f"holds other members than it lists, such as {odd[0]}")
    end = 0
    for info in archive.infolist():
        if info.header_offset != end:
            state.find(path, f"holds bytes that belong to no report, before {info.filename}")
            return
        end += _LOCAL_HEADER + len(info.orig_filename.encode()) + info.compress_size
    if archive.start_dir != end:
        state.find(path, "holds bytes that belong to no report, after the last")
