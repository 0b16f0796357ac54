"""``forget`` and ``purge``: personal content leaves a run, the proof stays whole.

An erasure is written down before it begins (`ERASING`) and its steps can be done twice, so a process killed at any moment leaves a run that
is untouched, or one in which the next call goes on. Until then `verify` says so. The order: reports, pack and index, page, salts; then the
register, then the manifest; last the note goes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from reportgen.audit.dsse import Signer
from reportgen.audit.leaves import NO_SALT, SALTS, Leaves, read_leaves, report_path
from reportgen.audit.page import without_user
from reportgen.audit.place import ERASING, MADE_AFTER, packed, read_manifest, read_small
from reportgen.audit.register import FILE as ERASURES
from reportgen.audit.register import MEDIA_TYPE as ERASURES_TYPE
from reportgen.audit.register import Register
from reportgen.audit.seal import ERASABLE, write_manifest
from reportgen.audit.verify import MOST_USERS
from reportgen.audit.verify_seal import PAGE
from reportgen.errors import InputError, OutputError
from reportgen.output.durable import Durable, clear_leftovers, list_inside, no_trouble
from reportgen.output.entries import KEY, MADE, bucket_of, line_key, read_entry
from reportgen.output.pack_index import find_entries, index_file, index_path
from reportgen.output.packs import Pack, pack_path, read_listing, read_report
from reportgen.output.places import inside


@dataclass(frozen=True)
class Erased:
    """What an erasure did.

    Attributes
    ----------
    keys : tuple of str
        Users erased now, or by the unfinished call before.
    reports : int
    named : tuple of str
        Files that the seal holds fast and that still name a pseudonym: lists of samples, by key alone.
    """

    keys: tuple[str, ...]
    reports: int
    named: tuple[str, ...] = ()


def erase_users(run: Path, keys: Sequence[str], when: str, signer: Signer | None = None) -> Erased:
    """Erase the reports and salts of users, and write that down.

    An audit report that was made of the run is taken away too, since it may show cases of theirs; it can be made again.

    Parameters
    ----------
    run : Path
        A finished run, with packs or without.
    keys : sequence of str
        Pseudonyms, 24 letters each.
    when : str
        ISO time.
    signer : Signer, optional
        Signs the lines of the register.

    Returns
    -------
    Erased

    Raises
    ------
    InputError
        Somebody has no report in this run, or was erased already. Nothing is erased then.
    OutputError
        The run is damaged, or the folder cannot be written.
    """
    begun, manifest = begun_in(run), read_manifest(run)
    clear(run)
    if begun is not None and begun.get("purge"):
        raise OutputError(f"{run}: a purge was begun and not finished; run reportgen purge again")
    register = Register.read(read_small(run, ERASURES))
    if begun is not None:
        _finish(run, manifest, begun, signer)
        manifest, register = read_manifest(run), Register.read(read_small(run, ERASURES))
    told = [key for key in dict.fromkeys(keys) if begun is None or key not in begun["users"]]
    if not told:
        return _told(run, manifest, begun["users"] if begun else {})
    _check_keys(run, register, read_leaves(run, MOST_USERS), told)
    users = {key: _formats(run, manifest, key) for key in told}
    job = {"when": when, "users": users}
    begin(run, job)
    _finish(run, manifest, job, signer)
    return _told(run, manifest, users)


def _told(run: Path, manifest: dict[str, Any], users: dict[str, Any]) -> Erased:
    fixed = [out["path"] for out in manifest["outputs"] if not ERASABLE.fullmatch(out["path"])]
    named = [path for path in fixed if any(key.encode("ascii") in (read_small(run, path) or b"") for key in users)]
    return Erased(tuple(users), sum(len(found["formats"]) for found in users.values()), tuple(named))


def begun_in(run: Path) -> dict[str, Any] | None:
    data = read_small(run, ERASING)
    try:
        found: dict[str, Any] | None = None if data is None else json.loads(data)
        if found is not None and not found.get("purge") and not all(KEY.fullmatch(key) for key in found["users"]):
            raise ValueError("it names no users")
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(f"{run}: {ERASING} is damaged ({error}); remove it, verify, and erase again") from error


def clear(run: Path) -> None:
    """Take away what a process that died in an erasure left half written."""
    there = set(list_inside(run, ""))
    for folder in ("", *(name for name in ("audit", "packs", "index") if name in there)):
        clear_leftovers(run, folder)


def begin(run: Path, job: dict[str, Any]) -> None:
    with Durable(run) as out:
        out.write(ERASING, json.dumps(job, sort_keys=True).encode("ascii"))


def _check_keys(run: Path, register: Register, leaves: Leaves, keys: Iterable[str]) -> None:
    if register.purged:
        raise InputError(f"{run} was purged: nobody has a report in it any more")
    for key in keys:
        if not KEY.fullmatch(key):
            raise InputError(f"{key!r} is not a key: keys have 24 letters of a-z and 2-7, as in the names of reports")
        if key in register.keys:
            raise InputError(f"{key} was erased already; see {ERASURES}")
        if leaves.find(key) is None:
            told = "is not known in this run, or has no report in it (set aside or opted out), so there is nothing to erase"
            raise InputError(f"{key} {told}; ids are text and compared exactly (007 is not 7)")


def _formats(run: Path, manifest: dict[str, Any], key: str) -> dict[str, Any]:
    """Formats of a user's reports, and the shard where they lie in a pack."""
    if packed(manifest):
        entries = [entry for entry in find_entries(run, key) if entry.status == MADE]
        return {"formats": [entry.format for entry in entries], "shard": entries[0].shard if entries else None}
    stem = report_path(key, "")
    words = [out["path"][len(stem) :] for out in manifest["outputs"] if out["path"].startswith(stem)]
    return {"formats": sorted(words), "shard": None}


def _finish(run: Path, manifest: dict[str, Any], job: dict[str, Any], signer: Signer | None) -> None:
    """All steps of an erasure; each may have been done before."""
    users, changed = job["users"], dict[str, bytes]()
    outputs = {out["path"]: out for out in manifest["outputs"]}
    gone = {report_path(key, word) for key, found in users.items() for word in found["formats"]}
    remove(run, gone | set(MADE_AFTER))
    for path in gone:
        outputs.pop(path, None)
    if packed(manifest):
        changed |= _repacked(run, users)
    changed |= _page(run, outputs, users)
    leaves = read_leaves(run, MOST_USERS)
    for key in users:
        if (at := leaves.find(key)) is not None:
            leaves.salts[at] = NO_SALT
    changed[SALTS] = leaves.salts_file()
    register = Register.read(read_small(run, ERASURES))
    for key, found in users.items():
        if key not in register.keys:
            line = {"run_id": manifest["run_id"], "key": key, "erased_at": job["when"], "formats": found["formats"]}
            register.add(line | {"leaf": leaves.find(key)}, signer)
    changed[ERASURES] = register.to_bytes()
    close(run, manifest, outputs, changed)


def close(run: Path, manifest: dict[str, Any], outputs: dict[str, dict[str, Any]], changed: dict[str, bytes]) -> None:
    """Write what changed, then the manifest; then the erasure is over."""
    with Durable(run) as out:
        for path, data in changed.items():
            out.write(path, data)
            kind = outputs.get(path, {}).get("media_type", ERASURES_TYPE)
            outputs[path] = {"path": path, "sha256": sha256(data).hexdigest(), "bytes": len(data), "media_type": kind}
    write_manifest(run, manifest, outputs.values())
    remove(run, [ERASING])


def _page(run: Path, outputs: dict[str, dict[str, Any]], users: Iterable[str]) -> dict[str, bytes]:
    page = read_small(run, PAGE)
    if page is None:
        return {}
    others = sorted(path for path in outputs if path.startswith("reports/"))
    for key in users:
        page = without_user(page, key, others)
    return {PAGE: page}


def _repacked(run: Path, users: dict[str, Any]) -> dict[str, bytes]:
    """Packs and files of the index without some users."""
    changed: dict[str, bytes] = {}
    for shard in sorted({found["shard"] for found in users.values() if found["shard"] is not None}):
        pack = Pack(shard)
        for entry in map(read_entry, read_listing(run, shard)):
            if entry.status != MADE:
                pack.absent(entry.key, entry.status)
            elif entry.key not in users:
                pack.write(entry.member, read_report(run, entry))
        changed[pack_path(shard)] = pack.to_bytes()
    for bucket in sorted({bucket_of(key) for key in users}):
        _, *lines = (read_small(run, index_path(bucket)) or b"\n").splitlines(keepends=True)
        changed[index_path(bucket)] = index_file(bucket, [line for line in lines if line_key(line) not in users])
    return changed


def remove(run: Path, paths: Iterable[str]) -> None:
    """Take files of a run away, durably; those that are gone already do not matter. No link is followed.

    Raises
    ------
    OutputError
    """
    with no_trouble(run):
        for folder, names in _by_folder(paths).items():
            with suppress(FileNotFoundError):
                _remove_in(run, folder, names)


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    folders: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    return folders


def _remove_in(run: Path, folder: str, names: Iterable[str]) -> None:
    with inside(run, folder) as at:
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=at)
        os.fsync(at)


def check_mendable(run: Path) -> None:
    """Refuse to make shards of a run again from which somebody was erased: the reports would come back.

    Raises
    ------
    OutputError
    """
    if (run / ERASURES).exists() or (run / ERASING).exists():
        told = "users were erased from it, and to mend it would make their reports again"
        raise OutputError(
            f"{run} cannot be mended: {told}; take the damaged file from a copy, or make a new run in another --out"
        )
