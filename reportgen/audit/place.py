"""A finished run folder as an auditor meets it: nothing in it is trusted, its manifest last of all."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.errors import InputError, OutputError
from reportgen.formats import FORMATS
from reportgen.output.durable import open_inside
from reportgen.output.folder import MANIFEST, MARKER
from reportgen.output.manifest import SCHEMA
from reportgen.output.places import FOLDER, inside

#: A manifest with four million reports as single files stays below; what is longer is refused unread.
MOST_MANIFEST = 1 << 30
ERASING = "audit/erasing.json"
#: Made after the seal, from what the run holds; it may show cases of single users, so no erasure leaves it there.
MADE_AFTER = ("audit/audit.html", "audit/audit.pdf", "audit/audit.json")
#: What is left of an erasure that died before it began.
_LEFT = r"audit/\.erasing\.json\.[0-9a-f]{8}\.part"
#: Files of a run that no manifest lists: itself, the marker, where the run was, and what is written after a run was sealed: the journals
#: of sendings, and the folder for a mail service.
_SENT = r"sending(-test)?\.journal|crm/(index\.csv|[0-9a-f]{2}/[a-z2-7]{24}\.(html|txt|json))"
_BESIDE = re.compile(
    rf"{re.escape(MANIFEST)}|{re.escape(MARKER)}|run_status\.json|audit/audit\.[a-z]{{2,8}}|{_LEFT}|{_SENT}"
)
_PATH = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]*(/[0-9A-Za-z_][0-9A-Za-z._-]*){0,3}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
#: Whose shape the checks rely on.
_SHAPES: dict[str, type | tuple[type, ...]] = {
    "run_id": str, "users": dict, "merkle": dict, "settings": dict, "inputs": list, "key_id": str,
}  # fmt: skip
_FIELDS = {"path", "sha256", "bytes", "media_type"}
#: By path, or by the end of the name.
_TYPES = FORMATS | {
    "zip": "application/zip", "jsonl": "application/x-ndjson", "bin": "application/octet-stream",
    "audit/seal.dsse.json": "application/vnd.dsse.envelope.v1+json",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Something that is not as it must be: where, and what."""

    where: str
    told: str

    def __str__(self) -> str:
        return self.told if self.told.startswith(self.where) else f"{self.where}: {self.told}"


def read_manifest(run: Path, most: int = MOST_MANIFEST) -> dict[str, Any]:
    """The manifest of a finished run, with its shape and its paths checked.

    Raises
    ------
    InputError
        No finished run is there.
    OutputError
        The manifest is damaged, of another version, too long, or names files outside the run.
    """
    try:
        with open_inside(run, MANIFEST) as stream:
            if (size := os.fstat(stream.fileno()).st_size) > most:
                raise OutputError(f"{MANIFEST} has {size} bytes, more than the {most} that are read")
            plain = json.loads(stream.read(most + 1))
    except FileNotFoundError as error:
        if not run.is_dir():
            raise InputError(f"{run} is no folder; name one that build wrote with --out") from error
        raise InputError(f"{run} has no {MANIFEST}, so it holds no finished run; finish it with --resume") from error
    except OSError as error:
        raise OutputError(f"{MANIFEST} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise OutputError(f"{MANIFEST} is damaged ({error})") from error
    return _checked(plain)


def _checked(plain: Any) -> dict[str, Any]:
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
        told = repr(plain.get("schema"))[:60] if isinstance(plain, dict) else "no object"
        raise OutputError(f"{MANIFEST} is of another version ({told}, this program reads {SCHEMA!r})")
    wrong = next((name for name, kind in _SHAPES.items() if not isinstance(plain.get(name), kind)), None)
    if wrong or not isinstance(plain.get("outputs"), list):
        raise OutputError(f"{MANIFEST} is damaged ({wrong or 'outputs'} is missing or of another kind)")
    seen: set[str] = set()
    for output in plain["outputs"]:
        seen.add(_checked_output(output, seen))
    return plain


def _checked_output(output: Any, seen: set[str]) -> str:
    if not isinstance(output, dict) or not isinstance(path := output.get("path"), str):
        raise OutputError(f"{MANIFEST} is damaged (an output has no path)")
    if not _PATH.fullmatch(path) or len(path) > 200:
        raise OutputError(f"{MANIFEST} names {path[:80]!r}, which is no path inside a run; nothing was read there")
    if path in seen:
        raise OutputError(f"{MANIFEST} lists {path} twice")
    if not isinstance(size := output.get("bytes"), int) or isinstance(size, bool) or size < 0:
        raise OutputError(f"{MANIFEST} is damaged (the length of {path} is no number)")
    if not isinstance(output.get("sha256"), str) or not _DIGEST.fullmatch(output["sha256"]):
        raise OutputError(f"{MANIFEST} is damaged (the hash of {path} is no SHA-256)")
    return path


def odd_outputs(manifest: dict[str, Any]) -> Iterator[Finding]:
    """Entries of the list of outputs that say more, less or other than path, hash, length and the usual type of such a file."""
    for output in manifest["outputs"]:
        path = output["path"]
        usual = _TYPES.get(path) or _TYPES.get(path.rpartition(".")[2])
        if output.keys() != _FIELDS or output["media_type"] != (usual or output["media_type"]):
            yield Finding(
                MANIFEST, f"says something odd of {path}: its fields or its media type are not those of such a file"
            )


def walk(run: Path) -> Iterator[tuple[str, str]]:
    """Everything below a run folder: path, and ``file``, ``link`` or ``other``. No link is followed, the run folder itself may be one."""
    with inside(run, "") as at:
        yield from _walk(at, "")


def _walk(at: int, above: str) -> Iterator[tuple[str, str]]:
    with os.scandir(at) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{above}{entry.name}"
        if entry.is_symlink():
            yield path, "link"
        elif entry.is_dir(follow_symlinks=False):
            below = os.open(entry.name, FOLDER, dir_fd=at)
            try:
                yield from _walk(below, f"{path}/")
            finally:
                os.close(below)
        else:
            yield path, "file" if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode) else "other"


def is_beside(path: str) -> bool:
    """Whether a file of that name may lie in a run though no manifest lists it."""
    return _BESIDE.fullmatch(path) is not None


def read_small(run: Path, path: str, most: int = MOST_MANIFEST) -> bytes | None:
    """A file of a run as a whole; None when it is not there.

    Raises
    ------
    OutputError
    """
    try:
        with open_inside(run, path) as stream:
            data = stream.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{path} cannot be read ({error.strerror})") from error
    if len(data) > most:
        raise OutputError(f"{path} is longer than the {most} bytes that are read")
    return data


def packed(manifest: dict[str, Any]) -> bool:
    """Whether the reports of a run lie in packs."""
    return any(output["path"].startswith("packs/") for output in manifest["outputs"])
