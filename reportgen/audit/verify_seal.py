"""The seal of a run under check: is the statement the one of this manifest, who signed it, and which run came before?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from reportgen.audit.dsse import PAYLOAD_TYPE, SignatureError, check_signature, open_envelope, public_id
from reportgen.audit.page import skeleton_hash
from reportgen.audit.place import Finding, read_small
from reportgen.audit.seal import ENVELOPE, PURGED, STATEMENT, make_statement
from reportgen.errors import OutputError
from reportgen.output.folder import MANIFEST

PAGE = "index.html"


@dataclass
class Verdict:
    """What `verify_run` found.

    Attributes
    ----------
    findings : list of Finding
        Empty when the run is what it says.
    notes : list of str
        What was not checked, or is as it is by intent: no signature, erasures, files of later work.
    facts : dict
        Counted: users, reports, records, bytes, erased.
    """

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not self.findings

    def find(self, where: str, told: str) -> None:
        """Note what is wrong."""
        self.findings.append(Finding(where, told))

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "verified": self.good,
            "findings": [vars(one) for one in self.findings],
            "notes": self.notes,
            "facts": self.facts,
        }


@dataclass
class Seal:
    """Statement, signature and chain of one run.

    Attributes
    ----------
    run : Path
    manifest : dict
    verdict : Verdict
        Takes what is found.
    purged : bool
        The run's page and lists of users are gone by intent.
    page : bytes
    """

    run: Path
    manifest: dict[str, Any]
    verdict: Verdict
    purged: bool
    page: bytes

    @property
    def _paths(self) -> set[str]:
        return {output["path"] for output in self.manifest["outputs"]}

    def check(self, key: Ed25519PublicKey | None, previous: Path | None) -> None:
        """Compare, check the signature and the chain."""
        self._statement(key)
        self._chain(previous)

    def _statement(self, key: Ed25519PublicKey | None) -> None:
        try:
            statement = read_small(self.run, STATEMENT)
            signed = read_small(self.run, ENVELOPE)
        except OutputError as error:
            self.verdict.find(STATEMENT, str(error))
            return
        if statement is None:
            self.verdict.find(STATEMENT, "is missing: the run is not sealed")
            return
        self._compare(statement)
        if signed is None:
            (self.verdict.find if key is not None else self._unsigned)(ENVELOPE, "is missing: this run is unsigned")
            return
        self._signature(statement, signed, key)

    def _unsigned(self, _where: str, _told: str) -> None:
        self.verdict.notes.append("this run is unsigned: who can write to the folder could have made all of it anew")

    def _compare(self, statement: bytes) -> None:
        """The statement must be the one that manifest and page give; where not, say what differs."""
        try:
            told = json.loads(statement)
            skeleton = told["predicate"]["page"]["skeleton_sha256"]
            purged = self.purged and PAGE not in self._paths
            page = skeleton if purged else skeleton_hash(self.page)
            mine = make_statement(self._unpurged(told) if purged else self.manifest, page)
            if mine == statement:
                return
            self._differences(told, json.loads(mine))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self.verdict.find(STATEMENT, f"is damaged ({error})")

    def _unpurged(self, sealed: dict[str, Any]) -> dict[str, Any]:
        """The manifest with the files back in its list that a purge takes away."""
        gone = [
            {"path": one["name"], "sha256": one["digest"]["sha256"]}
            for one in sealed["subject"]
            if one["name"] not in self._paths and PURGED.fullmatch(one["name"])
        ]
        outputs = sorted([*self.manifest["outputs"], *gone], key=lambda output: str(output["path"]))
        return self.manifest | {"outputs": outputs}

    def _differences(self, sealed: dict[str, Any], mine: dict[str, Any]) -> None:
        before = len(self.verdict.findings)
        then, now = sealed["predicate"], mine["predicate"]
        for name in sorted(then["manifest"].keys() | now["manifest"].keys()):
            if then["manifest"].get(name) != now["manifest"].get(name):
                self.verdict.find(f"{MANIFEST}: {name}", "is not what was sealed; the file was edited")
        hashes, others = ({one["name"]: one["digest"]["sha256"] for one in side["subject"]} for side in (sealed, mine))
        for name in sorted(hashes.keys() | others.keys()):
            if hashes.get(name) != others.get(name):
                self.verdict.find(name, "is not what was sealed; the manifest lists another hash or none")
        if then["page"] != now["page"]:
            self.verdict.find(PAGE, "is not what was sealed; more was changed in it than the lines of erased users")
        if len(self.verdict.findings) == before:
            self.verdict.find(STATEMENT, "is not in the form that was sealed")

    def _signature(self, statement: bytes, signed: bytes, key: Ed25519PublicKey | None) -> None:
        try:
            payload, signatures = open_envelope(signed)
            if payload != statement:
                raise SignatureError(f"it is over another statement than {STATEMENT}")
            if key is None:
                told = f"the signature was not checked: name the key of who signed ({signatures[0][0][:16]}...)"
                self.verdict.notes.append(f"{told} with --public-key")
                return
            mine = [one for name, one in signatures if name == public_id(key)] or [one for _, one in signatures]
            if not mine:
                raise SignatureError("it holds no signature")
            check_signature(key, PAYLOAD_TYPE, payload, mine[0])
            self.verdict.facts["signed_by"] = public_id(key)
        except (SignatureError, IndexError) as error:
            self.verdict.find(ENVELOPE, str(error) or "it holds no signature")

    def _chain(self, previous: Path | None) -> None:
        named = self.manifest.get("previous_run")
        if previous is None:
            if isinstance(named, dict):
                self.verdict.notes.append(
                    f"the chain to run {named.get('run_id')} was not checked: name it with --previous"
                )
            return
        try:
            there = read_small(previous, STATEMENT)
        except OutputError:
            there = None
        if not isinstance(named, dict):
            self.verdict.find(f"{MANIFEST}: previous_run", "names no run before this one")
        elif there is None or sha256(there).hexdigest() != named.get("statement_sha256"):
            self.verdict.find(f"{MANIFEST}: previous_run", f"run {named.get('run_id')} is not the one in {previous}")
