"""The reports of a run against its leaves: every byte is read once, hashed once, and every record is added up again."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from reportgen.audit.leaves import NO_SALT, Leaves, report_path, text_key, user_leaf
from reportgen.audit.place import Finding
from reportgen.audit.verify_record import check_record
from reportgen.output.durable import open_inside
from reportgen.output.entries import PATH
from reportgen.output.places import READ, inside

_BLOCK = 1 << 20
#: Looks at the bytes of each report for something that must not be there.
Look = Callable[[str, bytes], None]


def _no_look(path: str, data: bytes) -> None:
    """Look for nothing."""


@dataclass
class Reports:
    """The check of all reports of one run.

    Attributes
    ----------
    findings : list of Finding
    seen : bytearray
        One per leaf: how many users were met there.
    reports, records, size, set_aside : int
        Counted; `size` in bytes.
    """

    run: Path
    leaves: Leaves
    erased: set[str]
    look: Look = _no_look
    findings: list[Finding] = field(default_factory=list)
    reports: int = 0
    records: int = 0
    size: int = 0
    set_aside: int = 0

    def __post_init__(self) -> None:
        self.seen = bytearray(len(self.leaves))

    def find(self, where: str, told: str) -> None:
        """Note what is wrong."""
        self.findings.append(Finding(where, told))

    def report(self, path: str, data: bytes, key: str, word: str) -> None:
        """Count a report whose hash is right, and add its record up."""
        self.reports += 1
        self.size += len(data)
        self.look(path, data)
        if word == "json":
            self.records += 1
            if told := check_record(data, key):
                self.find(path, told)

    def user(self, key: str, hashes: dict[str, str]) -> None:
        """Compare the reports of one user with the leaf."""
        at = self.leaves.find(key)
        if at is None:
            self.find(f"user {key}", "has reports but no leaf in the tree: they were added after the run")
            return
        self.seen[at] = min(self.seen[at] + 1, 2)
        if self.seen[at] > 1:
            self.find(f"user {key}", "has reports in two places")
        elif self.leaves.salts[at] == NO_SALT:
            told = "was erased, but has reports again" if key in self.erased else "has no salt, and no erasure says why"
            self.find(f"user {key}", told)
        elif user_leaf(self.leaves.salts[at], key, hashes) != self.leaves.hashes[at]:
            words = ", ".join(sorted(hashes))
            told = f"the reports ({words}) are not those that were sealed: one was changed, added or taken away"
            self.find(f"user {key}", told)

    def missing(self, purged: bool) -> Iterator[str]:
        """Users with a leaf and without reports who were not erased; those of them whose salt is there are found missing."""
        for at, count in enumerate(self.seen):
            if count or purged:
                continue
            key = text_key(self.leaves.keys[at])
            if key not in self.erased:
                told = "no report, though the tree has a leaf: " + ("its salt is gone too, and no erasure says why" if
                       self.leaves.salts[at] == NO_SALT else "it is missing")  # fmt: skip
                self.find(f"user {key}", told)
                yield key
            elif self.leaves.salts[at] != NO_SALT:
                self.find(f"user {key}", "was erased, but the salt is still there; run forget again")


# --- single files


def check_files(state: Reports, outputs: dict[str, dict[str, Any]]) -> None:
    """Check reports that are single files, in the order of their paths."""
    wrong: dict[str, str] = {}
    users: dict[str, dict[str, str]] = defaultdict(dict)
    spoilt: set[str] = set()
    with _Reader(state.run) as reader:
        for path in sorted(path for path in outputs if path.startswith("reports/")):
            if (match := PATH.fullmatch(path)) is None or path != report_path(match["key"], match["format"]):
                state.find(path, "is no path of a report")
                continue
            key, listed = match["key"], outputs[path]
            try:
                data = reader.read(path, listed["bytes"])
            except FileNotFoundError:
                wrong[path], told = "", "is missing"
            except OSError as error:
                wrong[path], told = "", f"cannot be read ({error.strerror})"
            else:
                digest = sha256(data).hexdigest()
                if digest == listed["sha256"]:
                    if len(data) != listed["bytes"]:
                        state.find(path, f"has {len(data)} bytes, manifest.json says {listed['bytes']}")
                    users[key][match["format"]] = digest
                    state.report(path, data, key, match["format"])
                    continue
                wrong[path], told = (
                    _whole_hash(state.run, path),
                    "is not as it was written (its SHA-256 is not the one in manifest.json)",
                )
            state.find(path, told)
            spoilt.add(key)
    check_users(state, users, spoilt)
    _tell_moved(state, outputs, wrong)


def check_users(state: Reports, users: dict[str, dict[str, str]], spoilt: set[str]) -> None:
    """Users whose files are as listed; of the others a file is named already, so they only count as met."""
    for key, hashes in users.items():
        if key not in spoilt:
            state.user(key, hashes)
    for key in spoilt:
        if (at := state.leaves.find(key)) is not None:
            state.seen[at] = max(state.seen[at], 1)


def _whole_hash(run: Path, path: str) -> str:
    """Hash of all of a file that is not as it was, however long it is now."""
    digest = sha256()
    with open_inside(run, path) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _tell_moved(state: Reports, outputs: dict[str, dict[str, Any]], wrong: dict[str, str]) -> None:
    """Say of a changed report whose it is, where it is one of this run."""
    there = {digest: path for path, digest in wrong.items() if digest}
    if not there:
        return
    home = {output["sha256"]: path for path, output in outputs.items() if output["sha256"] in there}
    named = {path: home[digest] for path, digest in wrong.items() if digest in home}
    state.findings = [
        Finding(one.where, f"holds the report that belongs at {named[one.where]}") if one.where in named else one
        for one in state.findings
    ]


class _Reader:
    """Reads reports folder by folder; no folder and no file on the way may be a link."""

    def __init__(self, run: Path) -> None:
        self._run, self._name, self._at = run, "", -1

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._at >= 0:
            os.close(self._at)

    def read(self, path: str, size: int) -> bytes:
        """One report, and one byte more where it is longer than it should be."""
        folder, _, name = path.rpartition("/")
        if folder != self._name or self._at < 0:
            self._open(folder)
        file = os.open(name, READ, dir_fd=self._at)
        try:
            data = os.read(file, size + 1)
            while len(data) <= size and (more := os.read(file, size + 1 - len(data))):
                data += more
            return data
        finally:
            os.close(file)

    def _open(self, folder: str) -> None:
        if self._at >= 0:
            os.close(self._at)
            self._at = -1
        with inside(self._run, folder) as at:
            self._at, self._name = os.dup(at), folder
